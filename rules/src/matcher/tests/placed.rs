//! Rules that are asked where their run stands: what is around it, twice in a line, at its ends.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Written, check};

/// Pieces of patterns: fixed texts that are long enough to be searched for, and what may stand
/// around them.
fn pattern() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "upstream",
        "timed out",
        "key=12",
        "aaaaaaaa",
        "abababab",
        "Stream",
    ]);
    let around = select(vec![
        "",
        "",
        r"\d+",
        r"\d{2,3}",
        ".*",
        ".",
        "[^u]*",
        r"\b",
        r"\B",
        " ?",
        "a*",
        "(?:a|b)",
        r"\w+",
        r"\s",
        "(?:up|down)",
        "[a-m]{3}",
        r"\r?",
        "é?",
    ]);
    let pieces = vec((around.clone(), fixed, around), 1..4);
    let start = select(vec!["", "", "", "^", r"\b", "(?i)", "^.*"]);
    let end = select(vec!["", "", "", "$", r"\b", r"\B", ".*$"]);
    (start, pieces, end, any::<bool>()).prop_map(|(start, pieces, end, is_choice)| {
        let pieces: Vec<String> = pieces
            .into_iter()
            .map(|(before, fixed, after)| format!("{before}{fixed}{after}"))
            .collect();
        let between = if is_choice { "|" } else { "" };
        let whole = pieces.join(between);
        format!("{start}(?:{whole}){end}")
    })
}

/// Lines of the same pieces, so that runs stand in them once, twice, and side by side.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        &b"upstream"[..],
        b"timed out",
        b"key=12",
        b"aaaaaaaa",
        b"abababab",
        b"Stream",
        b"upstrean",
        b"a",
        b"b",
        b" ",
        b"12",
        b"7",
        b"xyz",
        b"_",
        b"\r",
        b"\xff",
        "é".as_bytes(),
        b"u",
        b"up",
        b"AAAAAAAA",
        b"UPSTREAM",
    ]);
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_rule_is_asked_where_its_run_stands_as_it_is_on_the_whole_line(
        patterns in vec(pattern(), 1..6),
        lines in vec(line(), 1..24),
        end in select(vec![&b"\n"[..], b"\r\n", b""]),
    ) {
        let rules: Vec<Written> = patterns.iter().map(|text| Written::regex(&[text])).collect();
        let mut log = lines.join(&b"\n"[..]);
        log.extend_from_slice(end);
        check(&rules, &log);
    }
}

#[test]
fn a_second_place_in_the_line_may_be_the_right_one() {
    let rules = [
        r"connect \d+ to upstream one",
        r"upstream.* failed: \d\b",
        r"retry \d+ of 45 at orchard",
        r"(?:one|two) foundry gives up$",
        r"^\S+ foundry gives up",
        r"\Bfoundry gives\b",
    ];
    let rules: Vec<Written> = rules.iter().map(|text| Written::regex(&[text])).collect();
    let log = b"connect x to upstream one, connect 7 to upstream one\n\
        upstream failed: x, upstream failed: 12, upstream failed: 1\r\n\
        retry of 45 at orchard, retry 1 of 45 at orchard\n\
        one foundry gives up, two foundry gives up\r\n\
        two foundry gives up\r\ntwo foundry gives up \n\
        xfoundry gives, foundry gives\r\nfoundry gives";
    assert_eq!(check(&rules, log), 9);
}
