//! Tells which of the 4-grams at every fourth byte may be one of a set: a Bloom filter whose table
//! lies where the kernel reads it quickest, with hashes that suit the logs at hand.

use super::{BLOCK, Kernel, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::matcher::need::fold;

/// Four folded bytes of a text, the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::matcher) struct Gram(pub(in crate::matcher) u32);

/// What grams are multiplied by: the high bits of the product depend on all four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multipliers(pub(super) [u32; 4]);

/// Odd, their bits well mixed: the golden ratio's and those of well known hashes, in some turns. A
/// log has few grams and many of them, so now and then a hash is unlucky; then another one is not.
const MULTIPLIERS: [Multipliers; 4] = [
    Multipliers([0x9E37_79B1, 0xC2B2_AE3D, 0x85EB_CA77, 0x27D4_EB2F]),
    Multipliers([0x27D4_EB2F, 0x1656_67B1, 0xCC9E_2D51, 0x9E37_79B1]),
    Multipliers([0x1B87_3593, 0xE654_6B65, 0x9E37_79B1, 0xC2B2_AE3D]),
    Multipliers([0x5BD1_E995, 0x85EB_CA77, 0x27D4_EB2F, 0x1656_67B1]),
];

/// See the head of this file.
#[derive(Debug)]
pub(in crate::matcher) struct Sieve {
    kernel: Kernel,
    tables: Tables,
}

#[derive(Debug)]
enum Tables {
    /// In registers.
    #[cfg(target_arch = "x86_64")]
    Rows(Rows),
    /// In memory.
    Words(Words),
}

/// Some tables of 128 bytes. A gram is absent if in any of the tables, in the byte
/// that its hash chooses there, the bit that its hash chooses is set.
#[cfg(target_arch = "x86_64")]
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) tables: Box<[Row]>,
    pub(super) multipliers: Multipliers,
}

/// 128 bytes, which fill two registers.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Row(pub(super) [u8; 128]);

/// A table of words. A gram is absent if a bit, or one of two bits, is clear in the word that its hash
/// chooses. Bits are counted from the top, so that a shift to the left makes one the sign.
#[derive(Debug)]
pub(super) struct Words {
    /// A power of two of them.
    pub(super) table: Box<[u32]>,
    /// The hash shifted right by so much is the word's index; the ten bits below choose two bits.
    pub(super) shift: u32,
    pub(super) multiplier: u32,
    pub(super) test: Test,
}

/// How many bits of a word are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// One: in safe Rust quicker by half, if the table is large for its grams.
    OneBit,
    /// Two: fewer grams pass by mistake, and vector instructions hardly notice.
    TwoBits,
}

impl Gram {
    /// Of four bytes, folded or not.
    pub(in crate::matcher) fn of(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes.map(fold)))
    }
}

impl Multipliers {
    /// Four hashes of seven bits and more in each word, one in each byte. The lowest byte of a
    /// product depends on the lowest byte alone of what is multiplied: so the highest of a first
    /// product, which depends on all, is put there, and others are turned there for further words.
    fn words(self, gram: Gram) -> [u32; 3] {
        let Self([first, others @ ..]) = self;
        let product = gram.0.wrapping_mul(first);
        let mixed = product ^ product >> 24;
        let [second, third, fourth] = others;
        [
            mixed.wrapping_mul(second),
            mixed.rotate_right(24).wrapping_mul(third),
            mixed.rotate_right(16).wrapping_mul(fourth),
        ]
    }
}

#[cfg(target_arch = "x86_64")]
impl Rows {
    /// How many tables there may be: all bytes of one word of hashes, of two, of three; but for the
    /// first one, which chooses the bit.
    pub(super) const COUNTS: [usize; 3] = [3, 7, 11];

    fn new(grams: &[Gram], tables: usize, multipliers: Multipliers) -> Self {
        let mut rows = Self {
            tables: vec![Row([u8::MAX; 128]); tables].into(),
            multipliers,
        };
        for gram in grams {
            let (bit, places) = Self::places(multipliers, *gram);
            for (table, place) in rows.tables.iter_mut().zip(places) {
                if let Some(byte) = table.0.get_mut(place) {
                    *byte &= !bit;
                }
            }
        }
        rows
    }

