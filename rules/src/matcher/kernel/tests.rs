//! Every kernel against what one gram, one run and one byte after the other say.

use proptest::collection::vec;
use proptest::prelude::*;

use super::classes::Classes;
use super::sieve::{Gram, Sieve};
use super::{BLOCK, Kernel};
use crate::matcher::need::ByteSet;

/// Miri takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 40 };

/// Few different bytes, so that grams and runs are often found.
fn text(blocks: usize) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![8 => proptest::sample::select(b"abAB10 \n".to_vec()), 1 => any::<u8>()];
    vec(bytes, blocks * BLOCK)
}

fn grams() -> impl Strategy<Value = Vec<Gram>> {
    let near = vec(proptest::sample::select(b"ab10 ".to_vec()), 4);
    let gram = prop_oneof![near, vec(any::<u8>(), 4)];
    let gram = gram.prop_map(|bytes| Gram::of([bytes[0], bytes[1], bytes[2], bytes[3]]));
    // Sizes that fill one table, some, all, and none but memory.
    let size = prop_oneof![1..8usize, 8..200usize, 200..3000usize];
    size.prop_flat_map(move |size| vec(gram.clone(), size))
        .prop_map(|mut grams| {
            grams.sort_unstable();
            grams.dedup();
            grams
        })
}

fn set() -> impl Strategy<Value = ByteSet> {
    prop_oneof![
        4 => any::<u8>().prop_map(ByteSet::of),
        4 => proptest::sample::select(b"abAB10 \n".to_vec()).prop_map(ByteSet::of),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| ByteSet::of_range(a.min(b), a.max(b))),
        1 => Just(ByteSet::ALL),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_kernels_sift_alike(grams in grams(), text in text(3)) {
        let (blocks, _) = text.as_chunks::<BLOCK>();
        for kernel in Kernel::supported() {
            for sieve in Sieve::all(kernel, &grams) {
                let mut masks = [u64::MAX; 4];
                sieve.sift(blocks, &mut masks);
                for (place, bytes) in text.as_chunks::<4>().0.iter().enumerate() {
                    let gram = Gram::of(*bytes);
                    let found = masks[place / 64] >> (place % 64) & 1 == 1;
                    prop_assert_eq!(found, sieve.contains(gram), "{:?} at {}", kernel, place);
                    prop_assert!(found || grams.binary_search(&gram).is_err());
                }
                prop_assert_eq!(masks[3], u64::MAX);
            }
        }
    }

    #[test]
    fn all_kernels_find_every_run(
        runs in vec(vec(set(), 1..=Classes::SETS), 1..=Classes::RUNS),
        text in text(2),
    ) {
        let runs: Vec<&[ByteSet]> = runs.iter().map(Vec::as_slice).collect();
        let mut text = text;
        text.extend(*b"ab1");
        for kernel in Kernel::supported() {
            let classes = Classes::new(kernel, &runs);
            let mut masks = [0; 2 * BLOCK / 64];
            classes.find(&text, &mut masks);
            for place in 0..2 * BLOCK {
                let found = masks[place / 64] >> (place % 64) & 1 == 1;
                let here = &text[place..];
                let may = classes.runs_at(here);
                let stands = |run: &&[ByteSet]| {
                    here.len() >= run.len() && run.iter().zip(here).all(|(set, byte)| set.contains(*byte))
                };
                for (bit, _) in runs.iter().enumerate().filter(|(_, run)| stands(run)) {
                    prop_assert!(found && may >> bit & 1 == 1, "{:?}: run {} at {}", kernel, bit, place);
                }
                if kernel != Kernel::Avx2 && here.len() >= Classes::SETS {
                    prop_assert_eq!(found, may != 0, "{:?} at {}", kernel, place);
                }
            }
        }
    }
}

/// A test that forces a kernel passes it over where the processor lacks it. Where all of them must have
/// been tested, `LAPWING_TEST_KERNELS=avx512,avx2,scalar` is set when the tests are built.
#[test]
fn the_kernels_that_must_be_tested_are_tested() {
    let Some(wanted) = option_env!("LAPWING_TEST_KERNELS") else {
        return;
    };
    for name in wanted.split(',') {
        let kernel = match name.trim() {
            "avx512" => Kernel::Avx512,
            "avx2" => Kernel::Avx2,
            "scalar" => Kernel::Scalar,
            other => panic!("LAPWING_TEST_KERNELS names `{other}`: avx512, avx2 or scalar"),
        };
        assert!(
            Kernel::supported().any(|supported| supported == kernel),
            "this processor cannot run {name}: nothing of it is tested here"
        );
    }
}

#[test]
fn the_best_kernel_is_one_that_this_processor_has() {
    assert!(Kernel::best().is_supported());
    assert!(Kernel::supported().any(|kernel| kernel == Kernel::Scalar));
}

#[test]
fn large_sets_of_grams_are_found_too() {
    const COUNT: u32 = if cfg!(miri) { 2_500 } else { 300_000 };
    let grams: Vec<Gram> = (0..COUNT)
        .map(|n| Gram(n.wrapping_mul(0x1234_5679) | 0x2020_2020))
        .collect();
    let mut grams = grams;
    grams.sort_unstable();
    grams.dedup();
    let text: Vec<u8> = grams
        .iter()
        .take(64)
        .flat_map(|gram| gram.0.to_le_bytes())
        .collect();
    for kernel in Kernel::supported() {
        let mut masks = [0];
        Sieve::new(kernel, &grams, &[]).sift(text.as_chunks().0, &mut masks);
        assert_eq!(masks, [u64::MAX], "{kernel:?}");
    }
}
