//! How people are told: a worker for each output takes what waits for it in the store, oldest
//! first, and delivers it.
//!
//! Takes notifications from the store's [`Reader`], gives [`Settlement`](crate::store::Settlement)s
//! to the store's thread. Each output has its own task and its own place in the queue: a dead one
//! delays nobody. Only this room knows HTTP and chat formats.
//!
//! | file | owns |
//! | --- | --- |
//! | `kind` | what types there are and what each must know |
//! | `route` | which outputs a notification goes to (pure) |
//! | `worker`, `aside` | taking, trying, settling; one task an output; what fails alone |
//! | `feed` | matched lines and counts, on their way to collectors |
//! | `heartbeat` | tells someone else that the agent lives |
//! | `sender` | one try at one output |
//! | `example`, `show` | made-up notifications; what an output would be sent (pure) |
//! | `retry`, `limit` | what an answer means, how long to wait, how many a minute (pure) |
//! | `pace` | that, over restarts |
//! | `http`, `proxy`, `tls`, `blocking` | the one client; the proxy that it goes by; TLS for what speaks no HTTP; work that may block |
//! | `safe` | making log text harmless (pure) |
//! | `message`, `text`, `render`, `picture` | what a message holds, as text, its words, its drawing (pure) |
//! | `calls` | what each service is asked over HTTP, and what it answers (pure) |
//! | `console`, `file`, `webhook`, `papertrail`, `slack`, `discord`, `teams`, `rooms`, `paging`, `collect` | what each is sent (pure but for the first two) |
//! | `slack_bot`, `irc`, `email`, `wire`, `exec` | those that need more than one request |

mod aside;
mod blocking;
mod calls;
mod collect;
pub mod console;
mod discord;
mod email;
pub mod example;
mod exec;
pub mod feed;
mod file;
mod follow;
pub mod heartbeat;
mod http;
mod irc;
pub mod kind;
mod limit;
pub mod message;
mod outgoing;
mod pace;
mod paging;
mod papertrail;
mod picture;
mod proxy;
mod quiet;
pub mod render;
pub mod retry;
mod rooms;
mod route;
pub mod safe;
mod sender;
mod show;
mod slack;
mod slack_bot;
mod stats;
mod teams;
mod text;
mod tls;
mod webhook;
mod wire;
mod worker;

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapwing_rules::model::{Notification, Severity};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock;
use crate::store::{QueueSize, Reader, Recorded, Report, Store, StoreError, StoreMessage};

pub use console::Palette;
pub use feed::Feed;
pub use heartbeat::Heartbeat;
pub use kind::{Fallback, Kind, RateLimit, Send, Transport, WebhookFormat};
pub use picture::png as picture_of;
pub use proxy::{Proxy, proxy_of};
pub use route::route;
pub use show::show;
pub use stats::Counts;
pub use tls::shake_hands;
pub use wire::host_and_port;

/// One output, as configured and checked.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Unique among the outputs.
    pub name: String,
    /// Where it delivers to.
    pub kind: Kind,
    /// Milder alerts are not sent here.
    pub min_severity: Option<Severity>,
    /// Whether ends are sent; `None`: yes, but for rules of type any.
    pub send_resolved: Option<bool>,
    /// For one try, from the first packet to the end of the answer.
    pub timeout: Duration,
    /// What is older is not sent any more.
    pub max_age: Duration,
    /// Bytes of JSON that may wait.
    pub queue_max_bytes: u64,
    /// What goes there.
    pub send: Send,
    /// Where the operator wants another than the service's own.
    pub rate_limit: Option<RateLimit>,
    /// Who is told when this one cannot be.
    pub fallback: Option<Fallback>,
}

impl Spec {
    /// An output with the defaults of the contract: 10 s, 24 h, 64 MiB.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            send: kind.sends().first().copied().unwrap_or_default(),
            rate_limit: None,
            fallback: None,
            kind,
            min_severity: None,
            send_resolved: None,
            timeout: Duration::from_secs(10),
            max_age: Duration::from_hours(24),
            queue_max_bytes: Store::DEFAULT_QUEUE_BYTES,
        }
    }
}

/// One output as a status page shows it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// What waits; `None` when the store cannot say.
    pub queue: Option<QueueSize>,
    /// What it did.
    pub counts: Counts,
}

/// All running workers.
#[derive(Debug)]
pub struct Outputs {
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    handle: Handle,
}

/// Wakes workers and looks at them, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    outputs: Arc<BTreeMap<String, Output>>,
    feed: Arc<Feed>,
    reader: Reader,
}

#[derive(Debug)]
struct Output {
    kind: &'static str,
    wake: Notify,
    stats: Arc<stats::Stats>,
    quiet: Mutex<quiet::Quiet>,
}

