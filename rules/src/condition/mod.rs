//! When the hits of one group count as trouble: a pure state machine for each rule type, one file
//! each. Times come in with the hits, in any order; how far time has come without them is told by
//! [`Condition::pass`]. Each keeps bounded memory whatever comes, and can be saved.

mod any;
mod cardinality;
mod counts;
mod distinct;
mod flatline;
mod frequency;
mod known;
mod novelty;
mod pair;
mod percentage;
mod sequence;
mod spike;
mod state;
mod verdict;
mod window;

pub use cardinality::Cardinality;
pub use flatline::Flatline;
pub use frequency::Frequency;
pub use novelty::Novelty;
pub use pair::Pair;
pub use percentage::Percentage;
pub use sequence::Sequence;
pub use spike::Spike;
pub use state::State;
pub(crate) use verdict::number;
pub use verdict::{Cause, Held, Observation, Verdict};
pub use window::{Entry, Extent, Full, Saved, Window};

use crate::language::rule::{ConditionSpec, Rule};
use crate::model::Timestamp;

/// The values of a hit's `top_count_keys`, in the rule's order; `None` where a field is missing.
pub type TopValues = Box<[Option<Box<str>>]>;

/// The state of one group.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Every hit is trouble: there is nothing to remember.
    Any,
    /// So many hits in a sliding window.
    Frequency(Frequency),
    /// Many more hits than before, or many fewer.
    Spike(Box<Spike>),
    /// Too few hits.
    Flatline(Box<Flatline>),
    /// Too many, or too few, different values.
    Cardinality(Box<Cardinality>),
    /// Too large, or too small, a share of hits.
    Percentage(Box<Percentage>),
    /// What starts is not finished, or is.
    Pair(Box<Pair>),
    /// Steps in order.
    Sequence(Box<Sequence>),
    /// Terms or patterns that were not seen before. What is new has a group of its own, whose
    /// condition is [`Condition::Told`].
    Novelty(Box<Novelty>),
    /// Holds when it is said that it does: nothing to remember.
    Told,
}

impl Condition {
    /// Nothing has happened yet.
    pub fn new(rule: &Rule) -> Self {
        match &rule.condition {
            ConditionSpec::Any => Self::Any,
            ConditionSpec::Frequency {
                num_events,
                timeframe,
            } => Self::Frequency(Frequency::new(*num_events, *timeframe)),
            ConditionSpec::Spike(spec) => Self::Spike(Box::new(Spike::new(*spec))),
            ConditionSpec::Flatline {
                threshold,
                timeframe,
            } => Self::Flatline(Box::new(Flatline::new(*threshold, *timeframe))),
            ConditionSpec::Cardinality {
                min,
                max,
                timeframe,
                ..
            } => Self::Cardinality(Box::new(Cardinality::new(*min, *max, *timeframe))),
            ConditionSpec::PercentageMatch {
                min,
                max,
                min_denominator,
                timeframe,
            } => {
                let percentage = Percentage::new(*min, *max, *min_denominator, *timeframe);
                Self::Percentage(Box::new(percentage))
            }
            ConditionSpec::Pair { within, fire_on } => {
                Self::Pair(Box::new(Pair::new(*within, *fire_on)))
            }
            ConditionSpec::Sequence { num_events, within } => {
                Self::Sequence(Box::new(Sequence::new(num_events, *within)))
            }
            ConditionSpec::NewTerm { .. } | ConditionSpec::NewPattern { .. } => {
                Self::Novelty(Box::new(novelty_of(rule)))
            }
        }
    }

    /// Is watched from line time `time` on, hits or not: for types that judge by silence.
    pub fn begin(&mut self, time: Timestamp) {
        match self {
            Self::Spike(spike) => spike.begin(time),
            Self::Flatline(flatline) => flatline.begin(time),
            Self::Cardinality(cardinality) => cardinality.begin(time),
            _ => {}
        }
    }

    /// No hit has come yet, and the first one is of `time`, before [`Condition::begin`].
    pub fn begin_earlier(&mut self, time: Timestamp) {
        match self {
            Self::Spike(spike) => spike.begin_earlier(time),
            Self::Flatline(flatline) => flatline.begin_earlier(time),
            Self::Cardinality(cardinality) => cardinality.begin_earlier(time),
            _ => {}
        }
    }

