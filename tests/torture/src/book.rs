//! What the receiver was told, kept so that every line can be accounted for.
//!
//! 20,000 lines a second cannot each be a request. So the rules (`rules.yaml`) make the agent say of
//! each block of 625 lines how many it saw and how often each digit of the line's place stood in it
//! (`rows`); a lost line and a repeated one show in the count, and where both happen in one block, in the
//! digits. `total` counts all hits of a writer within one alert that never ends, so that a line that is
//! read again long after shows, also where the agent gives its alert the same name as before. `tens`
//! fires once for ten lines of 1,000, `marks` at once for one of 1,000, `torn` for what is no whole line.
//! Where a rotation itself destroys lines, `each` says of every single one whether it was seen (`single`).
//! Nothing here believes the agent's own counters.

mod single;

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::clock;
use crate::lines::{self, BLOCK, DIGITS, MARK};

/// The rule under which the agent tells of itself.
const OWN_RULE: &str = "lapwing-state";

/// Everything that came, from any thread.
#[derive(Debug, Default)]
pub struct Book {
    kept: Mutex<Kept>,
}

/// What was told of one alert: it has an id of its own.
#[derive(Debug, Default)]
struct Alert {
    /// The greatest `count`.
    count: u64,
    /// The latest `top`.
    top: BTreeMap<String, BTreeMap<String, u64>>,
    seqs: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By rule and group, then by id.
    alerts: HashMap<(String, String), BTreeMap<String, Alert>>,
    /// What was said under each key, without what may differ.
    keys: HashMap<String, u64>,
    /// Ids of alerts of the agent on itself that have ended.
    ended: BTreeSet<String>,
    requests: u64,
    refused: u64,
    repeats: u64,
    /// Repeats that said something else than the first time.
    differing: u64,
    /// Requests whose header is not `<id>/<seq>`, or that cannot be read.
    wrong_keys: u64,
    /// From a marked line's time to its request, microseconds.
    latencies: Vec<u64>,
}

/// How many lines each writer wrote and which of them could not be read by anybody.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// By writer.
    pub lines: BTreeMap<u32, u64>,
    /// The lines that a rotation destroyed by itself, by writer. Each line of a writer that stands here is
    /// looked for by itself.
    pub destroyed: BTreeMap<u32, BTreeSet<u64>>,
}

impl Written {
    /// Lines that could be read by anybody.
    pub fn readable(&self) -> u64 {
        self.lines.values().sum::<u64>() - self.destroyed()
    }

    /// Lines that could not.
    pub fn destroyed(&self) -> u64 {
        self.destroyed
            .values()
            .map(|lines| lines.len() as u64)
            .sum()
    }

    fn destroyed_among(&self, writer: u32, lines: Range<u64>) -> u64 {
        let of_writer = self.destroyed.get(&writer);
        of_writer.map_or(0, |of| of.range(lines).count() as u64)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// Lines written.
    pub written: u64,
    /// Lines that the agent says it saw, by blocks.
    pub seen: u64,
    /// Lines missing, beyond those that were destroyed.
    pub lost: u64,
    /// Lines that a rotation destroyed, and that the agent saw nevertheless.
    pub saved: u64,
    /// Lines destroyed.
    pub destroyed: u64,
    /// Of the lines that each by itself was looked for and that no rotation destroyed: how many were not
    /// seen.
    pub singly_lost: u64,
    /// Of the lines that each by itself was looked for: how often one was seen again.
    pub singly_repeated: u64,
    /// Lines too many.
    pub repeated: u64,
    /// Blocks whose count is right and whose digits are not.
    pub swapped: u64,
    /// The difference between the two ways of counting.
    pub disagreeing: u64,
    /// Groups that were told under more than one id.
    pub second_ids: u64,
    /// Alerts of the agent on itself that were never told to have ended.
    pub own_left_open: u64,
    /// Marks and tens that were not told.
    pub untold: u64,
    /// Numbers missing in the `seq` of some alert.
    pub seq_gaps: u64,
    /// Torn or glued lines.
    pub torn: u64,
    /// Requests, repeats among them, and repeats that said something else.
    pub requests: u64,
    /// Requests with a key that had come before.
    pub repeats: u64,
    /// Of these, those that said something else.
    pub differing: u64,
    /// Requests under a wrong key.
    pub wrong_keys: u64,
    /// From line to request, milliseconds: median, 99 of 100, worst.
    pub latency_ms: [f64; 3],
    /// A few blocks that are wrong: writer, block, expected, seen.
    pub examples: Vec<(u32, u64, u64, u64)>,
}

impl Book {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request.
    pub fn take(&self, key: &str, body: &[u8]) {
        let now = clock::micros();
        let mut kept = self.kept();
        kept.requests += 1;
        match serde_json::from_slice::<Value>(body) {
            Ok(json) if json["status"] == "firing" => kept.note(key, json, now),
            Ok(json) if json["rule"] == OWN_RULE => {
                kept.ended
                    .extend(json["id"].as_str().map(ToOwned::to_owned));
            }
            Ok(_) => {}
            Err(_) => kept.wrong_keys += 1,
        }
    }

