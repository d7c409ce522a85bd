//! A rule's own tests: its lines at virtual times through the very scanner and engine that run
//! live, held against what is expected.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::{AlertView, Engine, Told};
use crate::fields::Format;
use crate::language::rule::{Expectation, RuleSet, RuleTest};
use crate::model::{Batch, InputId, Notification, Reason, RuleId, Source, Timestamp};
use crate::scanner::{Hit, InputSpec, Scanner, SourceState};

/// Something that came out otherwise than expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Which of the test's expectations, counted from 0.
    pub expectation: usize,
    /// The key: `alerts`, `count` …
    pub what: &'static str,
    /// What the test says.
    pub expected: String,
    /// What came out.
    pub got: String,
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Empty: it passed.
    pub mismatches: Vec<Mismatch>,
    /// Lines that the rule accepted, with their time from the test's start in milliseconds; the
    /// latest [`Outcome::MOST_LINES`].
    pub counted: Vec<(u64, String)>,
    /// What was said, with its time from the test's start in milliseconds; the first
    /// [`Outcome::MOST_LINES`].
    pub said: Vec<Said>,
    /// Lines fed.
    pub lines: u64,
    /// Lines accepted.
    pub hits: u64,
}

/// One notification, as far as it helps to see why a test fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Milliseconds from the test's start.
    pub at_ms: u64,
    /// Why it was said.
    pub reason: Reason,
    /// As in the notification.
    pub count: u64,
    /// As in the notification.
    pub value: f64,
    /// As in the notification.
    pub group: BTreeMap<String, String>,
}

impl Outcome {
    /// Accepted lines that are kept to be shown.
    pub const MOST_LINES: usize = 20;
}

/// Where the virtual clock starts: a Monday without any clock change near.
const START: Timestamp = Timestamp::from_secs(1_767_571_200);

/// Runs one test of a rule. `format` is that of the rule's input; the test's own goes before it,
/// and without either each line is looked at.
pub fn run(
    rules: &Arc<RuleSet>,
    id: RuleId,
    test: &RuleTest,
    format: Option<Arc<Format>>,
) -> Outcome {
    let own = test.format.as_deref().and_then(Format::named).map(Arc::new);
    let name: Arc<str> = "test".into();
    let input = InputSpec {
        name: Arc::clone(&name),
        format: own.or(format),
    };
    let mut trial = Trial {
        scanner: Scanner::of_one(rules, id, input),
        engine: Engine::new(
            Arc::clone(rules),
            "test".into(),
            Arc::new([Arc::clone(&name)]),
        ),
        source: Arc::new(Source {
            input: InputId(0),
            name,
        }),
        state: SourceState::default(),
        told: Vec::new(),
        outcome: Outcome::default(),
    };
    trial.engine.watch(START);
    let lines = schedule(test);
    let mut lines = lines.iter().peekable();
    let mut order: Vec<(usize, &Expectation)> = test.expect.iter().enumerate().collect();
    order.sort_by_key(|(_, expectation)| expectation.at);
    for (index, expectation) in order {
        let until = START.plus(expectation.at);
        while let Some((at, line)) = lines.next_if(|(at, _)| *at <= until) {
            trial.feed(*at, line);
        }
        trial.advance(until);
        trial.compare(id, index, expectation);
    }
    let said = trial.told.iter().take(Outcome::MOST_LINES);
    trial.outcome.said = said.map(|told| Said::of(&told.notification)).collect();
    trial.outcome
}

impl Said {
    fn of(told: &Notification) -> Self {
        Self {
            at_ms: since_start(told.sent_at),
            reason: told.reason,
            count: told.count,
            value: told.value.0,
            group: told.group.clone(),
        }
    }
}

fn since_start(at: Timestamp) -> u64 {
    u64::try_from(at.since(START).as_millis()).unwrap_or(u64::MAX)
}

