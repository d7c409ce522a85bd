//! Lapwing's matcher as an engine, in all the ways in which it can run.

use std::sync::Arc;

use anyhow::Context;
use lapwing_rules::fields::Format;
use lapwing_rules::language::pattern::{Case, Pattern};
use lapwing_rules::language::rule::Match;
use lapwing_rules::matcher::{FieldUse, Kernel, Matcher, Scratch, Setup, Wanted};
use lapwing_rules::model::RuleId;

use super::{Engine, batches, whole_lines};

/// What the matcher may learn from: as much as the agent lets it.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;

/// Which log the matcher sees before the one that it scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The beginning of the same log.
    Own,
    /// The beginning of another log.
    Other,
    /// Nothing.
    None,
}

/// A way in which the matcher can run.
#[derive(Debug)]
pub struct Variant {
    /// As in tables; the first one is `lapwing`, and what ratios are of.
    pub name: String,
    /// What it learns from.
    pub sample: Sample,
    /// Which instructions it is made of.
    pub kernel: Kernel,
}

/// All ways that this processor can run; the first one as the agent begins.
pub fn variants() -> Vec<Variant> {
    let variant = |name: &str, sample, kernel| Variant {
        name: name.to_owned(),
        sample,
        kernel,
    };
    let best = Kernel::best();
    let mut variants = vec![
        variant("lapwing", Sample::None, best),
        variant("lapwing taught", Sample::Own, best),
        variant("lapwing mistaught", Sample::Other, best),
    ];
    for kernel in Kernel::supported().skip(1) {
        let name = format!("lapwing {kernel:?}").to_lowercase();
        variants.push(variant(&name, Sample::None, kernel));
    }
    variants
}

impl Variant {
    fn matcher(&self, patterns: &[String], own: &[u8], other: &[u8]) -> anyhow::Result<Matcher> {
        let sample = match self.sample {
            Sample::Own => whole_lines(own, SAMPLE_BYTES),
            Sample::Other => whole_lines(other, SAMPLE_BYTES),
            Sample::None => &[],
        };
        let setup = Setup {
            kernel: self.kernel,
            sample,
            ..Setup::default()
        };
        Ok(Matcher::with(wanted(patterns)?, &setup))
    }

    pub(super) fn engine(
        &self,
        patterns: &[String],
        own: &[u8],
        other: &[u8],
    ) -> anyhow::Result<Engine> {
        let matcher = self.matcher(patterns, own, other)?;
        let mut scratch = Scratch::default();
        Ok(Engine::new(&self.name, usize::MAX, move |batches| {
            let mut hits = 0;
            for batch in batches {
                matcher.scan(batch, &Format::Plain, &mut scratch, &mut |_| hits += 1);
            }
            hits
        }))
    }
}

/// The matcher for `patterns` as the agent would run it, untaught.
///
/// # Errors
///
/// When one of `patterns` is none.
pub fn matcher_of(patterns: &[String]) -> anyhow::Result<Matcher> {
    Ok(Matcher::of(wanted(patterns)?))
}

/// Every (line, rule) pair that every variant finds in `log`, ascending: the line by its place,
/// the rule by its place in `patterns`. `own` and `other` as for [`super::all`].
///
/// # Errors
///
/// When one of `patterns` is none, or the variants do not find the same.
pub fn pairs(
    patterns: &[String],
    log: &[u8],
    own: &[u8],
    other: &[u8],
) -> anyhow::Result<Vec<(usize, usize)>> {
    let mut found = Vec::new();
    for variant in variants() {
        let matcher = variant.matcher(patterns, own, other)?;
        found.push((variant.name, pairs_of(&matcher, log)));
    }
    let (first, pairs) = found.pop().context("there is a variant")?;
    for (name, others) in found {
        anyhow::ensure!(others == pairs, "{first} and {name} find other pairs");
    }
    Ok(pairs)
}

fn pairs_of(matcher: &Matcher, log: &[u8]) -> Vec<(usize, usize)> {
    let (mut scratch, mut pairs, mut base) = (Scratch::default(), Vec::new(), 0);
    for batch in batches(log) {
        matcher.scan(batch, &Format::Plain, &mut scratch, &mut |found| {
            pairs.push((base + found.line.start, found.rule.0 as usize));
        });
        base += batch.len();
    }
    pairs
}

fn wanted(patterns: &[String]) -> anyhow::Result<Vec<Wanted>> {
    let numbered = (0..).map(RuleId).zip(patterns);
    let wanted = numbered.map(|(rule, text)| {
        let pattern = Pattern::new(text, Case::Sensitive);
        let pattern = pattern.map_err(|error| anyhow::anyhow!("{text}: {}", error.message))?;
        Ok(Wanted {
            rule,
            matching: Arc::new(Match {
                regex: vec![pattern],
                ..Match::default()
            }),
            fields: FieldUse::Unwanted,
        })
    });
    wanted.collect()
}
