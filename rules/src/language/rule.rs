//! A checked rule: every value of its final type, every default filled in. Plain data that only
//! `check` makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::Place;
use super::expression::Expression;
use super::mask::Masks;
use super::pattern::Pattern;
use super::redact::Redactor;
use super::template::Template;
use crate::model::{Attachment, Mode, Part, Parts, RuleId, Severity};
use crate::mute::{InhibitRule, Times};

/// All rules of all files, in the order they were read. Names are unique.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    inhibit_rules: Vec<InhibitRule>,
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
        Self {
            rules,
            inhibit_rules: Vec::new(),
        }
    }

    /// The same, with alerts that mute others.
    #[must_use]
    pub fn with_inhibition(mut self, inhibit_rules: Vec<InhibitRule>) -> Self {
        self.inhibit_rules = inhibit_rules;
        self
    }

    /// Which alerts mute which others, of all files.
    pub fn inhibit_rules(&self) -> &[InhibitRule] {
        &self.inhibit_rules
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
    pub description: Template,
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
    /// Further parts that lines are held against, the first of them `Part` 1: `start` and `finish`,
    /// `steps`, `match_bucket`. Empty for other types.
    pub parts: Vec<Arc<Match>>,
    /// When they count as trouble.
    pub condition: ConditionSpec,
    /// Fields whose values tell groups apart.
    pub group_by: Vec<String>,
    /// Groups kept at the most; the longest idle goes first, one with an alert last. 1 to 1,000,000.
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
    /// It speaks only within one of these; empty: always.
    pub active_times: Vec<Times>,
    /// It does not speak within any of these.
    pub mute_times: Vec<Times>,
    /// Who is told when nobody acknowledges an alert.
    pub escalate: Option<Escalation>,
    /// Alerts of this rule that may fire at once, each told by itself: with one more, one message
    /// speaks for all. 1 to [`Rule::MOST_FOLDED`].
    pub fold_groups: Option<usize>,
    /// Whether `message repeated 40 times` counts 40.
    pub repeats: Repeats,
    /// Lines about each sample.
    pub context: Context,
    /// Which samples are shown once.
    pub dedupe: Dedupe,
    /// What outputs for people add to a message.
    pub attach: Vec<Attachment>,
    /// The rule's own tests.
    pub tests: Vec<RuleTest>,
}

/// Who else is told of an alert that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// So long after the first message; longer than zero.
    pub after: Duration,
    /// Names of outputs.
    pub notify: Vec<String>,
}

/// How a line counts that stands for several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeats {
    /// As one line.
    #[default]
    AsOne,
    /// As so many as it says.
    Expanded,
}

/// Which samples of an alert are shown once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedupe {
    /// All are shown.
    #[default]
    Nothing,
    /// Those that differ in numbers only.
    Template,
}

/// Lines about a sample, of the same source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Before it; at most [`Context::MOST`].
    pub before: usize,
    /// After it; at most [`Context::MOST`].
    pub after: usize,
}

impl Context {
    /// Lines on either side.
    pub const MOST: usize = 20;
    /// Bytes of one of them; longer ones are cut.
    pub const LINE_BYTES: usize = 1024;

    /// Whether there are none.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
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

impl Match {
    /// Whether every line is accepted.
    pub fn is_everything(&self) -> bool {
        self.contains.is_empty()
            && self.regex.is_empty()
            && self.condition.is_none()
            && self.not_contains.is_empty()
            && self.not_regex.is_empty()
    }
}

impl Rule {
    /// The most that `fold_groups` can be.
    pub const MOST_FOLDED: usize = 10_000;

    /// Whether lines are held against `match` itself: a pair and a sequence need none.
    pub fn asks_match(&self) -> bool {
        !self.may_do_without_match() || !self.matching.is_everything()
    }

    /// Whether a line that meets these parts is a hit.
    pub fn accepts(&self, parts: Parts) -> bool {
        (parts.has(Part::MATCH) || !self.asks_match())
            && (parts.has_own() || !self.may_do_without_match())
    }