    /// Of a gram: the bit, and for each table the byte.
    fn places(multipliers: Multipliers, gram: Gram) -> (u8, impl Iterator<Item = usize>) {
        let words = multipliers.words(gram).map(u32::to_le_bytes);
        let places = words.into_iter().flatten().skip(1);
        (
            1 << (words[0][0] & 7),
            places.map(|byte| usize::from(byte & 127)),
        )
    }

    /// What the kernel must say of one gram.
    #[cfg(test)]
    fn contains(&self, gram: Gram) -> bool {
        let (bit, places) = Self::places(self.multipliers, gram);
        let bytes = self.tables.iter().zip(places);
        bytes
            .map(|(table, place)| table.0[place])
            .all(|byte| byte & bit == 0)
    }
}

impl Words {
    /// Bits of table for a gram, while the table stays in half of a small first-level cache.
    const BITS_FOR_A_GRAM: usize = 64;
    /// And when it does not: in the second-level cache.
    const FEWEST_BITS_FOR_A_GRAM: usize = 8;
    const FEWEST_INDEX_BITS: u32 = 8;
    const CACHED_INDEX_BITS: u32 = 12;
    pub(super) const MOST_INDEX_BITS: u32 = 16;
    /// With one bit: half of a small first-level cache, or all of it.
    pub(super) const INDEX_BITS_OF_ONE: [u32; 2] = [12, 13];

    /// Looks at two bits.
    fn two(grams: &[Gram], multiplier: u32) -> Self {
        let index_bits = |bits: usize| {
            (grams.len() * bits / 32)
                .next_power_of_two()
                .trailing_zeros()
        };
        let most = index_bits(Self::FEWEST_BITS_FOR_A_GRAM).max(Self::CACHED_INDEX_BITS);
        let index_bits = index_bits(Self::BITS_FOR_A_GRAM).min(most);
        let index_bits = index_bits.clamp(Self::FEWEST_INDEX_BITS, Self::MOST_INDEX_BITS);
        Self::new(grams, multiplier, index_bits, Test::TwoBits)
    }

    fn new(grams: &[Gram], multiplier: u32, index_bits: u32, test: Test) -> Self {
        let mut words = Self {
            table: vec![0; 1 << index_bits].into(),
            shift: 32 - index_bits,
            multiplier,
            test,
        };
        for gram in grams {
            let hash = gram.0.wrapping_mul(multiplier);
            let bits = words.bits(hash);
            if let Some(word) = words.table.get_mut((hash >> words.shift) as usize) {
                *word |= bits;
            }
        }
        words
    }

    /// The bits of a hash; two may fall together.
    fn bits(&self, hash: u32) -> u32 {
        let bit = |below: u32| (1 << 31) >> (hash >> (self.shift - below) & 31);
        match self.test {
            Test::OneBit => bit(5),
            Test::TwoBits => bit(5) | bit(10),
        }
    }

    /// What the kernel must say of one gram.
    #[cfg(test)]
    fn contains(&self, gram: Gram) -> bool {
        let hash = gram.0.wrapping_mul(self.multiplier);
        let bits = self.bits(hash);
        self.table[(hash >> self.shift) as usize] & bits == bits
    }
}

