//! The loops with AVX-512: 64 bytes a step, and tables of 128 bytes that lie in two registers each,
//! which `vpermi2b` reads in all lanes at once. What has no room in registers is left to `avx2`: gathers
//! into wider ones are no quicker.

#![expect(
    unsafe_code,
    reason = "loads into vector registers, and calls past the feature check"
)]

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_mullo_epi32, _mm512_or_si512,
    _mm512_permutex2var_epi8, _mm512_ror_epi32, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_srli_epi32,
    _mm512_ternarylogic_epi32, _mm512_test_epi8_mask, _mm512_testn_epi8_mask, _mm512_xor_si512,
};

use super::BLOCK;
use super::classes::{ClassRows, Classes};
use super::sieve::{Row, Rows};

/// Whether this processor has what the loops are made of.
pub(super) fn is_supported() -> bool {
    super::avx2::is_supported()
        // The compiler takes these for granted where there is AVX-512.
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
}

fn must_be_supported() {
    assert!(
        is_supported(),
        "kernels are chosen among those that the processor has"
    );
}

/// See [`super::sieve::Sieve::sift`]. As long as the shorter one of `blocks` and `masks`.
pub(super) fn sift_rows(rows: &Rows, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    must_be_supported();
    // SAFETY: the processor has the features.
    unsafe {
        match rows.tables.len() {
            3 => sift_tables::<3, 1>(rows, blocks, masks),
            7 => sift_tables::<7, 2>(rows, blocks, masks),
            11 => sift_tables::<11, 3>(rows, blocks, masks),
            _ => unreachable!("sieves are made with these numbers of tables"),
        }
    }
}

/// The 64 grams of a block at once: their hashes are brought into such an order that each lookup is
/// about a byte of all of them. With `N` tables, `WORDS` words of hashes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn sift_tables<const N: usize, const WORDS: usize>(
    rows: &Rows,
    blocks: &[[u8; BLOCK]],
    masks: &mut [u64],
) {
    let tables: &[Row; N] = (*rows.tables).try_into().expect("the caller counted them");
    let tables: [[__m512i; 2]; N] = std::array::from_fn(|index| both_halves(&tables[index].0));
    let [first, others @ ..] = rows.multipliers.0.map(|multiplier| splat(multiplier));
    let order = [byte_order(0), byte_order(2)];
    // The bit that a byte chooses: of its low half, whose highest bit does not count.
    let bits = _mm512_set1_epi64(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
    for (block, mask) in blocks.iter().zip(masks) {
        let (steps, []) = block.as_chunks::<64>() else {
            return;
        };
        let mixed: [__m512i; 4] = std::array::from_fn(|step| {
            let grams = _mm512_or_si512(load(&steps[step]), _mm512_set1_epi32(0x2020_2020));
            let product = _mm512_mullo_epi32(grams, first);
            _mm512_xor_si512(product, _mm512_srli_epi32::<24>(product))
        });
        let bytes: [[__m512i; 4]; WORDS] = std::array::from_fn(|word| {
            bytes_of(
                order,
                mixed.map(|mixed| {
                    let turned = match word {
                        0 => mixed,
                        1 => _mm512_ror_epi32::<24>(mixed),
                        _ => _mm512_ror_epi32::<16>(mixed),
                    };
                    _mm512_mullo_epi32(turned, others[word])
                }),
            )
        });
        let look = |index: usize| {
            let [low, high] = tables[index];
            // Bits above the seventh do not count.
            _mm512_permutex2var_epi8(low, bytes[(index + 1) / 4][(index + 1) % 4], high)
        };
        let mut absent = look(0);
        for index in (1..N).step_by(2) {
            // 0xfe: any of the three. There is an odd number of tables.
            absent = _mm512_ternarylogic_epi32::<0xfe>(absent, look(index), look(index + 1));
        }
        let bit = _mm512_and_si512(bytes[0][0], _mm512_set1_epi8(0x0f));
        *mask = _mm512_testn_epi8_mask(absent, _mm512_shuffle_epi8(bits, bit));
    }
}

/// Four times sixteen words → their first bytes in order, their second bytes, and so on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn bytes_of([low, high]: [__m512i; 2], words: [__m512i; 4]) -> [__m512i; 4] {
    let [a, b, c, d] = words;
    let (of_ab, of_cd) = (
        _mm512_permutex2var_epi8(a, low, b),
        _mm512_permutex2var_epi8(c, low, d),
    );
    let (more_of_ab, more_of_cd) = (
        _mm512_permutex2var_epi8(a, high, b),
        _mm512_permutex2var_epi8(c, high, d),
    );
    [
        _mm512_shuffle_i64x2::<0x44>(of_ab, of_cd),
        _mm512_shuffle_i64x2::<0xee>(of_ab, of_cd),
        _mm512_shuffle_i64x2::<0x44>(more_of_ab, more_of_cd),
        _mm512_shuffle_i64x2::<0xee>(more_of_ab, more_of_cd),
    ]
}

/// Chooses, of 32 words, byte `byte` of each, then the next byte of each.
#[target_feature(enable = "avx512f")]
#[inline]
fn byte_order(byte: u8) -> __m512i {
    load(&std::array::from_fn(|place| {
        let (word, next) = (place % 32, place / 32);
        // Below 128.
        u8::try_from(4 * word + next).unwrap_or(0) + byte
    }))
}

/// See [`Classes::find`]: `masks` has one for each 64 bytes of `text`, but for the last few bytes.
pub(super) fn find_classes(rows: &ClassRows, text: &[u8], masks: &mut [u64]) {
    must_be_supported();
    // SAFETY: the processor has the features.
    unsafe { find_runs(rows, text, masks) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn find_runs(rows: &ClassRows, text: &[u8], masks: &mut [u64]) {
    let rows = rows.each_ref().map(|row| both_halves(&row.0));
    for (step, mask) in masks.iter_mut().enumerate() {
        let Some((window, _)) = text
            .get(64 * step..)
            .and_then(|text| text.split_at_checked(64 + Classes::BEHIND))
        else {
            return;
        };
        let mut runs = _mm512_set1_epi8(-1);
        for (k, [low, high]) in rows.iter().enumerate() {
            let bytes = window.get(k..).and_then(|bytes| bytes.first_chunk::<64>());
            let bytes = load(bytes.expect("a window has so many bytes more"));
            runs = _mm512_and_si512(runs, _mm512_permutex2var_epi8(*low, bytes, *high));
        }
        *mask = _mm512_test_epi8_mask(runs, runs);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(value: u32) -> __m512i {
    _mm512_set1_epi32(value.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn both_halves(table: &[u8; 128]) -> [__m512i; 2] {
    let (halves, _) = table.as_chunks::<64>();
    std::array::from_fn(|half| load(&halves[half]))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: there are 64 bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
