//! What a need says against what the regex engine says of drawn lines.

use proptest::prelude::*;

use super::texts::of_texts;
use super::*;
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;
use crate::matcher::tests::Written;
use crate::matcher::tests::draw::Draw;
use crate::matcher::tests::pool::pool;

/// Patterns that the pool of the matcher's tests does not have.
const PATTERNS: &[&str] = &[
    r"\b5[0-9][0-9]\b",
    r"\b5\d\d\b",
    r"(?i)\bkey\b",
    r"(?-u)\bkey\b",
    r"(?-u)\Bkey\B",
    r"\b{start}key\b{end}",
    r"\b{start-half}key\b{end-half}",
    r"(?-u:\b{start}k|s\b{end})",
    "took [0-9]{4,}",
    "[0-9]{5,}ms",
    r"\d{2,3}ms",
    r"\d+:\d+",
    r"\w{2}#\w{2}",
    r"\s\s#",
    r"#\s?#",
    r"#\s*k\s*#",
    r"(?:^|\s)key(?: |$)",
    r"(?:^|[^k])s(?:$|[^s])",
    r"(?:\bk|\Bs)(?:k\b|s\B)",
    r"\b(?:key|lock|kiss)\b",
    r"(?i)\b(?:key|lock|kiss)+\b",
    r"(?:\b)*k",
    r"(?:\b#)*k",
    r"(?:k\b|\b)+#",
    r"(?:a|b$)+",
    r"(?:^a|b)+#",
    "a^b",
    "a$b",
    "(?:a$)?b",
    r"k$\r",
    r"k\r$",
    r"k[^a]$",
    r"(?R)^k",
    r"(?mR)^k$",
    r"(?mR)^k",
    r"(?mR)[\rk]^",
    r"(?mR)[\rk]$",
    r"(?:^|[#k])s",
    r"(?:^|[#k])s(?:#|$)",
    r"[äöü]k",
    "(?i)[äöü]k",
    r"[\u{80}-\u{10ffff}]k",
    r"(?:ab?){2,}c",
    r"(?:a|bc|def){2}",
    r"(?:a|bc|def){1,3}#",
    r"[0-9]{1,3}\.[0-9]{1,3}",
    r"(?:k{30}){3}s",
    r"(?:[ks]#?){40}",
    r"(?:(?:a|b)(?:#|k)?){3,5}s",
    "(?:k.*s|#.*lock)key",
    r"(?:key\d+|lock\w+)#",
    r"(?s-u)k.s",
    r"(?s-u:.)k",
    r"[^\x00-\x7F]{2}k",
];

