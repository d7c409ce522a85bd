//! The matcher against a naive one: every rule on every line, one by one.
//!
//! From `tests/fuzz`:
//!
//! ```text
//! mkdir -p corpus/matcher
//! cargo +nightly fuzz run --fuzz-dir . --no-trace-compares matcher corpus/matcher seeds/matcher -- -dict=matcher.dict
//! ```
//!
//! Without `--fuzz-dir` cargo-fuzz looks for a folder `fuzz` beside the root `Cargo.toml`. Told about
//! every comparison it is four times slower: planning compares all of a sample with all runs.
//!
//! An input is text that one can read and write: `written` says how. What is found is compared over
//! the whole log, over the log record by record, over it cut in two, and repeated until a scan takes
//! more than one turn. The naive matcher asks the patterns and conditions that the rules hold; that
//! those say what an operator meant is tested in their own rooms.

#![no_main]

mod draw;
mod naive;
mod written;

use std::ops::Range;

use lapwing_rules::fields::Fields;
use lapwing_rules::matcher::{Matcher, Scratch, Setup};
use lapwing_rules::model::Text;
use libfuzzer_sys::{Corpus, fuzz_target};

use written::{Case, Sample};

/// A line that a rule accepts: the line's place, the rule, what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    line: Range<usize>,
    rule: u32,
    fields: Vec<(String, Vec<u8>)>,
}

impl Hit {
    fn moved_by(&self, bytes: usize) -> Self {
        Self {
            line: self.line.start + bytes..self.line.end + bytes,
            ..self.clone()
        }
    }
}

fn shown(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match Case::read(bytes) {
        Some(case) => {
            check(&case);
            Corpus::Keep
        }
        None => Corpus::Reject,
    }
});

fn check(case: &Case) {
    let sample = match case.sample {
        Sample::Ordinary => Vec::new(),
        Sample::Log => filled(&case.log, b""),
        Sample::LogAmongOthers => filled(&case.log, &[b'~'; 2000]),
        Sample::Others => filled(b"GET /index.html 200\n", b""),
    };
    let setup = Setup {
        kernel: case.kernel,
        format: case.is_format_known.then_some(&case.format),
        sample: &sample,
    };
    let matcher = Matcher::with(case.rules.clone(), &setup);
    let mut scratch = Scratch::default();
    scratch.set_peer(case.peer.as_deref());
    let mut scan = |text: Text<'_>, at: usize, hits: &mut Vec<Hit>| {
        matcher.scan_records(text, &case.format, &mut scratch, &mut |found| {
            hits.push(Hit {
                line: at + found.line.start..at + found.line.end,
                rule: found.rule.0,
                fields: shown(found.fields),
            });
        });
    };
    let expected = naive::hits(case);
    let same = |how: &str, hits: &[Hit], expected: &[Hit]| {
        assert!(
            hits == expected,
            "{how}: found {hits:?}\nexpected {expected:?}\n{case}\n{:?}",
            matcher.plan()
        );
    };
    let whole = 0..case.log.len();
    let mut scan_part = |part: Range<usize>, hits: &mut Vec<Hit>| {
        let records = case.records_in(part.clone());
        let text = Text {
            bytes: &case.log[part.clone()],
            records: &records,
        };
        scan(text, part.start, hits);
    };

    let mut hits = Vec::new();
    scan_part(whole.clone(), &mut hits);
    same("whole", &hits, &expected);

    let borders = case.borders();
    hits.clear();
    for part in borders.windows(2) {
        scan_part(part[0]..part[1], &mut hits);
    }
    same("record by record", &hits, &expected);

    let cut = borders[case.cut % borders.len()];
    hits.clear();
    scan_part(0..cut, &mut hits);
    scan_part(cut..whole.end, &mut hits);
    same(&format!("cut at {cut}"), &hits, &expected);

    if case.is_long && case.log.ends_with(b"\n") {
        check_repeated(case, &expected, &mut scan, &same);
    }
}

/// The log so often that a scan goes through more than one piece.
fn check_repeated(
    case: &Case,
    expected: &[Hit],
    scan: &mut dyn FnMut(Text<'_>, usize, &mut Vec<Hit>),
    same: &dyn Fn(&str, &[Hit], &[Hit]),
) {
    /// More than the matcher takes at a time.
    const LONG: usize = 600 * 1024;
    /// Hits are held with their fields.
    const MANY: usize = 50_000;
    let log = &case.log;
    let times = LONG / log.len() + 1;
    if times * expected.len() > MANY {
        return;
    }
    let starts = (0..times).map(|time| time * log.len());
    let records: Vec<Range<usize>> = starts
        .clone()
        .flat_map(|start| {
            let moved = move |record: &Range<usize>| start + record.start..start + record.end;
            case.records.iter().map(moved)
        })
        .collect();
    let text = Text {
        bytes: &log.repeat(times),
        records: &records,
    };
    let mut hits = Vec::new();
    scan(text, 0, &mut hits);
    let expected: Vec<Hit> = starts
        .flat_map(|start| expected.iter().map(move |hit| hit.moved_by(start)))
        .collect();
    same(&format!("{times} times"), &hits, &expected);
}

/// As many bytes as it takes for a sample to count.
fn filled(log: &[u8], others: &[u8]) -> Vec<u8> {
    const ENOUGH: usize = 33 * 1024;
    let mut sample = Vec::new();
    if !log.is_empty() || !others.is_empty() {
        while sample.len() < ENOUGH {
            sample.extend_from_slice(log);
            sample.extend_from_slice(others);
        }
    }
    sample
}
