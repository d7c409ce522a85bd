//! `type: exec`: a program that reads the notification, as section 6 of the contract has it, from
//! its standard input. No shell; an environment with nothing of ours in it; time and output bounded.

use std::io;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::retry::Verdict;
use super::safe;

/// So much of what the program says is read and kept; the rest is read and dropped.
const KEPT: usize = 4096;
/// After a program has ended, its pipes are read for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Exit codes of sysexits.h that say "not now": a program may ask to be run again.
const TEMPORARY: i32 = 75;

/// Runs `command` with `input`. Exit code 0: it has it. 75 (`EX_TEMPFAIL`), death by a signal or by
/// the time-out: again later. Any other code: it does not want it.
pub(super) async fn run(command: &[String], input: &[u8], key: &str, timeout: Duration) -> Verdict {
    let mut child = match spawn(command, key) {
        Ok(child) => child,
        Err(verdict) => return verdict,
    };
    let mut group = Group(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (said, complained) = (Kept::default(), Kept::default());
    let work = async {
        let write = async {
            if let Some(mut pipe) = stdin {
                // A program that does not read its input may be done all the same.
                pipe.write_all(input).await.ok();
            }
        };
        let talk = async {
            tokio::join!(write, drain(stdout, &said), drain(stderr, &complained));
        };
        // What it started in the background may keep its pipes open for ever.
        let ended = async {
            let status = child.wait().await;
            sleep(LAST_WORDS).await;
            status
        };
        tokio::select! {
            status = ended => status,
            () = talk => child.wait().await,
        }
    };
    let done = tokio::time::timeout(timeout, work).await;
    if done.is_err() {
        let why = format!("it did not end within {}", super::render::span(timeout));
        return Verdict::Retry { why, after: None };
    }
    let Ok(Ok(status)) = done else {
        let why = "it cannot be waited for".to_owned();
        return Verdict::Retry { why, after: None };
    };
    // It has ended by itself: what it leaves running is its own affair.
    group.0 = None;
    let words = Some(complained.text()).filter(|text| !text.is_empty());
    let words = words.unwrap_or_else(|| said.text());
    let words = safe::short(words.trim(), 200).into_owned();
    match status.code() {
        Some(0) => Verdict::Delivered,
        Some(TEMPORARY) => Verdict::Retry {
            why: format!("it asks to be run again: {words}"),
            after: None,
        },
        Some(code) => Verdict::Rejected {
            why: format!("exit code {code}: {words}"),
        },
        None => Verdict::Retry {
            why: format!("it was killed: {words}"),
            after: None,
        },
    }
}

fn spawn(command: &[String], key: &str) -> Result<Child, Verdict> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Verdict::Refused {
            why: "there is no program to run".to_owned(),
        });
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("LAPWING_KEY", key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its own group, so that what it started ends with it.
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().map_err(|error| {
        let why = format!("cannot run {}: {error}", safe::short(program, 100));
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Verdict::Refused { why },
            _ => Verdict::Retry { why, after: None },
        }
    })
}

/// Everything that a program started; ends with this, also when the agent stops meanwhile.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|group| i32::try_from(group).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may be gone already.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
    }
}

/// The beginning of what a program says.
#[derive(Default)]
struct Kept(Mutex<Vec<u8>>);

impl Kept {
    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &Kept) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let mut kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT - kept.len();
        kept.extend(piece.iter().take(read.min(room)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, timeout: Duration) -> Verdict {
        let command: Vec<String> = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        run(&command, br#"{"id":"x"}"#, "x/1", timeout).await
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_program_reads_the_notification_and_its_code_decides() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        let script = format!("cat > {}; echo $LAPWING_KEY >> {0}", file.display());
        assert_eq!(shell(&script, LONG).await, Verdict::Delivered);
        assert_eq!(
            std::fs::read_to_string(file).unwrap(),
            "{\"id\":\"x\"}x/1\n"
        );
        let why = "exit code 3: no".to_owned();
        assert_eq!(
            shell("echo no >&2; exit 3", LONG).await,
            Verdict::Rejected { why }
        );
        assert!(matches!(
            shell("exit 75", LONG).await,
            Verdict::Retry { .. }
        ));
        assert!(matches!(
            shell("kill -9 $$", LONG).await,
            Verdict::Retry { .. }
        ));
    }

    #[tokio::test]
    async fn nothing_of_the_agents_environment_reaches_it() {
        let script = "test -z \"$HOME$CARGO_MANIFEST_DIR$CREDENTIALS_DIRECTORY\"";
        assert_eq!(shell(script, LONG).await, Verdict::Delivered);
    }

    #[tokio::test]
    async fn one_that_never_ends_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let verdict = shell(&script, Duration::from_secs(1)).await;
        assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        let deadline = crate::clock::monotonic() + LONG;
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z"))
        };
        while !is_gone() {
            assert!(crate::clock::monotonic() < deadline, "it runs on");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn one_that_leaves_something_running_has_it_all_the_same() {
        let verdict = shell("sleep 20 & echo no >&2; exit 3", LONG).await;
        let why = "exit code 3: no".to_owned();
        assert_eq!(verdict, Verdict::Rejected { why });
        let verdict = shell("sleep 20 & exit 0", Duration::from_secs(10)).await;
        assert_eq!(verdict, Verdict::Delivered);
    }

    #[tokio::test]
    async fn endless_words_are_read_and_dropped() {
        let verdict = shell("yes | head -c 1000000; exit 1", LONG).await;
        let Verdict::Rejected { why } = verdict else {
            panic!("{verdict:?}")
        };
        assert!(why.len() < 400, "{why}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_kept_and_loud() {
        let verdict = run(&["/no/such".to_owned()], b"", "k", LONG).await;
        assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
    }
}
