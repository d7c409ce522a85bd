//! A checked rule: every value of its final type, every default filled in. Plain data that only
//! `check` makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::Place;
use super::expression::Expression;
use super::pattern::Pattern;
use super::redact::Redactor;
use super::template::Template;
use crate::model::{Mode, RuleId, Severity};

/// All rules of all files, in the order they were read. Names are unique.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// `rules` with unique names, as `check` makes sure.
    pub fn new(rules: Vec<Rule>) -> Self {
        debug_assert!(
            {
                let mut names: Vec<_> = rules.iter().map(|rule| &rule.name).collect();
                names.sort_unstable();
                names.windows(2).all(|pair| pair[0] != pair[1])
            },
            "rule names are unique"
        );
        Self { rules }
    }

    /// All rules, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0u32..).map(RuleId).zip(&self.rules)
    }

    /// The rule with this id.
    ///
    /// # Panics
    ///
    /// When `id` is not of this set.
    pub fn get(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The rule with this name.
    pub fn by_name(&self, name: &str) -> Option<(RuleId, &Rule)> {
        self.iter().find(|(_, rule)| rule.name == name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// What to look for, when it counts as trouble, whom to tell.
#[derive(Debug)]
pub struct Rule {
    /// Unique over all files; `a-z 0-9 -`.
    pub name: String,
    /// Where its name stands, for messages about it.
    pub place: Place,
    /// One line about an alert; the type's default where the rule has none.
    pub summary: Template,
    /// What it means and why it matters; empty where the rule has none.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// Copied to each notification.
    pub labels: BTreeMap<String, String>,
    /// What to do about it.
    pub runbook_url: Option<Template>,
    /// Where to look.
    pub dashboard_url: Option<Template>,
    /// Names or globs of inputs; empty: every input.
    pub inputs: Vec<String>,
    /// Live, shadow or off.
    pub mode: Mode,
    /// Which lines count.
    pub matching: Arc<Match>,
    /// When they count as trouble.
    pub condition: ConditionSpec,
    /// Fields whose values tell groups apart.
    pub group_by: Vec<String>,
    /// Groups kept at the most; the longest idle goes first. 1 to 1,000,000.
    pub max_groups: usize,
    /// Fields whose commonest values the message holds.
    pub top_count_keys: Vec<String>,
    /// Lines kept for the message.
    pub samples: usize,
    /// What is blanked before anything is stored or sent.
    pub redact: Redactor,
    /// Quiet time for a group between notifications.
    pub realert: Duration,
    /// `realert` doubles up to this with each notification of an alert.
    pub exponential_realert: Option<Duration>,
    /// An alert ends when its condition has not held for so long.
    pub resolve_after: Duration,
    /// Names of outputs; `None`: every output; empty: none.
    pub notify: Option<Vec<String>>,
    /// The rule's own tests.
    pub tests: Vec<RuleTest>,
}

/// Which lines a rule accepts. Every part given must hold.
#[derive(Debug, Default)]
pub struct Match {
    /// One of these is in the line, byte for byte, or but for ASCII and simple Unicode case with
    /// `ignore_case`. Empty: no such condition. No item is empty or holds LF.
    pub contains: Vec<Vec<u8>>,
    /// One of these matches; compiled with the rule's `ignore_case`. The first in the list that
    /// matches gives the named groups. Empty: no such condition.
    pub regex: Vec<Pattern>,
    /// Holds for `contains` and `not_contains`; the patterns have it built in.
    pub ignore_case: bool,
    /// Holds over the format's fields and the named groups.
    pub condition: Option<Expression>,
    /// None of these is in the line.
    pub not_contains: Vec<Vec<u8>>,
    /// None of these matches.
    pub not_regex: Vec<Pattern>,
}

/// The rule's type with its own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionSpec {
    /// Each hit.
    Any,
    /// `num_events` hits within `timeframe`.
    Frequency {
        /// Inclusive; 1 to [`ConditionSpec::MAX_EVENTS`].
        num_events: u32,
        /// Sliding; longer than zero.
        timeframe: Duration,
    },
}

impl ConditionSpec {
    /// A window keeps the time of each of so many hits, and is saved as a whole.
    pub const MAX_EVENTS: u32 = 100_000;

    /// The word after `type:`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Frequency { .. } => "frequency",
        }
    }

    /// The window, where the type has one.
    pub fn timeframe(&self) -> Option<Duration> {
        match self {
            Self::Any => None,
            Self::Frequency { timeframe, .. } => Some(*timeframe),
        }
    }
}

/// One of a rule's own tests: lines at virtual times, and what must have come of them.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it proves.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The format that the lines are read with; absent: that of the rule's input, or by looking.
    pub format: Option<String>,
    /// Sorted by nothing: times may go back.
    pub lines: Vec<TestLine>,
    /// What must hold at which time.
    pub expect: Vec<Expectation>,
}

/// A line, or the same line again and again.
#[derive(Clone, Debug)]
pub struct TestLine {
    /// When the first one comes, from the test's start.
    pub at: Duration,
    /// Between one and the next.
    pub every: Duration,
    /// How many; at least 1.
    pub repeat: u32,
    /// The line without its terminator.
    pub line: String,
}

/// What must hold after everything up to and including `at`.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// Where it stands.
    pub place: Place,
    /// From the test's start.
    pub at: Duration,
    /// Alerts that started.
    pub alerts: Option<u64>,
    /// Alerts that ended.
    pub resolved: Option<u64>,
    /// `count` of the latest alert.
    pub count: Option<u64>,
    /// `suppressed` of the latest alert.
    pub suppressed: Option<u64>,
    /// `value` of the latest alert.
    pub value: Option<f64>,
    /// `group` of the latest alert: the keys given must be equal.
    pub group: Option<BTreeMap<String, String>>,
}
