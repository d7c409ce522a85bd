//! Draws patterns, and lines that they match: corpora never hold the odd case, a generator does.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::Written;

/// A source of choices: the same seed draws the same.
pub(in crate::matcher) struct Draw {
    state: u64,
}

impl Draw {
    pub(in crate::matcher) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Below `bound` (xorshift64*).
    pub(in crate::matcher) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = u32::try_from(self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32).unwrap();
        high as usize % bound
    }

    pub(in crate::matcher) fn one_of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    /// A rule of drawn patterns.
    pub(in crate::matcher) fn written(&mut self) -> Written {
        let count = 1 + self.below(2);
        Written {
            regex: (0..count).map(|_| self.pattern(4)).collect(),
            contains: match self.below(6) {
                0 => vec![self.one_of(&["k", "K#", "s{", "j", "ſ"]).into()],
                _ => Vec::new(),
            },
            ignore_case: self.below(3) == 0,
            ..Written::default()
        }
    }

    pub(in crate::matcher) fn pattern(&mut self, depth: usize) -> String {
        if depth == 0 || self.below(6) == 0 {
            let atoms = [
                "k",
                "s",
                "j#",
                "zq",
                "K",
                "ſ",
                "\u{212a}",
                "é",
                "#",
                "stack",
                r"\{",
                r"\d",
                r"\w",
                ".",
                "[ks]",
                "[^k]",
                "[j-q]",
                r"[#\s]",
                r"\b",
                r"\B",
                "^",
                "$",
                r"(?-u:\xFF)",
                r"(?-u:[\x80-\xFF])",
                r"\x00",
                "(?i:sk)",
                "(?i:j[k-s])",
                "",
                r"\S",
                "(?i:É)",
            ];
            return self.one_of(&atoms).to_owned();
        }
        match self.below(8) {
            0..=3 => (0..2 + self.below(3))
                .map(|_| self.pattern(depth - 1))
                .collect(),
            4 => {
                let branches: Vec<String> = (0..2 + self.below(3))
                    .map(|_| self.pattern(depth - 1))
                    .collect();
                format!("(?:{})", branches.join("|"))
            }
            5 => format!("({})", self.pattern(depth - 1)),
            6 => format!("(?i:{})", self.pattern(depth - 1)),
            _ => {
                let times = self.one_of(&[
                    "?", "*", "+", "{2}", "{0,2}", "{2,}", "{1,3}", "+?", "{3,5}",
                ]);
                format!("(?:{}){times}", self.pattern(depth - 1))
            }
        }
    }

    /// Lines about what `rules` match: whole, cut short, with other bytes around.
    pub(in crate::matcher) fn lines_for(&mut self, rules: &[Written]) -> Vec<u8> {
        let mut lines = Vec::new();
        for rule in rules {
            let checked = rule.checked();
            for _ in 0..12 {
                self.noise(&mut lines);
                for pattern in &checked.regex {
                    self.text_of(pattern.hir(), &mut lines);
                    if self.below(8) == 0 {
                        lines.pop();
                    }
                }
                if self.below(2) == 0 {
                    for text in &rule.contains {
                        lines.extend_from_slice(text);
                    }
                }
                self.noise(&mut lines);
                lines
                    .extend_from_slice(self.one_of::<[u8]>(&[b"\n", b"\n", b"\r\n", b"\n\n", b""]));
            }
        }
        lines
    }

    fn noise(&mut self, out: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let bits: [&[u8]; 12] = [
                b"k",
                b"S",
                b"#",
                b" ",
                b"\r",
                b"\0",
                b"\xFF",
                b"\xE2\x84\xAA",
                b"\xC5",
                b"word",
                b"{",
                b"_",
            ];
            out.extend_from_slice(self.one_of(&bits));
        }
    }

    /// A text that `hir` matches, but for its assertions.
    pub(in crate::matcher) fn text_of(&mut self, hir: &Hir, out: &mut Vec<u8>) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
            HirKind::Class(Class::Unicode(class)) => {
                let Some(range) = class.ranges().get(self.below(class.ranges().len().max(1)))
                else {
                    return;
                };
                let chars: Vec<char> = (range.start()..=range.end()).take(300).collect();
                let char = chars[self.below(chars.len())];
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            HirKind::Class(Class::Bytes(class)) => {
                let Some(range) = class.ranges().get(self.below(class.ranges().len().max(1)))
                else {
                    return;
                };
                let bytes: Vec<u8> = (range.start()..=range.end()).collect();
                out.push(bytes[self.below(bytes.len())]);
            }
            HirKind::Repetition(repetition) => {
                let least = usize::try_from(repetition.min).unwrap();
                let most = repetition
                    .max
                    .map_or(least + 3, |max| usize::try_from(max).unwrap());
                for _ in 0..least + self.below(most - least + 1) {
                    self.text_of(&repetition.sub, out);
                }
            }
            HirKind::Capture(capture) => self.text_of(&capture.sub, out),
            HirKind::Concat(subs) => subs.iter().for_each(|sub| self.text_of(sub, out)),
            HirKind::Alternation(subs) => {
                let branch = self.below(subs.len());
                self.text_of(&subs[branch], out);
            }
        }
    }
}
