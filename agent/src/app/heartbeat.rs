//! What the heartbeat says: the engine turns and the state is saved, or which of the two does not.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::outputs::{Heartbeat, heartbeat};
use crate::pump::{self, Question};
use crate::store::Health;

/// An engine that does not answer in this time has stopped.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to get a question into a full inbox.
const PAUSE: Duration = Duration::from_millis(50);

/// Beats until the task is aborted.
pub(super) fn start(
    heartbeat: Heartbeat,
    inbox: SyncSender<pump::Input>,
    health: Arc<Health>,
) -> JoinHandle<()> {
    tokio::spawn(heartbeat::beat(heartbeat, move || {
        look(inbox.clone(), Arc::clone(&health))
    }))
}

async fn look(inbox: SyncSender<pump::Input>, health: Arc<Health>) -> Result<(), String> {
    if let Some(failing) = health.view().failing {
        return Err(format!(
            "the state cannot be saved since {}: {}",
            failing.since, failing.error
        ));
    }
    let (turns, answer) = oneshot::channel();
    let mut question = pump::Input::Ask(Question::new(move |_| {
        // Whoever asked may have given up.
        turns.send(()).ok();
    }));
    let asked = async {
        loop {
            match inbox.try_send(question) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => question = back,
            }
            tokio::time::sleep(PAUSE).await;
        }
        answer.await.is_ok()
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err("the engine does not turn".to_owned()),
    }
}
