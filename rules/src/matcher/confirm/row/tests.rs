//! Rows against the regex of the same pattern.

use proptest::prelude::*;

use super::{Line, Rows, Verdict};
use crate::language::pattern::{Case, Pattern};
use crate::matcher::tests::draw::Draw;
use crate::matcher::tests::pool::pool_patterns;

/// What rows say of `line`, or `None` where the pattern has none. It must be what the regex says.
fn verdict(pattern: &Pattern, rows: Option<&Rows>, line: &[u8]) -> Option<Verdict> {
    let seen = Line {
        bytes: line,
        is_ascii: line.is_ascii(),
    };
    let verdict = rows?.is_match(seen);
    let expected = match verdict {
        Verdict::Yes => true,
        Verdict::No => false,
        Verdict::Unknown => return Some(verdict),
    };
    assert_eq!(
        expected,
        pattern.is_match(line),
        "{pattern:?} in {:?}, as {rows:?}",
        line.escape_ascii().to_string(),
    );
    Some(verdict)
}

fn ask(text: &str, line: &[u8]) -> Option<Verdict> {
    let pattern = Pattern::new(text, Case::Sensitive).unwrap();
    verdict(&pattern, Rows::of(pattern.hir()).as_ref(), line)
}

#[test]
fn answers_what_is_in_its_power() {
    let cases: &[(&str, &str, bool)] = &[
        ("no live upstreams", "x no live upstreams", true),
        ("no live upstreams", "no live upstream", false),
        ("(?i)Stack ?overflow", "STACKOVERFLOW", true),
        ("(?i)Stack ?overflow", "stack  overflow", false),
        ("(?i)kiss", "a KiSs", true),
        (r"ab\d+c", "ab1 ab12c", true),
        (r"ab\d+c", "ab1 abc ab12", false),
        (r"x{2,5}y", "xy xxxxxxxxy", true),
        (r"\bx{2,5}y", "xy xxxxxxxxy", false),
        (r"\bx{2,5}y", "xxxxxy", true),
        (r"q.*w.*e", "wqewq.e", true),
        (r"q.*w.*e", "wqeqw", false),
        (r"q.{3}w", "qq12ww", true),
        (r"^\S+ sshd", "host sshd", true),
        (r"^\S+ sshd", "my host sshd", false),
        (r"\[\d+\]$", "[1] [22]", true),
        (r"\[\d+\]$", "[1] [22] ", false),
        (r"^$", "", true),
        (r"^$", " ", false),
        (r"^\s*$", " \t\r", true),
        (r"\b5\d\d\b", "1503 503", true),
        (r"\b5\d\d\b", "1503 5033", false),
        (r"\Bey\b", "key", true),
        (r"\Bey\b", "ey", false),
        (r"\B", "", true),
        ("(?:invalid user )?bob", "invalid user bob", true),
        ("for (?:invalid user )?bob", "for user bob", false),
        ("(?:ab){2}c", "ababc", true),
        ("(?:ab){2}c", "abc", false),
        ("(?:ab){1,3}c|zz", "xababc", true),
        (r"(?:\d{2}){1}:(?:\d{1,2}){2}!", "12:3456!", true),
        (r"(?:\d{2}){1}:(?:\d{1,2}){2}!", "12:3!", false),
        (r"(?:\d+)*x(?:\w?){3,}", "x", true),
        (r"\d+", "abc", false),
        (r"[ab][cd]*[^a]", "abcb", true),
        ("é?#", "#", true),
        ("é#", "#", false),
        ("é#|[éx]#", "x#", true),
        (r"[\x00#]{2}", "#\0", true),
        (r"(?s)k.*#", "#k\r#", true),
        (r"[^\s\S]x", "x", false),
        (r"a.*b", "a\nb", false),
    ];
    for (pattern, line, expected) in cases {
        let expected = if *expected { Verdict::Yes } else { Verdict::No };
        let found = ask(pattern, line.as_bytes());
        assert_eq!(found, Some(expected), "{pattern} in {line:?}");
    }
}

#[test]
fn leaves_to_the_regex_what_it_does_not_know() {
    let texts = [
        "",
        "a|",
        "(?:ab)?(?:cd)?",
        "(?:ab)*c",
        "(?:ab)+",
        r"(?:\d{2}){2,}x",
        "(?m)^a",
        "(?m)a$",
        "aa|bb|cc|dd|ee|ff|gg|hh|ii",
        "(?:aa|bb|cc)(?:dd|ee|ff)",
        r"\b{start}a",
        "(?:(?:é*){1000}){1000}x",
    ];
    for text in texts {
        let Ok(pattern) = Pattern::new(text, Case::Sensitive) else {
            continue;
        };
        let rows = Rows::of(pattern.hir());
        assert!(rows.is_none(), "{text}: {rows:?}");
    }
    let long = Pattern::literal(&[b'x'; 251], Case::Sensitive);
    assert!(Rows::of(long.hir()).is_none());
}

