//! What happens to everybody, one after the other, and the table of it: lines lost and repeated.
//!
//! Heeds `rate`, `rotations` (quick renames; a tenth of it calm ones and copytruncates), `kills` and `seed`.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Kind, Programs, Subject};
use crate::agent::SOON;
use crate::book::Written;
use crate::clock;
use crate::random::Random;
use crate::rotate;
use crate::settings::Settings;
use crate::writer::{Pace, Writer};

/// Rotated files that stay.
const KEEP: u32 = 10;
/// Lines of the backlog that is read at once; the last one is marked.
const BACKLOG: u64 = 1_000_001;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    QuickRename,
    CalmRename,
    CopyTruncate,
    Restart,
    Kill,
    Packed,
}

const EVENTS: [Event; 6] = [
    Event::QuickRename,
    Event::CalmRename,
    Event::CopyTruncate,
    Event::Restart,
    Event::Kill,
    Event::Packed,
];

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::QuickRename => "rename, 5 a second",
            Self::CalmRename => "rename, every 2 s",
            Self::CopyTruncate => "copytruncate, idle for 1 s",
            Self::Restart => "SIGTERM, rotated, started",
            Self::Kill => "SIGKILL while it rotates",
            Self::Packed => "packed while stopped",
        }
    }
}

/// One cell of the table.
#[derive(Clone, Debug)]
struct Cell {
    written: u64,
    /// How often it happened.
    times: u32,
    lost: u64,
    repeated: u64,
}

/// All of one who took part.
#[derive(Clone, Debug)]
struct Row {
    kind: Kind,
    cells: Vec<Result<Cell, String>>,
    /// Lines a second out of a backlog, and KiB resident: idle, and at most.
    backlog: Result<(f64, u64, u64), String>,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Row>,
    absent: Vec<String>,
    seed: u64,
    rate: u64,
}

/// Runs everything with those of `who` who are there.
///
/// # Errors
///
/// None: what fails stands in the table.
pub fn run(
    who: &[Kind],
    programs: &Programs,
    settings: &Settings,
    mut say: impl FnMut(&str),
) -> Table {
    let mut table = Table {
        rows: Vec::new(),
        absent: Vec::new(),
        seed: settings.seed,
        rate: settings.rate,
    };
    for &kind in who {
        if let Some(why) = programs.lacks(kind) {
            table.absent.push(format!("{}: {why}", kind.name()));
            continue;
        }
        let cells = EVENTS.iter().map(|event| {
            say(&format!("{}: {}", kind.name(), event.name()));
            happen(*event, kind, programs, settings).map_err(|error| format!("{error:#}"))
        });
        let cells = cells.collect();
        say(&format!("{}: backlog", kind.name()));
        let backlog = backlog(kind, programs, settings).map_err(|error| format!("{error:#}"));
        table.rows.push(Row {
            kind,
            cells,
            backlog,
        });
    }
    table
}

/// One subject in one event.
struct Ring<'s> {
    subject: Subject,
    writer: Writer,
    pace: Pace,
    random: Random,
    settings: &'s Settings,
}