    /// Takes a notification that was never sent.
    pub fn take_quietly(&self, body: &[u8]) {
        if let Ok(json) = serde_json::from_slice::<Value>(body)
            && json["status"] == "firing"
        {
            let key = format!(
                "{}/{}",
                json["id"].as_str().unwrap_or_default(),
                json["seq"]
            );
            self.kept().note(&key, json, 0);
        }
    }

    /// A request was refused.
    pub fn refused(&self) {
        self.kept().refused += 1;
    }

    /// Requests until now.
    pub fn requests(&self) -> u64 {
        self.kept().requests
    }

    /// Requests that were refused.
    pub fn refusals(&self) -> u64 {
        self.kept().refused
    }

    /// Whether the marked line `n` of a writer was told.
    pub fn has_mark(&self, writer: u32, n: u64) -> bool {
        let group = ("marks".to_owned(), format!("mark={n} w={writer}"));
        self.kept().alerts.contains_key(&group)
    }

    /// Lines seen, by blocks.
    pub fn seen(&self) -> u64 {
        self.kept().count_of("rows")
    }

    /// Lines seen, by totals.
    pub fn totalled(&self) -> u64 {
        self.kept().count_of("total")
    }

    /// Forgets the latencies until now.
    pub fn forget_latencies(&self) {
        self.kept().latencies.clear();
    }

    /// The ids of a rule's alerts with the greatest count told of each.
    pub fn alerts(&self, rule: &str) -> BTreeMap<String, u64> {
        let kept = self.kept();
        let of_rule = kept.alerts.iter().filter(|((of, _), _)| of == rule);
        let ids = of_rule.flat_map(|(_, ids)| ids);
        ids.map(|(id, alert)| (id.clone(), alert.count)).collect()
    }

    /// Holds what came against what was written.
    pub fn judge(&self, written: &Written) -> Accounts {
        let mut kept = self.kept();
        kept.latencies.sort_unstable();
        let mut accounts = Accounts {
            requests: kept.requests,
            repeats: kept.repeats,
            differing: kept.differing,
            wrong_keys: kept.wrong_keys,
            torn: kept.count_of("torn"),
            latency_ms: [50, 99, 100].map(|share| kept.latency(share)),
            ..Accounts::default()
        };
        for (&writer, &lines) in &written.lines {
            accounts.written += lines;
            let mut of_writer = 0;
            for block in 0..lines.div_ceil(BLOCK) {
                of_writer += kept.judge_block((writer, block), lines, written, &mut accounts);
            }
            accounts.seen += of_writer;
            let total = kept.sum("total", &format!("w={writer}"));
            accounts.disagreeing += total.abs_diff(of_writer);
            match written.destroyed.get(&writer) {
                Some(destroyed) => {
                    let seen = kept.judge_singly(writer, lines, destroyed, &mut accounts);
                    accounts.disagreeing += seen.abs_diff(of_writer);
                }
                None => kept.judge_marks(writer, lines, &mut accounts),
            }
        }
        for ((rule, _), ids) in &kept.alerts {
            // A disk that is full three times is three alerts of the agent on itself.
            let expected_many = rule == "torn" || rule == OWN_RULE;
            accounts.second_ids += u64::from(ids.len() > 1 && !expected_many);
            if rule == OWN_RULE {
                let open = ids.keys().filter(|id| !kept.ended.contains(*id));
                accounts.own_left_open = open.count() as u64;
            }
            for alert in ids.values() {
                let last = alert.seqs.last().copied().unwrap_or(0);
                let told = u64::try_from(alert.seqs.len()).unwrap_or(u64::MAX);
                accounts.seq_gaps += last.saturating_sub(told);
            }
        }
        accounts
    }
}

impl Kept {
    fn note(&mut self, key: &str, mut json: Value, now: u64) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (rule, id) = (text(&json["rule"]), text(&json["id"]));
        let seq = json["seq"].as_u64().unwrap_or(0);
        if key != format!("{id}/{seq}") {
            self.wrong_keys += 1;
        }
        let group = json["group"].as_object().map(|group| {
            let mut pairs: Vec<String> = group
                .iter()
                .map(|(name, value)| format!("{name}={}", text(value)))
                .collect();
            pairs.sort();
            pairs.join(" ")
        });
        if rule == "marks" && seq == 1 && !self.keys.contains_key(key) {
            let at = json["started_at"]
                .as_str()
                .and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let at = at.and_then(|at| u64::try_from(at.as_microsecond()).ok());
            self.latencies.extend(at.map(|at| now.saturating_sub(at)));
        }
        let is_own = rule == OWN_RULE;
        let ids = self
            .alerts
            .entry((rule, group.unwrap_or_default()))
            .or_default();
        let alert = ids.entry(id).or_default();
        let count = json["count"].as_u64().unwrap_or(0);
        if count >= alert.count {
            alert.count = count;
            alert.top = top(&json["top"]);
        }
        alert.seqs.insert(seq);
        if let Some(fields) = json.as_object_mut() {
            for may_differ in ["sent_at", "late_s"] {
                fields.remove(may_differ);
            }
            // Each process says of its disk what it knows itself.
            if is_own {
                fields.clear();
            }
        }
        let mut hash = DefaultHasher::new();
        json.to_string().hash(&mut hash);
        let hash = hash.finish();
        match self.keys.entry(key.to_owned()) {
            Entry::Vacant(place) => drop(place.insert(hash)),
            Entry::Occupied(before) => {
                self.repeats += 1;
                self.differing += u64::from(*before.get() != hash);
            }
        }
    }