/// What an operator writes, and what is made of it.
#[test]
fn keeps_classes_and_what_stands_beside_them() {
    let word = r"[0-9A-Z_a-z\x80-\xff]";
    let no_word = r"[\x00-/:-@[-^`{-\xff]";
    let digit = r"[0-9\xd9\xdb\xdf-\xe1\xea\xef-\xf0]";
    for (pattern, expected) in [
        ("key", "/key/!"),
        ("took [0-9]{4,}", "/took [0-9][0-9][0-9][0-9]/!"),
        ("[0-9]{5,}ms", "/[0-9][0-9][0-9][0-9][0-9]ms/!"),
        (
            r"\b5[0-9][0-9]\b",
            &format!("/{no_word}5[0-9][0-9]{no_word}/@1!"),
        ),
        (
            r"(?i)\berror\b",
            &format!("/{no_word}[Ee][Rr][Rr][Oo][Rr]{no_word}/@1!"),
        ),
        (r"\Bkey", &format!("/{word}key/@1!")),
        (r"key\b", &format!("/key{no_word}/!")),
        ("^key", r"/\nkey/@1!"),
        (r"(?:^|[#k])s", r"/[\n#k]s/@1!"),
        // Behind `$` is LF or the CR of a terminator, which may be one of the line's, too.
        ("key$", r"/key[\n\r]/"),
        (r"key\r", r"/key\r/"),
        (r"\r", r"/\r/"),
        (r"\rk", r"/\rk/@1!"),
        ("foo|bar", "all(any(/bar/!, /foo/!), /[bf][ao][or]/)"),
        ("ba[rz]|bat", "/ba[rtz]/!"),
        ("É", r"/\xc3\x89/!"),
        ("(?i)É", r"/\xc3[\x89\xa9]/!"),
        (
            "(?i)ks",
            r"all(any(/\xe2\x84\xaa\xc5\xbf/!, /\xe2\x84\xaa[Ss]/!, /[Kk]\xc5\xbf/!, /[Kk][Ss]/!), any(/\xe2\x84\xaa/, /[Kk]/), any(/\xc5\xbf/, /[Ss]/), /[Kk\xaa][Ss\xc5]/)",
        ),
        ("foo.*bar", "all(/foo/, /bar/)"),
        (".*foo.*", "/foo/!"),
        ("foo[0-9]+bar", "all(/foo[0-9]/, /[0-9]bar/)"),
        // Of a class at an end one byte is enough, which is ASCII or begins a longer member.
        (
            r"took \d{2,}",
            &format!("/took {digit}[0-9\\x80-\\xbf\\xd9\\xdb\\xdf-\\xe1\\xea\\xef-\\xf0]/!"),
        ),
        (r"\d+ms", r"/[0-9\x80-\xbf]ms/!"),
        (r"code \d", &format!("/code {digit}/!")),
        ("(a|b)c+(?:d|e)", "all(/[a-b]c/, /c[d-e]/)"),
        (
            "Failed password for (invalid user )?\\S+ from \\S+",
            "all(/Failed password for /, / from /)",
        ),
        ("", "all()"),
        (".*", "all()"),
        (".", "all()"),
        (r"\b", "all()"),
        ("^$", "all()"),
        (r"(?:key)?", "all()"),
        (r"x[^\s\S]", "any()"),
        ("a^b", "any()"),
        (r"k\Bs\b#", "/ks#/!"),
        (r"k\bs", "any()"),
    ] {
        let pattern = Pattern::new(pattern, Case::Sensitive).unwrap();
        let need = of_pattern(pattern.hir());
        assert_eq!(format!("{need:?}"), expected, "{}", pattern.text());
    }
}

/// A line as it stands in a batch: LF before it, behind it a terminator.
struct Standing {
    bytes: Vec<u8>,
    /// The line's own.
    len: usize,
}

impl Standing {
    fn new(line: &[u8], terminator: &[u8]) -> Self {
        Self {
            bytes: [b"\n", line, terminator].concat(),
            len: line.len(),
        }
    }

    fn places<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = &'a [u8]> {
        let fits = |window: &&[u8]| {
            let mut pairs = run.sets.iter().zip(*window);
            pairs.all(|(set, byte)| set.contains(*byte))
        };
        let is_inside = |start: usize| (1..=self.len).contains(&(start + run.inside));
        self.bytes
            .windows(run.sets.len())
            .enumerate()
            .filter(move |(start, window)| fits(window) && is_inside(*start))
            .map(|(_, window)| window)
    }

    fn holds(&self, need: &Need) -> bool {
        match need {
            Need::All(needs) => needs.iter().all(|need| self.holds(need)),
            Need::Any(needs) => needs.iter().any(|need| self.holds(need)),
            Need::Run(run) => self.places(run).next().is_some(),
        }
    }

    /// A run of `need` that stands in the line, is certain and fits ASCII only.
    fn proof<'a>(&self, need: &'a Need) -> Option<&'a Run> {
        match need {
            Need::All(needs) | Need::Any(needs) => needs.iter().find_map(|need| self.proof(need)),
            Need::Run(run) => (run.meaning == Meaning::Certain
                && self.places(run).any(<[u8]>::is_ascii))
            .then_some(run),
        }
    }
}

