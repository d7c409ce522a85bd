//! The loops with AVX2: 32 bytes a step, the grams' table gathered from memory, classes by the two
//! halves of a byte.

#![expect(
    unsafe_code,
    reason = "loads into vector registers, gathers, and calls past the feature check"
)]

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_ps, _mm256_cmpeq_epi8, _mm256_i32gather_epi32, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sllv_epi32, _mm256_srl_epi32, _mm256_srli_epi16,
};

use super::BLOCK;
use super::classes::{ClassRow, ClassRows, Classes};
use super::sieve::{Test, Words};

/// Whether this processor has what the loops are made of.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

fn must_be_supported() {
    assert!(
        is_supported(),
        "kernels are chosen among those that the processor has"
    );
}

/// See [`super::Kernel::run`].
#[inline]
pub(super) fn run<T>(task: impl FnOnce() -> T) -> T {
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    fn compiled_for_it<T>(task: impl FnOnce() -> T) -> T {
        task()
    }
    must_be_supported();
    // SAFETY: the processor has the features.
    unsafe { compiled_for_it(task) }
}

/// See [`super::sieve::Sieve::sift`]. As long as the shorter one of `blocks` and `masks`.
pub(super) fn sift_words(words: &Words, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    must_be_supported();
    // SAFETY: the processor has the features.
    unsafe { sift_gathering(words, blocks, masks) }
}

#[target_feature(enable = "avx2")]
fn sift_gathering(words: &Words, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    let table = &*words.table;
    assert!(
        (10..=31).contains(&words.shift) && table.len() >= 1 << (32 - words.shift),
        "a shifted hash is an index of the table"
    );
    assert!(
        words.test == Test::TwoBits,
        "two bits are what is looked at"
    );
    let base = table.as_ptr().cast::<i32>();
    let to_index = _mm_cvtsi32_si128(words.shift.cast_signed());
    let (to_one, to_two) = (
        _mm_cvtsi32_si128((words.shift - 5).cast_signed()),
        _mm_cvtsi32_si128((words.shift - 10).cast_signed()),
    );
    let (five_bits, multiplier) = (
        _mm256_set1_epi32(31),
        _mm256_set1_epi32(words.multiplier.cast_signed()),
    );
    let step_mask = |bytes: &[u8; 32]| {
        let grams = _mm256_or_si256(load(bytes), _mm256_set1_epi32(0x2020_2020));
        let hash = _mm256_mullo_epi32(grams, multiplier);
        // SAFETY: each index is below `table.len()`, see above, and words are four bytes.
        let found = unsafe { _mm256_i32gather_epi32::<4>(base, _mm256_srl_epi32(hash, to_index)) };
        // The bit asked for becomes the sign: words count their bits from the top.
        let one = _mm256_and_si256(_mm256_srl_epi32(hash, to_one), five_bits);
        let two = _mm256_and_si256(_mm256_srl_epi32(hash, to_two), five_bits);
        let both = _mm256_and_si256(_mm256_sllv_epi32(found, one), _mm256_sllv_epi32(found, two));
        _mm256_movemask_ps(_mm256_castsi256_ps(both)).cast_unsigned()
    };
    for (block, mask) in blocks.iter().zip(masks) {
        let (steps, []) = block.as_chunks::<32>() else {
            return;
        };
        let mut found = 0;
        for (step, bytes) in steps.iter().enumerate() {
            found |= u64::from(step_mask(bytes)) << (8 * step);
        }
        *mask = found;
    }
}

/// The runs that allow a byte as their `k`th, looked up by each half of the byte: those that both
/// halves allow. Coarser than a row: a run allows what any of its bytes' halves make together.
#[derive(Clone, Copy)]
struct Halves {
    low: [u8; 16],
    high: [u8; 16],
}

impl Halves {
    fn of(row: &ClassRow) -> Self {
        let (mut low, mut high) = ([0; 16], [0; 16]);
        for (byte, runs) in row.0.iter().enumerate() {
            low[byte & 15] |= runs;
            high[byte >> 4] |= runs;
            high[byte >> 4 | 8] |= runs;
        }
        Self { low, high }
    }
}

/// See [`Classes::find`]: `masks` has one for each 64 bytes of `text`, but for the last few bytes.
pub(super) fn find_classes(rows: &ClassRows, text: &[u8], masks: &mut [u64]) {
    must_be_supported();
    // SAFETY: the processor has the features.
    unsafe { find_runs(rows, text, masks) }
}

#[target_feature(enable = "avx2")]
fn find_runs(rows: &ClassRows, text: &[u8], masks: &mut [u64]) {
    let rows = rows.each_ref().map(|row| {
        let Halves { low, high } = Halves::of(row);
        [low, high].map(|half| twice(&half))
    });
    let low_half = _mm256_set1_epi8(15);
    for (step, mask) in masks.iter_mut().enumerate() {
        let Some((window, _)) = text
            .get(64 * step..)
            .and_then(|text| text.split_at_checked(64 + Classes::BEHIND))
        else {
            return;
        };
        let half_mask = |from: usize| {
            let mut runs = _mm256_set1_epi8(-1);
            for (k, [low, high]) in rows.iter().enumerate() {
                let bytes = window.get(from + k..).and_then(|bytes| bytes.first_chunk());
                let bytes = load(bytes.expect("a window has so many bytes more"));
                // There is no shift of bytes: what comes in from the byte above is masked off.
                let high_halves = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low_half);
                let by_low = _mm256_shuffle_epi8(*low, _mm256_and_si256(bytes, low_half));
                let by_high = _mm256_shuffle_epi8(*high, high_halves);
                runs = _mm256_and_si256(runs, _mm256_and_si256(by_low, by_high));
            }
            let none = _mm256_cmpeq_epi8(runs, _mm256_setzero_si256());
            u64::from(!_mm256_movemask_epi8(none).cast_unsigned())
        };
        *mask = half_mask(0) | half_mask(32) << 32;
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn twice(table: &[u8; 16]) -> __m256i {
    // SAFETY: there are 16 bytes; the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: there are 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
