//! From a gram that was seen to the rules that it may matter to: everything between the sieve,
//! which sees every byte, and the run, which is held against the text.
//!
//! Each step is asked less often than the one before it and may take longer: the gram itself with
//! the two bytes on either side of it, the window of seven bytes, the run. None says no to a place
//! where a run stands.

use std::collections::{BTreeMap, BTreeSet};

use super::candidates::Candidates;
use super::frequency::Frequencies;
use super::kernel::sieve::{Gram, Sieve};
use super::kernel::{BLOCK, Kernel};
use super::need::{ByteSet, Run, fold};
use super::runs::{RunId, Runs, RunsBuilder, byte_at};
use super::windows::{GRAM, STRIDE, WINDOW, Window, grams};

/// Finds windows, and tells whom they matter to.
#[derive(Debug)]
pub(super) struct Index {
    sieve: Sieve,
    /// A power of two of them; the bucket of a gram is chosen by its hash.
    buckets: Box<[Bucket]>,
    /// `entries[starts[b]..starts[b + 1]]` are those of bucket `b`.
    starts: Box<[u32]>,
    entries: Box<[Entry]>,
    owners: Box<[Owner]>,
    shift: u32,
}

/// The first look at a gram: enough for nearly all that the sieve lets through by mistake.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    gram: u32,
    /// 0 where several grams share the bucket: the entries tell them apart.
    exact: u32,
    /// Which pairs of bytes may stand behind the gram, and before it: a bit for each hash of one.
    behind: u32,
    before: u32,
}

/// A window, seen from one of its grams.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Folded, the first byte lowest; 0 where `mask` is.
    text: u64,
    /// The bytes that count: not the eighth, and not a borrowed one.
    mask: u64,
    /// How far into the window the gram stands.
    offset: u8,
    first_owner: u32,
    end_owner: u32,
}

/// A rule that needs the run that the window is of.
#[derive(Clone, Copy, Debug)]
struct Owner {
    /// Index of the rule in the plan.
    rule: u32,
    run: RunId,
    /// Index in the run of the window's first byte; -1 for one before the run.
    at: i32,
    /// Four more bytes of the run, from so many behind the window's first byte: most of the rules
    /// that share a window are told apart by them.
    probe_at: i32,
    probe: u32,
    /// 0 where a byte may be one of several.
    probe_mask: u32,
}

impl Owner {
    /// Bytes outside of the window, as far as the run goes.
    fn new(rule: u32, window: &Window<'_>, (run, at): (RunId, isize)) -> Option<Self> {
        let bytes_at = |from: isize| {
            let byte = |offset: isize| {
                let index = usize::try_from(window.at + from + offset).ok()?;
                let set = window.run.sets.get(index)?.folded();
                (set.len() == 1).then(|| set.iter().next()).flatten()
            };
            let bytes: [Option<u8>; 4] = [byte(0), byte(1), byte(2), byte(3)];
            let probe = u32::from_le_bytes(bytes.map(|byte| byte.unwrap_or(0)));
            let mask = u32::from_le_bytes(bytes.map(|byte| if byte.is_some() { 0xff } else { 0 }));
            (from, probe, mask)
        };
        let behind = WINDOW.cast_signed();
        let places = [behind, -4, behind - 2, -2];
        let probes = places.into_iter().map(bytes_at);
        // Of equal ones the last counts: so they are turned around.
        let best = probes.rev().max_by_key(|(_, _, mask)| mask.count_ones());
        let (probe_at, probe, probe_mask) = best.unwrap_or_default();
        Some(Self {
            rule,
            run,
            at: i32::try_from(at).ok()?,
            probe_at: i32::try_from(probe_at).ok()?,
            probe,
            probe_mask,
        })
    }

    /// Whether the run may stand about a window that begins at `window`.
    #[inline]
    fn may_stand(&self, lines: &[u8], window: isize) -> bool {
        let place = usize::try_from(window + self.probe_at as isize).ok();
        let Some(bytes) = place.and_then(|place| lines.get(place..)?.first_chunk()) else {
            // Too near to the ends.
            return true;
        };
        (u32::from_le_bytes(*bytes) | 0x2020_2020) & self.probe_mask == self.probe
    }
}

/// What an index is made of.
#[derive(Debug, Default)]
pub(super) struct IndexBuilder {
    /// By text and mask.
    windows: BTreeMap<(u64, u64), Shared>,
    /// For each gram the pairs of bytes that may stand behind it and before it.
    neighbours: BTreeMap<Gram, (u32, u32)>,
}

/// A window that is looked for, and its grams with their offsets in it.
#[derive(Debug, Default)]
struct Shared {
    owners: Vec<Owner>,
    grams: BTreeSet<(Gram, u8)>,
}

const ALL_FOLDED: u64 = 0x0020_2020_2020_2020;

