//! Which runs may stand about a gram: told by the bytes around it, many runs at once.
//!
//! Rules of one house share wording, so a gram may belong to hundreds of runs. Most of those are
//! told apart by eight bytes somewhere near the gram; a hash of these bytes leads to the few runs
//! that have them there. Runs of another make, too short or with a class in that place, form
//! further groups, with other bytes. Which bytes tell them apart is found out in `build`.

mod build;

use super::super::runs::{RunId, word_at};

pub(super) use build::{GroupsBuilder, Item};

/// The runs of all buckets.
#[derive(Debug)]
pub(super) struct Groups {
    /// `of_buckets[starts[b]..starts[b + 1]]` are those of bucket `b`.
    starts: Box<[u32]>,
    of_buckets: Box<[Group]>,
    /// For each group as many as its hash has values, and one more, of the next group's: where in
    /// `leaves` the runs with this value begin.
    slots: Box<[u32]>,
    leaves: Box<[Leaf]>,
}

/// Runs that are told apart by the same bytes about a gram.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Which of eight bytes count.
    mask: u64,
    first_slot: u32,
    /// Where the first of them is, counted from the gram.
    at: i8,
    /// A power of two of slots.
    bits: u8,
}

/// A run that may stand about a gram. Half a line of the cache, and all that is looked at before the
/// run itself, which lies further away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(align(32))]
struct Leaf {
    /// A hash of the group's bytes.
    hash: u32,
    run: RunId,
    /// Index in the run of the gram's first byte; -1 for one before the run.
    at: i16,
    /// Where the first of eight more bytes is that the run must have, counted from the gram: of
    /// those that the hash does not tell.
    further: i16,
    /// All bits of those that count.
    mask: u64,
    /// Folded, the others 0.
    text: u64,
}

const FOLDED: u64 = 0x2020_2020_2020_2020;

/// Of folded bytes.
#[inline]
fn hash_of(bytes: u64) -> u32 {
    let product = bytes.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // The high bits depend on all bytes.
    (product >> 32) as u32
}

impl Group {
    #[inline]
    fn slot(&self, hash: u32) -> usize {
        // Of 32 bits the highest; with none of them, the only slot.
        self.first_slot as usize + (u64::from(hash) << self.bits >> 32) as usize
    }
}

/// Memory that a search reuses: what each step leaves for the next one.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// A place, and a group of its gram.
    looks: Vec<(u32, u32)>,
    /// A place, and the leaves that its bytes lead to.
    few: Vec<Few>,
    /// Where a run may begin.
    runs: Vec<(RunId, isize)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Few {
    place: u32,
    hash: u32,
    first: u32,
    end: u32,
}

impl Groups {
    /// Calls `each` with the runs that may stand in `lines` about the grams at `places`, and the
    /// place of the run's first byte. `bucket_at`: of the gram at a place.
    ///
    /// Each step goes over all places before the next one begins: the processor fetches what many
    /// of them need at once, where one place after the other would wait for each.
    pub(super) fn find(
        &self,
        lines: &[u8],
        places: &[u32],
        bucket_at: impl Fn(usize) -> usize,
        steps: &mut Steps,
        each: &mut impl FnMut(RunId, isize),
    ) {
        let Steps { looks, few, runs } = steps;
        looks.clear();
        for place in places {
            let bucket = bucket_at(*place as usize);
            if let (Some(&start), Some(&end)) =
                (self.starts.get(bucket), self.starts.get(bucket + 1))
            {
                looks.extend((start..end).map(|group| (*place, group)));
            }
        }
        let few = kept(few, looks.iter().map(|look| self.few(lines, *look)));
        let most = few.iter().map(|few| (few.end - few.first) as usize).sum();
        if runs.len() < most {
            runs.resize(most, Default::default());
        }
        let mut count = 0;
        for few in few {
            let leaves = self.leaves.get(few.first as usize..few.end as usize);
            for leaf in leaves.unwrap_or_default() {
                // As in `kept`.
                if let Some(free) = runs.get_mut(count) {
                    *free = (leaf.run, signed(few.place) - isize::from(leaf.at));
                }
                count += usize::from(leaf.may_be(lines, few));
            }
        }
        for (run, at) in runs.iter().take(count) {
            each(*run, *at);
        }
    }

    /// The leaves that the bytes about a place lead to; whether there are any.
    #[inline]
    fn few(&self, lines: &[u8], (place, group): (u32, u32)) -> (Few, bool) {
        let Some(group) = self.of_buckets.get(group as usize) else {
            return (Few::default(), false);
        };
        let bytes = word_at(lines, signed(place) + isize::from(group.at));
        let hash = hash_of((bytes | FOLDED) & group.mask);
        let slot = group.slot(hash);
        let ends = self.slots.get(slot..).and_then(|slots| slots.first_chunk());
        let [first, end] = ends.copied().unwrap_or_default();
        let few = Few {
            place,
            hash,
            first,
            end,
        };
        (few, first < end)
    }
}

impl Leaf {
    #[inline]
    fn may_be(&self, lines: &[u8], few: &Few) -> bool {
        let bytes = word_at(lines, signed(few.place) + isize::from(self.further));
        // One test, so that there is nothing to predict.
        ((bytes | FOLDED) & self.mask ^ self.text) | u64::from(self.hash ^ few.hash) == 0
    }
}

#[inline]
fn signed(place: u32) -> isize {
    isize::try_from(place).unwrap_or(isize::MAX)
}

/// What of `items` is to be kept; `memory` is for that. There is nothing to predict for the
/// processor.
#[inline]
fn kept<T: Copy + Default>(
    memory: &mut Vec<T>,
    items: impl ExactSizeIterator<Item = (T, bool)>,
) -> &[T] {
    if memory.len() < items.len() {
        memory.resize(items.len(), T::default());
    }
    let mut count = 0;
    for (item, is_kept) in items {
        if let Some(free) = memory.get_mut(count) {
            *free = item;
        }
        count += usize::from(is_kept);
    }
    memory.get(..count).unwrap_or_default()
}
