//! Rotation by copying and truncating.
//!
//! Idle: many files in turn; each gets a burst of lines, rests for `rest`, is copied and truncated and gets
//! the next burst in the same moment, shorter or longer than the one before. Under load: one writer never
//! rests, and what logrotate itself destroys is found out from its copies: lines that are whole neither in
//! a copy nor in the log. Of what is left each single line must have been seen. logrotate is held for `stall`
//! between the end of its copy and the cut, and in one rotation of four the agent is frozen.
//!
//! Heeds `rate`, `rotations`, `rest`, `stall`, `seed`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rustix::process::Signal;

use super::{Progress, conclude, only_writer, written_by};
use crate::book::Written;
use crate::clock;
use crate::lines;
use crate::random::Random;
use crate::rig::Rig;
use crate::rotate::{self, Logrotate};
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::{Pace, Writer};

/// Files that take turns.
const FILES: u32 = 20;
/// Copies that stay.
const KEEP: u32 = 5;

/// A file and when it was written to last.
struct Resting {
    writer: Writer,
    since: Instant,
    rotations: u32,
}

pub(super) fn idle(settings: &Settings) -> anyhow::Result<Verdict> {
    // Of every other file the copies are inside the glob.
    let mut rig = Rig::new(settings, &["logs/out-??.log", "logs/in-??.log*"])?;
    let mut random = Random::new(settings.seed);
    let files = FILES.min(settings.rotations.max(1));
    let burst =
        settings.rate * u64::try_from(settings.rest.as_millis())? / 1_000 / u64::from(files);
    let mut resting = Vec::new();
    for number in 0..files {
        let kind = if number % 2 == 0 { "out" } else { "in" };
        let path = rig.path(&format!("logs/{kind}-{number:02}.log"));
        let writer = Writer::open(number, &path, None)?;
        let since = clock::monotonic();
        resting.push(Resting {
            writer,
            since,
            rotations: 0,
        });
    }
    rig.start()?;
    let mut progress = Progress::new(settings);
    let (mut done, began) = (0, clock::monotonic());
    while done < settings.rotations {
        clock::pass(Duration::from_millis(1));
        for (number, file) in (0..).zip(&mut resting) {
            // One after the other for the first time, so that they do not all come at once.
            let first = file.writer.written() == 0;
            let rest = if first {
                settings.rest * number / files
            } else {
                settings.rest
            };
            if file.since.elapsed() < rest || done >= settings.rotations {
                continue;
            }
            if !first {
                rotate::copy_and_truncate(file.writer.path(), KEEP)?;
                file.rotations += 1;
                done += 1;
            }
            file.writer.write(burst / 2 + random.below(burst.max(2)))?;
            file.since = clock::monotonic();
        }
        progress.say(&mut rig, || format!("{done} rotations"));
    }
    let lines: u64 = resting.iter().map(|file| file.writer.written()).sum();
    let rate = f64::from(u32::try_from(lines)?) / began.elapsed().as_secs_f64();
    let written = written_by(resting.iter().map(|file| &file.writer));
    let log = resting[0].writer.path();
    let expected = Expected {
        most_descriptors: u64::from(files * (KEEP + 1)) + 20,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, log, expected)?;
    verdict.fact("rotations", done);
    verdict.fact("files", files);
    verdict.fact("rest_ms", u64::try_from(settings.rest.as_millis())?);
    verdict.fact("lines_per_second", rate.round());
    Ok(verdict)
}

pub(super) fn under_load_inside(settings: &Settings) -> anyhow::Result<Verdict> {
    under_load(settings, "logs/app.log*")
}

pub(super) fn under_load_outside(settings: &Settings) -> anyhow::Result<Verdict> {
    under_load(settings, "logs/app.log")
}

fn under_load(settings: &Settings, glob: &str) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &[glob])?;
    rig.tell_each()?;
    let log = rig.path("logs/app.log");
    let mut logrotate = Logrotate::new(&rig.path(""), &log, "  rotate 5\n  copytruncate")?;
    logrotate.stall(settings.stall);
    let mut writer = only_writer(&rig, settings, &log)?;
    writer.name_each();
    writer.write(1)?;
    rig.start()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, rate) = (Arc::clone(&stop), settings.rate);
    let write = move || -> std::io::Result<Writer> {
        let mut pace = Pace::new(rate);
        while !stopped.load(Ordering::Relaxed) {
            writer.write(pace.due())?;
        }
        Ok(writer)
    };
    let thread = Builder::new().name("writer".to_owned()).spawn(write)?;
    let mut random = Random::new(settings.seed);
    let mut progress = Progress::new(settings);
    let (mut survived, mut frozen) = (Survived::default(), 0_u32);
    for done in 0..settings.rotations {
        clock::pass(Duration::from_millis(100 + random.below(200)));
        // One that looks elsewhere meanwhile finds the lines in the copy, or nowhere.
        let freezes = random.once_in(4);
        if freezes {
            rig.agent()?.signal(Signal::STOP)?;
            clock::pass(random.span_below(Duration::from_millis(200)));
            frozen += 1;
        }
        let rotated = logrotate.rotate();
        if freezes {
            clock::pass(random.span_below(Duration::from_millis(200)));
            rig.agent()?.signal(Signal::CONT)?;
        }
        rotated?;
        survived.add(&rotate::numbered(&log, 1))?;
        progress.say(&mut rig, || format!("{done} rotations"));
    }
    stop.store(true, Ordering::Relaxed);
    let writer = thread.join().map_err(|_| anyhow!("the writer"))??;
    survived.add(&log)?;
    let mut written = written_by([&writer]);
    survived.judge(&mut written);
    let destroyed = written.destroyed();
    let expected = Expected {
        // The end of the copy and the beginning of the rest.
        tears: 2 * settings.rotations,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("rotations", settings.rotations);
    verdict.fact("of_these_the_agent_frozen", frozen);
    // Otherwise nothing was shown.
    let what = "lines destroyed by logrotate itself";
    verdict.check(
        'L',
        what,
        destroyed,
        destroyed > 0 || settings.stall.is_zero(),
    );
    Ok(verdict)
}

/// Lines that stand somewhere still.
#[derive(Debug, Default)]
struct Survived(BTreeSet<u64>);

impl Survived {
    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        self.0
            .extend(lines::numbers(&text).map(|(_, number)| number));
        Ok(())
    }

    fn judge(&self, written: &mut Written) {
        let lines = written.lines.get(&0).copied().unwrap_or(0);
        let destroyed = (0..lines).filter(|number| !self.0.contains(number));
        written.destroyed.insert(0, destroyed.collect());
    }
}