impl Ring<'_> {
    fn write_for(&mut self, span: Duration) -> anyhow::Result<()> {
        let began = clock::monotonic();
        while began.elapsed() < span {
            self.writer.write(self.pace.due())?;
        }
        Ok(())
    }

    fn rotate(&mut self, keep: u32) -> anyhow::Result<()> {
        rotate::rename_and_create(&self.subject.log(), keep)?;
        self.writer.write(self.pace.due())?;
        Ok(self.writer.reopen()?)
    }

    fn happen(&mut self, event: Event) -> anyhow::Result<u32> {
        let (rotations, kills) = (self.settings.rotations, self.settings.kills);
        match event {
            Event::QuickRename => self.renames(rotations, Duration::from_millis(200)),
            Event::CalmRename => self.renames(rotations.div_ceil(10), Duration::from_secs(2)),
            Event::CopyTruncate => self.copytruncates(rotations.div_ceil(10)),
            Event::Restart => self.restarts(kills.div_ceil(3)),
            Event::Kill => self.kills(kills),
            Event::Packed => self.packed(kills.div_ceil(6)),
        }
    }

    fn renames(&mut self, times: u32, every: Duration) -> anyhow::Result<u32> {
        for _ in 0..times {
            self.write_for(every)?;
            self.rotate(KEEP)?;
        }
        Ok(times)
    }

    fn copytruncates(&mut self, times: u32) -> anyhow::Result<u32> {
        for _ in 0..times {
            self.writer
                .write(self.settings.rate / 2 + self.random.below(self.settings.rate / 2))?;
            clock::pass(Duration::from_secs(1));
            rotate::copy_and_truncate(&self.subject.log(), KEEP)?;
        }
        Ok(times)
    }

    fn restarts(&mut self, times: u32) -> anyhow::Result<u32> {
        for _ in 0..times {
            self.write_for(Duration::from_secs(1))?;
            self.subject.stop()?;
            self.write_for(Duration::from_millis(100))?;
            self.rotate(100)?;
            self.write_for(Duration::from_millis(100))?;
            self.subject.start()?;
        }
        Ok(times)
    }

    fn kills(&mut self, times: u32) -> anyhow::Result<u32> {
        for time in 0..times {
            let life = Duration::from_millis(300 + self.random.below(1_200));
            self.write_for(life)?;
            if time % 2 == 0 {
                self.rotate(100)?;
                let more = self.random.span_below(Duration::from_millis(50));
                self.write_for(more)?;
            }
            self.subject.kill9()?;
            self.subject.start()?;
        }
        Ok(times)
    }

    /// As `compress` with `delaycompress` does: two rotations, of which the first is packed.
    fn packed(&mut self, times: u32) -> anyhow::Result<u32> {
        for _ in 0..times {
            self.write_for(Duration::from_secs(1))?;
            // What is read by then is read; the rest of it is what this is about.
            self.subject.stop()?;
            for _ in 0..2 {
                self.write_for(Duration::from_millis(100))?;
                self.rotate(100)?;
            }
            let log = self.subject.log();
            rotate::gzip(&rotate::numbered(&log, 2))?;
            self.subject.start()?;
        }
        Ok(times)
    }
}

fn happen(
    event: Event,
    kind: Kind,
    programs: &Programs,
    settings: &Settings,
) -> anyhow::Result<Cell> {
    let mut subject = Subject::new(kind, programs, settings)?;
    let writer = Writer::open(0, &subject.log(), None)?;
    subject.start()?;
    let mut ring = Ring {
        subject,
        writer,
        pace: Pace::new(settings.rate),
        random: Random::new(settings.seed),
        settings,
    };
    let times = ring.happen(event)?;
    ring.write_for(Duration::from_millis(500))?;
    let written = Written {
        lines: [(0, ring.writer.written())].into(),
        ..Written::default()
    };
    let mut subject = ring.subject;
    drain(&mut subject, ring.writer.written());
    let (lost, repeated) = subject.judge(&written);
    subject.stop()?;
    Ok(Cell {
        written: ring.writer.written(),
        times,
        lost,
        repeated,
    })
}

/// Waits until nothing comes any more: for fifteen seconds where lines are missing.
fn drain(subject: &mut Subject, written: u64) {
    let mut last = (0, clock::monotonic());
    loop {
        let seen = subject.seen();
        if seen > last.0 {
            last = (seen, clock::monotonic());
        }
        let patience = if seen >= written { 3 } else { 15 };
        if last.1.elapsed() > Duration::from_secs(patience) {
            return;
        }
        clock::pass(Duration::from_millis(200));
    }
}

