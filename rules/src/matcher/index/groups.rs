//! Which runs may stand about a gram: told by the bytes around it, many runs at once.
//!
//! Rules of one house share wording, so a gram may belong to hundreds of runs. Most of those are
//! told apart by eight bytes somewhere near the gram; a hash of these bytes leads to the few runs
//! that have them there. Runs of another make, too short or with a class in that place, form
//! further groups, with other bytes.

use super::super::need::fold;
use super::super::runs::{RunId, Runs, word_at};
use super::build::{Spelt, narrow};

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
struct Leaf {
    /// A hash of the group's bytes.
    hash: u32,
    run: RunId,
    /// Index in the run of the gram's first byte; -1 for one before the run.
    at: i16,
    further: Further,
}

/// Eight more bytes that a run must have: of those that the hash does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Further {
    /// Where the first of them is, counted from the gram.
    at: i16,
    /// All bits of those that count.
    mask: u64,
    /// Folded, the others 0.
    text: u64,
}

/// A text of a window, seen from one of its grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) bucket: u32,
    /// Index of the text.
    pub(super) spelt: u32,
    /// How far into the text the gram stands.
    pub(super) offset: u8,
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
        let Further { at, mask, text } = self.further;
        let bytes = word_at(lines, signed(few.place) + isize::from(at));
        // One test, so that there is nothing to predict.
        ((bytes | FOLDED) & mask ^ text) | u64::from(self.hash ^ few.hash) == 0
    }
}

