//! Draws texts that a pattern matches, and says how large it gets compiled.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A source of choices: the same seed draws the same.
pub(crate) struct Draw {
    state: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Below `bound` (xorshift64*).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    /// Appends a text that `hir` matches, but for its assertions and for what is longer than about
    /// `most` bytes.
    pub(crate) fn text_of(&mut self, hir: &Hir, most: usize, out: &mut Vec<u8>) {
        let full = out.len() + most;
        self.text_until(hir, full, out);
    }

    fn text_until(&mut self, hir: &Hir, full: usize, out: &mut Vec<u8>) {
        if out.len() > full {
            return;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.ranges();
                if let Some(range) = ranges.get(self.below(ranges.len())) {
                    let (first, last) = (range.start() as usize, range.end() as usize);
                    let drawn = first + self.below(last - first + 1);
                    let char = u32::try_from(drawn).ok().and_then(char::from_u32);
                    let char = char.unwrap_or(range.start());
                    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            HirKind::Class(Class::Bytes(class)) => {
                let ranges = class.ranges();
                if let Some(range) = ranges.get(self.below(ranges.len())) {
                    let bytes: Vec<u8> = (range.start()..=range.end()).collect();
                    out.push(bytes[self.below(bytes.len())]);
                }
            }
            HirKind::Repetition(repetition) => {
                let least = repetition.min as usize;
                let most = repetition.max.map_or(least + 3, |max| max as usize);
                for _ in 0..least + self.below(most - least + 1) {
                    self.text_until(&repetition.sub, full, out);
                }
            }
            HirKind::Capture(capture) => self.text_until(&capture.sub, full, out),
            HirKind::Concat(subs) => {
                for sub in subs {
                    self.text_until(sub, full, out);
                }
            }
            HirKind::Alternation(subs) => {
                let branch = self.below(subs.len());
                self.text_until(&subs[branch], full, out);
            }
        }
    }
}

/// About how many states the compiled pattern has.
pub(crate) fn states(hir: &Hir) -> usize {
    let sum = |subs: &[Hir]| subs.iter().map(states).fold(1, usize::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => 1 + class.ranges().len(),
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1) as usize;
            states(&repetition.sub).saturating_mul(times)
        }
        HirKind::Capture(capture) => states(&capture.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => sum(subs),
    }
}
