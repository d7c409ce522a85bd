//! What a line must hold for a rule to be able to accept it, as a tree of runs of byte sets: what
//! the planner chooses from. `pattern` makes it of a regular expression, `texts` of the other keys
//! of `match`. What is rare in logs, and so what is worth looking for, is not known here.

mod choice;
mod class;
mod part;
mod pattern;
mod row;
#[cfg(test)]
mod tests;
mod text;
mod texts;

mod condition;

use std::fmt;

pub(super) use condition::{of_condition, without_looks};
pub(super) use pattern::of_pattern;
pub(super) use texts::of_match;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct ByteSet([u64; 4]);

/// What a line must hold for a rule to be able to accept it.
///
/// A need may be coarser than the rule (lines hold it that the rule does not accept), never finer:
/// a line that does not hold it is never asked about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Every one of these is needed: the planner may look for any one of them. Empty: nothing is
    /// known to be needed.
    All(Vec<Need>),
    /// One of these is needed, whichever: the planner must look for each of them. Empty: no line
    /// can be accepted.
    Any(Vec<Need>),
    /// Bytes of these sets must follow one another.
    Run(Run),
}

/// Bytes of these sets follow one another, somewhere in the line and its surroundings: what stands
/// before a line and behind it counts as LF, and before a LF there may be the CR of the terminator.
/// So the first and the last sets may match outside of the line; [`Run::inside`] does not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    /// Not empty.
    pub(super) sets: Vec<ByteSet>,
    /// Index of a set whose byte is certainly one of the line itself, or the CR of its terminator
    /// where the set holds CR and is the only choice (the pattern `\r`).
    pub(super) inside: usize,
    /// What it means when the run is found.
    pub(super) meaning: Meaning,
}

/// What it means for a rule's line that a run stands in it.
///
/// Ordered: of two that are joined, the lesser is what is known of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Meaning {
    /// The line may be one that the rule accepts.
    Possible,
    /// It is one, when all bytes that the run matched are ASCII.
    Certain,
}

/// So many needs may stand side by side in [`Need::Any`]; of more than that, nothing is known to be
/// needed.
const MAX_CHOICES: usize = 8192;

impl ByteSet {
    /// All bytes.
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    /// The set of one byte.
    pub(super) fn of(byte: u8) -> Self {
        let mut set = Self::default();
        set.insert(byte);
        set
    }

    /// Both bounds belong to it.
    pub(super) fn of_range(first: u8, last: u8) -> Self {
        (first..=last).fold(Self::default(), |mut set, byte| {
            set.insert(byte);
            set
        })
    }

    pub(super) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    pub(super) fn contains(self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    pub(super) fn union(self, other: Self) -> Self {
        self.with(other, |own, other| own | other)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        self.with(other, |own, other| own & other)
    }

    fn with(mut self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = join(*own, other);
        }
        self
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// A hash.
    pub(super) fn print(self) -> u64 {
        let mixed = |print: u64, word: u64| {
            (print ^ word)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(23)
        };
        self.0.into_iter().fold(0, mixed)
    }

    /// Whether `other` holds all of it.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.intersection(other) == self
    }

    /// How many of its bytes are ASCII: 0 to 128.
    pub(super) fn ascii_len(self) -> usize {
        let Self([low, high, _, _]) = self;
        (low.count_ones() + high.count_ones()) as usize
    }

    /// 0 to 256.
    pub(super) fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0u8..4).zip(self.0).flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok()?;
                word &= word.checked_sub(1)?;
                Some(index << 6 | bit)
            })
        })
    }

    /// What [`fold`] makes of its bytes.
    pub(super) fn folded(self) -> Self {
        // The bit that is set is that of 32: within a word, the upper half.
        Self(
            self.0
                .map(|word| (word | word << 32) & 0xffff_ffff_0000_0000),
        )
    }
}

/// Coarser than upper and lower case being one: the first stages of a search see all bytes so.
pub(super) fn fold(byte: u8) -> u8 {
    byte | 0x20
}