    /// Takes a hit. What is new is told by [`Condition::novelties`] instead. Amortized O(1) for
    /// hits in order, or O(log n) where values are kept.
    pub fn observe(&mut self, hit: Observation<'_>) -> Verdict {
        match self {
            Self::Any => Verdict::Holds(any::held(hit.time)),
            Self::Frequency(frequency) => frequency
                .observe(hit.time, hit.top)
                .map_or(Verdict::Nothing, Verdict::Holds),
            Self::Spike(spike) => spike.observe(hit.time),
            Self::Flatline(flatline) => flatline.observe(hit.time, hit.top),
            Self::Cardinality(cardinality) => {
                let value = hit.values.first().and_then(Option::as_deref);
                cardinality.observe(hit.time, value)
            }
            Self::Percentage(percentage) => percentage.observe(hit.time, hit.parts),
            Self::Pair(pair) => pair.observe(hit.time, hit.parts),
            Self::Sequence(sequence) => sequence.observe(hit.time, hit.parts),
            Self::Novelty(_) | Self::Told => Verdict::Nothing,
        }
    }

    /// The indexes of what is new among a hit's values: items of `fields`, or the pattern.
    pub fn novelties(&mut self, time: Timestamp, values: &[Option<String>]) -> Vec<usize> {
        match self {
            Self::Novelty(novelty) => novelty.observe(time, values),
            _ => Vec::new(),
        }
    }

    /// Line time at which the passing of time alone may change something. When time has gone past
    /// it, [`Condition::pass`] is to be called with it.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Spike(spike) => spike.due(),
            Self::Flatline(flatline) => flatline.due(),
            Self::Cardinality(cardinality) => cardinality.due(),
            Self::Percentage(percentage) => percentage.due(),
            Self::Pair(pair) => pair.due(),
            _ => None,
        }
    }

    /// Line time has come to `now`, and all hits up to it have been observed. Afterwards
    /// [`Condition::due`] is later, or there is one thing less to be told at the same time.
    pub fn pass(&mut self, now: Timestamp) -> Verdict {
        match self {
            Self::Spike(spike) => spike.pass(now),
            Self::Flatline(flatline) => flatline.pass(now),
            Self::Cardinality(cardinality) => cardinality.pass(now),
            Self::Percentage(percentage) => percentage.pass(now),
            Self::Pair(pair) => pair.pass(now),
            _ => Verdict::Nothing,
        }
    }

    /// What the type measures at line time `at`, where that is more than the last [`Held`] said.
    pub fn value(&self, at: Timestamp) -> Option<f64> {
        match self {
            Self::Spike(spike) => Some(spike.value(at)),
            Self::Flatline(flatline) => Some(flatline.value(at)),
            Self::Cardinality(cardinality) => Some(cardinality.value(at)),
            Self::Percentage(percentage) => Some(percentage.value(at)),
            _ => None,
        }
    }

    /// Line time after which nothing of it can matter if nothing more comes; `latest` is that of
    /// the latest hit.
    pub fn matters_until(&self, latest: Timestamp, spec: &ConditionSpec) -> Timestamp {
        match self {
            Self::Any | Self::Told => latest,
            Self::Frequency(_) => latest.plus(spec.timeframe().unwrap_or_default()),
            Self::Spike(spike) => spike.matters_until(),
            Self::Flatline(_) | Self::Novelty(_) => Timestamp::MAX,
            Self::Cardinality(cardinality) => cardinality.matters_until(),
            Self::Percentage(percentage) => percentage.matters_until(),
            Self::Pair(pair) => pair.matters_until(),
            Self::Sequence(sequence) => sequence.matters_until(),
        }
    }

    /// The hits that may still count, oldest first; empty for types that keep none.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.window().into_iter().flat_map(Window::iter)
    }

    /// The hits that may still count, where the type keeps them.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Frequency(frequency) => Some(frequency.window()),
            Self::Flatline(flatline) => Some(flatline.window()),
            _ => None,
        }
    }

    /// The same, for what saves and restores them.
    pub fn window_mut(&mut self) -> Option<&mut Window> {
        match self {
            Self::Frequency(frequency) => Some(frequency.window_mut()),
            Self::Flatline(flatline) => Some(flatline.window_mut()),
            _ => None,
        }
    }
}

fn novelty_of(rule: &Rule) -> Novelty {
    let groups = if rule.group_by.is_empty() {
        1
    } else {
        rule.max_groups
    };
    match &rule.condition {
        ConditionSpec::NewTerm {
            fields,
            terms_window_size,
            learn_for,
        } => {
            let items: Vec<usize> = fields.iter().map(Vec::len).collect();
            let about = format!("{fields:?}");
            let forgets = Some(*terms_window_size);
            Novelty::new(&about, &items, *learn_for, forgets, groups)
        }
        ConditionSpec::NewPattern {
            learn_for,
            masks,
            returned_after,
        } => Novelty::new(masks.text(), &[1], *learn_for, *returned_after, groups),
        _ => Novelty::new("", &[], std::time::Duration::ZERO, None, groups),
    }
}
