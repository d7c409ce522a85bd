//! What a scenario proved: the oracles L D A E M P Q, each with its figure and whether it holds; as a
//! table for people and as JSON.
//!
//! L no line is missing. D none comes twice, none is told under two names, a repeat after a kill says the
//! same under the same key. A everything that was to be told was, without a gap. E alerts are those of an
//! uninterrupted `backtest` of the same lines. M memory, descriptors, threads. P a fresh line alerts soon
//! after. Q the agent's own log: no secret, not hasty.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::rig::Outcome;
use crate::settings::Settings;

/// One oracle's word.
#[derive(Clone, Debug)]
pub struct Check {
    /// L D A E M P or Q.
    pub oracle: char,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub found: Value,
    /// Whether that is as it must be.
    pub holds: bool,
}

/// All about one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its name.
    pub scenario: String,
    /// The seed it ran with.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// Figures that nothing depends on, in order.
    pub facts: Vec<(String, Value)>,
    /// The oracles.
    pub checks: Vec<Check>,
}

/// What is expected of a run beyond that nothing goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// SIGKILLs: each may have one notification sent again.
    pub kills: u32,
    /// How many requests a kill may have sent again: more than one where alerts were told that no disk
    /// took.
    pub repeats_a_kill: u32,
    /// Lines that may be read twice: those that a sender has to send again.
    pub most_read_twice: u64,
    /// Rotations that may each tear a line in two, by themselves.
    pub tears: u32,
    /// Resident memory that is never exceeded, KiB.
    pub most_kib: u64,
    /// Descriptors that it may hold more than at the start: connections, and rotated files that may
    /// still be written to.
    pub most_descriptors: u64,
    /// What marks and tens say cannot be known.
    pub marks: Marks,
}

/// Whether marks and tens are held against what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Each must have been told once.
    Counted,
    /// Line times were not believed on purpose: when alerts begin and end means nothing.
    Unknown,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            kills: 0,
            repeats_a_kill: 1,
            most_read_twice: 0,
            tears: 0,
            most_kib: 128 * 1024,
            most_descriptors: 40,
            marks: Marks::Counted,
        }
    }
}

impl Verdict {
    /// Without any oracle yet.
    pub fn new(scenario: &str, settings: &Settings, took: Duration) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seed: settings.seed,
            took,
            facts: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a figure.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    /// Adds an oracle's word.
    pub fn check(&mut self, oracle: char, what: &str, found: impl Into<Value>, holds: bool) {
        let (what, found) = (what.to_owned(), found.into());
        self.checks.push(Check {
            oracle,
            what,
            found,
            holds,
        });
    }

    /// Adds one that must be 0.
    pub fn none(&mut self, oracle: char, what: &str, found: u64) {
        self.check(oracle, what, found, found == 0);
    }

    /// Whether all hold.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// What does not hold, of these oracles, as text.
    pub fn failures(&self, oracles: &str) -> Vec<String> {
        let failed = self.checks.iter().filter(|check| !check.holds);
        let failed = failed.filter(|check| oracles.contains(check.oracle));
        failed
            .map(|check| format!("{} {}: {}", check.oracle, check.what, plain(&check.found)))
            .collect()
    }

    /// Adds L, D, A, M and Q as an outcome has them.
    pub fn judge(&mut self, outcome: &Outcome, expected: Expected) {
        let accounts = &outcome.accounts;
        self.note(outcome, expected);
        self.none('L', "lines lost", accounts.lost);
        if outcome.is_single {
            self.none(
                'L',
                "lines lost that stand in a copy or in the log, each looked for",
                accounts.singly_lost,
            );
            self.none(
                'D',
                "lines read twice, each looked for",
                accounts.singly_repeated,
            );
        }
        self.check(
            'D',
            "lines read twice",
            accounts.repeated,
            accounts.repeated <= expected.most_read_twice,
        );
        self.none(
            'D',
            "blocks with a right count of wrong lines",
            accounts.swapped,
        );
        self.none(
            'D',
            "lines by which two ways of counting differ",
            accounts.disagreeing,
        );
        let torn = u64::from(expected.tears);
        self.check(
            'D',
            "torn or glued lines",
            accounts.torn,
            accounts.torn <= torn,
        );
        self.judge_honesty(outcome);
        self.judge_told(outcome, expected);
        self.judge_usage(outcome, expected);
        self.none('Q', "secrets in its own log", outcome.quiet.leaks);
        self.none(
            'Q',
            "complaints within a second of the same",
            outcome.quiet.hasty,
        );
    }

    /// Whether the agent says of lines that they were lost when they were, and only then. How many it does
    /// not know: what it had not looked at has no size.
    fn judge_honesty(&mut self, outcome: &Outcome) {
        let (accounts, told) = (&outcome.accounts, outcome.quiet.losses);
        let missing = accounts.lost.max(accounts.singly_lost);
        self.check(
            'L',
            "losses that the agent tells of where there are none",
            told,
            told == 0 || missing + accounts.destroyed > 0,
        );
        self.check(
            'L',
            "lines lost of which it tells nothing",
            missing,
            missing == 0 || told > 0,
        );
    }

