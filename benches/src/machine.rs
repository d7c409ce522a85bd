//! What figures depend on, and what they are taken with: the processor, the day, a stopwatch.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// How long `work` takes, and what it gives.
#[expect(
    clippy::disallowed_methods,
    reason = "a stopwatch is what a bench is for"
)]
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let result = work();
    (begin.elapsed(), result)
}

/// As [`timed`], but only the time that this thread ran: what else the machine does is not in it.
pub fn cpu_timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begin = now();
    let result = work();
    (now().saturating_sub(begin), result)
}

/// Keeps this thread, and what it starts from now on, on one processor: the last one that it may
/// use, because the first one has the interrupts. Gives its number.
///
/// # Errors
///
/// When the kernel refuses.
pub fn pin() -> anyhow::Result<usize> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu));
    let last = last.context("no processor to run on")?;
    let mut one = CpuSet::new();
    one.set(last);
    sched_setaffinity(None, &one)?;
    Ok(last)
}

/// The processor's name with the widest vectors that matter here, as `AMD EPYC, avx512vbmi`.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    let name = field("model name").unwrap_or(std::env::consts::ARCH);
    let flags: Vec<&str> = field("flags").unwrap_or_default().split(' ').collect();
    let widest = ["avx512vbmi", "avx2", "sse4_2"];
    let widest = widest.into_iter().find(|flag| flags.contains(flag));
    widest.map_or_else(|| name.to_owned(), |widest| format!("{name}, {widest}"))
}

/// The day, in UTC, as `2026-11-21`.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
