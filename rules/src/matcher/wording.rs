//! A plan in words, for `lapwing explain`.

use std::fmt;

use super::plan::{Texts, Tier, Why};

/// What a rule costs beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Next to nothing: thousands of such rules are no more to a host than one.
    Low,
    /// It makes all scanning somewhat slower.
    Medium,
    /// It makes all scanning several times slower.
    High,
}

impl Tier {
    /// What it costs.
    pub fn cost(&self) -> Cost {
        /// Looks in a million bytes, about 5,000 lines: a tenth of them, and all of them.
        const SOME: f64 = 500.0;
        const MANY: f64 = 5_000.0;
        match self {
            Self::Never => Cost::Low,
            Self::Window { looks, .. } if *looks < SOME => Cost::Low,
            Self::Window { looks, .. } | Self::Classes { looks, .. } if *looks < MANY => {
                Cost::Medium
            }
            _ => Cost::High,
        }
    }

    /// How to make a rule cheaper, where it is not cheap.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Never => Some("take it out, or mend what it asks for: nothing can match it"),
            Self::Window { .. } if self.cost() == Cost::Low => None,
            Self::Window { .. } => Some(
                "the text stands in many lines; if a rarer one always stands with it, give it under `contains`",
            ),
            Self::Classes { .. } => Some(
                "seven bytes that must stand side by side would make it cheap: a longer text, or what stands before or behind it",
            ),
            Self::Automaton(why) | Self::EveryLine(why) => why.advice(),
        }
    }
}

impl Why {
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::NothingAsked => None,
            Self::NoText => Some(
                "give a text that such lines hold under `contains`, or set the input's `format`",
            ),
            Self::NoLiteral { .. } => Some(
                "write out some text that always stands beside the match, or give it under `contains`",
            ),
            Self::TooCommon => Some("give a text under `contains` that only the lines meant hold"),
            Self::TooMany => Some("give the rules of this kind longer texts to look for"),
            Self::TooLarge => Some(
                "make its patterns smaller, counted repeats above all, or give a text under `contains`",
            ),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// Reads after the rule's name and `is asked`.
impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never: no line can match"),
            Self::Window { texts, .. } | Self::Classes { texts, .. } => {
                write!(f, "where a line holds {}", Listed(texts))
            }
            Self::Automaton(why) => write!(
                f,
                "where the automaton that reads every line finds its pattern: {why}"
            ),
            Self::EveryLine(why) => write!(f, "on every line: {why}"),
        }
    }
}

/// How the rule is found, and how often that is in vain.
pub(super) struct Found<'a>(pub(super) &'a Tier);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Tier::Never => f.write_str("nothing is searched for"),
            Tier::Window { looks, .. } => {
                write!(
                    f,
                    "one search for the windows of all rules; {}",
                    Looks(*looks)
                )
            }
            Tier::Classes { looks, .. } => write!(
                f,
                "too short or too common for that search: compared at every byte, eight texts in a pass; {}",
                Looks(*looks)
            ),
            Tier::Automaton(_) => {
                f.write_str("every line goes through one automaton for all such rules")
            }
            Tier::EveryLine(_) => f.write_str("every line is found and looked at"),
        }
    }
}

impl Tier {
    /// How the rule is found, in words.
    pub fn search(&self) -> impl fmt::Display + '_ {
        Found(self)
    }
}

struct Looks(f64);

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1.0 {
            f.write_str("hardly anything else is looked at")
        } else {
            write!(
                f,
                "about {:.0} places in a million bytes of log, some 5,000 lines, are looked at for it",
                self.0
            )
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => f.write_str("`match` is empty"),
            Self::NoText => f.write_str("nothing that it asks for is a text to search for"),
            Self::NoLiteral { pattern } => {
                write!(f, "pattern {} of `regex` needs no fixed text", pattern + 1)
            }
            Self::TooCommon => f.write_str("what it asks for stands in most lines"),
            Self::TooMany => f.write_str("there are too many rules of its kind"),
            Self::TooLarge => {
                f.write_str("its patterns are too large to be asked together with others")
            }
        }
    }
}

/// `"a", "b" or 3 more`.
struct Listed<'a>(&'a Texts);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Texts { some, count } = self.0;
        for (index, sought) in some.iter().enumerate() {
            let comma = match index {
                0 => "",
                _ if index + 1 == *count => " or ",
                _ => ", ",
            };
            write!(f, "{comma}`{}`", sought.run)?;
            if sought.part != sought.run {
                write!(f, " (by `{}`)", sought.part)?;
            }
        }
        match count.saturating_sub(some.len()) {
            0 => Ok(()),
            more => write!(f, " or {more} more"),
        }
    }
}
