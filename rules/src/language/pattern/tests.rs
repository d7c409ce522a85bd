use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::new(text, Case::Sensitive).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn matches_bytes_with_unicode_on() {
    let matches = |text: &str, line: &[u8]| pattern(text).is_match(line);
    for (text, line, expected) in [
        (r"^\w+$", "Straße".as_bytes(), true),
        (r"^.$", b"\xFF", false),
        (r"^(?-u:.)$", b"\xFF", true),
        (r"(?-u)\xFF", b"a\xFFb", true),
        (r"\xFF", b"\xFF", false),
        (r"\xFF", "ÿ".as_bytes(), true),
        (r"a.c", b"a\nc", false),
        (r"(?s)a.c", b"a\nc", false),
        (r"a\sc", b"a\nc", false),
        (r"(?-u)a[^b]c", b"a\nc", false),
        (r"^b", b"a\nb", false),
        (r"(?i)k", "\u{212a}".as_bytes(), true),
        (r"\x00", b"\0", true),
        (r"(?-u:\xC3)$", b"\xC3", true),
        ("", b"", true),
    ] {
        assert_eq!(
            matches(text, line),
            expected,
            "{text} on {}",
            line.escape_ascii()
        );
    }
}

#[test]
fn ignoring_case_folds_as_unicode_does() {
    for (text, line) in [
        ("kiß", "KIẞ"),
        ("ſ", "s"),
        ("É", "é"),
        ("[a-c]x", "BX"),
        ("σ", "ς"),
    ] {
        assert!(
            Pattern::new(text, Case::Ignore)
                .unwrap()
                .is_match(line.as_bytes()),
            "{text} on {line}"
        );
        assert!(!pattern(text).is_match(line.as_bytes()), "{text} on {line}");
    }
}

#[test]
fn a_literal_is_taken_byte_for_byte() {
    let text = b"a.*[\xFF\xC3K(?i)";
    for case in [Case::Sensitive, Case::Ignore] {
        assert!(Pattern::literal(text, case).is_match(text));
        assert!(!Pattern::literal(text, case).is_match(b"axxK"));
    }
    assert!(
        Pattern::literal(text, Case::Ignore)
            .is_match("A.*[".as_bytes())
            .eq(&false)
    );
    assert!(Pattern::literal(b"\xFFk", Case::Ignore).is_match(b"\xFFK"));
    assert!(!Pattern::literal(b"\xFFk", Case::Sensitive).is_match(b"\xFFK"));
}

#[test]
fn tells_named_groups_that_took_part() {
    let pattern = pattern(r"(?P<user>\w+)@(?:(?<host>\w+)|(?P<port>\d+):)(x)?|never(?<none>)");
    assert_eq!(pattern.names(), ["user", "host", "port", "none"]);
    let groups = |line: &str| {
        let mut groups = Vec::new();
        let found = pattern.captures(line.as_bytes(), &mut |name, place| {
            groups.push(format!("{name}={}", line.get(place).unwrap()));
        });
        (found, groups)
    };
    assert_eq!(
        groups("to joe@web now"),
        (true, vec!["user=joe".to_owned(), "host=web".to_owned()])
    );
    assert_eq!(groups("never"), (true, vec!["none=".to_owned()]));
    assert_eq!(groups("nobody"), (false, Vec::new()));
}

#[test]
fn groups_that_can_take_no_part_move_no_other() {
    let pattern = pattern(r"(a){0}(?:(b)){0}(?P<x>c)");
    let mut seen = Vec::new();
    assert!(pattern.captures(b"abc", &mut |name, place| {
        seen.push((name.to_owned(), place));
    }));
    assert_eq!(seen, [("x".to_owned(), 2..3)]);
}

#[test]
fn more_groups_than_fit_on_the_stack_are_told_too() {
    let groups: Vec<String> = (0..40)
        .map(|number| format!("(?P<g{number}>{})", number % 10))
        .collect();
    let text = groups.concat();
    let line: String = (0..40).map(|number| (number % 10).to_string()).collect();
    let mut places = Vec::new();
    assert!(pattern(&text).captures(line.as_bytes(), &mut |_, place| places.push(place)));
    assert_eq!(places, (0..40).map(|at| at..at + 1).collect::<Vec<_>>());
}

#[test]
fn finds_all_matches_or_all_secrets() {
    for (text, line, expected) in [
        (r"\d+", "1 22 333", vec![(0, 1), (2, 4), (5, 8)]),
        (
            r"token=(?P<secret>\S+)",
            "token=ab x token=c",
            vec![(6, 8), (17, 18)],
        ),
        (r"key(?P<secret>\d)?", "key key7", vec![(7, 8)]),
        (r"(?P<secret>x*)", "axx", vec![(0, 0), (1, 3)]),
        ("b", "aaa", vec![]),
    ] {
        let mut places = Vec::new();
        pattern(text).find_all(line.as_bytes(), &mut |place| {
            places.push((place.start, place.end));
        });
        assert_eq!(places, expected, "{text} on {line}");
    }
}

#[test]
fn knows_what_matches_every_line() {
    for (text, expected) in [
        ("", true),
        ("a*", true),
        (".*", true),
        ("^.*", true),
        ("(?:x|)$", true),
        ("^", true),
        ("(?P<all>.*)", true),
        ("a|b?", true),
        (r"\b|^", true),
        ("^$", false),
        (r"^\s*$", false),
        (r"\b", false),
        (r"\B", false),
        ("a", false),
        ("(?:a*){2,}", true),
    ] {
        assert_eq!(pattern(text).matches_every_line(), expected, "{text}");
        let tried = ["", "a", "ab c", "  ", "\u{e9}-"]
            .iter()
            .all(|line| pattern(text).is_match(line.as_bytes()));
        assert!(!expected || tried, "{text} does not match every line");
    }
}

