//! SIGKILL.
//!
//! At random: the log rotates all the time, the agent is killed at a random moment after each start, which
//! may be before it is ready. At each system call: strace kills the agent at the n-th call of the thread
//! that commits, then of a start, for every n until there are no more. Heeds `rate`, `kills`, `step`,
//! `seed`.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;

use super::{Progress, conclude, only_writer, written_by};
use crate::agent::SOON;
use crate::clock;
use crate::process;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate;
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::{Pace, Writer};

/// Rotated files that stay: what is deleted while the agent is dead nobody can read, and at some three
/// kills a second it is dead or starting for much of the time.
const KEEP: u32 = 100;
/// How many seconds' lines it may be behind and be killed; rotated files stay for four times as long.
const FAR_BEHIND_S: u64 = 10;
/// The longest life of an agent that is not far behind.
const LIFE: Duration = Duration::from_millis(900);

pub(super) fn at_random(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let mut random = Random::new(settings.seed);
    let log = rig.path("logs/app.log");
    let mut writer = only_writer(&rig, settings, &log)?;
    rig.start()?;
    let mut progress = Progress::new(settings);
    let mut pace = Pace::new(settings.rate);
    let (mut kills, mut rotations) = (0, 0_u32);
    let mut lingering = false;
    let mut started = clock::monotonic();
    let mut life = random.span_below(LIFE);
    let mut rotated = clock::monotonic();
    let mut until_rotation = Duration::from_millis(200);
    while kills < settings.kills {
        writer.write(pace.due())?;
        if std::mem::take(&mut lingering) {
            writer.reopen()?;
        }
        if rotated.elapsed() >= until_rotation {
            rotate::rename_and_create(&log, KEEP)?;
            (lingering, rotations) = (true, rotations + 1);
            rotated = clock::monotonic();
            until_rotation = Duration::from_millis(100 + random.below(600));
        }
        if started.elapsed() >= life {
            // One that is killed faster than it can start and read gets nowhere, and files that rotate
            // away unread are nobody's fault: it lives on until it is not far behind.
            let behind = writer.written().saturating_sub(rig.book().seen());
            if behind > settings.rate * FAR_BEHIND_S {
                life += Duration::from_millis(200);
                continue;
            }
            rig.kill9()?;
            kills += 1;
            rig.start_unready()?;
            started = clock::monotonic();
            life = random.span_below(LIFE);
        }
        progress.say(&mut rig, || {
            format!(
                "{kills} kills, {rotations} rotations, {} lines",
                writer.written()
            )
        });
    }
    let written = written_by([&writer]);
    let expected = Expected {
        kills,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("kills", kills);
    verdict.fact("rotations", rotations);
    Ok(verdict)
}

/// Lines of which each attempt makes a commit: a mark, a ten, more than one block.
const LINES: u64 = 1_000;
/// More calls than a commit or a start has: a bound, not an aim.
const MOST_CALLS: u32 = 1_000;
/// What a start does to files.
const CALLS: &str = "openat,flock,fcntl,pwrite64,write,fsync,fdatasync,ftruncate,\
                     fallocate,rename,renameat2,unlink,unlinkat,mkdir,statx,newfstatat";

pub(super) fn at_each_call(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let log = rig.path("logs/app.log");
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut progress = Progress::new(settings);
    let mut in_commits = 0;
    loop {
        rig.start()?;
        if !killed_in_commit(&mut rig, &mut writer, in_commits * settings.step + 1)? {
            break;
        }
        rig.bury();
        in_commits += 1;
        ensure!(in_commits < MOST_CALLS, "a commit has no end");
        progress.say(&mut rig, || format!("{in_commits} kills in commits"));
    }
    end_traced(&mut rig)?;
    in_commits += 1;
    let mut in_starts = 0;
    loop {
        writer.write(LINES)?;
        if !killed_in_start(&mut rig, in_starts * settings.step + 1)? {
            break;
        }
        rig.bury();
        in_starts += 1;
        ensure!(in_starts < MOST_CALLS, "a start has no end");
        progress.say(&mut rig, || format!("{in_starts} kills in starts"));
    }
    end_traced(&mut rig)?;
    in_starts += 1;
    rig.start()?;
    let written = written_by([&writer]);
    let kills = in_commits + in_starts;
    let expected = Expected {
        kills,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("kills_in_commits", in_commits);
    verdict.fact("kills_in_starts", in_starts);
    Ok(verdict)
}

/// Ends an agent that outlived its strace, which may be about to strike still: no clean end can be asked for.
fn end_traced(rig: &mut Rig) -> anyhow::Result<()> {
    let kill = rig.agent()?.signal(Signal::KILL);
    // Gone already.
    kill.unwrap_or_default();
    rig.bury();
    Ok(())
}

/// Whether the agent died at the `call`-th system call that the thread `store` made once lines had come;
/// it has not when everything was told without that many.
fn killed_in_commit(rig: &mut Rig, writer: &mut Writer, call: u32) -> anyhow::Result<bool> {
    let pid = rig.agent()?.pid();
    let thread = process::thread(pid, "store").context("the agent has no thread `store`")?;
    let mut command = Command::new("strace");
    command.args([
        "-p",
        &thread.to_string(),
        "-e",
        "trace=all",
        "-o",
        "/dev/null",
    ]);
    command.args(["-e", &format!("inject=all:signal=SIGKILL:when={call}")]);
    let _strace = Tracer(command.stderr(Stdio::null()).spawn().context("strace")?);
    // The very first call may come at once: then it is dead already.
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status"));
        status.map_or(true, |text| !text.contains("TracerPid:\t0\n"))
    };
    ensure!(clock::until(SOON, traced), "strace did not take hold");
    writer.write(LINES)?;
    let (mark, lines) = (writer.written() - LINES, writer.written());
    let (mut dead, book) = (false, rig.book_handle());
    let agent = rig.agent()?;
    clock::until(SOON, || {
        dead = agent.ended().is_ok_and(|status| status.is_some());
        dead || (book.has_mark(0, mark) && book.seen() >= lines && book.totalled() >= lines)
    });
    Ok(dead)
}

/// strace; ended when it is dropped.
struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // It lets go of the thread, which lives on.
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            rustix::process::kill_process(pid, Signal::INT).unwrap_or_default();
        }
        drop(self.0.wait());
    }
}

/// Whether a start died at the `call`-th call of those that concern files, of any thread.
fn killed_in_start(rig: &mut Rig, call: u32) -> anyhow::Result<bool> {
    let mut command = Command::new("strace");
    // -D: the tracer is no parent, so that our child is the agent itself.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]);
    command.arg(format!("trace={CALLS}")).arg("-e");
    command
        .arg(format!("inject={CALLS}:signal=SIGKILL:when={call}"))
        .arg("--");
    let agent = rig.command();
    command.arg(agent.get_program()).args(agent.get_args());
    rig.dress(&mut command);
    rig.start_with(&mut command)?;
    let mut dead = false;
    let agent = rig.agent()?;
    let decided = clock::until(SOON, || {
        dead = agent.ended().is_ok_and(|status| status.is_some());
        dead || agent.said().contains("ready")
    });
    ensure!(decided, "neither ready nor dead\n{}", agent.said());
    Ok(dead)
}
