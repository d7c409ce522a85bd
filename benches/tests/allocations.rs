//! The hot path allocates nothing: a batch in which no line matches goes through the scanner
//! without a single allocation once its memory is warm.

use std::sync::Arc;

use lapwing_rules::fields::Format;
use lapwing_rules::language::check::{Checked, Defaults, Known, check};
use lapwing_rules::language::packs;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use lapwing_rules::scanner::{InputSpec, Listening, Scanner, SourceState};

/// Ordinary lines, and one in ten that looks like trouble to the search and is none.
fn lines() -> Vec<u8> {
    let mut text = String::new();
    for n in 0..2_000 {
        let path = if n % 10 == 0 {
            r"/a?q=\x22 502 \x22 connect() failed"
        } else {
            "/index.html"
        };
        text += r#"10.0.0.7 - - [21/Nov/2026:09:00:00 +0000] "GET "#;
        text += path;
        text += " HTTP/1.1\" 200 512 \"-\" \"curl/8\"\n";
    }
    text.into_bytes()
}

#[test]
fn a_batch_without_a_hit_allocates_nothing() {
    let pack = packs::find("nginx").expect("it is shipped");
    let Checked {
        rules, problems, ..
    } = check(&[pack], &Defaults::default(), Known::default());
    assert_eq!(problems, []);
    let rules = Arc::new(RuleSet::new(rules));
    let name: Arc<str> = "in".into();
    let input = InputSpec {
        name: Arc::clone(&name),
        format: Some(Arc::new(Format::Nginx)),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::ToEverything);
    let mut state = SourceState::default();
    let batch = Batch {
        source: Arc::new(Source {
            input: InputId(0),
            name,
        }),
        bytes: lines(),
        segments: Vec::new(),
        cut: Vec::new(),
        records: Vec::new(),
        arrival: Timestamp::from_secs(1_800_000_000),
    };
    let mut hits = 0;
    let mut scan = || scanner.scan(&batch, &mut state, Timestamp::MAX, &mut |_| hits += 1);
    scan();
    let cost = allocation_counter::measure(scan);
    assert_eq!((cost.count_total, hits), (0, 0));
}
