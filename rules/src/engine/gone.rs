//! Which groups had to go lately, roughly and in little memory: whoever comes back is no stranger.

use std::hash::{DefaultHasher, Hasher as _};

/// Keys that are remembered at the least, for each group that there is room for.
const KEYS_A_GROUP: usize = 16;
/// Bits for each of them, and how many of those a key sets: of the keys that never came, 2 in 100 are
/// taken for one that did.
const BITS_A_KEY: usize = 10;
const BITS_SET: u64 = 3;

/// The keys of one time and of the one before it: two Bloom filters.
#[derive(Debug)]
pub(super) struct Gone {
    now: Box<[u64]>,
    before: Box<[u64]>,
    /// Keys that still go into `now`.
    room: usize,
    most: usize,
}

impl Gone {
    /// Nothing yet, beside room for so many groups. Takes 40 bytes for each.
    pub(super) fn new(groups: usize) -> Self {
        let most = groups.max(1) * KEYS_A_GROUP;
        let words = (most * BITS_A_KEY).div_ceil(64);
        Self {
            now: vec![0; words].into_boxed_slice(),
            before: vec![0; words].into_boxed_slice(),
            room: most,
            most,
        }
    }

    /// Remembers a key.
    pub(super) fn add(&mut self, key: &str) {
        if self.room == 0 {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.fill(0);
            self.room = self.most;
        }
        self.room -= 1;
        for (word, bit) in places(key, self.now.len()) {
            self.now[word] |= bit;
        }
    }

    /// Whether a key is remembered; sometimes of one that is not.
    pub(super) fn may_hold(&self, key: &str) -> bool {
        let holds =
            |words: &[u64]| places(key, words.len()).all(|(word, bit)| words[word] & bit != 0);
        holds(&self.now) || holds(&self.before)
    }
}

/// The words and bits of a key: the same in every run, so that the same lines give the same alerts.
fn places(key: &str, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    let hash = hasher.finish();
    // A second hash of the first: any odd number makes all steps different.
    let step = hash.rotate_left(32).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..BITS_SET).map(move |n| {
        let at = hash.wrapping_add(n.wrapping_mul(step));
        let word = usize::try_from((at >> 6) % words as u64).unwrap_or(0);
        (word, 1 << (at & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_lately_is_known_and_of_the_rest_hardly_anything() {
        let mut gone = Gone::new(100);
        for n in 0..100_000 {
            gone.add(&n.to_string());
        }
        let known = |from: usize, to: usize| {
            let known = (from..to).filter(|n| gone.may_hold(&n.to_string()));
            known.count()
        };
        let latest = 100 * KEYS_A_GROUP;
        assert_eq!(known(100_000 - latest, 100_000), latest);
        // Twice as many as one filter gives.
        assert!(known(0, 90_000) < 90_000 / 20, "{}", known(0, 90_000));
    }
}
