//! The loops in safe Rust: what any processor runs, and what the others are tested against.

use super::BLOCK;
use super::classes::{ClassRow, Classes};
use super::sieve::Words;

/// See [`super::sieve::Sieve::sift`]. As long as the shorter one of `blocks` and `masks`.
pub(super) fn sift_words(words: &Words, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    // A table of a length that the compiler knows needs no bounds checks.
    match words.shift {
        24 => sift::<{ 1 << 8 }>(words, blocks, masks),
        23 => sift::<{ 1 << 9 }>(words, blocks, masks),
        22 => sift::<{ 1 << 10 }>(words, blocks, masks),
        21 => sift::<{ 1 << 11 }>(words, blocks, masks),
        20 => sift::<{ 1 << 12 }>(words, blocks, masks),
        19 => sift::<{ 1 << 13 }>(words, blocks, masks),
        18 => sift::<{ 1 << 14 }>(words, blocks, masks),
        17 => sift::<{ 1 << 15 }>(words, blocks, masks),
        _ => sift::<{ 1 << 16 }>(words, blocks, masks),
    }
}

/// Grams that are tested together: only when one of them is found is it told which.
const TOGETHER: usize = 8;

fn sift<const N: usize>(words: &Words, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    let table: &[u32; N] = (*words.table)
        .try_into()
        .expect("a table of 2^(32 - shift) words");
    let shift = const { 32 - N.trailing_zeros() };
    // The sign says whether the gram may be of the set.
    let test = |bytes: &[u8; 4]| {
        let hash = (u32::from_le_bytes(*bytes) | 0x2020_2020).wrapping_mul(words.multiplier);
        let word = table[(hash >> shift) as usize];
        // Shifts count modulo 32.
        word.wrapping_shl(hash >> (shift - 5)) & word.wrapping_shl(hash >> (shift - 10))
    };
    for (block, mask) in blocks.iter().zip(masks) {
        let (grams, _) = block.as_chunks::<4>();
        let (groups, _) = grams.as_chunks::<TOGETHER>();
        *mask = 0;
        for (group, place) in groups.iter().zip((0..).step_by(TOGETHER)) {
            let any = group.iter().fold(0, |any, bytes| any | test(bytes));
            if any >> 31 != 0 {
                for (bytes, place) in group.iter().zip(place..) {
                    *mask |= u64::from(test(bytes) >> 31) << place;
                }
            }
        }
    }
}

/// See [`Classes::find`]: `masks` has one for each 64 bytes of `text`.
pub(super) fn find_classes(rows: &[ClassRow], text: &[u8], masks: &mut [u64]) {
    match rows.len() {
        2 => find::<2>(rows, text, masks),
        3 => find::<3>(rows, text, masks),
        4 => find::<4>(rows, text, masks),
        5 => find::<5>(rows, text, masks),
        _ => find::<{ Classes::MOST_SETS }>(rows, text, masks),
    }
}

fn find<const N: usize>(rows: &[ClassRow], text: &[u8], masks: &mut [u64]) {
    /// Bytes of a mask, and those behind it that runs reach.
    const REACH: usize = 64 + Classes::BEHIND;
    const GROUP: usize = TOGETHER + Classes::BEHIND;
    let rows: &[ClassRow; N] = rows.try_into().expect("the caller counted them");
    for (step, mask) in masks.iter_mut().enumerate() {
        let window = text.get(64 * step..).and_then(<[u8]>::first_chunk::<REACH>);
        let Some(window) = window else { return };
        *mask = 0;
        for first in (0..64).step_by(TOGETHER) {
            let Some(group) = window.get(first..).and_then(<[u8]>::first_chunk::<GROUP>) else {
                return;
            };
            let look = |k: usize, place: usize| rows[k].0[usize::from(group[place + k] & 127)];
            // Most groups fail by two of the sets.
            let begins: [u8; TOGETHER] =
                std::array::from_fn(|place| look(0, place) & look(1, place));
            if u64::from_ne_bytes(begins) == 0 {
                continue;
            }
            for (place, begins) in begins.into_iter().enumerate() {
                let runs = (2..N).fold(begins, |runs, k| runs & look(k, place));
                *mask |= u64::from(runs != 0) << (first + place);
            }
        }
    }
}
