//! One output's task behind its tap: takes what waits there, in parcels, and hands it over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use tokio::time::sleep;

use super::{BATCH_LINES, Batch, Tap};
use crate::clock;
use crate::outputs::blocking::Serial;
use crate::outputs::calls::{self, Items};
use crate::outputs::collect::{self, Entry};
use crate::outputs::kind::Kind;
use crate::outputs::pace::Pace;
use crate::outputs::quiet::{Cause, Quiet};
use crate::outputs::retry::{self, Verdict};
use crate::outputs::sender::{Sender, Tried};
use crate::outputs::worker::{Room, luck};
use crate::outputs::{Send, Spec, file, safe, wire};

/// Lines go out when they have waited so long, or when a batch is full.
const LINES_EVERY: Duration = Duration::from_secs(1);
/// Counts go out after so long.
const COUNTS_EVERY: Duration = Duration::from_secs(10);

/// Runs until the stop signal, and then until nothing waits or a try fails.
pub(in crate::outputs) async fn run(spec: Spec, tap: Arc<Tap>, room: Room) {
    let http = Arc::clone(&room.http);
    let mut task = Task {
        sender: Sender::new(spec.kind.clone(), spec.timeout, room.palette, http),
        pace: Pace::resume(&spec, &room).await,
        spec,
        tap,
        room,
        quiet: Quiet::default(),
        serial: Serial::default(),
        given: 0,
    };
    loop {
        task.wait().await;
        // What comes until the signal is seen goes out, too.
        let is_last = task.room.is_stopping();
        if !task.flush().await || is_last {
            return;
        }
    }
}

/// What goes out at once, and is still to be taken.
struct Parcel {
    /// The same for every try: a collector that has it already can tell.
    at: Timestamp,
    counts: BTreeMap<String, u64>,
    entries: Vec<Entry>,
}

impl Parcel {
    fn of(batch: Batch, at: Timestamp) -> Self {
        let entries = batch.entries(at);
        let counts = match batch {
            Batch::Counts { counts, .. } => counts,
            Batch::Lines(_) => BTreeMap::new(),
        };
        Self {
            at,
            counts,
            entries,
        }
    }

    fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Only these stay, by their places.
    fn keep(&mut self, places: &[usize]) {
        let all = std::mem::take(&mut self.entries);
        let kept = all.into_iter().enumerate();
        let kept = kept.filter(|(place, _)| places.binary_search(place).is_ok());
        self.entries = kept.map(|(_, entry)| entry).collect();
    }
}

struct Task {
    spec: Spec,
    tap: Arc<Tap>,
    room: Room,
    sender: Sender,
    pace: Pace,
    quiet: Quiet,
    serial: Serial,
    given: u64,
}

/// Also when it is ended in the midst of its work: what it could not hand over is counted, and said.
impl Drop for Task {
    fn drop(&mut self) {
        let lost = self.tap.size().rows;
        if lost > 0 {
            self.room
                .count(&self.spec.name, |counts| counts.expired += lost);
            let output = &self.spec.name;
            let what = self.what();
            tracing::warn!(%output, lost, "the {what} that wait are lost: the agent stops");
        }
    }
}

