//! What the system says of a process: memory, descriptors, threads, time on a processor.

use std::fs;
use std::time::Duration;

/// A process at one moment; zeros when it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident, KiB.
    pub rss_kib: u64,
    /// The most that was ever resident, KiB.
    pub peak_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Time on a processor, all threads, user and system.
    pub cpu: Duration,
}

/// What process `pid` uses now.
pub fn usage(pid: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Usage {
        rss_kib: field("VmRSS:"),
        peak_kib: field("VmHWM:"),
        threads: field("Threads:"),
        descriptors: u64::try_from(descriptors).unwrap_or(u64::MAX),
        cpu: cpu(pid),
    }
}

/// A hundred ticks a second, on every Linux that this runs on.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may hold anything, stands in parentheses.
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks = |index: usize| {
        let field = after.split(' ').nth(index);
        field
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// The thread of process `pid` that bears this name.
pub fn thread(pid: u32, name: &str) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.filter_map(Result::ok).find_map(|task| {
        let comm = fs::read_to_string(task.path().join("comm")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        (comm.trim_end() == name).then_some(number)
    })
}