    fn may_do_without_match(&self) -> bool {
        matches!(
            self.condition,
            ConditionSpec::Pair { .. } | ConditionSpec::Sequence { .. }
        )
    }
}

/// The rule's type with its own keys.
#[derive(Clone, Debug)]
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
    /// Many more hits than in a reference, or many fewer.
    Spike(SpikeSpec),
    /// Fewer than `threshold` hits within `timeframe`.
    Flatline {
        /// 1 to [`ConditionSpec::MAX_EVENTS`].
        threshold: u32,
        /// Sliding; longer than zero.
        timeframe: Duration,
    },
    /// A term not seen within `terms_window_size`.
    NewTerm {
        /// Each item is a field, or some fields whose values make a term together. At most
        /// [`ConditionSpec::MAX_TERMS`] items, none empty.
        fields: Vec<Vec<String>>,
        /// A term that was not seen for longer is new again.
        terms_window_size: Duration,
        /// From the first hit on nothing is said for so long.
        learn_for: Duration,
    },
    /// Too many or too few distinct values of a field within `timeframe`.
    Cardinality {
        /// The field.
        field: String,
        /// There must not be fewer; one of the two bounds is given.
        min: Option<u64>,
        /// There must not be more.
        max: Option<u64>,
        /// Sliding; longer than zero.
        timeframe: Duration,
    },
    /// The share of hits that also meet `match_bucket` is out of bounds.
    PercentageMatch {
        /// In percent; one of the two bounds is given.
        min: Option<f64>,
        /// In percent.
        max: Option<f64>,
        /// With fewer hits nothing is judged.
        min_denominator: u64,
        /// Sliding; longer than zero.
        timeframe: Duration,
    },
    /// A start that is, or is not, followed by a finish.
    Pair {
        /// How long it may take.
        within: Duration,
        /// Which of the two is told.
        fire_on: FireOn,
    },
    /// Steps in order.
    Sequence {
        /// Lines of each step; at most `Part::MAX_STEPS` steps.
        num_events: Vec<u32>,
        /// From the first line to the last.
        within: Duration,
    },
    /// A line whose shape was not seen before.
    NewPattern {
        /// From the first hit on nothing is said for so long.
        learn_for: Duration,
        /// What is blanked to make a line's shape.
        masks: Arc<Masks>,
        /// A shape that was not seen for longer is told again.
        returned_after: Option<Duration>,
    },
}

/// What a spike is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeSpec {
    /// Up, down or both.
    pub direction: SpikeType,
    /// How many times more, or fewer; more than 1.
    pub height: f64,
    /// Sliding; longer than zero.
    pub timeframe: Duration,
    /// With fewer hits in the reference nothing is judged.
    pub threshold_ref: u64,
    /// With fewer hits in the window there is no spike up.
    pub threshold_cur: u64,
    /// What the window is held against.
    pub reference: Reference,
}

/// Which way a spike goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpikeType {
    /// More hits.
    Up,
    /// Fewer hits.
    Down,
    /// Either.
    Both,
}

/// What a spike's window is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The window right before it.
    Previous,
    /// The window so long before it; longer than the window.
    SameTime(Duration),
}

/// What is told of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FireOn {
    /// A start without a finish.
    Missing,
    /// A start with a finish.
    Completed,
}

impl ConditionSpec {
    /// A window keeps the time of each of so many hits, and is saved as a whole.
    pub const MAX_EVENTS: u32 = 100_000;
    /// All steps of a sequence together take no more lines than this.
    pub const MAX_STEP_EVENTS: u32 = 1_000;
    /// How many times `timeframe` the reference of a spike may lie back.
    pub const MOST_WINDOWS_BACK: u32 = 16_000;
    /// Items of `fields`.
    pub const MAX_TERMS: usize = 16;

    /// The word after `type:`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Frequency { .. } => "frequency",
            Self::Spike(_) => "spike",
            Self::Flatline { .. } => "flatline",
            Self::NewTerm { .. } => "new_term",
            Self::Cardinality { .. } => "cardinality",
            Self::PercentageMatch { .. } => "percentage_match",
            Self::Pair { .. } => "pair",
            Self::Sequence { .. } => "sequence",
            Self::NewPattern { .. } => "new_pattern",
        }
    }

    /// The window, where the type has one.
    pub fn timeframe(&self) -> Option<Duration> {
        match self {
            Self::Any | Self::NewTerm { .. } | Self::NewPattern { .. } => None,
            Self::Frequency { timeframe, .. }
            | Self::Flatline { timeframe, .. }
            | Self::Cardinality { timeframe, .. }
            | Self::PercentageMatch { timeframe, .. } => Some(*timeframe),
            Self::Spike(spec) => Some(spec.timeframe),
            Self::Pair { within, .. } | Self::Sequence { within, .. } => Some(*within),
        }
    }

    /// The fields whose values the type asks for; a pattern is no field.
    pub fn values(&self) -> Vec<&str> {
        match self {
            Self::Cardinality { field, .. } => vec![field],
            Self::NewTerm { fields, .. } => fields.iter().flatten().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether too few hits may be what makes it hold: then it exists before the first one.
    pub fn watches_for_silence(&self) -> bool {
        match self {
            Self::Flatline { .. } | Self::Spike(_) => true,
            Self::Cardinality { min, .. } => min.is_some(),
            _ => false,
        }
    }

    /// Whether an alert may begin without a hit.
    pub fn may_begin_by_time(&self) -> bool {
        self.watches_for_silence() || matches!(self, Self::Pair { .. })
    }

    /// Whether an alert's count is of the lines that made the condition hold, and not of all hits:
    /// others are of what went well.
    pub fn counts_what_held(&self) -> bool {
        matches!(self, Self::Pair { .. } | Self::Sequence { .. })
    }

    /// Whether what is new has a group of its own.
    pub fn finds_new(&self) -> bool {
        matches!(self, Self::NewTerm { .. } | Self::NewPattern { .. })
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
    /// Notifications.
    pub notifications: Option<u64>,
    /// `count` of the latest alert.
    pub count: Option<u64>,
    /// `suppressed` of the latest alert.
    pub suppressed: Option<u64>,
    /// `value` of the latest alert.
    pub value: Option<f64>,
    /// `group` of the latest alert: the keys given must be equal.
    pub group: Option<BTreeMap<String, String>>,
}
