//! What one would build it from without lapwing: crates that look for many patterns.

use ::aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use anyhow::Context;
use regex::bytes::{RegexSet, RegexSetBuilder};
use regex_syntax::hir::HirKind;

use super::{Engine, SLOW_BYTES, lines};

/// Room enough that no set of ours is held back by it.
const STATES_BYTES: usize = 64 * 1024 * 1024;
const COMPILED_BYTES: usize = 1024 * 1024 * 1024;

/// `regex::bytes::RegexSet` with room enough that it is not held back.
///
/// # Errors
///
/// When one of `patterns` is none.
pub fn regex_set_of(patterns: &[String]) -> anyhow::Result<RegexSet> {
    let mut builder = RegexSetBuilder::new(patterns);
    builder
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(STATES_BYTES);
    builder.build().context("RegexSet")
}

/// `regex::bytes::RegexSet`, asked about each line.
pub(super) fn regex_set(patterns: &[String]) -> anyhow::Result<Engine> {
    let set = regex_set_of(patterns)?;
    Ok(Engine::new("regexset", SLOW_BYTES, move |batches| {
        let lines = batches.iter().flat_map(|batch| lines(batch));
        lines
            .map(|(_, line)| set.matches(line).iter().count() as u64)
            .sum()
    }))
}

/// Every (line, rule) pair in `log`, ascending, as a `RegexSet` finds them: what is true.
///
/// # Errors
///
/// When one of `patterns` is none.
pub fn line_pairs(patterns: &[String], log: &[u8]) -> anyhow::Result<Vec<(usize, usize)>> {
    let set = regex_set_of(patterns)?;
    let lines = lines(log);
    let pairs =
        lines.flat_map(|(at, line)| set.matches(line).into_iter().map(move |rule| (at, rule)));
    Ok(pairs.collect())
}

/// The `regex-filtered` crate, asked about each line. It takes text only: a line that is not
/// UTF-8 is passed over.
pub(super) fn regex_filtered(patterns: &[String]) -> anyhow::Result<Engine> {
    let mut builder = regex_filtered::Builder::new();
    for pattern in patterns {
        builder = builder.push(pattern).with_context(|| pattern.clone())?;
    }
    let filtered = builder.build().context("regex-filtered")?;
    Ok(Engine::new("regex-filtered", SLOW_BYTES, move |batches| {
        let lines = batches.iter().flat_map(|batch| lines(batch));
        let texts = lines.filter_map(|(_, line)| str::from_utf8(line).ok());
        texts
            .map(|text| filtered.matching(text).count() as u64)
            .sum()
    }))
}

/// Aho-Corasick as one automaton with all transitions, for those of `patterns` that are nothing but
/// a literal; none where there are none.
pub(super) fn aho_corasick(patterns: &[String]) -> anyhow::Result<Option<Engine>> {
    let literals: Vec<Vec<u8>> = patterns.iter().filter_map(|text| literal(text)).collect();
    if literals.is_empty() {
        return Ok(None);
    }
    // With many literals the automaton with all its transitions is the fastest there is.
    let kind = (literals.len() > 64).then_some(AhoCorasickKind::DFA);
    let searcher = AhoCorasick::builder()
        // What its fast searcher for few literals needs.
        .match_kind(MatchKind::LeftmostFirst)
        .kind(kind)
        .build(&literals)?;
    Ok(Some(Engine::new(
        "aho-corasick",
        2 * SLOW_BYTES,
        move |batches| {
            let found = batches
                .iter()
                .map(|batch| searcher.find_iter(batch).count() as u64);
            found.sum()
        },
    )))
}

fn literal(pattern: &str) -> Option<Vec<u8>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    match hir.into_kind() {
        HirKind::Literal(literal) => Some(literal.0.into_vec()),
        _ => None,
    }
}

/// Counts line feeds: what looking at every byte once costs at the least.
pub(super) fn line_feeds() -> Engine {
    Engine::new("line feeds", usize::MAX, |batches| {
        let counts = batches
            .iter()
            .map(|batch| memchr::memchr_iter(b'\n', batch).count() as u64);
        counts.sum()
    })
}
