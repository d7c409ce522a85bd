//! The windows about a gram → groups that are told apart by the bytes which tell most of them.

use super::{Group, Groups, Leaf, hash_of};
use crate::matcher::index::build::{Spelt, narrow};
use crate::matcher::need::fold;
use crate::matcher::runs::{RunId, Runs};

/// A text of a window, seen from one of its grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::matcher::index) struct Item {
    pub(in crate::matcher::index) bucket: u32,
    /// Index of the text.
    pub(in crate::matcher::index) spelt: u32,
    /// How far into the text the gram stands.
    pub(in crate::matcher::index) offset: u8,
}

impl Leaf {
    /// For `run`, of which the gram's first byte has index `at`. The bytes of `known` are told by
    /// `hash` already: the eight with most others are further ones.
    fn of(runs: &Runs, (run, at): (RunId, i16), hash: u32, known: &[isize]) -> Self {
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
            hash,
            run,
            at,
            further: from - at,
            mask,
            text,
        }
    }
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
pub(in crate::matcher::index) struct GroupsBuilder<'a> {
    runs: &'a Runs,
    windows: &'a [Spelt],
    starts: Vec<u32>,
    groups: Vec<Group>,
    slots: Vec<u32>,
    leaves: Vec<Leaf>,
}

impl<'a> GroupsBuilder<'a> {
    pub(in crate::matcher::index) fn new(runs: &'a Runs, windows: &'a [Spelt]) -> Self {
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
    pub(in crate::matcher::index) fn add_bucket(&mut self, items: &[Item]) {
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
                let hash = hash_of(about.word(at, mask));
                Some(Leaf::of(self.runs, (spelt.run, gram), hash, &known))
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

    pub(in crate::matcher::index) fn finish(mut self) -> Groups {
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
