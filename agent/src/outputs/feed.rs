//! `send: lines` and `send: counts`: what rules accept, on its way to collectors.
//!
//! The engine's thread shows every hit to [`Feed::hit`], which must not block: lines go into a
//! bounded queue, counts into a map. One task an output takes them from there, in batches. What
//! finds no room is counted; lines that wait here die with the process, counts too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing_rules::language::rule::Rule;
use lapwing_rules::model::{Mode, Severity, Timestamp};
use lapwing_rules::scanner::Hit;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::collect::{self, Entry};
use super::kind::Kind;
use super::limit::Limiter;
use super::quiet::{Cause, Quiet};
use super::retry::{self, Verdict};
use super::sender::Sender;
use super::worker::{Room, luck};
use super::{Send, Spec, calls, file, render, wire};
use crate::clock;

/// Lines go out when they have waited so long, or when a batch is full.
const LINES_EVERY: Duration = Duration::from_secs(1);
/// Counts go out after so long.
const COUNTS_EVERY: Duration = Duration::from_secs(10);
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
    full: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Entry>,
    bytes: usize,
    counts: BTreeMap<String, u64>,
    /// The agent's, once anything was counted.
    host: String,
    dropped: u64,
}

impl Feed {
    /// Of those of `specs` that do not want notifications.
    pub fn of(specs: &[Spec]) -> Self {
        let wants = |spec: &&Spec| spec.send != Send::Notifications;
        let tap = |spec: &Spec| {
            Arc::new(Tap {
                output: spec.name.clone(),
                send: spec.send,
                min_severity: spec.min_severity,
                max_bytes: usize::try_from(spec.queue_max_bytes.min(MOST_BYTES))
                    .unwrap_or(usize::MAX),
                queue: Mutex::default(),
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
        if self.send == Send::Counts {
            let mut queue = self.lock();
            match queue.counts.get_mut(&rule.name) {
                Some(count) => *count += 1,
                None => drop(queue.counts.insert(rule.name.clone(), 1)),
            }
            if queue.host != host {
                host.clone_into(&mut queue.host);
            }
            return;
        }
        self.put(line(rule, host, input, hit));
    }

    fn put(&self, entry: Entry) {
        let mut queue = self.lock();
        if queue.bytes + entry.bytes() > self.max_bytes {
            queue.dropped += 1;
            return;
        }
        queue.bytes += entry.bytes();
        queue.lines.push_back(entry);
        if queue.lines.len() >= BATCH_LINES || queue.bytes >= BATCH_BYTES {
            self.full.notify_one();
        }
    }

    fn batch(&self) -> (Batch, u64) {
        let mut queue = self.lock();
        let dropped = std::mem::take(&mut queue.dropped);
        if self.send == Send::Counts {
            return (Batch::Counts(std::mem::take(&mut queue.counts)), dropped);
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
        (Batch::Lines(lines), dropped)
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
    Entry {
        at: hit.time,
        kind: "line",
        host: host.to_owned(),
        rule: rule.name.clone(),
        severity: rule.severity,
        text: sample.line.clone(),
        fields: json!({
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
        }),
        id,
    }
}

/// What goes out at once.
#[derive(Debug)]
enum Batch {
    Lines(Vec<Entry>),
    Counts(BTreeMap<String, u64>),
}

impl Batch {
    fn len(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Counts(counts) => counts.len(),
        }
    }

    /// Counts as entries of a log.
    fn entries(&self, host: &str, at: Timestamp) -> Vec<Entry> {
        let counts = match self {
            Self::Lines(lines) => return lines.clone(),
            Self::Counts(counts) => counts,
        };
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
            text: format!(
                "rule={rule} hits={count} interval_s={}",
                COUNTS_EVERY.as_secs()
            ),
            fields: json!({
                "at": at,
                "host": host,
                "rule": rule,
                "hits": count,
                "interval_s": COUNTS_EVERY.as_secs(),
            }),
        };
        counts.iter().map(entry).collect()
    }
}

/// One output's task: runs until the stop signal, and then until nothing waits or a try fails.
pub(super) async fn run(spec: Spec, tap: Arc<Tap>, room: Room) {
    let kind = spec.kind.clone();
    let http = Arc::clone(&room.http);
    let mut task = Task {
        sender: Sender::new(kind, spec.timeout, room.palette, http),
        limiter: Limiter::new(spec.rate_limit.or_else(|| spec.kind.rate_limit())),
        host: String::new(),
        spec,
        tap,
        room,
        quiet: Quiet::default(),
        serial: super::blocking::Serial::default(),
        given: 0,
    };
    loop {
        task.wait().await;
        if !task.flush().await || task.room.is_stopping() {
            return;
        }
    }
}

struct Task {
    spec: Spec,
    tap: Arc<Tap>,
    room: Room,
    sender: Sender,
    limiter: Limiter,
    quiet: Quiet,
    serial: super::blocking::Serial,
    host: String,
    given: u64,
}

impl Task {
    async fn wait(&self) {
        let every = match self.tap.send {
            Send::Counts => COUNTS_EVERY,
            Send::Lines | Send::Notifications => LINES_EVERY,
        };
        let mut stop = self.room.stop.clone();
        tokio::select! {
            () = sleep(every) => {}
            () = self.tap.full.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Everything that waits; `false`: stopped before it was all out.
    async fn flush(&mut self) -> bool {
        loop {
            let (batch, dropped) = self.tap.batch();
            self.host.clone_from(&self.tap.lock().host);
            if dropped > 0 {
                self.room
                    .count(&self.spec.name, |counts| counts.dropped += dropped);
                if self.quiet.may_speak(Cause::Dropped, clock::monotonic()) {
                    tracing::error!(output = %self.spec.name, dropped, "more lines came than it takes: they are lost");
                }
            }
            let len = batch.len();
            if len == 0 {
                return true;
            }
            if !self.deliver(&batch).await {
                return false;
            }
            let was_full = matches!(batch, Batch::Lines(_)) && len >= BATCH_LINES;
            if !was_full {
                return true;
            }
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> bool {
        let mut failures = 0;
        // The same for every try: a collector that has it already can tell.
        let at = clock::now();
        self.given += 1;
        loop {
            let wait = self.limiter.wait(clock::monotonic());
            self.room.rest(wait).await;
            self.room.pace(self.limiter.wait(clock::monotonic())).await;
            self.limiter.sent(clock::monotonic());
            let verdict = self.attempt(batch, at).await;
            let len = batch.len() as u64;
            let name = &self.spec.name;
            let (cause, why) = match &verdict {
                Verdict::Delivered => {
                    self.room.count(name, |counts| {
                        counts.delivered += len;
                        counts.delivered_at = Some(clock::now());
                        counts.last_error = None;
                    });
                    return true;
                }
                Verdict::Rejected { why } => (Cause::Rejected, why),
                Verdict::Refused { why } => (Cause::Refused, why),
                Verdict::Retry { why, .. } => (Cause::Retry, why),
            };
            self.room.count(name, |counts| {
                counts.failed += u64::from(cause != Cause::Rejected);
                counts.rejected += if cause == Cause::Rejected { len } else { 0 };
                counts.last_error = Some(why.clone());
                counts.failed_at = Some(clock::now());
            });
            if self.quiet.may_speak(cause, clock::monotonic()) {
                tracing::warn!(output = %name, entries = len, "not taken: {}", super::safe::short(why, 400));
            }
            if cause == Cause::Rejected {
                return true;
            }
            failures += 1;
            let is_old = clock::now().since(at) >= self.spec.max_age;
            if self.room.is_stopping() || is_old {
                self.room.count(name, |counts| counts.expired += len);
                return !self.room.is_stopping();
            }
            self.room
                .rest(retry::wait(&verdict, failures, luck()))
                .await;
        }
    }

    async fn attempt(&mut self, batch: &Batch, at: Timestamp) -> Verdict {
        let timeout = self.spec.timeout;
        match (&self.spec.kind, batch) {
            (Kind::Statsd(meter), Batch::Counts(counts)) => {
                wire::statsd(meter, counts, timeout).await
            }
            (Kind::Graphite(meter), Batch::Counts(counts)) => {
                wire::graphite(meter, counts, at, timeout).await
            }
            (Kind::Collector { collector, url }, _) => {
                let entries = batch.entries(&self.host, at);
                self.sender
                    .ask(calls::collected(collector, url, &entries, at))
                    .await
                    .verdict
            }
            (
                Kind::Syslog {
                    transport,
                    host,
                    port,
                },
                _,
            ) => {
                wire::syslog(
                    (*transport, host, *port),
                    &batch.entries(&self.host, at),
                    timeout,
                )
                .await
            }
            (Kind::File { path }, _) => {
                let (path, entries) = (path.clone(), batch.entries(&self.host, at));
                let lines: Vec<Vec<u8>> = entries.iter().map(collect::json_line).collect();
                let work = move || file::append(&path, &lines.join(&b'\n'));
                self.serial.run(self.given, timeout, work).await
            }
            _ => Verdict::Rejected {
                why: "it takes neither lines nor counts".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
