//! `send: lines` and `send: counts`: what rules accept, on its way to collectors.
//!
//! The engine's thread shows every hit to [`Feed::hit`], which must not block: lines go into a
//! bounded queue, counts into a map. One task an output ([`task`]) takes them from there, in batches. What
//! finds no room is counted; lines that wait here die with the process, counts too.

mod task;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::language::rule::Rule;
use lapwing_rules::model::{Mode, Severity, Timestamp};
use lapwing_rules::scanner::Hit;
use serde_json::json;
use tokio::sync::Notify;

use super::collect::{self, Entry};
use super::quiet::{Cause, Quiet};
use super::stats::Stats;
use super::{Send, Spec, render};
use crate::clock;
use crate::store::QueueSize;

pub(super) use task::run;

/// Lines in a batch.
const BATCH_LINES: usize = 1000;
/// Bytes in a batch, about.
const BATCH_BYTES: usize = 512 * 1024;
/// Bytes of lines that wait for one output, at the most, whatever its queue may hold on disk.
const MOST_BYTES: u64 = 8 << 20;

/// All outputs that want lines or counts.
#[derive(Debug, Default)]
pub struct Feed {
    taps: Vec<Arc<Tap>>,
}

/// What waits for one of them.
#[derive(Debug)]
pub struct Tap {
    output: String,
    send: Send,
    min_severity: Option<Severity>,
    max_bytes: usize,
    queue: Mutex<Queue>,
    stats: Arc<Stats>,
    quiet: Mutex<Quiet>,
    full: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Entry>,
    bytes: usize,
    counts: BTreeMap<String, u64>,
    /// The agent's, once anything was counted.
    host: String,
    /// Since when `counts` counts.
    counted_since: Option<Instant>,
    /// Entries that were taken from here and are not out.
    under_way: u64,
}

impl Feed {
    /// Of those of `specs` that do not want notifications. `stats`: where an output's losses are counted.
    pub(super) fn of(specs: &[Spec], stats: impl Fn(&str) -> Arc<Stats>) -> Self {
        let counted_since = Some(clock::monotonic());
        let wants = |spec: &&Spec| spec.send != Send::Notifications;
        let tap = |spec: &Spec| {
            Arc::new(Tap {
                output: spec.name.clone(),
                send: spec.send,
                min_severity: spec.min_severity,
                max_bytes: usize::try_from(spec.queue_max_bytes.min(MOST_BYTES))
                    .unwrap_or(usize::MAX),
                queue: Mutex::new(Queue {
                    counted_since,
                    ..Queue::default()
                }),
                stats: stats(&spec.name),
                quiet: Mutex::default(),
                full: Notify::new(),
            })
        };
        Self {
            taps: specs.iter().filter(wants).map(tap).collect(),
        }
    }

    /// The tap of this output.
    pub fn tap(&self, output: &str) -> Option<Arc<Tap>> {
        self.taps
            .iter()
            .find(|tap| tap.output == output)
            .map(Arc::clone)
    }

    /// A rule accepted a line. Never waits.
    pub fn hit(&self, rule: &Rule, host: &str, input: &str, hit: &Hit) {
        if rule.mode != Mode::Live {
            return;
        }
        for tap in &self.taps {
            let is_named = rule
                .notify
                .as_ref()
                .is_none_or(|names| names.contains(&tap.output));
            let is_severe = tap.min_severity.is_none_or(|least| rule.severity >= least);
            if is_named && is_severe {
                tap.take(rule, host, input, hit);
            }
        }
    }
}

