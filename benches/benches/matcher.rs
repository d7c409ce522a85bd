//! How fast lines are matched: [`Matcher::scan`] beside what one would write without it (one set of
//! all patterns asked about each line; every pattern asked about each line), over the same bytes in
//! the same run. Only the ratios between them mean anything.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use lapwing_benches::{nginx, patterns};
use lapwing_rules::fields::Format;
use lapwing_rules::language::pattern::{Case, Pattern};
use lapwing_rules::language::rule::Match;
use lapwing_rules::matcher::{FieldUse, Matcher, Scratch, Wanted};
use lapwing_rules::model::RuleId;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, PatternSet};

/// As the agent's batches.
const BATCH_BYTES: usize = 256 * 1024;

fn lapwing(texts: &[String]) -> Matcher {
    let wanted = (0..).map(RuleId).zip(texts).map(|(rule, text)| Wanted {
        rule,
        matching: Arc::new(Match {
            regex: vec![Pattern::new(text, Case::Sensitive).expect("a good pattern")],
            ..Match::default()
        }),
        fields: FieldUse::Unwanted,
    });
    Matcher::of(wanted.collect())
}

fn count_with_lapwing(matcher: &Matcher, batches: &[&[u8]], scratch: &mut Scratch) -> usize {
    let mut pairs = 0;
    for batch in batches {
        matcher.scan(batch, &Format::Plain, scratch, &mut |_| pairs += 1);
    }
    pairs
}

/// One automaton for all patterns, with room enough for its states.
fn set(texts: &[String]) -> Regex {
    Regex::builder()
        .syntax(syntax::Config::new().utf8(false))
        .configure(
            Config::new()
                .utf8_empty(false)
                .match_kind(regex_automata::MatchKind::All)
                .nfa_size_limit(None)
                .hybrid_cache_capacity(64 * 1024 * 1024),
        )
        .build_many(texts)
        .expect("good patterns")
}

fn count_with_set(set: &Regex, log: &[u8]) -> usize {
    let mut found = PatternSet::new(set.pattern_len());
    let mut pairs = 0;
    for line in lines(log) {
        found.clear();
        set.which_overlapping_matches(&Input::new(line), &mut found);
        pairs += found.len();
    }
    pairs
}

fn count_one_by_one(regexes: &[Regex], log: &[u8]) -> usize {
    lines(log)
        .map(|line| regexes.iter().filter(|regex| regex.is_match(line)).count())
        .sum()
}

fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// `log` in whole lines of about [`BATCH_BYTES`].
fn batches(mut log: &[u8]) -> Vec<&[u8]> {
    let mut batches = Vec::new();
    while !log.is_empty() {
        let lf = log.iter().skip(BATCH_BYTES).position(|&byte| byte == b'\n');
        let (batch, rest) = log.split_at(lf.map_or(log.len(), |lf| BATCH_BYTES + lf + 1));
        batches.push(batch);
        log = rest;
    }
    batches
}

fn scan(criterion: &mut Criterion) {
    let log = nginx(4 * 1024 * 1024);
    let batches = batches(&log);
    let mut group = criterion.benchmark_group("nginx");
    group.throughput(Throughput::Bytes(log.len() as u64));
    for rules in [50, 500] {
        let texts = patterns(rules);
        let (matcher, set) = (lapwing(&texts), set(&texts));
        let each: Vec<Regex> = texts
            .iter()
            .map(|text| Regex::new(text).expect("a good pattern"))
            .collect();
        let mut scratch = Scratch::default();
        // What finds other pairs has no speed to speak of.
        let pairs = count_with_lapwing(&matcher, &batches, &mut scratch);
        assert!(pairs > 0);
        assert_eq!(pairs, count_with_set(&set, &log));
        group.bench_function(BenchmarkId::new("lapwing", rules), |bencher| {
            bencher.iter(|| count_with_lapwing(&matcher, black_box(&batches), &mut scratch));
        });
        group.bench_function(BenchmarkId::new("regex set a line", rules), |bencher| {
            bencher.iter(|| count_with_set(&set, black_box(&log)));
        });
        group.bench_function(BenchmarkId::new("one by one", rules), |bencher| {
            bencher.iter(|| count_one_by_one(&each, black_box(&log)));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    scan(&mut criterion);
    criterion.final_summary();
}
