//! `journalctl` as a child process: started, read, and ended by whoever holds the reader's handle.

use std::io::{self, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of what a child says of its troubles no more is read.
const MOST_SAID: u64 = 16 * 1024;
/// The same of an answer.
const MOST_ANSWERED: u64 = 1 << 20;

/// Ends a reader.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    child: Mutex<Option<Child>>,
    is_over: AtomicBool,
    /// Told when it is.
    ended: Condvar,
}

impl Handle {
    /// Ends the child process; what it has written is still handed over.
    pub fn stop(&self) {
        {
            // Under the lock, so that nobody begins to pause in between.
            let _child = self.lock();
            self.0.is_over.store(true, Ordering::SeqCst);
        }
        self.0.ended.notify_all();
        self.end();
    }

    /// Waits so long, or until the end.
    pub(super) fn pause(&self, span: Duration) {
        let goes_on = |_: &mut Option<Child>| !self.is_over();
        let waited = self.0.ended.wait_timeout_while(self.lock(), span, goes_on);
        drop(waited);
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::SeqCst)
    }

    /// Starts it; what it says of its troubles goes to `said`.
    pub(super) fn start(
        &self,
        command: &mut Command,
        said: Stdio,
    ) -> io::Result<(ChildStdout, Option<ChildStderr>)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(said).spawn()?;
        let (output, said) = (child.stdout.take(), child.stderr.take());
        *self.lock() = Some(child);
        if self.is_over() {
            self.end();
        }
        let output = output.ok_or_else(|| io::Error::other("it has no output"))?;
        Ok((output, said))
    }

    /// Ends it where it has not ended by itself.
    pub(super) fn end(&self) {
        if let Some(mut child) = self.lock().take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Waits for the end of one that has closed its output, and so has nothing more to do; gives how it
    /// ended, `None` where it was ended here.
    pub(super) fn wait(&self) -> Option<ExitStatus> {
        let child = self.lock().take();
        child?.wait().ok()
    }

    /// Runs a command that ends by itself, soon: what it writes.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or fails: with the last line that it says.
    pub(super) fn answer(&self, command: &mut Command) -> io::Result<Vec<u8>> {
        let (output, said) = self.start(command, Stdio::piped())?;
        let mut answer = Vec::new();
        output.take(MOST_ANSWERED).read_to_end(&mut answer)?;
        let mut words = Vec::new();
        if let Some(said) = said {
            said.take(MOST_SAID).read_to_end(&mut words)?;
        }
        let status = self.wait();
        if status.is_some_and(|status| status.success()) {
            return Ok(answer);
        }
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        let why = last.map_or_else(|| ended(status), str::to_owned);
        Err(io::Error::other(why))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How it ended, in words.
pub(super) fn ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(
        || "it ended".to_owned(),
        |status| format!("it ended: {status}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_quoted_and_one_that_cannot_be_started_is_named() {
        let answer = |script: &str| {
            let mut command = Command::new("sh");
            let answer = Handle::default().answer(command.args(["-c", script]));
            answer.map_err(|error| error.to_string())
        };
        assert_eq!(answer("echo a; echo b >&2").unwrap(), b"a\n");
        assert_eq!(
            answer("echo a; echo b >&2; echo c >&2; exit 1").unwrap_err(),
            "c"
        );
        assert_eq!(answer("exit 3").unwrap_err(), "it ended: exit status: 3");
        let mut missing = Command::new("/there/is/no/journalctl");
        assert!(Handle::default().answer(&mut missing).is_err());
        let over = Handle::default();
        over.stop();
        let mut endless = Command::new("sleep");
        assert!(over.answer(endless.arg("1000000")).is_err());
    }
}
