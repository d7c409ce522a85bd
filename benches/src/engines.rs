//! Who takes part: each engine made ready for a set of patterns, as one function that scans
//! everything once.
//!
//! All of them look at the same batches of whole lines, 256 KiB as the agent reads them, on one
//! thread. What a *hit* is differs: `lapwing`, `regexset` and `regex-filtered` count every (rule,
//! line) pair; `hyperscan` counts every end of every match; `aho-corasick` counts the occurrences
//! of the pure literals only, which is less work than was asked for.

mod crates;
pub mod hyperscan;
mod ours;

use std::rc::Rc;

use hyperscan::Hyperscan;

pub use crates::{line_pairs, regex_set_of};
pub use ours::{Sample, Variant, matcher_of, pairs, variants};

/// As the agent's batches.
pub const BATCH_BYTES: usize = 256 * 1024;
/// What an engine below 1 GB/s is given: enough for its speed, and the whole run stays short.
pub const SLOW_BYTES: usize = 4 * 1024 * 1024;

/// Scans batches of whole lines and gives the number of hits.
pub type Scan = Box<dyn FnMut(&[&[u8]]) -> u64>;

/// One that takes part.
pub struct Engine {
    /// As in tables.
    pub name: String,
    /// It is given at most so much of the log.
    pub most_bytes: usize,
    /// What it does.
    pub scan: Scan,
}

impl Engine {
    fn new(
        name: impl Into<String>,
        most_bytes: usize,
        scan: impl FnMut(&[&[u8]]) -> u64 + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            most_bytes,
            scan: Box::new(scan),
        }
    }
}

/// Everyone for `patterns`, ours first. `own` and `other`: logs that ours may learn from, the one
/// that will be scanned and another one. `hyperscan`: where there is one.
///
/// # Errors
///
/// When an engine does not take the patterns.
pub fn all(
    patterns: &[String],
    own: &[u8],
    other: &[u8],
    hyperscan: Option<&Rc<Hyperscan>>,
) -> anyhow::Result<Vec<Engine>> {
    let mut engines = Vec::new();
    for variant in variants() {
        engines.push(variant.engine(patterns, own, other)?);
    }
    if let Some(hyperscan) = hyperscan {
        let mut database = hyperscan.compile(patterns)?;
        engines.push(Engine::new("hyperscan", usize::MAX, move |batches| {
            batches.iter().map(|batch| database.matches(batch)).sum()
        }));
    }
    engines.push(crates::regex_set(patterns)?);
    engines.push(crates::regex_filtered(patterns)?);
    engines.extend(crates::aho_corasick(patterns)?);
    engines.push(crates::line_feeds());
    Ok(engines)
}

/// `log` in batches of whole lines of at most about [`BATCH_BYTES`], cut at line feeds.
pub fn batches(mut log: &[u8]) -> Vec<&[u8]> {
    let mut batches = Vec::new();
    while !log.is_empty() {
        let head = log.get(..BATCH_BYTES).unwrap_or(log);
        let lf = memchr::memrchr(b'\n', head).or_else(|| memchr::memchr(b'\n', log));
        let (batch, rest) = log.split_at(lf.map_or(log.len(), |lf| lf + 1));
        batches.push(batch);
        log = rest;
    }
    batches
}

/// The whole lines in the first `most` bytes of `log`.
pub fn whole_lines(log: &[u8], most: usize) -> &[u8] {
    let head = log.get(..most).unwrap_or(log);
    if head.len() == log.len() {
        return log;
    }
    let lf = memchr::memrchr(b'\n', head);
    lf.map_or(&[], |lf| &head[..=lf])
}

/// The lines of `log` without their terminators, each with its place.
pub fn lines(log: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut begin = 0;
    let ends = memchr::memchr_iter(b'\n', log);
    let unended = !log.is_empty() && !log.ends_with(b"\n");
    ends.chain(unended.then_some(log.len())).map(move |end| {
        let line = (begin, &log[begin..end]);
        begin = end + 1;
        line
    })
}
