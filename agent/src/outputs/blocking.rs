//! Work that may block for ever (a full pipe, a dead disk), without blocking anyone else: one
//! piece at a time on a blocking thread, waited for no longer than a time-out.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::retry::Verdict;

/// At most one piece of work under way; the next one waits for it.
#[derive(Default)]
pub(super) struct Serial {
    under_way: Option<(u64, JoinHandle<io::Result<()>>)>,
}

impl Serial {
    /// Does `work` for the notification `key`. When an earlier try of the same one timed out and
    /// has finished meanwhile, its result counts and nothing is done twice.
    pub(super) async fn run(
        &mut self,
        key: u64,
        timeout: Duration,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Verdict {
        if let Some((earlier, handle)) = self.under_way.as_mut() {
            let earlier = *earlier;
            let Ok(done) = tokio::time::timeout(timeout, handle).await else {
                return timed_out(timeout);
            };
            self.under_way = None;
            if earlier == key {
                return verdict(done);
            }
        }
        let (_, handle) = self
            .under_way
            .insert((key, tokio::task::spawn_blocking(work)));
        let Ok(done) = tokio::time::timeout(timeout, handle).await else {
            return timed_out(timeout);
        };
        self.under_way = None;
        verdict(done)
    }
}

fn timed_out(timeout: Duration) -> Verdict {
    Verdict::Retry {
        why: format!("not written within {}", super::render::span(timeout)),
        after: None,
    }
}

fn verdict(done: Result<io::Result<()>, tokio::task::JoinError>) -> Verdict {
    match done {
        Ok(Ok(())) => Verdict::Delivered,
        Ok(Err(error)) => Verdict::Retry {
            why: error.to_string(),
            after: None,
        },
        Err(_) => Verdict::Retry {
            why: "the writing thread died".to_owned(),
            after: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_blocked_write_is_given_up_on_but_never_done_twice() {
        let (open, gate) = mpsc::channel::<()>();
        let mut serial = Serial::default();
        let short = Duration::from_millis(20);
        let blocked = serial
            .run(1, short, move || gate.recv().map_err(io::Error::other))
            .await;
        assert!(matches!(blocked, Verdict::Retry { .. }));
        let again = serial.run(1, short, || panic!("done twice")).await;
        assert!(matches!(again, Verdict::Retry { .. }));
        open.send(()).unwrap();
        let done = serial
            .run(1, Duration::from_secs(10), || panic!("done twice"))
            .await;
        assert_eq!(done, Verdict::Delivered);
        let next = serial.run(2, Duration::from_secs(10), || Ok(())).await;
        assert_eq!(next, Verdict::Delivered);
    }
}
