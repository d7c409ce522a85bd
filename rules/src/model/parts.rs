//! Which parts of a rule a line meets: a rule of type pair has two, a sequence one for each step.

/// One part of a rule that lines are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part(u8);

impl Part {
    /// The rule's `match`.
    pub const MATCH: Self = Self(0);
    /// `start` of a pair.
    pub const START: Self = Self(1);
    /// `finish` of a pair.
    pub const FINISH: Self = Self(2);
    /// `match_bucket` of a percentage.
    pub const BUCKET: Self = Self(1);
    /// A sequence has so many steps at the most.
    pub const MAX_STEPS: usize = 16;

    /// The step of a sequence with this index, counted from 0; one behind the last possible one
    /// stands for the last.
    pub fn step(index: usize) -> Self {
        let index = index.min(Self::MAX_STEPS - 1);
        Self(u8::try_from(index + 1).unwrap_or(u8::MAX))
    }
}

impl Part {
    /// The part with this number, from 0; `None` beyond those that there can be.
    pub fn numbered(number: usize) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (usize::from(number) <= Self::MAX_STEPS).then_some(Self(number))
    }

    /// Its number, from 0.
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }
}

/// Some parts of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parts(u32);

impl Parts {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// This one only.
    pub const fn of(part: Part) -> Self {
        Self(1 << part.0)
    }

    /// These and one more.
    #[must_use]
    pub const fn and(self, part: Part) -> Self {
        Self(self.0 | 1 << part.0)
    }

    /// Whether this one is among them.
    pub const fn has(self, part: Part) -> bool {
        self.0 & 1 << part.0 != 0
    }

    /// Whether there is one beside the rule's `match`.
    pub const fn has_own(self) -> bool {
        self.0 >> 1 != 0
    }

    /// As a number, a bit for each part: to be saved.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// What [`Parts::bits`] gave.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}