    /// What was told, and under which names.
    fn judge_told(&mut self, outcome: &Outcome, expected: Expected) {
        let accounts = &outcome.accounts;
        let repeats =
            u64::from(expected.kills.saturating_mul(expected.repeats_a_kill)) + outcome.refused;
        let what = if expected.kills > 0 {
            "requests sent again after kills"
        } else {
            "requests sent again"
        };
        self.check('D', what, accounts.repeats, accounts.repeats <= repeats);
        self.none(
            'D',
            "requests sent again that say something else",
            accounts.differing,
        );
        if expected.marks == Marks::Counted || expected.most_read_twice > 0 {
            self.none('D', "alerts with a second id", accounts.second_ids);
        }
        if expected.marks == Marks::Counted {
            self.none(
                'A',
                "alerts not told, or with a wrong count",
                accounts.untold,
            );
        }
        self.none(
            'A',
            "gaps in the numbers of notifications",
            accounts.seq_gaps,
        );
        self.none('A', "requests with a wrong key", accounts.wrong_keys);
    }

    /// The figures that nothing depends on.
    fn note(&mut self, outcome: &Outcome, expected: Expected) {
        let accounts = &outcome.accounts;
        if accounts.own_left_open > 0 {
            self.fact("alerts_on_itself_left_open", accounts.own_left_open);
        }
        self.fact("lines", accounts.written);
        self.fact("starts", outcome.starts);
        self.fact("requests", accounts.requests);
        let [median, p99, worst] = accounts.latency_ms;
        self.fact("latency_ms_median", median);
        self.fact("latency_ms_p99", p99);
        self.fact("latency_ms_worst", worst);
        self.fact("rss_kib_peak", outcome.peak_kib);
        self.fact("rss_kib_halfway", outcome.rss_kib_halfway);
        self.fact("rss_kib_last", outcome.last_usage.rss_kib);
        if accounts.destroyed > 0 || expected.tears > 0 {
            self.fact("destroyed_by_rotation", accounts.destroyed);
            self.fact("of_these_read_in_time", accounts.saved);
            self.fact("torn_lines", accounts.torn);
        }
        if outcome.quiet.losses > 0 {
            self.fact("losses_told_of", outcome.quiet.losses);
        }
        if outcome.quiet.hasty > 0 {
            self.fact("hasty_complaint", outcome.quiet.example.as_str());
        }
        if !accounts.examples.is_empty() {
            self.fact("writer_block_expected_seen", json!(accounts.examples));
        }
    }

    fn judge_usage(&mut self, outcome: &Outcome, expected: Expected) {
        let peak = outcome.peak_kib;
        self.check('M', "KiB resident at most", peak, peak <= expected.most_kib);
        if outcome.starts > 1 {
            return;
        }
        let (first, last) = (outcome.first_usage, outcome.last_usage);
        let more = last.descriptors.saturating_sub(first.descriptors);
        self.check(
            'M',
            "descriptors more than at the start",
            more,
            more <= expected.most_descriptors,
        );
        let more = last.threads.saturating_sub(first.threads);
        // The blocking pool ends its idle threads after ten seconds.
        self.check('M', "threads more than at the start", more, more <= 4);
    }

    /// Adds P.
    pub fn judge_fresh(&mut self, took: Option<Duration>) {
        let found = took.map_or("never".to_owned(), |took| {
            format!("{:.3} s", took.as_secs_f64())
        });
        let holds = took.is_some_and(|took| took < Duration::from_secs(5));
        self.check('P', "a fresh line alerts", found, holds);
    }

    /// As a table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} (seed {}, {:.0} s)\n",
            self.scenario,
            self.seed,
            self.took.as_secs_f64()
        );
        for (name, value) in &self.facts {
            let value = plain(value);
            writeln!(text, "      {name} {value}").unwrap_or_default();
        }
        for check in &self.checks {
            let sign = if check.holds { "  ok" } else { "FAIL" };
            let Check { oracle, what, .. } = check;
            let found = plain(&check.found);
            writeln!(text, "{sign}  {oracle} {what}: {found}").unwrap_or_default();
        }
        text
    }

    /// As one object.
    pub fn json(&self) -> Value {
        let facts: Map<String, Value> = self.facts.iter().cloned().collect();
        let check = |check: &Check| {
            json!({
                "oracle": check.oracle.to_string(),
                "what": check.what,
                "found": check.found,
                "holds": check.holds,
            })
        };
        json!({
            "scenario": self.scenario,
            "seed": self.seed,
            "seconds": self.took.as_secs(),
            "holds": self.holds(),
            "facts": facts,
            "oracles": self.checks.iter().map(check).collect::<Vec<_>>(),
        })
    }
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