impl IndexBuilder {
    /// The plan's rule `rule` needs one of some windows, and this is one of them. Gives whether
    /// there was room for it.
    pub(super) fn add(&mut self, rule: u32, window: &Window<'_>, runs: &mut RunsBuilder) -> bool {
        let stored = runs.add(window.run, window.at);
        let Some(owner) = stored.and_then(|stored| Owner::new(rule, window, stored)) else {
            return false;
        };
        let mask = window.mask();
        window.texts(&mut |text| {
            let mut bytes = [0; 8];
            let (own, _) = bytes.split_at_mut(WINDOW);
            own.copy_from_slice(&text);
            let key = u64::from_le_bytes(bytes) & mask;
            let shared = self.windows.entry((key, mask)).or_default();
            if shared
                .owners
                .last()
                .is_none_or(|last| last.run != owner.run)
            {
                shared.owners.push(owner);
            }
            shared.grams.extend(grams(text).into_iter().zip(0..));
            for (gram, offset) in grams(text).into_iter().zip(0..) {
                let at = window.at + offset;
                let (behind, before) = self.neighbours.entry(gram).or_default();
                *behind |= pairs(window.run, at + GRAM.cast_signed());
                *before |= pairs(window.run, at - 2);
            }
        })
    }

    /// `None` where there is nothing to find.
    pub(super) fn finish(self, kernel: Kernel, frequencies: &Frequencies) -> Option<Index> {
        if self.windows.is_empty() {
            return None;
        }
        let all: Vec<Gram> = self.neighbours.keys().copied().collect();
        let index_bits = (2 * all.len())
            .next_power_of_two()
            .trailing_zeros()
            .clamp(4, 20);
        let shift = 32 - index_bits;
        let mut buckets = vec![Bucket::default(); 1 << index_bits];
        for (gram, (behind, before)) in &self.neighbours {
            if let Some(bucket) = buckets.get_mut(bucket_of(*gram, shift)) {
                let is_first = bucket.behind == 0;
                bucket.exact = if is_first { u32::MAX } else { 0 };
                bucket.gram = gram.0;
                bucket.behind |= behind;
                bucket.before |= before;
            }
        }
        let narrow = |count: usize| u32::try_from(count).expect("no memory holds more");
        let (mut owners, mut placed) = (Vec::new(), Vec::new());
        for ((text, mask), shared) in self.windows {
            let first_owner = narrow(owners.len());
            owners.extend(shared.owners);
            let end_owner = narrow(owners.len());
            for (gram, offset) in shared.grams {
                let entry = Entry {
                    text,
                    mask,
                    offset,
                    first_owner,
                    end_owner,
                };
                placed.push((bucket_of(gram, shift), entry));
            }
        }
        placed.sort_by_key(|(bucket, _)| *bucket);
        let mut starts = Vec::with_capacity(buckets.len() + 1);
        for bucket in 0..=buckets.len() {
            let start = placed.partition_point(|(of, _)| *of < bucket);
            starts.push(narrow(start));
        }
        Some(Index {
            sieve: Sieve::new(kernel, &all, frequencies.blocks()),
            buckets: buckets.into(),
            starts: starts.into(),
            entries: placed.into_iter().map(|(_, entry)| entry).collect(),
            owners: owners.into(),
            shift,
        })
    }
}

fn bucket_of(gram: Gram, shift: u32) -> usize {
    (gram.0.wrapping_mul(0x85EB_CA77) >> shift) as usize
}

/// The hashes of the two bytes at `at` of a run, a bit each; all where nothing is known of them.
fn pairs(run: &Run, at: isize) -> u32 {
    const MOST: usize = 16;
    let set = |at: isize| -> Option<ByteSet> {
        let index = usize::try_from(at).ok()?;
        run.sets.get(index).map(|set| set.folded())
    };
    let (Some(first), Some(second)) = (set(at), set(at + 1)) else {
        return u32::MAX;
    };
    if first.len() * second.len() > MOST {
        return u32::MAX;
    }
    first.iter().fold(0, |bits, first| {
        second
            .iter()
            .fold(bits, |bits, second| bits | pair([first, second]))
    })
}

/// The bit of two folded bytes.
fn pair(bytes: [u8; 2]) -> u32 {
    1 << (u32::from(u16::from_le_bytes(bytes)).wrapping_mul(0x9E37_79B1) >> 27)
}

/// Memory that a search reuses.
#[derive(Debug)]
pub(super) struct Hits {
    masks: [u64; Index::PIECE_BLOCKS],
    /// Places of the grams at hand. Room for every gram of a piece, and for some written in vain.
    places: Box<[u32]>,
}

impl Default for Hits {
    fn default() -> Self {
        Self {
            masks: [0; Index::PIECE_BLOCKS],
            places: vec![0; Index::PIECE_BLOCKS * BLOCK / STRIDE + AT_ONCE].into(),
        }
    }
}

/// Bits of a mask that are turned into places without asking how many there are: a loop that ends
/// at a bit's whim costs more.
const AT_ONCE: usize = 4;

