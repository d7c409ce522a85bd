//! The agent reads its configuration again (SIGHUP), or is stopped by SIGTERM and started, while lines are
//! written. Heeds `rate`, `rotations` (so many reloads or stops), `seed`.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;

use super::pausing::write_for;
use super::{Progress, conclude, only_writer, written_by};
use crate::agent::SOON;
use crate::clock;
use crate::random::Random;
use crate::rig::Rig;
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::Pace;

/// Descriptors that may be open for a moment: a commit, an answer.
const PASSING: u64 = 8;

/// One SIGHUP after the other, each when the one before is done.
pub(super) fn reloads(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let log = rig.path("logs/app.log");
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut pace = Pace::new(settings.rate);
    let mut progress = Progress::new(settings);
    rig.start()?;
    let mut first = 0;
    for reload in 1..=settings.rotations {
        write_for(
            &mut writer,
            &mut pace,
            random.span_below(Duration::from_millis(60)),
        )?;
        rig.agent()?.signal(Signal::HUP)?;
        let began = clock::monotonic();
        while count(&rig.agent()?.said()) < u64::from(reload) {
            ensure!(began.elapsed() < SOON, "{}", rig.agent()?.said());
            write_for(&mut writer, &mut pace, Duration::from_millis(10))?;
        }
        if reload == 10 {
            first = descriptors(&mut rig)?;
        }
        progress.say(&mut rig, || format!("{reload} reloads"));
    }
    let last = descriptors(&mut rig)?;
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("reloads", settings.rotations);
    verdict.fact("descriptors_after_ten_and_last", vec![first, last]);
    let more = if first == 0 {
        0
    } else {
        last.saturating_sub(first + PASSING)
    };
    verdict.none('M', "descriptors that stayed open", more);
    Ok(verdict)
}

/// SIGTERM in the midst of lines, then a start.
pub(super) fn stops(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let log = rig.path("logs/app.log");
    let mut random = Random::new(settings.seed);
    let mut writer = only_writer(&rig, settings, &log)?;
    let mut pace = Pace::new(settings.rate);
    let mut progress = Progress::new(settings);
    rig.start()?;
    for stop in 1..=settings.rotations {
        write_for(
            &mut writer,
            &mut pace,
            random.span_below(Duration::from_millis(400)),
        )?;
        writer.write(pace.due())?;
        rig.stop()?;
        rig.start_unready()?;
        progress.say(&mut rig, || format!("{stop} stops"));
    }
    let written = written_by([&writer]);
    let mut verdict = conclude(rig, settings, &written, &log, Expected::default())?;
    verdict.fact("stops", settings.rotations);
    Ok(verdict)
}

/// Reloads that are done, by what the agent says.
fn count(said: &str) -> u64 {
    said.matches("reloaded").count() as u64
}

fn descriptors(rig: &mut Rig) -> anyhow::Result<u64> {
    let folder = format!("/proc/{}/fd", rig.agent()?.pid());
    Ok(fs::read_dir(folder)?.count() as u64)
}
