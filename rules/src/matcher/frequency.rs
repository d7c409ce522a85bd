//! How often four bytes follow one another in logs: what windows are chosen by. It decides how fast
//! a scan is, never what it finds.
//!
//! Counted in a sample of text: of this host's own logs where there is one, else of [`ORDINARY`]
//! lines. All is seen folded.

use super::kernel::BLOCK;
use super::kernel::sieve::Gram;
use super::need::ByteSet;

/// Lines as every host writes them all day: nginx and Apache access and error logs, syslog, JSON
/// and logfmt from applications.
const ORDINARY: &[u8] = include_bytes!("ordinary.log");

/// Counts of 4-grams, and the text that they are of.
#[derive(Debug)]
pub(super) struct Frequencies {
    counts: Counts,
    text: Box<[u8]>,
}

/// How often each of some grams was seen.
#[derive(Debug)]
pub(super) struct Counts {
    /// Open addressing: a gram and its count, 0 for an empty place. A power of two of them, at
    /// most half full.
    places: Box<[(u32, u32)]>,
    distinct: usize,
}

impl Frequencies {
    /// Counts are of so many bytes of text, however long the sample is.
    pub(super) const OF_BYTES: u64 = 4 << 20;

    /// Counted in `sample`, or in the built-in lines where it is too short to say anything.
    pub(super) fn of(sample: &[u8]) -> Self {
        /// A few hundred lines.
        const ENOUGH: usize = 32 * 1024;
        let text = if sample.len() < ENOUGH {
            ORDINARY
        } else {
            sample
        };
        let mut counts = Counts::default();
        for bytes in text.array_windows::<4>() {
            counts.add(Gram::of(*bytes), 1);
        }
        Self {
            counts,
            text: text.into(),
        }
    }

    /// How often `gram` begins in [`Self::OF_BYTES`] of text.
    pub(super) fn count(&self, gram: Gram) -> u64 {
        let count = self.counts.of(gram);
        u64::from(count) * Self::OF_BYTES / self.text.len().max(1) as u64
    }

    /// Some of the text, as the kernels take it.
    pub(super) fn blocks(&self) -> &[[u8; BLOCK]] {
        /// 128 KiB.
        const MOST: usize = 512;
        let (blocks, _) = self.text.as_chunks();
        blocks.get(..MOST).unwrap_or(blocks)
    }

    /// For each place in `sets`, some dozen at the most, where `length` of them begin: how often bytes
    /// of those, one behind the other, begin in [`Self::OF_BYTES`] of text: looked up in `most` bytes of
    /// the sample. O(`most`).
    pub(super) fn count_parts(&self, sets: &[ByteSet], length: usize, most: usize) -> Vec<u64> {
        let text = self.text.get(..most).unwrap_or(&self.text);
        // For each byte the sets that have it.
        let mut having = [0u64; 256];
        for (set, index) in sets.iter().zip(0..u64::BITS) {
            for byte in set.iter() {
                if let Some(sets) = having.get_mut(usize::from(byte)) {
                    *sets |= 1 << index;
                }
            }
        }
        let places = sets.len().min(64) + 1 - length.min(sets.len());
        let mut counts = vec![0u64; places];
        for window in text.windows(length.max(1)) {
            let mut begins = u64::MAX;
            for (byte, behind) in window.iter().zip(0..) {
                begins &= having.get(usize::from(*byte)).copied().unwrap_or(0) >> behind;
            }
            while begins != 0 {
                if let Some(count) = counts.get_mut(begins.trailing_zeros() as usize) {
                    *count += 1;
                }
                begins &= begins - 1;
            }
        }
        let scaled = counts.iter();
        scaled
            .map(|count| count * Self::OF_BYTES / text.len().max(1) as u64)
            .collect()
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            places: vec![(0, 0); 1 << 12].into(),
            distinct: 0,
        }
    }
}

impl Counts {
    /// 0 for one that was never seen.
    #[inline]
    pub(super) fn of(&self, Gram(gram): Gram) -> u32 {
        let place = self.places.get(self.place(gram));
        place.map_or(0, |(_, count)| *count)
    }

    /// `gram` was seen, so often: at least once.
    #[inline]
    pub(super) fn add(&mut self, Gram(gram): Gram, count: u32) {
        let place = self.place(gram);
        let Some(slot) = self.places.get_mut(place) else {
            return;
        };
        self.distinct += usize::from(slot.1 == 0);
        *slot = (gram, slot.1.saturating_add(count));
        if 2 * self.distinct > self.places.len() {
            self.grow();
        }
    }

    /// Each gram with its count, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Gram, u32)> {
        let seen = self.places.iter().filter(|(_, count)| *count != 0);
        seen.map(|(gram, count)| (Gram(*gram), *count))
    }

    /// Where `gram` is or belongs.
    #[inline]
    fn place(&self, gram: u32) -> usize {
        let last = self.places.len() - 1;
        let mut place = gram.wrapping_mul(0x9E37_79B1) as usize >> 8 & last;
        while let Some((found, count)) = self.places.get(place)
            && *count != 0
            && *found != gram
        {
            place = (place + 1) & last;
        }
        place
    }

    fn grow(&mut self) {
        let mut twice = Self {
            places: vec![(0, 0); 2 * self.places.len()].into(),
            distinct: 0,
        };
        for (gram, count) in self.iter() {
            twice.add(gram, count);
        }
        *self = twice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grams_are_counted_folded_and_scaled() {
        let mut sample = vec![b'.'; 64 * 1024];
        sample[1000..1004].copy_from_slice(b"AbC1");
        sample[2000..2004].copy_from_slice(b"aBc1");
        let counts = Frequencies::of(&sample);
        assert_eq!(counts.count(Gram::of(*b"ABC1")), 2 * 64);
        assert_eq!(counts.count(Gram::of(*b"abd1")), 0);
        let sets = [b'A', b'b', b'B', b'c'].map(ByteSet::of);
        assert_eq!(counts.count_parts(&sets, 2, usize::MAX), [64, 0, 64]);
        let of_sample = Frequencies::OF_BYTES / 1500;
        assert_eq!(counts.count_parts(&sets, 2, 1500), [of_sample, 0, 0]);
    }

    #[test]
    fn without_a_sample_ordinary_lines_are_counted() {
        let counts = Frequencies::of(b"a few bytes");
        let common = counts.count(Gram::of(*b"http"));
        assert!(common > 1000, "{common}");
        assert_eq!(counts.count(Gram::of(*b"qzxj")), 0);
    }
}