impl Hits {
    /// Appends the places of `mask`'s grams behind the first `count` places; gives how many there
    /// are then. `start`: of the mask's block.
    #[inline]
    fn expand(&mut self, mut mask: u64, start: usize, count: usize) -> usize {
        let Some(free) = self.places.get_mut(count..) else {
            return count;
        };
        let found = mask.count_ones() as usize;
        let mut place = || {
            let place = start + STRIDE * mask.trailing_zeros() as usize;
            mask &= mask.wrapping_sub(1);
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        if let Some((first, rest)) = free.split_first_chunk_mut::<AT_ONCE>() {
            *first = std::array::from_fn(|_| place());
            if found > AT_ONCE {
                rest.iter_mut()
                    .take(found - AT_ONCE)
                    .for_each(|free| *free = place());
            }
        }
        count + found
    }
}

impl Index {
    /// Blocks that are sifted before their hits are looked at: the text is still in the
    /// first-level cache then.
    pub(super) const PIECE_BLOCKS: usize = 64;

    /// Finds, among the grams that begin in `lines` at `from` and on, up to `from` and
    /// [`Self::PIECE_BLOCKS`] blocks, those that belong to a run that stands in `lines`.
    /// `from` is a multiple of [`BLOCK`].
    #[inline]
    pub(super) fn search(
        &self,
        lines: &[u8],
        from: usize,
        runs: &Runs,
        hits: &mut Hits,
        candidates: &mut Candidates,
    ) {
        let Some(text) = lines.get(from..) else {
            return;
        };
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let blocks = blocks.get(..Self::PIECE_BLOCKS).unwrap_or(blocks);
        let mut count = 0;
        self.sieve.sift(blocks, &mut hits.masks);
        for (index, start) in (0..blocks.len()).zip((from..).step_by(BLOCK)) {
            let mask = hits.masks.get(index).copied().unwrap_or(0);
            if mask != 0 {
                count = hits.expand(mask, start, count);
            }
        }
        if blocks.len() < Self::PIECE_BLOCKS && !rest.is_empty() {
            // What is outside of the lines counts as LF.
            let mut last = [b'\n'; BLOCK];
            let (start, mut mask) = (from + blocks.len() * BLOCK, [0]);
            if let Some(place) = last.get_mut(..rest.len()) {
                place.copy_from_slice(rest);
            }
            self.sieve.sift(&[last], &mut mask);
            let [mask] = mask;
            let of_text = u64::MAX >> (64 - rest.len().div_ceil(STRIDE));
            count = hits.expand(mask & of_text, start, count);
        }
        let mut left = 0;
        for index in 0..count {
            let Some(&place) = hits.places.get(index) else {
                break;
            };
            let passes = self.may_be(lines, place as usize);
            if let Some(kept) = hits.places.get_mut(left) {
                *kept = place;
            }
            left += usize::from(passes);
        }
        for place in hits.places.iter().take(left) {
            self.confirm(lines, *place as usize, runs, candidates);
        }
    }

    #[inline]
    fn may_be(&self, lines: &[u8], place: usize) -> bool {
        let around = place.checked_sub(2).and_then(|start| lines.get(start..));
        let Some(around) = around.and_then(|around| around.first_chunk::<8>()) else {
            // Too near to the ends for a look at the neighbours.
            return true;
        };
        let (before, gram, behind) = (
            [around[0], around[1]],
            Gram::of([around[2], around[3], around[4], around[5]]),
            [around[6], around[7]],
        );
        let Some(bucket) = self.buckets.get(bucket_of(gram, self.shift)) else {
            return false;
        };
        let behind = bucket.behind & pair(behind.map(fold));
        let before = bucket.before & pair(before.map(fold));
        // One test, so that there is nothing to predict.
        let differs = (bucket.gram ^ gram.0) & bucket.exact;
        u64::from(differs == 0) * u64::from(behind) * u64::from(before) != 0
    }

    /// Holds the runs against the text that the gram at `place` may belong to.
    fn confirm(&self, lines: &[u8], place: usize, runs: &Runs, candidates: &mut Candidates) {
        let gram = Gram::of(std::array::from_fn(|offset| {
            lines.get(place + offset).copied().unwrap_or(b'\n')
        }));
        let bucket = bucket_of(gram, self.shift);
        let (Some(&start), Some(&end)) = (self.starts.get(bucket), self.starts.get(bucket + 1))
        else {
            return;
        };
        let entries = self.entries.get(start as usize..end as usize);
        for entry in entries.unwrap_or_default() {
            let window = place.cast_signed() - isize::from(entry.offset);
            if folded_window(lines, window) & entry.mask != entry.text {
                continue;
            }
            let owners = entry.first_owner as usize..entry.end_owner as usize;
            for owner in self.owners.get(owners).unwrap_or_default() {
                let first = window - owner.at as isize;
                if owner.may_stand(lines, window)
                    && let Some(stands) = runs.stands(owner.run, lines, first)
                {
                    candidates.add(lines, stands, owner.rule);
                }
            }
        }
    }
}

/// The seven bytes at `place`, LF outside of `lines`.
fn folded_window(lines: &[u8], place: isize) -> u64 {
    let within = usize::try_from(place)
        .ok()
        .and_then(|place| lines.get(place..)?.first_chunk::<8>());
    let bytes = match within {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => (0..WINDOW.cast_signed()).rev().fold(0, |bytes, offset| {
            bytes << 8 | u64::from(byte_at(lines, place + offset))
        }),
    };
    bytes | ALL_FOLDED
}
