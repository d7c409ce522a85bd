//! Made-up nginx traffic, written to a real file.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::clock;
use crate::error::AgentError;

const PATHS: &[&str] = &[
    "/",
    "/cart",
    "/api/orders",
    "/static/app.css",
    "/login",
    "/search?q=lapwing",
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64)",
    "curl/8.5.0",
    "Mozilla/5.0 (iPhone)",
];
const BURST: usize = 12;

/// The writing side of the log.
#[derive(Debug)]
pub(super) struct Traffic {
    log: File,
    ticks: Interval,
    written: usize,
}

/// `21/Nov/2026:09:00:00 +0000`.
fn log_time(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs())
        .unwrap_or_default()
        .strftime("%d/%b/%Y:%H:%M:%S %z")
        .to_string()
}

impl Traffic {
    /// Makes the log. Must be called inside a tokio runtime.
    pub(super) fn new(path: &Path) -> Result<Self, AgentError> {
        let log = OpenOptions::new().create(true).append(true).open(path);
        let log = log.map_err(AgentError::io(format!("cannot write {}", path.display())))?;
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            log,
            ticks,
            written: 0,
        })
    }

    /// Until the next request.
    pub(super) async fn pause(&mut self) {
        self.ticks.tick().await;
    }

    /// One request that went well.
    pub(super) fn ordinary(&mut self) -> Result<(), AgentError> {
        let status = if self.written % 40 == 39 { 404 } else { 200 };
        self.write(status, self.written, "10.2.0.8:8080")
    }

    /// A row of requests whose upstream is dead.
    pub(super) fn burst(&mut self) -> Result<(), AgentError> {
        for n in 0..BURST {
            self.write(502, usize::from(n % 4 == 0) + 1, "10.2.0.7:8080")?;
        }
        Ok(())
    }

    fn write(&mut self, status: u16, which: usize, upstream: &str) -> Result<(), AgentError> {
        self.written += 1;
        let pick = |list: &'static [&'static str]| {
            list.get(which % list.len()).copied().unwrap_or_default()
        };
        let line = format!(
            "203.0.113.{} - - [{}] \"GET {} HTTP/1.1\" {status} {} \"-\" \"{}\" upstream={upstream}\n",
            self.written % 200 + 1,
            log_time(clock::now()),
            pick(PATHS),
            if status == 502 {
                157
            } else {
                1_000 + self.written % 4_000
            },
            pick(AGENTS),
        );
        self.log
            .write_all(line.as_bytes())
            .map_err(AgentError::io("cannot write the demo's log"))
    }
}
