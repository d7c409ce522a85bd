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
    _mm512_sllv_epi32, _mm512_srli_epi32, _mm512_ternarylogic_epi32, _mm512_test_epi8_mask,
    _mm512_testn_epi32_mask,
};

use super::BLOCK;
use super::classes::{ClassRows, Classes};
use super::sieve::{Row, Rows};

/// Whether this processor has what the loops are made of.
pub(super) fn is_supported() -> bool {
    super::avx2::is_supported()
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
            3 => sift_tables::<3>(rows, blocks, masks),
            4 => sift_tables::<4>(rows, blocks, masks),
            5 => sift_tables::<5>(rows, blocks, masks),
            6 => sift_tables::<6>(rows, blocks, masks),
            8 => sift_tables::<8>(rows, blocks, masks),
            _ => unreachable!("sieves are made with these numbers of tables"),
        }
    }
}

/// Four steps of 64 bytes make one mask: nothing is stored for what is not found.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn sift_tables<const N: usize>(rows: &Rows, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
    let tables: &[Row; N] = (*rows.tables).try_into().expect("the caller counted them");
    let tables: [[__m512i; 2]; N] = std::array::from_fn(|index| both_halves(&tables[index].0));
    let multipliers = rows.multipliers.0.map(|multiplier| splat(multiplier));
    for (block, mask) in blocks.iter().zip(masks) {
        let (steps, []) = block.as_chunks::<64>() else {
            return;
        };
        let mut found = 0;
        for (step, bytes) in steps.iter().enumerate() {
            found |= u64::from(sift_step(&tables, multipliers, load(bytes))) << (16 * step);
        }
        *mask = found;
    }
}

/// Sixteen grams: a bit for each that no table says is absent.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
fn sift_step<const N: usize>(
    tables: &[[__m512i; 2]; N],
    [first, second, third]: [__m512i; 3],
    bytes: __m512i,
) -> u16 {
    let grams = _mm512_or_si512(bytes, _mm512_set1_epi32(0x2020_2020));
    let hashes = [
        _mm512_mullo_epi32(grams, first),
        _mm512_mullo_epi32(_mm512_ror_epi32::<16>(grams), second),
        _mm512_mullo_epi32(_mm512_ror_epi32::<8>(grams), third),
    ];
    let bit = _mm512_and_si512(
        _mm512_srli_epi32::<{ Rows::BIT_SHIFT }>(hashes[1]),
        _mm512_set1_epi32(7),
    );
    let bits = _mm512_sllv_epi32(_mm512_set1_epi32(1), bit);
    let look = |index: usize| {
        let (hash, shift) = Rows::PLACES[index];
        let places = match shift {
            25 => _mm512_srli_epi32::<25>(hashes[hash]),
            18 => _mm512_srli_epi32::<18>(hashes[hash]),
            _ => _mm512_srli_epi32::<11>(hashes[hash]),
        };
        let [low, high] = tables[index];
        // Bits above the seventh do not count.
        _mm512_permutex2var_epi8(low, places, high)
    };
    let mut absent = look(0);
    let mut index = 1;
    while index + 1 < N {
        // 0xfe: any of the three.
        absent = _mm512_ternarylogic_epi32::<0xfe>(absent, look(index), look(index + 1));
        index += 2;
    }
    if index < N {
        absent = _mm512_or_si512(absent, look(index));
    }
    _mm512_testn_epi32_mask(absent, bits)
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
