//! One output's pace, kept over restarts: each try is on disk before it is made, so that no restart, nor a
//! loop of them, makes a service see more than was agreed, or sooner than it asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::limit::{Limiter, Past};
use super::worker::Room;
use super::{Spec, kind::RateLimit};
use crate::clock;
use crate::store::{Commit, Done, StoreMessage};

/// A disk that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the file's head.
pub(super) struct Pace {
    limiter: Limiter,
    limit: Option<RateLimit>,
    /// Its name in the store.
    note: String,
}

impl Pace {
    /// Knows what the agent before did.
    pub(super) async fn resume(spec: &Spec, room: &Room) -> Self {
        let limit = spec.rate_limit.or_else(|| spec.kind.rate_limit());
        let note = format!("pace {}", spec.name);
        let (reader, name) = (room.reader.clone(), note.clone());
        let read = tokio::task::spawn_blocking(move || reader.note(&name)).await;
        // What cannot be read is as good as none: people are told rather a little too often.
        let past = read.ok().and_then(|note| note.ok().flatten());
        let past: Option<Past> = past.and_then(|json| serde_json::from_slice(&json).ok());
        let mut limiter = Limiter::new(limit);
        if let Some(past) = past {
            limiter.resume(&past, room.reader.steady_now(), clock::monotonic());
        }
        Self {
            limiter,
            limit,
            note,
        }
    }

    /// Whether the service has asked to be left alone until later.
    pub(super) fn is_closed(&self) -> bool {
        self.limiter.is_closed(clock::monotonic())
    }

    /// How long to wait before the next try.
    pub(super) fn wait(&self) -> Duration {
        self.limiter.wait(clock::monotonic())
    }

    /// One goes out next, as so many messages: known to the next agent before it does.
    pub(super) async fn begin(&mut self, messages: u32, room: &Room) {
        let now = clock::monotonic();
        for _ in 0..messages {
            self.limiter.sent(now);
        }
        if self.limit.is_some() && messages > 0 {
            self.keep(room).await;
            // The disk took its time: it goes out only now.
            self.limiter.went_out(messages, clock::monotonic());
        }
    }

    /// The last so many messages have been answered: they arrived no later than now. A service counts
    /// arrivals, so that is when their time begins.
    pub(super) fn answered(&mut self, messages: u32) {
        self.limiter.went_out(messages, clock::monotonic());
    }

    /// The service lets nothing in for `span`.
    pub(super) async fn close(&mut self, span: Duration, room: &Room) {
        self.limiter.close(clock::monotonic(), span);
        self.keep(room).await;
    }

    /// A disk that takes nothing keeps no message from people.
    async fn keep(&self, room: &Room) {
        let past = self
            .limiter
            .past(room.reader.steady_now(), clock::monotonic());
        let Ok(json) = serde_json::to_vec(&past) else {
            return;
        };
        let commit = Commit {
            notes: BTreeMap::from([(self.note.clone(), json)]),
            ..Commit::default()
        };
        let (tell, told) = oneshot::channel();
        // Nobody listens any more when the worker was stopped meanwhile.
        let reply = Box::new(move |result: Result<Done, _>| {
            drop(result);
            tell.send(()).unwrap_or_default();
        });
        let message = StoreMessage::Commit(Arc::new(commit), reply);
        if room.store.send(message).is_ok() {
            let told = tokio::time::timeout(PATIENCE, told).await;
            // A disk that hangs keeps no message from people, either.
            told.unwrap_or(Ok(())).unwrap_or_default();
        }
    }
}