/// Starts a worker for each output; each begins with what waits for it from before. Must be
/// called inside a tokio runtime with time and I/O, current-thread or not; blocking work goes to
/// its blocking pool. `store`: the inbox of [`store::run`](crate::store::run).
pub fn start(
    specs: Vec<Spec>,
    reader: &Reader,
    store: &Sender<StoreMessage>,
    palette: Palette,
) -> Outputs {
    let (stop, stopping) = watch::channel(false);
    let http = Arc::new(http::Http::default());
    let outputs: BTreeMap<String, Output> = specs
        .iter()
        .map(|spec| {
            let kind = spec.kind.name();
            (
                spec.name.clone(),
                Output {
                    kind,
                    wake: Notify::new(),
                    stats: Arc::default(),
                    quiet: Mutex::default(),
                },
            )
        })
        .collect();
    let stats = |name: &str| {
        let output = outputs.get(name);
        output.map_or_else(Arc::default, |output| Arc::clone(&output.stats))
    };
    let feed = Arc::new(Feed::of(&specs, stats));
    let handle = Handle {
        outputs: Arc::new(outputs),
        feed: Arc::clone(&feed),
        reader: reader.clone(),
    };
    let spawn = |spec: Spec| {
        let room = worker::Room {
            handle: handle.clone(),
            reader: reader.clone(),
            store: store.clone(),
            stop: stopping.clone(),
            http: Arc::clone(&http),
            palette,
        };
        match feed.tap(&spec.name) {
            Some(tap) => tokio::spawn(feed::run(spec, tap, room)),
            None => tokio::spawn(worker::run(spec, room)),
        }
    };
    let tasks = specs.into_iter().map(spawn).collect();
    Outputs {
        tasks,
        stop,
        handle,
    }
}

/// Tries one output once, beside any queue. Must be called inside a tokio runtime.
pub async fn try_once(spec: &Spec, notification: Notification, palette: Palette) -> retry::Verdict {
    let http = Arc::new(http::Http::default());
    let mut sender = sender::Sender::new(spec.kind.clone(), spec.timeout, palette, http);
    let outgoing = outgoing::Outgoing::one(Arc::new(notification), message::Way::default());
    sender.send(0, &outgoing).await.verdict
}

impl Outputs {
    /// For the store's thread and for status commands.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where the engine's thread shows every hit.
    pub fn feed(&self) -> Arc<Feed> {
        Arc::clone(&self.handle.feed)
    }

    /// Stops. For at most `grace` the workers go on with what waits, each until its first
    /// failure; what is not delivered then stays in the store. The store's thread must still run.
    pub async fn shutdown(self, grace: Duration) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + grace;
        for mut task in self.tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                // Gone, with all that it held, before anything else is closed.
                task.await.unwrap_or_default();
            }
        }
    }
}

impl Handle {
    /// Tells the workers what the store's thread made durable; meant for the closure of
    /// [`store::run`](crate::store::run).
    pub fn committed(&self, report: &Report) {
        for (name, dropped) in &report.dropped {
            let Some(output) = self.outputs.get(name) else {
                continue;
            };
            let total = {
                let mut counts = output.stats.lock();
                counts.dropped += dropped;
                counts.dropped
            };
            let mut quiet = output.quiet.lock().unwrap_or_else(PoisonError::into_inner);
            if quiet.may_speak(quiet::Cause::Dropped, clock::monotonic()) {
                tracing::error!(output = %name, total, "its queue is full: the oldest notifications are lost");
            }
        }
        self.wake(&report.queued);
    }

    /// There is something new for these outputs. A name that no output has is passed over.
    pub fn wake(&self, names: &[String]) {
        for output in names.iter().filter_map(|name| self.outputs.get(name)) {
            output.wake.notify_one();
        }
    }

    /// What was told, for those who look.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// There may be something new for any output.
    pub fn wake_all(&self) {
        for output in self.outputs.values() {
            output.wake.notify_one();
        }
    }

    /// The latest notifications, newest first; reads the disk.
    ///
    /// # Errors
    ///
    /// As for [`Reader::history`].
    pub fn latest(&self, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.reader.history(None, limit)
    }

    /// How every output stands, by name.
    pub fn snapshot(&self) -> Vec<Snapshot> {
        let now = clock::now();
        let counts = |output: &Output| {
            let counts = output.stats.lock().clone();
            Counts {
                // There may be nothing to try any more.
                next_try_at: counts.next_try_at.filter(|at| *at > now),
                ..counts
            }
        };
        let one = |(name, output): (&String, &Output)| Snapshot {
            name: name.clone(),
            kind: output.kind,
            queue: match self.feed.tap(name) {
                Some(tap) => Some(tap.size()),
                None => self.reader.queue(name).ok(),
            },
            counts: counts(output),
        };
        self.outputs.iter().map(one).collect()
    }
}