fn backlog(
    kind: Kind,
    programs: &Programs,
    settings: &Settings,
) -> anyhow::Result<(f64, u64, u64)> {
    let mut subject = Subject::new(kind, programs, settings)?;
    if let Subject::Lapwing(rig) = &subject {
        rig.count_only()?;
    }
    let log = subject.log();
    let mut writer = Writer::open(0, &log, None)?;
    subject.start()?;
    clock::pass(Duration::from_secs(3));
    let idle = subject.usage().rss_kib;
    // Made elsewhere, so that making it is not in the time.
    let elsewhere = log.with_file_name("backlog");
    let mut backlog = Writer::open(0, &elsewhere, None)?;
    for _ in 0..BACKLOG / 1_000 {
        backlog.write(1_000)?;
    }
    backlog.write(BACKLOG % 1_000)?;
    let text = fs::read(&elsewhere)?;
    let began = clock::monotonic();
    writer.append(&text)?;
    let all = clock::until(5 * SOON, || {
        clock::pass(Duration::from_millis(20));
        subject.has_come_to(BACKLOG - 1)
    });
    let seconds = began.elapsed().as_secs_f64();
    let peak = subject.usage().peak_kib;
    subject.stop()?;
    anyhow::ensure!(all, "not read within {:?}", 5 * SOON);
    let lines = f64::from(u32::try_from(BACKLOG)?);
    Ok((lines / seconds, idle, peak))
}

impl Table {
    /// For people: lost + repeated lines.
    pub fn text(&self) -> String {
        let mut text = format!(
            "lines lost + repeated; {} lines a second, seed {}\n\n{:28}",
            self.rate, self.seed, ""
        );
        for row in &self.rows {
            write!(text, "{:>22}", row.kind.name()).unwrap_or_default();
        }
        text.push('\n');
        for (index, event) in EVENTS.iter().enumerate() {
            write!(text, "{:28}", event.name()).unwrap_or_default();
            for row in &self.rows {
                let cell = row.cells.get(index);
                let cell = cell.map_or(String::new(), |cell| match cell {
                    Ok(cell) => format!("{} + {}", cell.lost, cell.repeated),
                    Err(_) => "failed".to_owned(),
                });
                write!(text, "{cell:>22}").unwrap_or_default();
            }
            text.push('\n');
        }
        for (what, figure) in [
            ("lines a second, backlog", 0),
            ("KiB resident, idle", 1),
            ("KiB resident, at most", 2),
        ] {
            write!(text, "{what:28}").unwrap_or_default();
            for row in &self.rows {
                let figure = row.backlog.as_ref().map_or("failed".to_owned(), |found| {
                    [
                        format!("{:.0}", found.0),
                        found.1.to_string(),
                        found.2.to_string(),
                    ][figure]
                        .clone()
                });
                write!(text, "{figure:>22}").unwrap_or_default();
            }
            text.push('\n');
        }
        for absent in &self.absent {
            writeln!(text, "absent: {absent}").unwrap_or_default();
        }
        for row in &self.rows {
            for (event, cell) in EVENTS.iter().zip(&row.cells) {
                if let Err(why) = cell {
                    writeln!(text, "{}, {}: {why}", row.kind.name(), event.name())
                        .unwrap_or_default();
                }
            }
            if let Err(why) = &row.backlog {
                writeln!(text, "{}, backlog: {why}", row.kind.name()).unwrap_or_default();
            }
        }
        text
    }

    /// One object a cell.
    pub fn json(&self) -> Vec<Value> {
        let mut cells = Vec::new();
        for row in &self.rows {
            for (event, cell) in EVENTS.iter().zip(&row.cells) {
                let cell = match cell {
                    Ok(cell) => json!({"written": cell.written, "times": cell.times,
                                       "lost": cell.lost, "repeated": cell.repeated}),
                    Err(why) => json!({"failed": why}),
                };
                cells.push(json!({"who": row.kind.name(), "event": event.name(), "found": cell}));
            }
            let found = match &row.backlog {
                Ok((rate, idle, peak)) => {
                    json!({"lines_per_second": rate.round(), "rss_kib_idle": idle, "rss_kib_peak": peak})
                }
                Err(why) => json!({"failed": why}),
            };
            cells.push(json!({"who": row.kind.name(), "event": "backlog", "found": found}));
        }
        cells
    }
}
