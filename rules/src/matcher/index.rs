//! From a gram that was seen to the rules that it may matter to: everything between the sieve,
//! which sees every byte, and the run, which is held against the text.
//!
//! Each step is asked less often than the one before it and may take longer: the gram itself with
//! the two bytes on either side of it, the bytes about it that tell its runs apart, the run. None
//! says no to a place where a run stands.

mod build;
mod crowd;
mod groups;

use super::candidates::Candidates;
use super::kernel::BLOCK;
use super::kernel::sieve::{Gram, Sieve};
use super::need::{Meaning, fold};
use super::runs::{RunId, Runs};
use super::windows::STRIDE;

pub(super) use build::IndexBuilder;
use crowd::Crowd;
use groups::{Groups, Steps};

/// Finds windows, and tells whom they matter to.
#[derive(Debug)]
pub(super) struct Index {
    sieve: Sieve,
    /// A power of two of them; the bucket of a gram is chosen by its hash.
    buckets: Box<[Bucket]>,
    shift: u32,
    /// The runs of each bucket.
    groups: Groups,
    /// `rules[first_rule[r]..first_rule[r + 1]]` are those that need run `r`.
    first_rule: Box<[u32]>,
    rules: Box<[u32]>,
    /// Of runs that many rules need, ascending by run.
    crowds: Box<[(RunId, Crowd)]>,
}

/// The first look at a gram: enough for nearly all that the sieve lets through by mistake.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    gram: u32,
    /// 0 where several grams share the bucket: their runs tell them apart.
    exact: u32,
    /// Which pairs of bytes may stand behind the gram, and before it: a bit for each hash of one.
    behind: u32,
    before: u32,
}

fn bucket_of(gram: Gram, shift: u32) -> usize {
    (gram.0.wrapping_mul(0x85EB_CA77) >> shift) as usize
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
    steps: Steps,
}

impl Default for Hits {
    fn default() -> Self {
        Self {
            masks: [0; Index::PIECE_BLOCKS],
            places: vec![0; Index::PIECE_BLOCKS * BLOCK / STRIDE + AT_ONCE].into(),
            steps: Steps::default(),
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
        let Hits { places, steps, .. } = hits;
        let places = places.get(..left).unwrap_or_default();
        let bucket_at = |place| self.bucket_at(lines, place);
        self.groups
            .find(lines, places, bucket_at, steps, &mut |run, at| {
                self.confirm(lines, (run, at), runs, candidates);
            });
    }

    fn bucket_at(&self, lines: &[u8], place: usize) -> usize {
        let bytes = lines.get(place..).and_then(|bytes| bytes.first_chunk());
        let bytes = bytes.copied().unwrap_or_else(|| {
            // What is outside of the lines counts as LF.
            std::array::from_fn(|offset| lines.get(place + offset).copied().unwrap_or(b'\n'))
        });
        bucket_of(Gram::of(bytes), self.shift)
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

    /// Holds a run against the text; where it stands, all rules that need it want the line.
    #[inline]
    fn confirm(
        &self,
        lines: &[u8],
        (run, at): (RunId, isize),
        runs: &Runs,
        candidates: &mut Candidates,
    ) {
        let Some(stands) = runs.stands(run, lines, at) else {
            return;
        };
        let [Some(&first), Some(&end)] =
            [run.index(), run.index() + 1].map(|run| self.first_rule.get(run))
        else {
            return;
        };
        let rules = self.rules.get(first as usize..end as usize);
        let rules = rules.unwrap_or_default();
        if rules.len() >= Crowd::LEAST
            && stands.meaning == Meaning::Possible
            && let Ok(index) = self.crowds.binary_search_by_key(&run, |(run, _)| *run)
            && let Some((_, crowd)) = self.crowds.get(index)
        {
            if let Some(line) = candidates.crowd(lines, stands, index) {
                let line = lines.get(line).unwrap_or_default();
                // A second place in the line wakes nobody.
                crowd.wake(line, &mut |rule| candidates.add_any(lines, stands, rule));
            }
            return;
        }
        for rule in rules {
            candidates.add(lines, stands, *rule);
        }
    }

    /// The runs that each rule needs one of, ascending.
    pub(super) fn owners(&self) -> impl Iterator<Item = (u32, RunId)> {
        let of_run = |([first, end], run): (&[u32; 2], u32)| {
            let rules = self.rules.get(*first as usize..*end as usize);
            let rules = rules.unwrap_or_default();
            rules.iter().map(move |rule| (*rule, RunId::of(run)))
        };
        self.first_rule.array_windows().zip(0..).flat_map(of_run)
    }

    /// How many crowds there are.
    pub(super) fn crowds(&self) -> usize {
        self.crowds.len()
    }
}
