//! Lines about a sample, and lines that say that others came more often, however they were cut into
//! batches.

use super::*;

const RULES: &str = r"
rules:
  - name: r
    type: any
    match: {contains: [hit]}
    context: {before: 2, after: 1}
    redact: [email]
    expand_repeats: true
";

/// Samples of all messages: `before|line|after ×times`, and the hits that were counted.
fn samples(batches: &[&str], restarts: bool) -> (Vec<String>, u64) {
    let rules = read(RULES);
    let name: Arc<str> = "in".into();
    let input = InputSpec {
        name: Arc::clone(&name),
        format: Some(Arc::new(Format::Plain)),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::AsConfigured);
    let (mut state, mut shown, mut hits) = (SourceState::default(), Vec::new(), 0);
    for text in batches {
        if restarts {
            state = SourceState::remembered(&state.memory());
        }
        let text = batch(text.as_bytes(), 0);
        scanner.scan(&text, &mut state, Timestamp::MAX, &mut |hit| {
            let sample = &hit.sample;
            let (before, after) = (sample.before.join(","), sample.after.join(","));
            shown.push(format!("{before}|{}|{after} ×{}", sample.line, hit.times));
            hits += hit.times;
        });
    }
    (shown, hits)
}

#[test]
fn a_sample_has_its_neighbours_over_batches_and_restarts_and_they_are_redacted() {
    let (shown, _) = samples(&["a\nb\nx@y.org\nhit\nd\ne\n"], false);
    assert_eq!(shown, ["b,[email]|hit|d ×1"]);
    for restarts in [false, true] {
        let (shown, _) = samples(&["a\nb\n", "x@y.org\n", "hit\n", "d\n"], restarts);
        assert_eq!(shown, ["b,[email]|hit| ×1"], "restarts: {restarts}");
    }
    assert_eq!(samples(&["hit\n"], false).0, ["|hit| ×1"]);
}

#[test]
fn lines_that_came_more_often_count_so_often_however_they_are_cut() {
    let text = "message repeated 40 times: [ hit ]\nhit\nlast message repeated 3 times\n\
                last message repeated 2 times\nfine\nlast message repeated 9 times\n";
    let (shown, hits) = samples(&[text], false);
    assert_eq!((shown.len(), hits), (4, 40 + 1 + 3 + 2), "{shown:?}");
    for cut in (0..text.len()).filter(|at| text.as_bytes().get(at - 1.min(*at)) == Some(&b'\n')) {
        let (first, rest) = text.split_at(cut);
        assert_eq!(samples(&[first, rest], false).1, hits, "cut at {cut}");
    }
}
