//! The loops in safe Rust: what any processor runs, and what the others are tested against.

use super::BLOCK;
use super::classes::{ClassRows, Classes};
use super::sieve::{Test, Words};

/// See [`super::sieve::Sieve::sift`]. As long as the shorter one of `blocks` and `masks`.
pub(super) fn sift_words(words: &Words, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    // A table of a length that the compiler knows needs no bounds checks.
    match (words.test, words.shift) {
        (Test::OneBit, 20) => sift::<{ 1 << 12 }, 1>(words, blocks, masks),
        (Test::OneBit, _) => sift::<{ 1 << 13 }, 1>(words, blocks, masks),
        (Test::TwoBits, 24) => sift::<{ 1 << 8 }, 2>(words, blocks, masks),
        (Test::TwoBits, 23) => sift::<{ 1 << 9 }, 2>(words, blocks, masks),
        (Test::TwoBits, 22) => sift::<{ 1 << 10 }, 2>(words, blocks, masks),
        (Test::TwoBits, 21) => sift::<{ 1 << 11 }, 2>(words, blocks, masks),
        (Test::TwoBits, 20) => sift::<{ 1 << 12 }, 2>(words, blocks, masks),
        (Test::TwoBits, 19) => sift::<{ 1 << 13 }, 2>(words, blocks, masks),
        (Test::TwoBits, 18) => sift::<{ 1 << 14 }, 2>(words, blocks, masks),
        (Test::TwoBits, 17) => sift::<{ 1 << 15 }, 2>(words, blocks, masks),
        (Test::TwoBits, _) => sift::<{ 1 << 16 }, 2>(words, blocks, masks),
    }
}

/// Grams that are tested together: only when one of them is found is it told which.
const TOGETHER: usize = 4;

/// With a table of `N` words, of which so many bits are looked at.
fn sift<const N: usize, const BITS: usize>(
    words: &Words,
    blocks: &[[u8; BLOCK]],
    masks: &mut [u64],
) {
    let table: &[u32; N] = (*words.table)
        .try_into()
        .expect("a table of 2^(32 - shift) words");
    let shift = const { 32 - N.trailing_zeros() };
    // The sign says whether the gram may be of the set.
    let test = |bytes: &[u8; 4]| {
        let hash = (u32::from_le_bytes(*bytes) | 0x2020_2020).wrapping_mul(words.multiplier);
        let word = table[(hash >> shift) as usize];
        // Shifts count modulo 32.
        let first = word.wrapping_shl(hash >> (shift - 5));
        if BITS == 1 {
            first
        } else {
            first & word.wrapping_shl(hash >> (shift - 10))
        }
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

/// Where a block is read from at once: no state waits for the one of another quarter.
const QUARTERS: usize = 4;

/// See [`Classes::find`]: `masks` has one for each 64 bytes of `text`.
///
/// Byte by byte from the back, as `Shift-And` does: byte `k` of a state says of which runs the sets
/// from the `k`th on are there, from this place on.
pub(super) fn find_classes(rows: &ClassRows, text: &[u8], masks: &mut [u64]) {
    const REACH: usize = BLOCK + Classes::BEHIND;
    /// Behind its last set a run wants nothing.
    const END: u32 = 0xff00_0000;
    let columns: [u32; 256] = std::array::from_fn(|byte| {
        u32::from_le_bytes(rows.each_ref().map(|row| row.0[byte & 127]))
    });
    let step = |state: u32, byte: u8| columns[usize::from(byte)] & (state >> 8 | END);
    let (masks, _) = masks.as_chunks_mut::<QUARTERS>();
    for (masks, start) in masks.iter_mut().zip((0..).step_by(BLOCK)) {
        let block = text.get(start..).and_then(<[u8]>::first_chunk::<REACH>);
        let Some(block) = block else { return };
        let mut states = [u32::MAX; QUARTERS];
        for place in (64..64 + Classes::BEHIND).rev() {
            for (quarter, state) in states.iter_mut().enumerate() {
                *state = step(*state, block[64 * quarter + place]);
            }
        }
        *masks = [0; QUARTERS];
        for eight in (0..8).rev() {
            let mut begins = [0; QUARTERS];
            for place in (8 * eight..8 * eight + 8).rev() {
                for (quarter, state) in states.iter_mut().enumerate() {
                    *state = step(*state, block[64 * quarter + place]);
                    begins[quarter] = begins[quarter] << 8 | u64::from(*state & 0xff);
                }
            }
            for (mask, begins) in masks.iter_mut().zip(begins) {
                *mask = *mask << 8 | bits_of_bytes(begins);
            }
        }
    }
}

/// A bit for each byte of `word` that is not 0.
fn bits_of_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let tops = ((word & LOW) + LOW) | word;
    // Moves the top bit of byte `i` to bit `56 + i`; no two bits meet on the way.
    (tops >> 7 & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