impl Tap {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, rule: &Rule, host: &str, input: &str, hit: &Hit) {
        match self.send {
            Send::Counts => self.count(&rule.name, host, hit.times),
            Send::Lines | Send::Notifications => self.put(line(rule, host, input, hit)),
        }
    }

    /// `times`: how many lines a hit stands for.
    fn count(&self, rule: &str, host: &str, times: u64) {
        let mut queue = self.lock();
        match queue.counts.get_mut(rule) {
            Some(count) => *count += times,
            None => drop(queue.counts.insert(rule.to_owned(), times)),
        }
        if queue.host != host {
            host.clone_into(&mut queue.host);
        }
    }

    /// Counted at once, and said at the first: an outage may last.
    fn drop_one(&self) {
        let (is_new, total) = {
            let mut counts = self.stats.lock();
            counts.dropped += 1;
            let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = quiet.may_speak(Cause::Dropped, clock::monotonic());
            (is_new, counts.dropped)
        };
        if is_new {
            tracing::error!(output = %self.output, total, "more lines came than it takes: they are lost");
        }
    }

    fn put(&self, entry: Entry) {
        let mut queue = self.lock();
        if queue.bytes + entry.bytes() > self.max_bytes {
            drop(queue);
            self.drop_one();
            return;
        }
        queue.bytes += entry.bytes();
        queue.lines.push_back(entry);
        if queue.lines.len() >= BATCH_LINES || queue.bytes >= BATCH_BYTES {
            self.full.notify_one();
        }
    }

    /// What goes out next, and is under way from now on.
    fn batch(&self, now: Instant) -> Batch {
        let mut queue = self.lock();
        if self.send == Send::Counts {
            let counts = std::mem::take(&mut queue.counts);
            let since = queue.counted_since.replace(now);
            queue.under_way = counts.len() as u64;
            return Batch::Counts {
                counts,
                host: queue.host.clone(),
                interval: since.map_or(Duration::ZERO, |since| now.duration_since(since)),
            };
        }
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < BATCH_LINES && bytes < BATCH_BYTES {
            let Some(entry) = queue.lines.pop_front() else {
                break;
            };
            bytes += entry.bytes();
            lines.push(entry);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        queue.under_way = lines.len() as u64;
        Batch::Lines(lines)
    }

    /// So many of the batch are still to be taken.
    fn under_way(&self, entries: u64) {
        self.lock().under_way = entries;
    }

    /// What is not out: entries, and the bytes of those that are not under way.
    pub(super) fn size(&self) -> QueueSize {
        let queue = self.lock();
        QueueSize {
            rows: queue.under_way + (queue.lines.len() + queue.counts.len()) as u64,
            bytes: queue.bytes as u64,
        }
    }
}

fn line(rule: &Rule, host: &str, input: &str, hit: &Hit) -> Entry {
    let sample = &hit.sample;
    let place = sample.offset.to_be_bytes();
    let time = hit.time.as_nanos().to_be_bytes();
    let parts = [
        rule.name.as_bytes(),
        host.as_bytes(),
        sample.source.as_bytes(),
        &place,
        &time,
        sample.line.as_bytes(),
    ];
    let id = collect::id_of(&parts);
    let group: BTreeMap<_, _> = rule.group_by.iter().zip(&hit.group).collect();
    let mut fields = json!({
        "id": id,
        "rule": rule.name,
        "severity": render::severity(rule.severity),
        "host": host,
        "input": input,
        "at": hit.time,
        "line": sample.line,
        "source": sample.source,
        "offset": sample.offset,
        "group": group,
    });
    let mut text = sample.line.clone();
    if sample.cut {
        // As in a notification's samples, and in what people read of them.
        fields["cut"] = json!(true);
        text.push_str(" … (cut)");
    }
    Entry {
        at: hit.time,
        kind: "line",
        host: host.to_owned(),
        rule: rule.name.clone(),
        severity: rule.severity,
        text,
        fields,
        id,
    }
}

/// What goes out at once.
#[derive(Debug)]
enum Batch {
    Lines(Vec<Entry>),
    Counts {
        counts: BTreeMap<String, u64>,
        host: String,
        /// How long was counted.
        interval: Duration,
    },
}

impl Batch {
    /// As entries of a log. `at`: when it was counted.
    fn entries(&self, at: Timestamp) -> Vec<Entry> {
        let (counts, host, interval) = match self {
            Self::Lines(lines) => return lines.clone(),
            Self::Counts {
                counts,
                host,
                interval,
            } => (counts, host, interval),
        };
        let seconds = (interval.as_millis() + 500) / 1000;
        let entry = |(rule, count): (&String, &u64)| Entry {
            id: collect::id_of(&[
                rule.as_bytes(),
                host.as_bytes(),
                &at.as_nanos().to_be_bytes(),
            ]),
            at,
            kind: "count",
            host: host.to_owned(),
            rule: rule.clone(),
            severity: Severity::Info,
            text: format!("rule={rule} hits={count} interval_s={seconds}"),
            fields: json!({
                "at": at,
                "host": host,
                "rule": rule,
                "hits": count,
                "interval_s": u64::try_from(seconds).unwrap_or(u64::MAX),
            }),
        };
        counts.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests;
