//! Full disks. Needs root.
//!
//! State: the disk of the state folder is filled and freed again and again while lines come; in the second
//! kind the agent is also killed while it is full. Log: the disk of the logs is full in the middle of a
//! line, the writer waits until an old file is deleted and writes the rest. Heeds `rate`, `duration`,
//! `seed`.

use std::fs;
use std::time::Duration;

use super::{Progress, conclude, only_writer, written_by};
use crate::clock;
use crate::disk::Disk;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate;
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::{Pace, Writer};

pub(super) fn state(settings: &Settings) -> anyhow::Result<Verdict> {
    full_state(settings, 0)
}

pub(super) fn state_and_kill(settings: &Settings) -> anyhow::Result<Verdict> {
    full_state(settings, settings.kills)
}

fn full_state(settings: &Settings, most_kills: u32) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let disk = Disk::mount(&rig.path("disk"), 64 * 1024)?;
    rig.keep_state_in(disk.path().join("state"));
    rig.configure(&["logs/app.log"])?;
    let log = rig.path("logs/app.log");
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    rig.start()?;
    let mut pace = Pace::new(settings.rate);
    let mut progress = Progress::new(settings);
    let began = clock::monotonic();
    let (mut fills, mut kills) = (0, 0);
    while began.elapsed() < settings.duration || fills == 0 {
        let free = Duration::from_millis(random.below(1_500));
        write_for(&mut writer, &mut pace, free)?;
        disk.fill()?;
        fills += 1;
        write_for(
            &mut writer,
            &mut pace,
            Duration::from_millis(500 + random.below(2_500)),
        )?;
        if kills < most_kills {
            rig.kill9()?;
            kills += 1;
            rig.start_unready()?;
            write_for(
                &mut writer,
                &mut pace,
                Duration::from_millis(random.below(1_500)),
            )?;
        }
        disk.free()?;
        progress.say(&mut rig, || format!("{fills} times full, {kills} kills"));
    }
    let written = written_by([&writer]);
    let expected = Expected {
        kills,
        // What is told while the disk is full is told again by the next one.
        repeats_a_kill: u32::MAX,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("times_full", fills);
    verdict.fact("kills", kills);
    drop(disk);
    Ok(verdict)
}

fn write_for(writer: &mut Writer, pace: &mut Pace, span: Duration) -> anyhow::Result<()> {
    let began = clock::monotonic();
    while began.elapsed() < span {
        writer.write(pace.due())?;
    }
    Ok(())
}

pub(super) fn log(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["disk/app.log"])?;
    let disk = Disk::mount(&rig.path("disk"), 4 * 1024)?;
    let log = rig.path("disk/app.log");
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    rig.start()?;
    let mut pace = Pace::new(settings.rate);
    let mut progress = Progress::new(settings);
    let began = clock::monotonic();
    let (mut times, mut rotations, mut oldest) = (0_u32, 0, 1);
    while began.elapsed() < settings.duration || times == 0 {
        writer.write_patiently(pace.due(), || {
            times += 1;
            // Somebody comes and clears up.
            clock::pass(Duration::from_millis(200 + random.below(800)));
            if oldest <= rotations {
                fs::remove_file(rotate::numbered(&log, oldest))?;
                oldest += 1;
            }
            Ok(())
        })?;
        // About a megabyte.
        if writer.written() / 10_000 > u64::from(rotations) {
            rotations += 1;
            fs::rename(&log, rotate::numbered(&log, rotations))?;
            writer.reopen()?;
        }
        progress.say(&mut rig, || format!("{times} times full"));
    }
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("times_full", times);
    drop(disk);
    Ok(verdict)
}
