//! Rotation by renaming under a running agent. The writer goes on with the old file for a while after
//! each, sometimes in the middle of a line.
//!
//! Heeds `rate`, `rotations`, `seed`.

use std::time::Duration;

use anyhow::Context as _;

use super::{Progress, conclude, only_writer, written_by};
use crate::clock;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate::{self, Logrotate};
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::Pace;

/// Rotated files that stay. At twenty rotations a second one lives for half a second.
const KEEP: u32 = 10;

/// Twenty times a second, by the same steps as logrotate.
pub(super) fn quickly(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log"])?;
    let every = Duration::from_millis(50);
    rotating(rig, settings, every, |rig| {
        Ok(rotate::rename_and_create(&rig.path("logs/app.log"), KEEP)?)
    })
}

/// Ten times a second at most, by logrotate itself.
pub(super) fn by_logrotate(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log*"])?;
    let log = rig.path("logs/app.log");
    let logrotate = Logrotate::new(&rig.path(""), &log, "  rotate 10\n  create 0644")?;
    let every = Duration::from_millis(100);
    rotating(rig, settings, every, |_| logrotate.rotate())
}

/// Five times a second; what was rotated is packed at once, as soon as the writer let go of it.
pub(super) fn packed_at_once(settings: &Settings) -> anyhow::Result<Verdict> {
    let rig = Rig::new(settings, &["logs/app.log*"])?;
    let mut writer = only_writer(&rig, settings, &rig.path("logs/app.log"))?;
    let (mut rig, mut random) = (rig, Random::new(settings.seed));
    let mut progress = Progress::new(settings);
    rig.start()?;
    let mut pace = Pace::new(settings.rate);
    let log = rig.path("logs/app.log");
    for done in 0..settings.rotations {
        let until = Duration::from_millis(150 + random.below(100));
        let began = clock::monotonic();
        while began.elapsed() < until {
            writer.write(pace.due())?;
        }
        rotate::rename_and_create(&log, KEEP)?;
        writer.write(pace.due())?;
        writer.reopen()?;
        writer.write(pace.due())?;
        rotate::gzip(&rotate::numbered(&log, 1))?;
        progress.say(&mut rig, || format!("{done} rotations"));
    }
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("rotations", settings.rotations);
    Ok(verdict)
}

fn rotating(
    mut rig: Rig,
    settings: &Settings,
    every: Duration,
    rotate: impl Fn(&Rig) -> anyhow::Result<()>,
) -> anyhow::Result<Verdict> {
    let mut random = Random::new(settings.seed);
    let log = rig.path("logs/app.log");
    let mut writer = only_writer(&rig, settings, &log)?;
    rig.start()?;
    let mut progress = Progress::new(settings);
    let mut pace = Pace::new(settings.rate);
    let began = clock::monotonic();
    // How many more times the writer writes before it takes the new file.
    let mut lingering = None;
    let mut done = 0;
    while done < settings.rotations {
        let due = pace.due();
        let is_time = began.elapsed() >= every * (done + 1);
        if is_time && lingering.is_none() {
            if random.once_in(4) {
                writer.write_torn(due, || rotate(&rig).map_err(std::io::Error::other))?;
            } else {
                writer.write(due)?;
                rotate(&rig).context("rotation")?;
            }
            done += 1;
            lingering = Some(random.below(4));
        } else {
            writer.write(due)?;
        }
        lingering = match lingering {
            Some(0) => {
                writer.reopen()?;
                None
            }
            more => more.map(|times| times - 1),
        };
        progress.say(&mut rig, || {
            format!("{done} rotations, {} lines", writer.written())
        });
    }
    let rate = f64::from(u32::try_from(writer.written())?) / began.elapsed().as_secs_f64();
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("rotations", done);
    verdict.fact("lines_per_second", rate.round());
    Ok(verdict)
}
