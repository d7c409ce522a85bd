//! How many instructions scanning 1 MiB and building a matcher take: figures that another process
//! on the machine does not change, so that a small step back is seen.
//!
//! Needs valgrind and `gungraun-runner` (see CONTRIBUTING.md), so this is a bench and no test.
//! Valgrind knows no AVX-512: what is counted is what a processor without it would run. Instructions
//! a byte: the figure divided by 2^20.
#![expect(
    missing_docs,
    unused_qualifications,
    reason = "what the macros make of it"
)]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use lapwing_benches::corpora;
use lapwing_benches::engines::{batches, matcher_of};
use lapwing_benches::rule_sets::{self, RuleSet};
use lapwing_rules::fields::Format;
use lapwing_rules::matcher::{Matcher, Scratch};

const SIZE: usize = 1024 * 1024;

/// What a scan needs, with everything that is built lazily already built.
struct Ready {
    log: Vec<u8>,
    matcher: Matcher,
    scratch: Scratch,
}

impl Ready {
    fn scan(&mut self) -> u64 {
        let mut hits = 0;
        for batch in batches(&self.log) {
            self.matcher
                .scan(batch, &Format::Plain, &mut self.scratch, &mut |_| hits += 1);
        }
        hits
    }
}

fn ready(log: Vec<u8>, set: &RuleSet) -> Ready {
    let mut ready = Ready {
        log,
        matcher: matcher_of(&set.patterns).expect("good patterns"),
        scratch: Scratch::default(),
    };
    ready.scan();
    ready
}

fn nginx(set: &RuleSet) -> Ready {
    ready(corpora::nginx(SIZE), set)
}

fn mixed(set: &RuleSet) -> Ready {
    ready(corpora::mixed(SIZE), set)
}

fn near_misses(set: &RuleSet) -> Ready {
    ready(corpora::near_misses(SIZE, &set.patterns), set)
}

#[library_benchmark]
#[bench::nginx_r1(nginx(&rule_sets::r1()))]
#[bench::nginx_r50(nginx(&rule_sets::r50()))]
#[bench::nginx_r50w(nginx(&rule_sets::r50w()))]
#[bench::nginx_r500(nginx(&rule_sets::r500()))]
#[bench::nginx_r2000(nginx(&rule_sets::r2000()))]
#[bench::nginx_r2000d(nginx(&rule_sets::r2000d()))]
#[bench::mixed_r1(mixed(&rule_sets::r1()))]
#[bench::mixed_r50(mixed(&rule_sets::r50()))]
#[bench::mixed_r50w(mixed(&rule_sets::r50w()))]
#[bench::mixed_r500(mixed(&rule_sets::r500()))]
#[bench::mixed_r2000(mixed(&rule_sets::r2000()))]
#[bench::mixed_r2000d(mixed(&rule_sets::r2000d()))]
#[bench::near_misses_r500(near_misses(&rule_sets::r500()))]
fn scan_one_mib(mut ready: Ready) -> (u64, Ready) {
    // Given back, so that dropping it is not counted.
    (black_box(ready.scan()), ready)
}

#[library_benchmark]
#[bench::r500(rule_sets::r500())]
#[bench::r2000(rule_sets::r2000())]
#[bench::r2000d(rule_sets::r2000d())]
fn build(set: RuleSet) -> (Matcher, RuleSet) {
    (
        black_box(matcher_of(&set.patterns).expect("good patterns")),
        set,
    )
}

library_benchmark_group!(name = matcher, benchmarks = [scan_one_mib, build]);

main!(library_benchmark_groups = matcher);