fn accepts(matching: &Match, line: &[u8]) -> bool {
    let case = if matching.ignore_case {
        Case::Ignore
    } else {
        Case::Sensitive
    };
    let holds_text = |text: &Vec<u8>| Pattern::literal(text, case).is_match(line);
    let fits = |pattern: &Pattern| pattern.is_match(line);
    (matching.contains.is_empty() || matching.contains.iter().any(holds_text))
        && (matching.regex.is_empty() || matching.regex.iter().any(fits))
        && !matching.not_contains.iter().any(holds_text)
        && !matching.not_regex.iter().any(fits)
}

/// What was checked: lines that the rule accepts, and such that were known to be.
#[derive(Default)]
struct Tally {
    accepted: usize,
    proven: usize,
}

/// Every line of `lines`, with other bytes beside it.
fn check(written: &Written, lines: &[u8]) -> Tally {
    let matching = written.checked();
    let need = of_match(&matching, Need::nothing());
    let mut tally = Tally::default();
    let beside: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (b"", b"\r"),
        (b" ", b" "),
        (b"k", b"s"),
        (b"\xC3\xA9", b"\xC3\xA9"),
        (b"7", b""),
        (b"\r", b"\xE2"),
    ];
    for line in lines.split(|byte| *byte == b'\n') {
        for (before, behind) in beside {
            let line = [before, line, behind].concat();
            let is_accepted = accepts(&matching, &line);
            tally.accepted += usize::from(is_accepted);
            for terminator in [b"\n".as_slice(), b"\r\n"] {
                let standing = Standing::new(&line, terminator);
                let shown = || format!("{written:?}\n{need:?}\n{}", line.escape_ascii());
                assert!(!is_accepted || standing.holds(&need), "missed: {}", shown());
                if let Some(run) = standing.proof(&need) {
                    assert!(is_accepted, "{run:?} is not certain: {}", shown());
                    tally.proven += 1;
                }
            }
        }
    }
    tally
}

fn written() -> Vec<Written> {
    let mut all = pool();
    all.extend(PATTERNS.iter().map(|pattern| Written::regex(&[pattern])));
    all.extend(
        PATTERNS
            .iter()
            .map(|pattern| Written::regex(&[pattern]).ignoring_case()),
    );
    all
}

#[test]
fn every_accepted_line_holds_the_need_and_what_is_certain_is_accepted() {
    let mut all = Tally::default();
    for (seed, rule) in (0..).zip(written()) {
        let lines = Draw::new(seed).lines_for(std::slice::from_ref(&rule));
        let tally = check(&rule, &lines);
        all.accepted += tally.accepted;
        all.proven += tally.proven;
    }
    // Else little would have been proven.
    assert!(all.accepted > 5000, "{} accepted", all.accepted);
    assert!(all.proven > 5000, "{} proven", all.proven);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_drawn_pattern_is_judged_right_by_its_need(seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let rule = draw.written();
        let lines = draw.lines_for(std::slice::from_ref(&rule));
        check(&rule, &lines);
    }

    #[test]
    fn lines_of_other_patterns_prove_nothing_wrong(seed in any::<u64>(), rule in proptest::sample::select(written())) {
        let mut draw = Draw::new(seed);
        let other = draw.written();
        let lines = draw.lines_for(&[rule.clone(), other]);
        check(&rule, &lines);
    }
}

#[test]
fn of_several_texts_one_is_needed() {
    let texts = |texts: &[&[u8]]| texts.iter().map(|text| text.to_vec()).collect::<Vec<_>>();
    for (contains, ignore_case, expected) in [
        (texts(&[b"key"]), false, "/key/!"),
        (
            texts(&[b"key", b"\xFF", b"key"]),
            false,
            r"any(/\xff/!, /key/!)",
        ),
        // The CR may be the terminator's.
        (texts(&[b"key\r"]), false, r"/key\r/"),
        (texts(&[b"Oh 7"]), true, "/[Oo][Hh] 7/!"),
        (texts(&[b"oh\xFF"]), true, r"/[Oo][Hh]\xff/!"),
        (texts(&[b"e7", b"E8"]), true, "any(/[Ee]7/!, /[Ee]8/!)"),
        (texts(&[]), false, "any()"),
    ] {
        let need = of_texts(&contains, ignore_case);
        assert_eq!(format!("{need:?}"), expected, "{contains:?}");
    }
}

