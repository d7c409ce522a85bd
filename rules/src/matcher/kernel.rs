//! The two loops that see every byte of a log, for each kind of processor.
//!
//! A kernel turns blocks of text into bit masks of the places that later stages look at; a mask may
//! have bits too many, never too few. `scalar` is safe Rust and says what the others must say bit
//! for bit: tests hold them against it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(super) mod classes;
mod scalar;
pub(super) mod sieve;
#[cfg(test)]
mod tests;

/// Bytes of text that a kernel looks at in one step.
pub(super) const BLOCK: usize = 256;

/// Which instructions the loops are made of. All give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512 with VBMI: tables in registers (Intel from Ice Lake on, AMD from Zen 4 on).
    Avx512,
    /// AVX2: tables in the first-level cache.
    Avx2,
    /// Safe Rust, any processor.
    Scalar,
}

impl Kernel {
    /// The quickest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Scalar];

    /// Those that this processor can run, the quickest first; never empty.
    pub fn supported() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_supported())
    }

    /// The quickest that this processor can run.
    pub fn best() -> Self {
        Self::supported().next().unwrap_or(Self::Scalar)
    }

    /// Runs `task`, compiled for the processors that this kernel is for: so that what stands between
    /// the kernels may count and find bits with their instructions.
    #[inline]
    pub(super) fn run<T>(self, task: impl FnOnce() -> T) -> T {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx2 => avx2::run(task),
            _ => task(),
        }
    }

    /// Whether this processor can run it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Scalar => true,
        }
    }
}