impl Need {
    /// Nothing is known to be needed.
    pub(super) fn nothing() -> Self {
        Self::All(Vec::new())
    }

    /// No line can be accepted.
    pub(super) fn impossible() -> Self {
        Self::Any(Vec::new())
    }

    /// All of `needs`, each once, without those that say nothing.
    pub(super) fn all(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Self> = Vec::new();
        for need in needs {
            let inner = match need {
                Self::All(inner) => inner,
                other => vec![other],
            };
            for need in inner {
                if need == Self::impossible() {
                    return need;
                }
                if !all.contains(&need) {
                    all.push(need);
                }
            }
        }
        match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Self::All(all)
            }
        }
    }

    /// One of `needs`, each once, without those that are impossible. Nothing, when there are too
    /// many or one of them is nothing.
    pub(super) fn any(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut any: Vec<Self> = Vec::new();
        for need in needs {
            match need {
                Self::All(inner) if inner.is_empty() => return Self::nothing(),
                Self::Any(inner) => any.extend(inner),
                other => any.push(other),
            }
            if any.len() > MAX_CHOICES {
                return Self::nothing();
            }
        }
        any.sort_unstable();
        any.dedup();
        match any.pop() {
            Some(only) if any.is_empty() => only,
            last => {
                any.extend(last);
                Self::Any(any)
            }
        }
    }

    /// How many sets there are in all its runs.
    pub(super) fn sets(&self) -> usize {
        match self {
            Self::Run(run) => run.sets.len(),
            Self::All(needs) | Self::Any(needs) => needs.iter().map(Self::sets).sum(),
        }
    }

    /// The same, where it is only a part of what the rule asks for.
    #[must_use]
    pub(super) fn only_possible(self) -> Self {
        let each = |needs: Vec<Self>| needs.into_iter().map(Self::only_possible).collect();
        match self {
            Self::All(needs) => Self::All(each(needs)),
            Self::Any(needs) => Self::Any(each(needs)),
            Self::Run(run) => Self::Run(Run {
                meaning: Meaning::Possible,
                ..run
            }),
        }
    }
}

#[cfg(test)]
impl Need {
    /// These bytes, as they are. Nothing, when there are none.
    fn text(text: &[u8], meaning: Meaning) -> Self {
        if text.is_empty() {
            return Self::nothing();
        }
        Self::Run(Run {
            sets: text.iter().map(|byte| ByteSet::of(*byte)).collect(),
            inside: 0,
            meaning,
        })
    }
}

/// `all(/a/, any(/b/, /c/))`.
impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, needs) = match self {
            Self::Run(run) => return run.fmt(f),
            Self::All(needs) => ("all", needs),
            Self::Any(needs) => ("any", needs),
        };
        write!(f, "{name}(")?;
        for (index, need) in needs.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{need:?}")?;
        }
        f.write_str(")")
    }
}

/// As a pattern, with the index of the byte inside where it is not the first, and with `!` where it
/// is certain: `/[\n ]key[0-9]/@1!`.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for set in &self.sets {
            let mut bytes = set.iter();
            match (bytes.next(), bytes.next()) {
                (Some(byte), None) => write!(f, "{}", byte.escape_ascii())?,
                _ => set.fmt(f)?,
            }
        }
        f.write_str("/")?;
        if self.inside > 0 {
            write!(f, "@{}", self.inside)?;
        }
        match self.meaning {
            Meaning::Possible => Ok(()),
            Meaning::Certain => f.write_str("!"),
        }
    }
}

/// As in a pattern: `[0-9A]`.
impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("[any]");
        }
        f.write_str("[")?;
        let mut bytes = self.iter().peekable();
        while let Some(first) = bytes.next() {
            let mut last = first;
            while let Some(next) = bytes.next_if(|next| *next == last.wrapping_add(1)) {
                last = next;
            }
            write!(f, "{}", first.escape_ascii())?;
            if last > first {
                write!(f, "-{}", last.escape_ascii())?;
            }
        }
        f.write_str("]")
    }
}
