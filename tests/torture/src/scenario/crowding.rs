//! Many files: what the idle ones cost, and how soon a line of the busy ones is told.
//!
//! Heeds `idle`, `busy`, `rate`, `duration`.

use std::fs;
use std::time::Duration;

use super::{conclude, written_by};
use crate::clock;
use crate::rig::Rig;
use crate::settings::Settings;
use crate::verdict::{Expected, Verdict};
use crate::writer::{Pace, Writer};

/// How long nobody writes anything, to see what idle files cost.
const SILENCE: Duration = Duration::from_secs(15);
/// After so long, an agent has done all that belongs to its start: ten seconds after its first commit the
/// second copy of the positions is written.
const STARTED: Duration = Duration::from_secs(14);
/// A tick a hundred times a second is the finest that the system tells: two may be noise.
const NOT_MEASURABLE: Duration = Duration::from_millis(20);

/// The files lie in folders of 1,000; the busy ones among the idle.
pub(super) fn many(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/*/*.log"])?;
    for number in 0..settings.idle {
        let folder = rig.path(&format!("logs/{:03}", number / 1_000));
        if number % 1_000 == 0 {
            fs::create_dir(&folder)?;
        }
        let old = format!("old line of file {number}\n");
        fs::write(folder.join(format!("idle-{number:05}.log")), old)?;
    }
    let mut writers = Vec::new();
    for number in 0..settings.busy {
        let folder = rig.path(&format!(
            "logs/{:03}",
            number % settings.idle.div_ceil(1_000).max(1)
        ));
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("busy-{number:03}.log"));
        writers.push(Writer::open(number, &path, None)?);
    }
    rig.start()?;
    // The lines that stood there are read first.
    clock::pass(STARTED);
    let before = rig.agent()?.usage();
    clock::pass(SILENCE);
    let silent = rig.agent()?.usage();
    rig.book().forget_latencies();
    let mut pace = Pace::new(settings.rate);
    let began = clock::monotonic();
    let mut turn = 0_usize;
    while began.elapsed() < settings.duration {
        let due = pace.due();
        // A few lines for each of some, not all for one.
        for _ in 0..due.div_ceil(4) {
            writers[turn % settings.busy.try_into().unwrap_or(1)].write(4)?;
            turn += 1;
        }
    }
    let busy = rig.agent()?.usage();
    let seconds = began.elapsed().as_secs_f64();
    let written = written_by(&writers);
    let log = writers[0].path().to_owned();
    let expected = Expected {
        most_kib: 64 * 1024,
        most_descriptors: u64::from(settings.busy) + 20,
        tears: settings.idle,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    let idle_cpu = silent.cpu.saturating_sub(before.cpu);
    verdict.fact("idle_files", settings.idle);
    verdict.fact("busy_files", settings.busy);
    verdict.fact("rss_kib_idle", silent.rss_kib);
    verdict.fact("descriptors", busy.descriptors);
    let busy_cpu = busy.cpu.saturating_sub(silent.cpu).as_secs_f64();
    verdict.fact(
        "cpu_percent_busy",
        (busy_cpu / seconds * 1e3).round() / 10.0,
    );
    let found = format!("{} ms in {} s", idle_cpu.as_millis(), SILENCE.as_secs());
    verdict.check(
        'M',
        "processor time while all are idle",
        found,
        idle_cpu <= NOT_MEASURABLE,
    );
    judge_latency(&mut verdict);
    Ok(verdict)
}

fn judge_latency(verdict: &mut Verdict) {
    let p99 = verdict
        .facts
        .iter()
        .find(|(name, _)| name == "latency_ms_p99");
    let p99 = p99
        .and_then(|(_, value)| value.as_f64())
        .unwrap_or(f64::MAX);
    verdict.check('P', "line to webhook, 99 of 100, ms", p99, p99 < 1_000.0);
}

/// What ten idle files may cost, KiB resident.
const SMALL_KIB: u64 = 10 * 1024;
/// An alert of so many lines comes between two silences.
const BURST: u64 = 4_000;

/// Ten files that nobody writes to, before there was any alert and after one.
pub(super) fn idle(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &["logs/*.log"])?;
    for number in 0..10 {
        fs::write(rig.path(&format!("logs/{number}.log")), "old\n")?;
    }
    rig.start()?;
    clock::pass(Duration::from_secs(3));
    let before = rig.agent()?.usage();
    clock::pass(SILENCE);
    let silent = rig.agent()?.usage();
    let mut writer = Writer::open(0, &rig.path("logs/0.log"), None)?;
    writer.write(BURST)?;
    rig.drain(BURST)?;
    clock::pass(SILENCE);
    let after = rig.agent()?.usage();
    let written = written_by([&writer]);
    let log = writer.path().to_owned();
    let expected = Expected {
        most_kib: 2 * SMALL_KIB,
        tears: 10,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    let cpu = silent.cpu.saturating_sub(before.cpu);
    for (what, usage) in [
        ("KiB resident, idle, before any alert", silent),
        ("KiB resident, idle, after an alert", after),
    ] {
        verdict.check('M', what, usage.rss_kib, usage.rss_kib <= SMALL_KIB);
    }
    let found = format!("{} ms in {} s", cpu.as_millis(), SILENCE.as_secs());
    verdict.check(
        'M',
        "processor time while idle",
        found,
        cpu <= NOT_MEASURABLE,
    );
    Ok(verdict)
}