/// All lines with their times, in the order of their times; lines of one time as they stand.
fn schedule(test: &RuleTest) -> Vec<(Timestamp, &str)> {
    let mut lines: Vec<(Timestamp, &str)> = Vec::new();
    for line in &test.lines {
        for n in 0..line.repeat {
            lines.push((START.plus(line.at + line.every * n), line.line.as_str()));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    lines
}

struct Trial {
    scanner: Scanner,
    engine: Engine,
    source: Arc<Source>,
    state: SourceState,
    told: Vec<Told>,
    outcome: Outcome,
}

impl Trial {
    fn feed(&mut self, at: Timestamp, line: &str) {
        self.engine.advance_before(at, &mut self.told);
        // One that holds line feeds is a record, as `multiline` makes them.
        let inner = line.strip_suffix('\n').unwrap_or(line);
        let record = inner.contains('\n').then_some(0..line.len());
        let batch = Batch {
            source: Arc::clone(&self.source),
            bytes: line.as_bytes().to_vec(),
            segments: Vec::new(),
            cut: Vec::new(),
            records: record.into_iter().collect(),
            arrival: at,
        };
        let mut hits: Vec<Hit> = Vec::new();
        self.scanner
            .scan(&batch, &mut self.state, Timestamp::MAX, &mut |hit| {
                hits.push(hit.clone());
            });
        self.outcome.lines += 1;
        // `at` is when the line came, whatever it says of itself.
        self.state.take_heard();
        self.engine.heard(InputId(0), &[(at, at)]);
        for mut hit in hits {
            hit.heard.clear();
            // `at` is the line's time, whatever the line says of itself.
            (hit.time, hit.arrival, hit.sample.at) = (at, at, at);
            self.outcome.hits += 1;
            if self.outcome.counted.len() == Outcome::MOST_LINES {
                self.outcome.counted.remove(0);
            }
            let sample = (since_start(at), hit.sample.line.clone());
            self.outcome.counted.push(sample);
            self.engine.observe(&hit, &mut self.told);
        }
    }

    fn advance(&mut self, now: Timestamp) {
        self.engine.advance(now, &mut self.told);
    }

    fn compare(&mut self, id: RuleId, index: usize, expected: &Expectation) {
        // The engine has all rules, and one that waits for lines may tell that none came.
        self.told.retain(|told| told.rule == id);
        let counts = self.engine.counts_of(id);
        let (alerts, resolved) = (Some(counts.alerts), Some(counts.resolved));
        let notifications = Some(counts.notifications);
        let latest = self.latest(id);
        let value = self
            .told
            .iter()
            .rev()
            .find(|told| told.notification.reason != Reason::Resolved);
        let value = value.map(|told| told.notification.value.0);
        let value = value.or_else(|| latest.as_ref().map(|alert| alert.value));
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let value = value.map(|value| match expected.value {
            Some(expected) => as_written(expected, value),
            None => value.to_string(),
        });
        let count = latest.as_ref().map(|alert| alert.count);
        let suppressed = latest.as_ref().map(|alert| alert.suppressed);
        let asked = expected.group.as_ref();
        let wanted_group = asked.map(|group| Named(group).to_string());
        let group = asked.and_then(|group| Some(named(latest.as_ref()?, group)));
        let wanted_value = expected.value.map(|value| value.to_string());
        for (what, expected, got) in [
            ("alerts", text(expected.alerts), text(alerts)),
            ("resolved", text(expected.resolved), text(resolved)),
            (
                "notifications",
                text(expected.notifications),
                text(notifications),
            ),
            ("count", text(expected.count), text(count)),
            ("suppressed", text(expected.suppressed), text(suppressed)),
            ("value", wanted_value, value),
            ("group", wanted_group, group),
        ] {
            let Some(expected) = expected.filter(|expected| got.as_ref() != Some(expected)) else {
                continue;
            };
            let got = got.unwrap_or_else(|| "no alert".to_owned());
            self.outcome.mismatches.push(Mismatch {
                expectation: index,
                what,
                expected,
                got,
            });
        }
    }

    /// The alert that started last, running or not.
    fn latest(&self, id: RuleId) -> Option<AlertView> {
        self.engine
            .alerts(id)
            .chain(self.engine.ended(id).cloned())
            .max_by_key(|alert| alert.started_at)
    }
}

/// What was measured, with as many decimals as the test has: 33.3 is what 33.333… is shown as.
fn as_written(expected: f64, value: f64) -> String {
    let text = expected.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, after)| after.len());
    let half = 0.5 * 10f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    // A little more: 0.15 is just below what it says.
    if (value - expected).abs() <= half * (1.0 + 1e-9) {
        return text;
    }
    let more = format!("{value:.*}", decimals + 3);
    let more = more.trim_end_matches('0').trim_end_matches('.');
    more.to_owned()
}

/// Those values of the alert's group that a test asks for; all of them, where it asks for none.
fn named(alert: &AlertView, asked: &BTreeMap<String, String>) -> String {
    let is_asked = |name: &String| asked.is_empty() || asked.contains_key(name);
    let group = alert.group.iter().filter(|(name, _)| is_asked(name));
    let group = group.map(|(name, value)| (name.clone(), value.clone()));
    Named(&group.collect()).to_string()
}

/// `upstream=10.2.0.7 host=a`, or `{}`.
struct Named<'a>(&'a BTreeMap<String, String>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "{{}}");
        }
        for (n, (name, value)) in self.0.iter().enumerate() {
            let space = if n == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}