impl Task {
    fn what(&self) -> &'static str {
        match self.tap.send {
            Send::Counts => "counts",
            Send::Lines | Send::Notifications => "lines",
        }
    }

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
            let batch = self.tap.batch(clock::monotonic());
            let was_full = matches!(&batch, Batch::Lines(lines) if lines.len() >= BATCH_LINES);
            let parcel = Parcel::of(batch, clock::now());
            if parcel.entries.is_empty() {
                return true;
            }
            if !self.deliver(parcel).await {
                return false;
            }
            self.tap.under_way(0);
            if !was_full {
                return true;
            }
        }
    }

    /// Tries until all of it is taken, rejected or too old; `false`: stopped before.
    async fn deliver(&mut self, mut parcel: Parcel) -> bool {
        let began = clock::monotonic();
        let mut failures = 0;
        self.given += 1;
        loop {
            self.room.pace(self.pace.wait()).await;
            self.pace.begin(1, &self.room).await;
            let tried = self.attempt(&parcel).await;
            self.pace.answered(1);
            self.note(&mut parcel, &tried);
            if parcel.entries.is_empty() {
                return true;
            }
            failures += 1;
            if self.room.is_stopping() {
                return false;
            }
            if began.elapsed() >= self.spec.max_age {
                let len = parcel.len();
                self.room
                    .count(&self.spec.name, |counts| counts.expired += len);
                return true;
            }
            let asked = match &tried.verdict {
                Verdict::Retry { after, .. } => *after,
                _ => None,
            };
            if let Some(span) = tried.closed_for.max(asked) {
                self.pace.close(span, &self.room).await;
            }
            let wait = retry::wait(&tried.verdict, failures, luck());
            let until = clock::now().plus(wait);
            self.room
                .count(&self.spec.name, |counts| counts.next_try_at = Some(until));
            self.room.rest(wait).await;
        }
    }

    /// Counts what became of each, says what is wrong, and keeps what is to be tried again.
    fn note(&mut self, parcel: &mut Parcel, tried: &Tried) {
        let len = parcel.len();
        let items = match (&tried.items, &tried.verdict) {
            (Some(items), _) => items.clone(),
            (None, Verdict::Delivered) => Items::default(),
            (None, Verdict::Rejected { .. }) => Items {
                rejected: len,
                again: Vec::new(),
            },
            (None, Verdict::Refused { .. } | Verdict::Retry { .. }) => Items {
                rejected: 0,
                again: (0..parcel.entries.len()).collect(),
            },
        };
        parcel.keep(&items.again);
        self.tap.under_way(parcel.len());
        let taken = len.saturating_sub(items.rejected + parcel.len());
        let why = tried.verdict.why();
        self.room.count(&self.spec.name, |counts| {
            counts.delivered += taken;
            counts.rejected += items.rejected;
            counts.failed += u64::from(!items.again.is_empty());
            if taken > 0 {
                counts.delivered_at = Some(clock::now());
            }
            if why.is_some() {
                counts.failed_at = Some(clock::now());
            }
            counts.last_error = why.map(str::to_owned);
            counts.next_try_at = None;
        });
        let Some(why) = why else { return };
        let (cause, entries) = match &tried.verdict {
            Verdict::Refused { .. } => (Cause::Refused, parcel.len()),
            Verdict::Retry { .. } => (Cause::Retry, parcel.len()),
            Verdict::Rejected { .. } | Verdict::Delivered => (Cause::Rejected, items.rejected),
        };
        if self.quiet.may_speak(cause, clock::monotonic()) {
            let why = safe::short(why, 400);
            tracing::warn!(output = %self.spec.name, entries, "not taken: {why}");
        }
    }

    async fn attempt(&mut self, parcel: &Parcel) -> Tried {
        let timeout = self.spec.timeout;
        let (at, entries) = (parcel.at, &parcel.entries);
        match &self.spec.kind {
            Kind::Statsd(meter) => wire::statsd(meter, &parcel.counts, timeout).await,
            Kind::Graphite(meter) => wire::graphite(meter, &parcel.counts, at, timeout).await,
            Kind::Collector { collector, url } => {
                let call = calls::collected(collector, url, entries, at);
                return self.sender.ask(call).await;
            }
            Kind::Syslog(server) => wire::syslog(server, entries, timeout).await,
            Kind::File { path } => {
                let path = path.clone();
                let lines: Vec<Vec<u8>> = entries.iter().map(collect::json_line).collect();
                let work = move || file::append(&path, &lines.join(&b'\n'));
                self.serial.run(self.given, timeout, work).await
            }
            _ => Verdict::Rejected {
                why: "it takes neither lines nor counts".to_owned(),
            },
        }
        .into()
    }
}