impl Further {
    /// For `run`, of which the gram's first byte has index `at`, and the bytes of `known` are told
    /// already: the eight with most others.
    fn of(runs: &Runs, run: RunId, at: i16, known: &[isize]) -> Self {
        let length = runs.length(run);
        let bytes: Vec<Option<u8>> = (0..length).map(|at| runs.folded_byte(run, at)).collect();
        let worth = |(byte, at): (&Option<u8>, isize)| match byte {
            Some(_) if known.contains(&at) => 1,
            Some(_) => 9,
            None => 0,
        };
        let worths: Vec<u32> = bytes.iter().zip(0..).map(worth).collect();
        let of_eight = |from: &usize| worths.iter().skip(*from).take(8).sum::<u32>();
        // The first one of the best, as the last one to be compared.
        let from = (0..worths.len()).rev().max_by_key(of_eight).unwrap_or(0);
        let (mut mask, mut text) = (0, 0);
        for (byte, shift) in bytes.iter().skip(from).zip((0..64).step_by(8)) {
            if let Some(byte) = byte {
                mask |= 0xff << shift;
                text |= u64::from(fold(*byte)) << shift;
            }
        }
        // Runs are some hundred bytes long at the most.
        let from = i16::try_from(from).unwrap_or(0);
        Self {
            at: from - at,
            mask,
            text,
        }
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

/// What is known of the bytes about a gram where a run stands: so many before it, and behind its
/// beginning.
#[derive(Clone, Copy, Debug)]
struct About {
    item: Item,
    /// Folded; 0 where not known.
    bytes: [u8; ABOUT],
    /// A bit for each that is known.
    known: u32,
}

const BEFORE: usize = 8;
const ABOUT: usize = 20;

/// Where the eight bytes may begin, counted from the first of [`About::bytes`].
const PLACES: [usize; 6] = [0, 4, 6, 8, 10, 12];
/// Which of them may count.
const MASKS: [u8; 10] = [0xff, 0x7f, 0xfe, 0x3f, 0xfc, 0x1f, 0xf8, 0x0f, 0x3c, 0xf0];

/// Makes [`Groups`], bucket after bucket.
pub(super) struct GroupsBuilder<'a> {
    runs: &'a Runs,
    windows: &'a [Spelt],
    starts: Vec<u32>,
    groups: Vec<Group>,
    slots: Vec<u32>,
    leaves: Vec<Leaf>,
}

impl<'a> GroupsBuilder<'a> {
    pub(super) fn new(runs: &'a Runs, windows: &'a [Spelt]) -> Self {
        Self {
            runs,
            windows,
            starts: vec![0],
            groups: Vec::new(),
            slots: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// The next bucket.
    pub(super) fn add_bucket(&mut self, items: &[Item]) {
        let mut rest: Vec<About> = items.iter().filter_map(|item| self.about(*item)).collect();
        while !rest.is_empty() {
            let (at, mask) = best_bytes(&rest);
            let (own, others): (Vec<_>, _) =
                rest.into_iter().partition(|about| about.has(at, mask));
            self.add_group(at, mask, &own);
            rest = others;
        }
        self.starts.push(narrow(self.groups.len()));
    }

    fn about(&self, item: Item) -> Option<About> {
        let spelt = self.windows.get(item.spelt as usize)?;
        let mut about = About {
            item,
            bytes: [0; ABOUT],
            known: 0,
        };
        // Where in the window the byte is that is looked at.
        let places = isize::from(item.offset) - BEFORE.cast_signed()..;
        for ((byte, place), index) in about.bytes.iter_mut().zip(places).zip(0..) {
            let at = isize::from(spelt.at) + place;
            let of_window = usize::try_from(place).ok();
            let spelt_out = of_window.and_then(|place| spelt.text.get(place).copied());
            // A borrowed byte is none of the run's.
            let own = spelt_out.filter(|_| (0..self.runs.length(spelt.run)).contains(&at));
            if let Some(known) = own.or_else(|| self.runs.folded_byte(spelt.run, at)) {
                *byte = fold(known);
                about.known |= 1 << index;
            }
        }
        Some(about)
    }

    fn add_group(&mut self, at: usize, mask: u8, members: &[About]) {
        let mut leaves: Vec<Leaf> = members
            .iter()
            .filter_map(|about| {
                let spelt = self.windows.get(about.item.spelt as usize)?;
                let gram = spelt.at + i16::from(about.item.offset);
                let told = (0..8).filter(|bit| mask >> bit & 1 == 1);
                let mut known: Vec<isize> = (0..4).map(|byte| isize::from(gram) + byte).collect();
                known.extend(told.map(|bit| {
                    isize::from(gram) + (at + bit).cast_signed() - BEFORE.cast_signed()
                }));
                Some(Leaf {
                    hash: hash_of(about.word(at, mask)),
                    run: spelt.run,
                    at: gram,
                    further: Further::of(self.runs, spelt.run, gram, &known),
                })
            })
            .collect();
        leaves.sort_unstable();
        leaves.dedup();
        /// So that most have one leaf, if any.
        const SLOTS_FOR_A_LEAF: usize = 2;
        let slots = match leaves.len() {
            1 => 1,
            many => (SLOTS_FOR_A_LEAF * many).next_power_of_two(),
        };
        let bits = slots.trailing_zeros();
        let group = Group {
            mask: word_mask(mask),
            first_slot: narrow(self.slots.len()),
            at: i8::try_from(at).unwrap_or(0) - i8::try_from(BEFORE).unwrap_or(0),
            bits: u8::try_from(bits).unwrap_or(0),
        };
        let first = self.leaves.len();
        for slot in 0..slots {
            let of_slot = |leaf: &Leaf| group.slot(leaf.hash) - (group.first_slot as usize) < slot;
            self.slots
                .push(narrow(first + leaves.partition_point(of_slot)));
        }
        self.leaves.append(&mut leaves);
        self.groups.push(group);
    }

    pub(super) fn finish(mut self) -> Groups {
        self.slots.push(narrow(self.leaves.len()));
        Groups {
            starts: self.starts.into(),
            of_buckets: self.groups.into(),
            slots: self.slots.into(),
            leaves: self.leaves.into(),
        }
    }
}

impl About {
    /// Whether all bytes of `mask` behind `at` are known.
    fn has(&self, at: usize, mask: u8) -> bool {
        let mask = u32::from(mask) << at;
        self.known & mask == mask
    }

    fn word(&self, at: usize, mask: u8) -> u64 {
        let bytes = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        u64::from_le_bytes(bytes.copied().unwrap_or_default()) & word_mask(mask)
    }
}

/// A bit for a byte → all bits of the byte.
fn word_mask(mask: u8) -> u64 {
    let is_set = |bit: u32| mask >> bit & 1 == 1;
    (0..8)
        .filter(|bit| is_set(*bit))
        .fold(0, |word, bit| word | 0xff << (8 * bit))
}

/// The eight bytes, and which of them, that tell most of `all` apart: where the first one is, and
/// which count. At least one of `all` has them.
fn best_bytes(all: &[About]) -> (usize, u8) {
    /// Of more than this, some are looked at.
    const MOST_LOOKED_AT: usize = 128;
    /// What another group costs for one that is not in this: half a run held against the text.
    const NEXT_GROUP: usize = IN_VAIN / 2;
    let step = all.len().div_ceil(MOST_LOOKED_AT);
    let mut words: Vec<u64> = Vec::new();
    let mut best: Option<(usize, (usize, u8))> = None;
    for at in PLACES {
        for mask in MASKS {
            words.clear();
            let looked_at = all.iter().step_by(step);
            let having = looked_at.clone().filter(|about| about.has(at, mask));
            words.extend(having.map(|about| about.word(at, mask)));
            if words.is_empty() {
                continue;
            }
            let left = looked_at.count() - words.len();
            let cost = alike(&mut words) + NEXT_GROUP * left;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, (at, mask)));
            }
        }
    }
    // What has less than that is held against the text whenever the gram is seen.
    best.map_or((BEFORE, 0), |(_, bytes)| bytes)
}

/// What a run costs that is held against the text.
const IN_VAIN: usize = 16;

/// What those cost that have the same word as one of them, on the average.
fn alike(words: &mut [u64]) -> usize {
    words.sort_unstable();
    let same = words.chunk_by(|a, b| a == b).map(<[u64]>::len);
    IN_VAIN * same.map(|count| count * count).sum::<usize>() / words.len().max(1)
}