impl Sieve {
    /// Of `grams`, each once: of all kinds of tables and hashes the one that goes through `sample`
    /// quickest. The choice is a computation, not a measurement: it is the same each time.
    pub(in crate::matcher) fn new(kernel: Kernel, grams: &[Gram], sample: &[[u8; BLOCK]]) -> Self {
        let mut best: Option<(f64, Self)> = None;
        for tables in Self::candidates(kernel, grams) {
            let sieve = Self { kernel, tables };
            let cost = sieve.cost(sample);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, sieve));
            }
        }
        let (_, sieve) = best.expect("there are multipliers");
        sieve
    }

    fn candidates(kernel: Kernel, grams: &[Gram]) -> impl Iterator<Item = Tables> {
        MULTIPLIERS.into_iter().flat_map(move |multipliers| {
            let Multipliers([first, ..]) = multipliers;
            let counts: &[u32] = match kernel {
                Kernel::Scalar => &Words::INDEX_BITS_OF_ONE,
                _ => &[],
            };
            let one = counts
                .iter()
                .map(move |bits| Words::new(grams, first, *bits, Test::OneBit));
            let words = one.chain([Words::two(grams, first)]).map(Tables::Words);
            #[cfg(target_arch = "x86_64")]
            let words = {
                /// More grams than this fill the rows.
                const MOST_IN_ROWS: usize = 2_000;
                let fit = kernel == Kernel::Avx512 && grams.len() <= MOST_IN_ROWS;
                let counts: &[usize] = if fit { &Rows::COUNTS } else { &[] };
                let rows = counts
                    .iter()
                    .map(move |count| Rows::new(grams, *count, multipliers));
                rows.map(Tables::Rows).chain(words)
            };
            words
        })
    }

    /// Nanoseconds for a step of sixteen grams, measured on a Zen 4; only their ratios matter.
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    fn cost(&self, sample: &[[u8; BLOCK]]) -> f64 {
        /// Of a step with tables in registers, without any and for each of them.
        const STEP: f64 = 0.85;
        const TABLE: f64 = 0.27;
        /// Of a step that gathers from memory, and of one without vectors.
        const GATHERING: f64 = 6.4;
        const SCALAR: f64 = 18.0;
        const SCALAR_ONE_BIT: f64 = 11.8;
        /// Of a gram that is let through; without vectors all about it are looked at again.
        const PASSED: f64 = 8.0;
        const SCALAR_PASSED: f64 = 16.0;
        let (step, passed_one) = match (&self.tables, self.kernel) {
            #[cfg(target_arch = "x86_64")]
            (Tables::Rows(rows), _) => (STEP + TABLE * rows.tables.len() as f64, PASSED),
            (Tables::Words(words), Kernel::Scalar) => match words.test {
                Test::OneBit => (SCALAR_ONE_BIT, SCALAR_PASSED),
                Test::TwoBits => (SCALAR, SCALAR_PASSED),
            },
            (Tables::Words(_), _) => (GATHERING, PASSED),
        };
        let mut masks = [0; 16];
        let mut passed = 0;
        for blocks in sample.chunks(masks.len()) {
            self.sift(blocks, &mut masks);
            let found = masks.iter().take(blocks.len());
            passed += found.map(|mask| u64::from(mask.count_ones())).sum::<u64>();
        }
        step + passed_one * passed as f64 / (sample.len().max(1) * BLOCK / 64) as f64
    }

    /// Sets bit `i` of `masks[b]` when the four bytes at `4 * i` of `blocks[b]` may be one of the
    /// grams, and clears it otherwise.
    ///
    /// # Panics
    ///
    /// When `masks` is shorter than `blocks`.
    pub(in crate::matcher) fn sift(&self, blocks: &[[u8; BLOCK]], masks: &mut [u64]) {
        let masks = &mut masks[..blocks.len()];
        match (&self.tables, self.kernel) {
            #[cfg(target_arch = "x86_64")]
            (Tables::Rows(rows), _) => avx512::sift_rows(rows, blocks, masks),
            #[cfg(target_arch = "x86_64")]
            (Tables::Words(words), Kernel::Avx512 | Kernel::Avx2) => {
                avx2::sift_words(words, blocks, masks);
            }
            (Tables::Words(words), _) => scalar::sift_words(words, blocks, masks),
        }
    }

    /// What [`Sieve::sift`] must say of one gram.
    #[cfg(test)]
    pub(super) fn contains(&self, gram: Gram) -> bool {
        match &self.tables {
            #[cfg(target_arch = "x86_64")]
            Tables::Rows(rows) => rows.contains(gram),
            Tables::Words(words) => words.contains(gram),
        }
    }

    /// One with each kind of tables.
    #[cfg(test)]
    pub(super) fn all(kernel: Kernel, grams: &[Gram]) -> impl Iterator<Item = Self> {
        Self::candidates(kernel, grams).map(move |tables| Self { kernel, tables })
    }
}
