//! The agent does nothing for a while: SIGSTOP, or stopped by SIGTERM while logs rotate and are packed.
//! And a wall clock that jumps.
//!
//! Heeds `rate`, `duration`, `rotations`, `seed`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;

use super::{Progress, conclude, only_writer, written_by};
use crate::clock;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate::{self, Logrotate};
use crate::settings::Settings;
use crate::verdict::{Expected, Marks, Verdict};
use crate::writer::{Pace, Writer};

/// SIGSTOP for `duration`, while the log rotates once a second; nothing is deleted.
pub(super) fn frozen(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let log = rig.path("logs/app.log");
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut pace = Pace::new(settings.rate);
    rig.start()?;
    write_for(&mut writer, &mut pace, Duration::from_secs(1))?;
    rig.agent()?.signal(Signal::STOP)?;
    let mut progress = Progress::new(settings);
    let began = clock::monotonic();
    let mut rotations = 0;
    while began.elapsed() < settings.duration {
        write_for(&mut writer, &mut pace, Duration::from_secs(1))?;
        rotations += 1;
        rotate::rename_and_create(&log, rotations + 1)?;
        writer.write(pace.due())?;
        writer.reopen()?;
        progress.say(&mut rig, || {
            format!("stopped for {} s", began.elapsed().as_secs())
        });
    }
    rig.agent()?.signal(Signal::CONT)?;
    write_for(&mut writer, &mut pace, Duration::from_secs(1))?;
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("rotations", rotations);
    Ok(verdict)
}

/// Rotated one to six times during each stop, by renaming.
pub(super) fn stopped(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log"])?;
    stopping(rig, settings, "  rotate 100\n  create 0644")
}

/// The same, all but the newest packed (`compress`, `delaycompress`).
pub(super) fn packed_while_stopped(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log"])?;
    stopping(
        rig,
        settings,
        "  rotate 100\n  create 0644\n  compress\n  delaycompress",
    )
}

/// The same, all packed, inside the glob.
pub(super) fn packed_inside_while_stopped(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log*"])?;
    stopping(rig, settings, "  rotate 100\n  create 0644\n  compress")
}

fn stopping(mut rig: Rig, settings: &Settings, how: &str) -> anyhow::Result<Verdict> {
    let log = rig.path("logs/app.log");
    let logrotate = Logrotate::new(&rig.path(""), &log, how)?;
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut pace = Pace::new(settings.rate);
    let mut progress = Progress::new(settings);
    let (mut rotations, mut stops) = (0, 0);
    rig.start()?;
    while rotations < settings.rotations {
        write_for(
            &mut writer,
            &mut pace,
            Duration::from_millis(100 + random.below(400)),
        )?;
        rig.stop()?;
        stops += 1;
        for _ in 0..=random.below(6) {
            write_for(
                &mut writer,
                &mut pace,
                Duration::from_millis(random.below(200)),
            )?;
            logrotate.rotate()?;
            rotations += 1;
            writer.reopen()?;
        }
        write_for(
            &mut writer,
            &mut pace,
            Duration::from_millis(random.below(200)),
        )?;
        rig.start()?;
        progress.say(&mut rig, || {
            format!("{rotations} rotations in {stops} stops")
        });
    }
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("rotations", rotations);
    verdict.fact("stops", stops);
    Ok(verdict)
}

pub(super) fn write_for(
    writer: &mut Writer,
    pace: &mut Pace,
    span: Duration,
) -> anyhow::Result<()> {
    let began = clock::monotonic();
    while began.elapsed() < span {
        writer.write(pace.due())?;
    }
    Ok(())
}

/// Where Debian puts it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The agent's wall clock (not its steady one) jumps by hours and days several times a second.
pub(super) fn clock_jumps(settings: &Settings) -> anyhow::Result<Verdict> {
    ensure!(Path::new(FAKETIME).exists(), "libfaketime is not installed");
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let offset = rig.path("offset");
    fs::write(&offset, "+0\n")?;
    rig.set_environment("LD_PRELOAD", FAKETIME);
    rig.set_environment("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string());
    rig.set_environment("FAKETIME_NO_CACHE", "1");
    rig.set_environment("DONT_FAKE_MONOTONIC", "1");
    let log = rig.path("logs/app.log");
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut pace = Pace::new(settings.rate);
    rig.start()?;
    let began = clock::monotonic();
    let mut jumps = 0;
    let jump_to = |text: &str| -> std::io::Result<()> {
        // Never seen half written.
        let next = offset.with_extension("next");
        fs::write(&next, format!("{text}\n"))?;
        fs::rename(next, &offset)
    };
    while began.elapsed() < settings.duration {
        write_for(
            &mut writer,
            &mut pace,
            Duration::from_millis(100 + random.below(600)),
        )?;
        let to = ["+0", "+1h", "-1h", "+30d", "-30d", "+12y", "+5s", "-5s"];
        let index = usize::try_from(random.below(8))?;
        jump_to(to.get(index).copied().unwrap_or("+0"))?;
        jumps += 1;
        if random.once_in(6) {
            rotate::rename_and_create(&log, 20)?;
            writer.reopen()?;
        }
    }
    jump_to("+0")?;
    let written = written_by([&writer]);
    let expected = Expected {
        marks: Marks::Unknown,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("jumps", jumps);
    Ok(verdict)
}
