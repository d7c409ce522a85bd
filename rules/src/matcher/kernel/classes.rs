//! Short runs of byte sets, looked for at every byte: for rules that have nothing longer.

use super::{BLOCK, Kernel, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::matcher::need::ByteSet;

/// Up to eight short runs of byte sets that are looked for at every byte.
///
/// A byte above 127 is taken for the one that is 128 less: telling them apart would cost a second
/// table, and logs hold few of them.
#[derive(Debug)]
pub(in crate::matcher) struct Classes {
    kernel: Kernel,
    rows: Box<ClassRows>,
}

/// `rows[k][byte & 127]`: which of the runs allow that byte as their `k`th.
pub(super) type ClassRows = [ClassRow; Classes::SETS];

/// 128 bytes, which fill two registers.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct ClassRow(pub(super) [u8; 128]);

impl Classes {
    /// Runs that one pass takes.
    pub(in crate::matcher) const RUNS: usize = 8;
    /// Sets of a run that count; what stands behind is for a later stage. With one more a pass is a
    /// fifth slower, with one less much more is found.
    pub(in crate::matcher) const SETS: usize = 4;

    /// Of at most [`Self::RUNS`] runs, each of at most [`Self::SETS`] sets.
    ///
    /// # Panics
    ///
    /// When there are more of either.
    pub(in crate::matcher) fn new(kernel: Kernel, runs: &[&[ByteSet]]) -> Self {
        assert!(runs.len() <= Self::RUNS, "a row has a bit for each run");
        assert!(
            runs.iter().all(|run| run.len() <= Self::SETS),
            "the kernels are made for so many"
        );
        let mut rows = Box::new([ClassRow([0; 128]); Self::SETS]);
        for (bit, run) in runs.iter().enumerate() {
            for (k, row) in rows.iter_mut().enumerate() {
                let set = run.get(k).copied().unwrap_or(ByteSet::ALL);
                for (byte, bits) in (0u8..).zip(&mut row.0) {
                    if set.contains(byte) || set.contains(byte | 0x80) {
                        *bits |= 1 << bit;
                    }
                }
            }
        }
        Self { kernel, rows }
    }

    /// How many bytes behind a block [`Self::find`] looks at.
    pub(in crate::matcher) const BEHIND: usize = Self::SETS - 1;

    /// Sets bit `i % 64` of `masks[4 * b + i / 64]` when one of the runs may begin at byte `i` of
    /// block `b` of `text`, and clears it otherwise. `text` is whole blocks and [`Self::BEHIND`]
    /// bytes more.
    ///
    /// # Panics
    ///
    /// When `masks` is too short, or `text` is not of such a length.
    pub(in crate::matcher) fn find(&self, text: &[u8], masks: &mut [u64]) {
        let blocks = text.len().saturating_sub(Self::BEHIND) / BLOCK;
        assert_eq!(text.len(), blocks * BLOCK + Self::BEHIND, "whole blocks");
        let masks = &mut masks[..blocks * (BLOCK / 64)];
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::find_classes(&self.rows, text, masks),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::find_classes(&self.rows, text, masks),
            _ => scalar::find_classes(&self.rows, text, masks),
        }
    }

    /// Which of the runs may begin with `text`, a bit each.
    pub(in crate::matcher) fn runs_at(&self, text: &[u8]) -> u8 {
        let bits = self.rows.iter().zip(text);
        bits.fold(u8::MAX, |runs, (row, byte)| {
            runs & row.0.get(usize::from(byte & 127)).copied().unwrap_or(0)
        })
    }
}