#[test]
fn says_nothing_of_lines_beyond_ascii_and_of_those_that_take_long() {
    assert_eq!(ask("a", "aé".as_bytes()), Some(Verdict::Unknown));
    assert_eq!(ask("a", b"a\xFF"), Some(Verdict::Unknown));
    let line = [b'a'; 4000];
    assert_eq!(ask("[a-z]*[a-m]*[a-f]*#", &line), Some(Verdict::No));
    assert_eq!(
        ask("#?a[a-z]*[a-m]*[a-f]*[0-9]", &line),
        Some(Verdict::Unknown)
    );
    assert_eq!(ask("a{3000}", &line), Some(Verdict::Unknown));
    assert_eq!(ask("a{1500}", &line), Some(Verdict::Yes));
}

const BEGINNINGS: [&str; 5] = ["(?i)", "^", "(?i)^", r"\b", r"\B"];
const TEXTS: [&str; 10] = ["a", "ab", "aba", "b: ", "1", "k_", "Sk", "é", "#", " "];
const CLASSES: [&str; 14] = [
    r"\d",
    r"\w",
    r"\s",
    r"\S",
    ".",
    "[ab]",
    "[^a]",
    r#"[^"]"#,
    "[k-s]",
    "[a-bA-B1]",
    r"\pL",
    "(?i:k)",
    r"(?-u:\w)",
    "[é#]",
];
const CHOICES: [&str; 11] = [
    "(a|b1)",
    "(?:ab|b|)",
    "(k|sk|aba|#)",
    "(?:a|a b)",
    "(a(?:b|#)|1)",
    "(ab)?",
    "(?:a1 ?)?",
    "(?:ab){2}",
    "(?:b#){0,2}",
    r"(?:\d+)?",
    "(?:a?){2,}",
];
const SPANS: [&str; 10] = [
    r"\b",
    r"\B",
    "$",
    "^",
    ".*",
    ".+?",
    r#""[^"]*""#,
    r"\d+",
    r"\S+",
    r"\s*",
];
const TIMES: [&str; 9] = [
    "*", "+", "?", "{2}", "{2,5}", "{0,2}", "{3,}", "+?", "{9,11}",
];

/// A pattern as people write them, of up to five parts.
fn row_like(draw: &mut Draw) -> String {
    let mut text = String::new();
    if draw.below(4) == 0 {
        text.push_str(draw.one_of(&BEGINNINGS));
    }
    for _ in 0..=draw.below(5) {
        let is_one = match draw.below(8) {
            0..=2 => {
                text.push_str(draw.one_of(&TEXTS));
                true
            }
            3 | 4 => {
                text.push_str(draw.one_of(&CLASSES));
                true
            }
            5 | 6 => {
                text.push_str(draw.one_of(&CHOICES));
                false
            }
            _ => {
                text.push_str(draw.one_of(&SPANS));
                false
            }
        };
        if is_one && draw.below(3) == 0 {
            text.push_str(draw.one_of(&TIMES));
        }
    }
    if draw.below(6) == 0 {
        text.push_str(draw.one_of(&["$", r"\b", ".*$", "|b"]));
    }
    text
}

/// About what `pattern` matches, changed here and there; mostly ASCII.
fn line_for(draw: &mut Draw, pattern: &Pattern) -> Vec<u8> {
    let mut line = Vec::new();
    for _ in 0..=draw.below(2) {
        noise(draw, &mut line);
        pattern_text(draw, pattern, &mut line);
    }
    noise(draw, &mut line);
    for _ in 0..draw.below(4) {
        let at = draw.below(line.len() + 1);
        match draw.below(3) {
            0 if at < line.len() => drop(line.remove(at)),
            1 if at < line.len() => line[at] = draw.one_of::<[u8]>(&[b"a", b"b", b" ", b"#"])[0],
            _ => line.insert(at, draw.one_of::<[u8]>(&[b"a", b"1", b"\"", b"\r"])[0]),
        }
    }
    line
}

fn pattern_text(draw: &mut Draw, pattern: &Pattern, line: &mut Vec<u8>) {
    let mut text = Vec::new();
    draw.text_of(pattern.hir(), &mut text);
    let keeps_all = draw.below(16) == 0;
    for char in String::from_utf8_lossy(&text).chars() {
        if keeps_all || char.is_ascii() {
            line.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            line.extend_from_slice(draw.one_of::<[u8]>(&[b"a", b"7", b"_", b" ", b"-", b"k"]));
        }
    }
}

fn noise(draw: &mut Draw, line: &mut Vec<u8>) {
    for _ in 0..draw.below(6) {
        line.extend_from_slice(draw.one_of::<[u8]>(&[
            b"a", b"ab", b"B", b" ", b"1", b"#", b"k", b"\r", b"\0", b"\"", b"_", b"b: ",
        ]));
    }
}