/// The text that an error points at, its message and its help.
fn refusal(text: &str) -> (String, String) {
    let error = Pattern::new(text, Case::Sensitive).expect_err(text);
    let meant = text
        .get(error.span.clone())
        .unwrap_or_else(|| panic!("{text}: no such place {:?}", error.span));
    let help = error.help.unwrap_or_default();
    assert!(
        !error.message.ends_with('.') && !error.message.is_empty(),
        "{}",
        error.message
    );
    (meant.to_owned(), format!("{} / {help}", error.message))
}

#[test]
fn refusals_point_at_what_is_wrong_and_say_what_helps() {
    for (text, meant, words) in [
        (r"a\nb", r"\n", "needs a line feed"),
        ("a\nb", "\n", "needs a line feed"),
        (r"a\x0Ab|c", r"\x0A", "needs a line feed"),
        (r"x[\n]", r"\n", "needs a line feed"),
        (
            r"(?s-u)[\s&&[^\x00-\x09\x0B-\xFF]]",
            r"(?s-u)[\s&&[^\x00-\x09\x0B-\xFF]]",
            "needs a line feed",
        ),
        ("a(?=b)", "(?=", "`not: {regex"),
        ("(?<!b)a", "(?<!", "look-around"),
        (r"(a)\1", r"\1", "back-references are not supported"),
        ("(?P<a>x)(?P=a)", "P", "back-references"),
        ("(?>a)", ">", "atomic groups"),
        ("é(a", "(", "`\\(`"),
        ("a)", ")", "closes no group"),
        ("[a", "[", "`\\[`"),
        ("*a", "*", "nothing before this to repeat"),
        (r"a\Z", r"\Z", "`$` is the end of the line"),
        (r"\Qa\E", r"\Q", "`contains`"),
        (r"\p{Klingon}", r"\p{Klingon}", "`\\p{Greek}`"),
        ("(?P<a>x)(?P<a>y)", "a", "duplicate"),
        ("a{2,1}", "{2,1}", "repetition"),
        (r"\w{5000}", r"\w{5000}", "too large"),
        (r"\pL{1000}", r"\pL{1000}", "too large"),
        ("((a{100}){100}){100}", "((a{100}){100}){100}", "too large"),
    ] {
        let (found, said) = refusal(text);
        assert_eq!(found, meant, "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn size_is_bounded_before_any_work() {
    for text in [
        "(".repeat(1 << 20),
        "a".repeat(1 << 20),
        "a|".repeat(1 << 19),
        "(?i)[[:word:]]".repeat(1 << 16),
    ] {
        let (_, said) = refusal(&text);
        assert!(said.contains("are the most"), "{said}");
    }
    let (_, said) = refusal(&["(".repeat(1000), ")".repeat(1000)].concat());
    assert!(said.contains("nested more than 250 deep"), "{said}");
    let numbers: String = (0..Pattern::MAX_TEXT_BYTES)
        .map(|number| number.to_string() + " ")
        .collect();
    let longest = numbers.get(..Pattern::MAX_TEXT_BYTES).unwrap();
    assert!(pattern(longest).is_match(longest.as_bytes()));
    assert!(pattern(r"\w{20}").is_match(b"abcdefghijklmnopqrstuvwxyz"));
    assert!(pattern(r"(?:){4000000000}").is_match(b""));
}

#[test]
fn a_pattern_of_more_bytes_than_can_be_counted_is_refused() {
    let text = format!("{}a{}b", "(?:".repeat(9), "{1000})".repeat(9));
    let error = Pattern::new(&text, Case::Sensitive).unwrap_err();
    assert!(error.message.contains("too large"), "{}", error.message);
}

#[test]
fn what_a_large_pattern_takes_is_known_before_it_is_used() {
    assert_eq!(pattern(r"\w{2}").large_bytes(), 0);
    let large = pattern(r"\w{150}").large_bytes();
    assert!(
        (1 << 20..4 * Pattern::MAX_COMPILED_BYTES).contains(&large),
        "{large}"
    );
}

#[test]
fn what_counts_as_small_compiles_within_the_limit() {
    // The dearest parts for their text: if one of these stays below the estimate's bound and yet
    // compiles to more than the limit, a lazy compilation could fail.
    for unit in [
        r"\w",
        r"\PL",
        r"(?i:\pL)",
        ".",
        "[^a]",
        "(?i:k)",
        r"(?-u:[\x00-\x09])",
        "(?:a|b)?",
        r"\b",
        "()",
    ] {
        let mut count = 1;
        while hir::compiled_bytes(pattern(&format!("(?:{unit}){{{count}}}")).hir()) * 2
            < Pattern::CERTAINLY_SMALL
            && count < 4096
        {
            count *= 2;
        }
        let text = format!("(?:{unit}){{{count}}}");
        let compiled = compile(pattern(&text).hir(), Some(Pattern::MAX_COMPILED_BYTES));
        assert!(compiled.is_ok(), "{text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_a_pattern_or_refused_in_place(text in "[a-k(){}|*+?.^$\\[\\]<>=!&é\\\\:0-9 -]{0,40}") {
        match Pattern::new(&text, Case::Ignore) {
            Ok(pattern) => {
                let _matched: bool = pattern.is_match(text.as_bytes());
            }
            Err(error) => proptest::prop_assert!(text.get(error.span.clone()).is_some(), "{error:?}"),
        }
    }
}
