//! Engines over the same log in turns, so that what else the machine does hits all of them alike; and
//! only the time that the thread ran counts.

use std::time::Duration;

use crate::engines::{Engine, batches, whole_lines};
use crate::machine::cpu_timed;

/// What one of them did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What it was given in each round.
    pub bytes: usize,
    /// What it counted in one round.
    pub hits: u64,
    /// 10^6 bytes a second, for each round.
    pub rates: Vec<f64>,
}

/// A figure of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The middle one; of an even number the upper of the two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Figure {
    /// Of at least one value, none of them NaN.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            median: values[values.len() / 2],
            least: values[0],
            most: values[values.len() - 1],
        }
    }
}

impl Outcome {
    /// How many times as fast as `other` this was, round by round.
    pub fn times(&self, other: &Self) -> Figure {
        let rounds = self.rates.iter().zip(&other.rates);
        Figure::of(rounds.map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// Runs all `engines` over `log` once to warm up, then in turns for `rounds` (at least 1).
///
/// # Panics
///
/// When one of them does not count the same each time.
pub fn run(engines: &mut [Engine], log: &[u8], rounds: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut slices = Vec::new();
    for engine in &mut *engines {
        let slice = whole_lines(log, engine.most_bytes);
        let batches = batches(slice);
        outcomes.push(Outcome {
            name: engine.name.clone(),
            bytes: slice.len(),
            hits: (engine.scan)(&batches),
            rates: Vec::new(),
        });
        slices.push(batches);
    }
    for _ in 0..rounds {
        for ((engine, outcome), batches) in engines.iter_mut().zip(&mut outcomes).zip(&slices) {
            let (took, hits) = cpu_timed(|| (engine.scan)(batches));
            assert_eq!(hits, outcome.hits, "{} counts anew each time", outcome.name);
            outcome.rates.push(rate(outcome.bytes, took));
        }
    }
    outcomes
}

/// 10^6 bytes a second.
///
/// # Panics
///
/// When `bytes` are 4 GiB or more.
pub fn rate(bytes: usize, took: Duration) -> f64 {
    let bytes = u32::try_from(bytes).expect("a log of less than 4 GiB");
    f64::from(bytes) / 1e6 / took.as_secs_f64()
}
