//! What logs are like: the kinds of line in them, how often each comes and how regularly. Pure: it
//! is told lines and times. Memory is bounded: of very many kinds the rare ones are let go of.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use lapwing_rules::fields::{Fields, Format};
use lapwing_rules::language::mask::Masks;
use lapwing_rules::language::pattern::{Case, Pattern};
use lapwing_rules::model::Timestamp;

/// Kinds of line that are kept.
const MOST_KINDS: usize = 20_000;
/// A longer line is no good as an example.
const MOST_SAMPLE: usize = 1_000;
/// Rates are measured in windows of so many seconds.
pub(super) const WINDOW_S: i64 = 300;

/// What says trouble where a format has no level of its own.
pub(super) const TROUBLE: &str = r"(?-u)\b(?i:error|fatal|critical|crit|severe|panic|emerg|alert)\b|Exception\b|Traceback|(?i:segfault|failed|failure|refused|timed out|denied|corrupt|out of memory)";
/// Words of `level` that mean trouble.
pub(super) const LEVELS: &[&str] = &[
    "error", "err", "fatal", "crit", "critical", "panic", "alert", "emerg", "severe", "ERROR",
    "FATAL", "CRITICAL", "SEVERE",
];

static IS_TROUBLE: LazyLock<Option<Pattern>> =
    LazyLock::new(|| Pattern::new(TROUBLE, Case::Sensitive).ok());

/// What a kind is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum What {
    /// Lines of one shape.
    Shape(String),
    /// Requests.
    Requests,
    /// Requests that the server could not answer.
    ServerErrors,
}

/// Some lines that are alike.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) format: &'static str,
    pub(super) what: What,
    /// One of them.
    pub(super) sample: String,
    pub(super) is_trouble: bool,
    pub(super) count: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) longest_gap: Duration,
    window: i64,
    in_window: u64,
    /// Windows with so many lines, by powers of two.
    windows: [u32; 40],
}

/// All that was learnt.
#[derive(Debug)]
pub(super) struct Learnt {
    kinds: HashMap<(&'static str, What), Kind>,
    masks: Masks,
    fields: Fields,
    pub(super) lines: u64,
    /// First and last line time.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// Kinds that were let go of.
    pub(super) forgotten: u64,
}

impl Learnt {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            kinds: HashMap::new(),
            masks: Masks::all(),
            fields: Fields::default(),
            lines: 0,
            span: None,
            forgotten: 0,
        }
    }

    /// All kinds, those with the most lines first.
    pub(super) fn kinds(&self) -> Vec<&Kind> {
        let mut kinds: Vec<&Kind> = self.kinds.values().collect();
        kinds.sort_by(|a, b| {
            let key = |kind: &Kind| std::cmp::Reverse(kind.count);
            (key(a), a.format, &a.what).cmp(&(key(b), b.format, &b.what))
        });
        kinds
    }

    /// How long the logs are.
    pub(super) fn length(&self) -> Duration {
        self.span
            .map_or(Duration::ZERO, |(begin, end)| end.since(begin))
    }

    /// Takes note of a line.
    pub(super) fn line(&mut self, format: &Format, line: &[u8], at: Timestamp) {
        self.lines += 1;
        let (begin, end) = self.span.unwrap_or((at, at));
        self.span = Some((begin.min(at), end.max(at)));
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        format.read(line, &mut fields);
        if matches!(format, Format::Nginx | Format::Apache) {
            if let Some(status) = fields.get("status") {
                self.note(format, What::Requests, line, at, false);
                if status.first() == Some(&b'5') {
                    self.note(format, What::ServerErrors, line, at, true);
                }
            }
        } else if !line.is_empty() {
            let message = fields.get("message").or_else(|| fields.get("msg"));
            let shape = self.masks.shape(message.unwrap_or(line));
            let is_trouble = is_trouble(&fields, line);
            self.note(format, What::Shape(shape), line, at, is_trouble);
        }
        self.fields = fields;
    }

    fn note(&mut self, format: &Format, what: What, line: &[u8], at: Timestamp, is_trouble: bool) {
        let key = (format.name(), what);
        if let Some(kind) = self.kinds.get_mut(&key) {
            kind.add(at);
            return;
        }
        if self.kinds.len() >= MOST_KINDS {
            self.forget();
        }
        let usable = line.len() <= MOST_SAMPLE;
        let sample = usable.then(|| String::from_utf8(line.to_vec()).ok());
        let kind = Kind {
            format: key.0,
            what: key.1.clone(),
            sample: sample.flatten().unwrap_or_default(),
            is_trouble,
            count: 1,
            first: at,
            last: at,
            longest_gap: Duration::ZERO,
            window: at.as_secs().div_euclid(WINDOW_S),
            in_window: 1,
            windows: [0; 40],
        };
        self.kinds.insert(key, kind);
    }

    /// Lets go of the rarer half.
    fn forget(&mut self) {
        let mut counts: Vec<u64> = self.kinds.values().map(|kind| kind.count).collect();
        counts.sort_unstable();
        let middle = counts.get(counts.len() / 2).copied().unwrap_or(0);
        let before = self.kinds.len();
        self.kinds.retain(|_, kind| kind.count > middle);
        self.forgotten += (before - self.kinds.len()) as u64;
    }
}

impl Kind {
    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.longest_gap = self.longest_gap.max(at.since(self.last));
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        let window = at.as_secs().div_euclid(WINDOW_S);
        if window > self.window {
            self.end_window();
            (self.window, self.in_window) = (window, 0);
        }
        self.in_window += 1;
    }

    fn end_window(&mut self) {
        let power = usize::try_from(self.in_window.ilog2()).unwrap_or(0);
        if let Some(count) = self.windows.get_mut(power) {
            *count += 1;
        }
    }

    /// More lines than in nearly every window that had any (99 of 100): a power of two.
    pub(super) fn usual_most(&self) -> u64 {
        let mut all = self.clone();
        all.end_window();
        let total: u64 = all.windows.iter().map(|count| u64::from(*count)).sum();
        let mut seen = 0;
        for (power, count) in (0u32..).zip(all.windows) {
            seen += u64::from(count);
            if seen * 100 >= total * 99 {
                return 2u64.saturating_pow(power + 1);
            }
        }
        u64::MAX
    }
}

fn is_trouble(fields: &Fields, line: &[u8]) -> bool {
    for name in ["level", "severity", "lvl"] {
        if let Some(level) = fields.get(name).filter(|level| !level.is_empty()) {
            return LEVELS.iter().any(|word| word.as_bytes() == level);
        }
    }
    IS_TROUBLE
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(line))
}
