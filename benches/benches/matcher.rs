//! How fast lines are matched, and how long getting ready takes, with criterion's statistics: for
//! the difference that a change makes. Lapwing's matcher beside what one would write without it (one
//! `RegexSet` asked about each line), over the same bytes. Others, and the ratios that are claimed:
//! `cargo run --release -p lapwing-benches`.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use lapwing_benches::corpora;
use lapwing_benches::engines::{batches, line_pairs, lines, matcher_of, pairs, regex_set_of};
use lapwing_benches::rule_sets::{self, RuleSet};
use lapwing_rules::fields::Format;
use lapwing_rules::matcher::Scratch;

const SIZE: usize = 4 * 1024 * 1024;

fn scan_with_lapwing(group: &mut BenchmarkGroup<'_, WallTime>, log: &[u8], set: &RuleSet) {
    // What finds other pairs has no speed to speak of.
    let truth = line_pairs(&set.patterns, log).expect("good patterns");
    assert!(pairs(&set.patterns, log, log, &[]).expect("good patterns") == truth);
    let matcher = matcher_of(&set.patterns).expect("good patterns");
    let (batches, mut scratch) = (batches(log), Scratch::default());
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function(BenchmarkId::new("lapwing", &set.name), |bencher| {
        bencher.iter(|| {
            let mut hits = 0;
            for batch in black_box(&batches) {
                matcher.scan(batch, &Format::Plain, &mut scratch, &mut |_| hits += 1);
            }
            hits
        });
    });
}

fn scan_with_regex_set(group: &mut BenchmarkGroup<'_, WallTime>, log: &[u8], set: &RuleSet) {
    let patterns = regex_set_of(&set.patterns).expect("good patterns");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function(BenchmarkId::new("regexset", &set.name), |bencher| {
        bencher.iter(|| {
            let found =
                lines(black_box(log)).map(|(_, line)| patterns.matches(line).iter().count());
            found.sum::<usize>()
        });
    });
}

fn scan(criterion: &mut Criterion) {
    for (name, log) in [
        ("nginx", corpora::nginx(SIZE)),
        ("mixed", corpora::mixed(SIZE)),
    ] {
        let mut group = criterion.benchmark_group(name);
        for set in rule_sets::all() {
            scan_with_lapwing(&mut group, &log, &set);
        }
        scan_with_regex_set(&mut group, &log, &rule_sets::r50());
        group.finish();
    }
    let set = rule_sets::r500();
    for (name, log) in [
        ("near misses", corpora::near_misses(SIZE, &set.patterns)),
        (
            "tenth matching",
            corpora::tenth_matching(SIZE, &set.patterns),
        ),
    ] {
        let mut group = criterion.benchmark_group(name);
        scan_with_lapwing(&mut group, &log, &set);
        group.finish();
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    for set in [rule_sets::r500(), rule_sets::r2000(), rule_sets::r2000d()] {
        group.bench_function(BenchmarkId::new("lapwing", &set.name), |bencher| {
            bencher.iter_with_large_drop(|| matcher_of(black_box(&set.patterns)));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    scan(&mut criterion);
    build(&mut criterion);
    criterion.final_summary();
}
