//! SIGKILL.
//!
//! At random: the log rotates all the time, the agent is killed at a random moment after each start, which
//! may be before it is ready. Heeds `rate`, `kills`, `seed`.

use std::time::Duration;

use super::{Progress, conclude, written_by};
use crate::clock;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate;
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::{Pace, Writer};

/// Rotated files that stay: for some seconds.
const KEEP: u32 = 12;
/// The longest life of an agent.
const LIFE: Duration = Duration::from_millis(700);

pub(super) fn at_random(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/app.log"])?;
    let mut random = Random::new(settings.seed);
    let log = rig.path("logs/app.log");
    let mut writer = Writer::open(0, &log, None)?;
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
            rig.kill9()?;
            kills += 1;
            rig.start_unready()?;
            started = clock::monotonic();
            life = random.span_below(LIFE);
        }
        progress.say(|| {
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