    fn count_of(&self, rule: &str) -> u64 {
        let of_rule = self.alerts.iter().filter(|((of, _), _)| of == rule);
        of_rule
            .flat_map(|(_, ids)| ids.values())
            .map(|alert| alert.count)
            .sum()
    }

    fn sum(&self, rule: &str, group: &str) -> u64 {
        let ids = self.alerts.get(&(rule.to_owned(), group.to_owned()));
        ids.into_iter()
            .flat_map(BTreeMap::values)
            .map(|alert| alert.count)
            .sum()
    }

    /// Gives how many lines of the block were seen.
    fn judge_block(
        &self,
        (writer, block): (u32, u64),
        lines: u64,
        written: &Written,
        accounts: &mut Accounts,
    ) -> u64 {
        let (from, to) = (block * BLOCK, lines.min((block + 1) * BLOCK));
        let expected = to - from;
        let destroyed = written.destroyed_among(writer, from..to);
        let group = format!("b={block} w={writer}");
        let seen = self.sum("rows", &group);
        let missing = expected.saturating_sub(seen);
        accounts.destroyed += destroyed;
        accounts.lost += missing.saturating_sub(destroyed);
        accounts.saved += destroyed.saturating_sub(missing);
        accounts.repeated += seen.saturating_sub(expected);
        let wrong = seen > expected || missing > destroyed;
        let ids = self.alerts.get(&("rows".to_owned(), group));
        if seen == expected
            && let Some(ids) = ids
            && ids.len() == 1
        {
            let right = ids.values().all(|alert| {
                (0..DIGITS).all(|digit| {
                    alert.top.get(&format!("d{digit}")) == Some(&lines::digits(from, to, digit))
                })
            });
            accounts.swapped += u64::from(!right);
        }
        if wrong && accounts.examples.len() < 8 {
            accounts.examples.push((writer, block, expected, seen));
        }
        seen
    }

    fn judge_marks(&self, writer: u32, lines: u64, accounts: &mut Accounts) {
        for mark in 0..lines.div_ceil(MARK) {
            let group = format!("mark={} w={writer}", mark * MARK);
            accounts.untold += u64::from(self.sum("marks", &group) != 1);
        }
        for ten in 0..(lines + lines::TENTH - 1) / MARK {
            let group = format!("ten={ten} w={writer}");
            accounts.untold += u64::from(self.sum("tens", &group) != 10);
        }
    }

    /// Of the sorted latencies, the one that `share` of 100 do not exceed, in milliseconds.
    fn latency(&self, share: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * share / 100).min(last);
        let micros = self.latencies.get(at).copied().unwrap_or(0);
        f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e3
    }
}

/// `top` as maps; it has five values a key, and a digit has no more.
fn top(json: &Value) -> BTreeMap<String, BTreeMap<String, u64>> {
    let values = |list: &Value| {
        let pairs = list.as_array().into_iter().flatten();
        let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_u64()?));
        pairs.filter_map(pair).collect()
    };
    let keys = json.as_object().into_iter().flatten();
    keys.map(|(key, list)| (key.clone(), values(list)))
        .collect()
}

#[cfg(test)]
mod tests;
