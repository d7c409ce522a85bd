//! What somebody watches live: hits or lines, no more a second than they asked for. The engine puts
//! them where there is room, counts the rest, and never waits for who watches; without anybody who
//! does, a batch costs it one look at an empty list.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::language::rule::Rule;
use lapwing_rules::model::{Batch, Mode, Severity, Timestamp};
use lapwing_rules::scanner::Hit;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock;

/// Shown a second, at the most.
pub const MOST_RATE: u32 = 1_000;
/// Shown a second, unless told otherwise.
pub const RATE: u32 = 20;
/// Bytes that wait for a slow watcher, at the most.
const MOST_WAITING: usize = 1 << 20;
/// Bytes of a line as it was read: more than are shown, so that what is to be blanked is found whole.
const MOST_RAW: usize = 64 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapQuery {
    /// Hits of rules, or any line.
    pub what: TapWhat,
    /// Only this rule's.
    pub rule: Option<String>,
    /// Only this input's.
    pub input: Option<String>,
    /// Only lines that hold this text.
    pub contains: Option<String>,
    /// So many a second, up to [`MOST_RATE`].
    pub rate: u32,
}

/// Which kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TapWhat {
    /// A line that a rule accepted, redacted by that rule.
    Hits,
    /// A line that was read; who shows it blanks what any rule wants blanked.
    Lines,
}

/// A hit or a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tapped {
    /// The line's time; of a line that no rule accepted, when it arrived.
    pub at: Timestamp,
    /// The input's name.
    pub input: String,
    /// The file, or `syslog://peer`.
    pub source: String,
    /// Byte offset of the line's start in its source.
    pub offset: u64,
    /// The line; once it is shown, at most [`Sample::MAX_BYTES`](lapwing_rules::model::Sample::MAX_BYTES).
    pub line: String,
    /// Of a hit.
    #[serde(flatten)]
    pub hit: Option<TappedHit>,
}

/// What a hit is besides its line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TappedHit {
    /// The rule's name.
    pub rule: String,
    /// Its severity.
    pub severity: Severity,
    /// Its mode.
    pub mode: Mode,
    /// The values of its `group_by`.
    pub group: BTreeMap<String, String>,
}

/// Between the engine and one who watches. It ends when the watcher drops theirs.
#[derive(Debug)]
pub struct Tap {
    query: TapQuery,
    contains: Option<Finder<'static>>,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Tapped>,
    bytes: usize,
    skipped: u64,
    /// When this second began, and what is left of its share.
    began: Instant,
    left: u32,
}

impl Tap {
    /// Nothing has been seen yet.
    pub fn new(query: TapQuery) -> Self {
        let finder = |text: &String| Finder::new(text.as_bytes()).into_owned();
        let queue = Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            skipped: 0,
            began: clock::monotonic(),
            left: query.rate.min(MOST_RATE),
        };
        Self {
            contains: query.contains.as_ref().map(finder),
            query,
            queue: Mutex::new(queue),
            filled: Notify::new(),
        }
    }

    /// What came since the last call, oldest first, and how many more did that are not shown. Waits
    /// until there is any; of those that are not shown alone is told once a second.
    pub async fn next(&self) -> (Vec<Tapped>, u64) {
        loop {
            let filled = self.filled.notified();
            let pause = {
                let mut queue = self.lock();
                let left = (queue.began + SECOND).saturating_duration_since(clock::monotonic());
                let is_due = queue.skipped > 0 && left.is_zero();
                if is_due || !queue.waiting.is_empty() {
                    queue.bytes = 0;
                    let skipped = mem::take(&mut queue.skipped);
                    return (queue.waiting.drain(..).collect(), skipped);
                }
                (queue.skipped > 0).then_some(left)
            };
            match pause {
                Some(pause) => drop(timeout(pause, filled).await),
                None => filled.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, what: TapWhat, input: &str) -> bool {
        let wanted = self.query.input.as_ref();
        self.query.what == what && wanted.is_none_or(|name| name == input)
    }

    fn holds(&self, line: &[u8]) -> bool {
        let finder = self.contains.as_ref();
        finder.is_none_or(|finder| finder.find(line).is_some())
    }

    fn put(&self, now: Instant, tapped: impl FnOnce() -> Tapped) {
        let mut queue = self.lock();
        if now.saturating_duration_since(queue.began) >= SECOND {
            queue.began = now;
            queue.left = self.query.rate.min(MOST_RATE);
        }
        let is_news = if queue.left == 0 || queue.bytes >= MOST_WAITING {
            queue.skipped += 1;
            queue.skipped == 1
        } else {
            let tapped = tapped();
            queue.left -= 1;
            queue.bytes += tapped.line.len() + size_of::<Tapped>();
            queue.waiting.push_back(tapped);
            true
        };
        drop(queue);
        if is_news {
            self.filled.notify_one();
        }
    }
}

/// All who watch, on the engine's side.
#[derive(Debug, Default)]
pub(super) struct Taps(Vec<Arc<Tap>>);

impl Taps {
    /// One more.
    pub(super) fn add(&mut self, tap: Arc<Tap>) {
        self.let_go();
        self.0.push(tap);
    }

    /// Lines have come.
    pub(super) fn batch(&mut self, batch: &Batch, input: &str) {
        self.let_go();
        let now = clock::monotonic();
        for tap in self.0.iter().filter(|tap| tap.wants(TapWhat::Lines, input)) {
            let ends = memchr::memchr_iter(b'\n', &batch.bytes).map(|at| at + 1);
            let mut start = 0;
            for end in ends.chain([batch.bytes.len()]) {
                let line = batch.bytes.get(start..end).unwrap_or_default();
                let text = line.trim_ascii_end();
                if !line.is_empty() && tap.holds(text) {
                    tap.put(now, || of_line(batch, start, text, input));
                }
                start = end;
            }
        }
    }

    /// Those who do not watch any more.
    fn let_go(&mut self) {
        self.0.retain(|tap| Arc::strong_count(tap) > 1);
    }

    /// A rule accepted a line.
    pub(super) fn hit(&self, rule: &Rule, input: &str, hit: &Hit) {
        let wanted = |tap: &&Arc<Tap>| {
            let name = tap.query.rule.as_ref();
            tap.wants(TapWhat::Hits, input)
                && name.is_none_or(|name| *name == rule.name)
                && tap.holds(hit.sample.line.as_bytes())
        };
        for tap in self.0.iter().filter(wanted) {
            tap.put(clock::monotonic(), || of_hit(rule, input, hit));
        }
    }
}

fn of_line(batch: &Batch, start: usize, text: &[u8], input: &str) -> Tapped {
    let text = text.get(..MOST_RAW).unwrap_or(text);
    Tapped {
        at: batch.arrival,
        input: input.to_owned(),
        source: batch.source.name.to_string(),
        offset: batch.offset_of(start),
        line: String::from_utf8_lossy(text).into_owned(),
        hit: None,
    }
}

fn of_hit(rule: &Rule, input: &str, hit: &Hit) -> Tapped {
    let group = rule.group_by.iter().zip(&hit.group);
    let group = group.map(|(field, value)| (field.clone(), value.clone()));
    Tapped {
        at: hit.time,
        input: input.to_owned(),
        source: hit.sample.source.clone(),
        offset: hit.sample.offset,
        line: hit.sample.line.clone(),
        hit: Some(TappedHit {
            rule: rule.name.clone(),
            severity: rule.severity,
            mode: rule.mode,
            group: group.collect(),
        }),
    }
}