/// Verdicts of 16 lines about the pattern: how often yes, no, unknown; none where it is no row.
fn count(text: &str, case: Case, draw: &mut Draw) -> [u32; 3] {
    let mut counts = [0; 3];
    let pattern = Pattern::new(text, case).unwrap();
    let rows = Rows::of(pattern.hir());
    for _ in 0..16 {
        let line = line_for(draw, &pattern);
        match verdict(&pattern, rows.as_ref(), &line) {
            Some(Verdict::Yes) => counts[0] += 1,
            Some(Verdict::No) => counts[1] += 1,
            Some(Verdict::Unknown) => counts[2] += 1,
            None => {}
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn says_what_the_regex_says_of_rows(seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let text = row_like(&mut draw);
        count(&text, Case::Sensitive, &mut draw);
    }

    #[test]
    fn says_what_the_regex_says_of_any_pattern(seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let text = draw.pattern(3);
        if Pattern::new(&text, Case::Ignore).is_ok() {
            let case = if seed.is_multiple_of(2) { Case::Ignore } else { Case::Sensitive };
            count(&text, case, &mut draw);
        }
    }
}

#[test]
fn says_what_the_regex_says_of_every_known_trap() {
    let mut draw = Draw::new(1);
    for text in pool_patterns() {
        count(text, Case::Sensitive, &mut draw);
        count(text, Case::Ignore, &mut draw);
    }
}

#[test]
fn drawn_lines_are_told_apart_both_ways() {
    let mut draw = Draw::new(7);
    let mut all = [0; 3];
    for _ in 0..300 {
        let text = row_like(&mut draw);
        for (sum, count) in all.iter_mut().zip(count(&text, Case::Sensitive, &mut draw)) {
            *sum += count;
        }
    }
    let [yes, no, unknown] = all;
    assert!(yes > 1000 && no > 500 && unknown < yes, "{all:?}");
}

/// As operators write them.
const ORDINARY: [&str; 40] = [
    r#"" 504 "#,
    r#"HTTP/[12]\.[01]" 4(?:03|29) "#,
    r"recv\(\) failed .* while (?:reading|sending)",
    "no resolver defined",
    r"client sent invalid header line: \S+",
    r"SSL_read\(\) failed",
    r"limiting connections by zone \w+, client: \d+\.\d+",
    r"listen\(\) to \S+ failed",
    r"general protection fault ip:[0-9a-f]+",
    r"Killed process \d+ \(\w+\)",
    r"XFS \([a-z]+\d*\): Corruption",
    r"critical medium error, dev (?:sd[a-z]|nvme\dn\d), sector \d+",
    r"INFO: task \S+:\d+ blocked for more than \d{2,4} seconds",
    "neighbour: arp_cache: table overflow",
    "BUG: unable to handle|Oops: ",
    r"\[Hardware Error\]: Machine check",
    r"Failed publickey for (?:invalid user )?\S+ from \S+",
    r"sudo: +\w+ : 3 incorrect",
    "FAILED LOGIN|authentication failure",
    r"could not (?:open|fsync) file .*: ",
    r"duration: \d{4,}\.\d+ ms",
    r"InnoDB: (?:Fatal|Cannot) \w+",
    "(?i)disk quota exceeded",
    "(?i)handshake (?:has failed|timed out)",
    "(?i)time ?out",
    "(?i)permission denied",
    r"java\.lang\.\w+(?:Error|Exception): ",
    r#"ERROR in thread "[^"]+" [a-z.]+[A-Z]\w+Exception"#,
    r"Traceback \(most",
    "task '[^']+' panicked at",
    r"Backend \w+/\w+ is (?:DOWN|UP)",
    r"code=(?:exited|killed), status=\d+/[A-Z]+",
    r"lost quorum|leader changed \d+ times?",
    r"\b5\d\d\b",
    r"(?i)\berr(?:or)?\b",
    r"took [0-9]{3,}ms",
    r#""level":"(?:error|fatal)""#,
    r"^\S+ \S+ \S+ \[[^\]]+\] .POST /login",
    r"user=(?P<user>\w+) .*result=fail\w*$",
    r#"^(?P<ip>\S+) - - .*" 5\d\d "#,
];

#[test]
fn knows_ordinary_patterns_on_ordinary_lines() {
    let lines = include_bytes!("../../ordinary.log");
    let mut draw = Draw::new(3);
    for text in ORDINARY {
        let pattern = Pattern::new(text, Case::Sensitive).unwrap();
        let rows = Rows::of(pattern.hir()).unwrap_or_else(|| panic!("{text} has no rows"));
        let mut line = Vec::new();
        pattern_text(&mut draw, &pattern, &mut line);
        for line in lines.split(|byte| *byte == b'\n').chain([&*line]) {
            if line.is_ascii() {
                let found = verdict(&pattern, Some(&rows), line);
                assert_ne!(
                    found,
                    Some(Verdict::Unknown),
                    "{text} in {:?}",
                    line.escape_ascii().to_string()
                );
            }
        }
    }
}

#[test]
fn a_long_line_full_of_beginnings_is_left_to_the_regex() {
    let line = b"XFS mount ".repeat(26 * 1024);
    for pattern in ["XFS mount.*zq", "z.* XFS mount", "XFS .*m.*zq"] {
        assert_eq!(ask(pattern, &line), Some(Verdict::Unknown), "{pattern}");
        let short = ask(pattern, &line[..100]);
        assert_eq!(short, Some(Verdict::No), "{pattern}");
    }
}
