//! The store thread's body: takes everything that waits in its inbox and makes it durable in one
//! transaction, so that the price of a sync is paid once for many. Started elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::{Commit, Report, Settlement, Store, StoreError};
use crate::clock;

/// Called once, on the store thread, when the transaction is durable or has failed. Must not
/// block. Never called: the store is gone.
pub type Reply = Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>;

/// What the store thread is told.
pub enum StoreMessage {
    /// From the pump.
    Commit(Arc<Commit>, Reply),
    /// From the outputs.
    Settle(Vec<Settlement>, Reply),
    /// These outputs exist now, with the bytes that may wait for each. What has waited for
    /// another one for a day is given up.
    Outputs(BTreeMap<String, u64>),
    /// Do what came before, then end.
    Stop,
}

impl fmt::Debug for StoreMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit, _) => f.debug_tuple("Commit").field(commit).finish(),
            Self::Settle(settlements, _) => f.debug_tuple("Settle").field(settlements).finish(),
            Self::Outputs(limits) => f.debug_tuple("Outputs").field(limits).finish(),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

/// How many messages one transaction takes at most.
const AT_ONCE: usize = 256;

/// What waits for an output that is not configured any more is kept for so long: the name may
/// have gone by mistake.
const ORPHANS_STAY: Duration = Duration::from_hours(24);

/// Serves `inbox` until [`StoreMessage::Stop`] or until nobody can write to it any more. `after`
/// is told what became durable before the replies are called: it wakes the outputs.
///
/// # Errors
///
/// [`StoreError::Damaged`]: the file turned out to be damaged while in use. The agent must end;
/// its next start sets the file aside.
pub fn run(
    mut store: Store,
    inbox: &Receiver<StoreMessage>,
    mut after: impl FnMut(&Report),
) -> Result<(), StoreError> {
    let mut complaint = Complaint::default();
    while let Ok(first) = inbox.recv() {
        let mut batch = Batch::default();
        batch.take(first);
        while !batch.stop && batch.replies.len() < AT_ONCE {
            let Ok(message) = inbox.try_recv() else { break };
            batch.take(message);
        }
        if let Some(limits) = batch.outputs.take() {
            retire(&mut store, limits, &mut complaint);
        }
        if !batch.replies.is_empty() {
            let commits: Vec<&Commit> = batch.commits.iter().map(|commit| &**commit).collect();
            let result = store.apply(&commits, &batch.settlements, clock::now());
            if let Ok(report) = &result {
                after(report);
            }
            let answer = result.map(drop).map_err(Arc::new);
            for reply in batch.replies {
                reply(answer.clone());
            }
            if let Err(error) = answer {
                complaint.say(&error);
                if let StoreError::Damaged(why) = &*error {
                    return Err(StoreError::Damaged(why.clone()));
                }
            }
        }
        if batch.stop {
            break;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Batch {
    commits: Vec<Arc<Commit>>,
    settlements: Vec<Settlement>,
    replies: Vec<Reply>,
    outputs: Option<BTreeMap<String, u64>>,
    stop: bool,
}

impl Batch {
    fn take(&mut self, message: StoreMessage) {
        match message {
            StoreMessage::Commit(commit, reply) => {
                self.commits.push(commit);
                self.replies.push(reply);
            }
            StoreMessage::Settle(settlements, reply) => {
                self.settlements.extend(settlements);
                self.replies.push(reply);
            }
            StoreMessage::Outputs(limits) => self.outputs = Some(limits),
            StoreMessage::Stop => self.stop = true,
        }
    }
}

fn retire(store: &mut Store, limits: BTreeMap<String, u64>, complaint: &mut Complaint) {
    let known: Vec<String> = limits.keys().cloned().collect();
    store.set_queue_limits(limits);
    let now = clock::now();
    if let Err(error) = store.retire(&known, now.minus(ORPHANS_STAY), now) {
        complaint.say(&error);
    }
}

/// At most one line a second, however often it fails.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    fn say(&mut self, error: &StoreError) {
        let now = clock::monotonic();
        if self
            .last
            .is_none_or(|last| now.duration_since(last) >= Duration::from_secs(1))
        {
            self.last = Some(now);
            tracing::error!(%error, "nothing could be saved: it is tried again");
        }
    }
}
