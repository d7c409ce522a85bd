//! When the canary's lines are written, and who hears that they came through.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::canary::{Canary, EVERY};
use crate::inputs::Settled;

/// The start has enough to do.
const BEGIN: Duration = Duration::from_secs(1);

/// Sings until the task is aborted.
pub(super) fn start(canary: Arc<Canary>, mut back: UnboundedReceiver<Settled>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut next = tokio::time::Instant::now() + BEGIN;
        loop {
            tokio::select! {
                settled = back.recv() => match settled {
                    Some(Settled::Durable(number)) => canary.arrived(number),
                    Some(Settled::Lost) => {}
                    // The engine's thread has ended.
                    None => return,
                },
                () = tokio::time::sleep_until(next) => {
                    let writer = Arc::clone(&canary);
                    let written = tokio::task::spawn_blocking(move || writer.write()).await;
                    if let Ok(Err(error)) = written {
                        tracing::debug!(%error, "the canary's line cannot be written");
                    }
                    next = tokio::time::Instant::now() + EVERY;
                }
            }
        }
    })
}