#[test]
fn a_rule_that_asks_for_more_has_nothing_that_is_certain() {
    let key = || Written::contains(&["key"]);
    let with_pattern = Match {
        regex: Written::regex(&["[0-9]s"]).checked().regex,
        ..key().checked()
    };
    for (matching, expected) in [
        (Written::default().checked(), "all()"),
        (key().checked(), "/key/!"),
        (
            Written::regex(&["key", "[0-9]s"]).checked(),
            "any(/key/!, /[0-9]s/!)",
        ),
        (key().but_not("lock", "^$").checked(), "/key/"),
        (with_pattern, "all(/key/, /[0-9]s/)"),
        (Written::default().but_not("lock", "^$").checked(), "all()"),
        (Written::regex(&["key", ".*"]).checked(), "all()"),
        (Written::regex(&["key", "a^b"]).checked(), "/key/!"),
    ] {
        let need = of_match(&matching, Need::nothing());
        assert_eq!(format!("{need:?}"), expected, "{matching:?}");
    }
    let of_where = Need::text(b"status", Meaning::Possible);
    let matching = Match {
        condition: crate::language::expression::Expression::parse("status > 1").ok(),
        ..key().checked()
    };
    let need = of_match(&matching, of_where);
    assert_eq!(format!("{need:?}"), "all(/key/, /status/)");
}

/// Sets of all runs.
fn size(need: &Need) -> usize {
    match need {
        Need::All(needs) | Need::Any(needs) => needs.iter().map(size).sum(),
        Need::Run(run) => run.sets.len(),
    }
}

#[test]
fn stays_small_for_large_patterns() {
    let words = |count: usize| {
        let words: Vec<String> = (0..count).map(|word| format!("w{word}x")).collect();
        words.join("|")
    };
    for (name, text, most) in [
        ("a long text", "key".repeat(20_000), 60_000),
        ("a long text with forks", "ke?y".repeat(10_000), 20_000),
        ("texts with gaps", "ke.*y".repeat(10_000), 20_000),
        ("words", words(8000), 60_000),
        ("whole words", format!(r"\b(?:{})\b", words(8000)), 80_000),
        (
            "words within words",
            format!("(?:{0})#(?:{0})", words(4000)),
            80_000,
        ),
        ("too many words", words(9000), 100),
        (
            "forks in forks",
            format!("{}a{}", "(?:k|s".repeat(60), ")?#".repeat(60)),
            20_000,
        ),
        (
            "copies of copies",
            "(?:(?:(?:[ks]#?){9}){9}){9}".to_owned(),
            5_000,
        ),
        (
            "alternatives without case",
            format!("(?i:{})", "skis|kiss|sky.sss|".repeat(400) + "a"),
            5_000_000,
        ),
        ("classes", r"\w\d\s".repeat(5000), 20_000),
    ] {
        let pattern = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .build()
            .parse(&text)
            .unwrap();
        let size = size(&of_pattern(&pattern));
        assert!(size <= most, "{name}: {size} sets");
    }
}

#[test]
fn of_too_many_words_none_is_needed() {
    let words: Vec<Vec<u8>> = (0..9000)
        .map(|word| format!("w{word}x").into_bytes())
        .collect();
    assert_eq!(of_texts(&words, false), Need::nothing());
    let words = words.get(..8000).unwrap();
    assert_eq!(size(&of_texts(words, false)), words.concat().len());
}

#[test]
fn folding_makes_one_of_upper_and_lower_case() {
    let letters = ByteSet::of_range(b'A', b'Z').union(ByteSet::of_range(b'a', b'z'));
    assert_eq!(letters.folded(), ByteSet::of_range(b'a', b'z'));
    assert_eq!(ByteSet::of(b'\n').folded(), ByteSet::of(b'*'));
}
