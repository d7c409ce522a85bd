use super::*;

fn redacted(items: &[&str], text: &[u8]) -> Vec<u8> {
    let mut out = b"> ".to_vec();
    Redactor::new(items).unwrap().redact(text, &mut out);
    assert!(out.starts_with(b"> "), "it appends");
    out.split_off(2)
}

fn check(items: &[&str], cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(
            String::from_utf8(redacted(items, text.as_bytes())).unwrap(),
            *expected,
            "{items:?} on {text}"
        );
    }
}

#[test]
fn mail_addresses_are_blanked() {
    check(
        &["email"],
        &[
            (
                "from <joe.doe+x@mail.example.com>, to a@b.de.",
                "from <[email]>, to [email].",
            ),
            (
                "GET /r?email=joe%40example.com&x=1",
                "GET /r?email=[email]&x=1",
            ),
            ("jürgen@müller.de", "[email]"),
            (
                "root@localhost @home a@ @b.de",
                "root@localhost @home a@ @b.de",
            ),
            ("", ""),
        ],
    );
}

#[test]
fn addresses_of_hosts_are_blanked() {
    check(
        &["ip"],
        &[
            (
                "10.0.0.1 - - 255.255.255.255:8080 (1.2.3.4).",
                "[ip] - - [ip]:8080 ([ip]).",
            ),
            (
                "from 10.0.0.1. next 10.1.0.0/16 10.0.0.1-10.0.0.9",
                "from [ip]. next [ip]/16 [ip]-[ip]",
            ),
            (
                "upstream=10.2.0.7:80, 010.000.000.001",
                "upstream=[ip]:80, [ip]",
            ),
            (
                "1.2.3 1.2.3.4.5 300.1.2.3 v1.2.3.4 1.2.3.4b 1.2.3.4_ 1..2.3.4",
                "1.2.3 1.2.3.4.5 300.1.2.3 v1.2.3.4 1.2.3.4b 1.2.3.4_ 1..2.3.4",
            ),
            (
                "[2001:db8::1]:443 ::1 fe80::1%eth0 ::ffff:10.0.0.1",
                "[[ip]]:443 [ip] [ip]%eth0 [ip]",
            ),
            (
                "from 2001:db8::1: no, 2001:db8:0:0:0:0:0:1:443 and 2001:DB8::.",
                "from [ip]: no, [ip]:443 and [ip].",
            ),
            (
                "12:30:45 00:11:22:33:44:55 std::collections :: a::",
                "12:30:45 00:11:22:33:44:55 std::collections :: [ip]",
            ),
            ("client:2001:db8::7 x", "client:[ip] x"),
            ("... :: .:. 1.2.3.4", "... :: .:. [ip]"),
        ],
    );
}

#[test]
fn of_a_pattern_with_a_secret_only_that_is_blanked() {
    check(
        &[r"token=(?P<secret>\S+)", "card [0-9]+"],
        &[(
            "token=abc card 42 token=",
            "token=[redacted] [redacted] token=",
        )],
    );
}

#[test]
fn items_do_not_see_what_others_left() {
    check(
        &["redacted", "email", r"user=(?P<secret>\S+)", "ip"],
        &[
            (
                "redacted user=joe@example.com x@10.0.0.1",
                "[redacted] user=[email] [email]",
            ),
            ("user=x,joe@example.com", "user=[redacted]"),
            ("joe@example.com/user=1", "[email]/user=[redacted]"),
        ],
    );
}

#[test]
fn blanks_nothing_where_nothing_is_matched_or_asked() {
    assert!(Redactor::default().is_empty());
    assert!(!Redactor::new(&["ip"]).unwrap().is_empty());
    check(&[], &[("a@b.de 10.0.0.1", "a@b.de 10.0.0.1")]);
    check(&["x*", "^", "$"], &[("axxb", "a[redacted]b"), ("", "")]);
}

#[test]
fn every_bad_item_is_told_with_its_place() {
    let bad = Redactor::new(&["email", "(", "ok", r"a\n"]).unwrap_err();
    assert_eq!(
        bad.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [1, 3]
    );
    assert!(bad[1].1.message.contains("line feed"));
}

#[test]
fn half_a_character_is_never_left() {
    for item in [
        r"(?-u:\xC3)",
        r"(?-u:\x9F)",
        r"(?-u:[\x80-\xBF])",
        r"(?-u:\x98\x80)",
    ] {
        let out = redacted(&[item], "aßéb😀c".as_bytes());
        let out = String::from_utf8(out).unwrap_or_else(|error| panic!("{item}: {error}"));
        assert!(
            out.contains("[redacted]") && out.starts_with('a') && out.ends_with('c'),
            "{item}: {out}"
        );
    }
    assert_eq!(
        redacted(&["b"], b"\xFFb\x80\x80\x80\x80\x80"),
        b"\xFF[redacted]\x80\x80"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn valid_text_stays_valid_and_no_address_stays(
        text in "[a-c@.:0-9é😀%=/ -]{0,60}",
        octets in proptest::array::uniform4(1u8..),
        words in proptest::array::uniform8(1u16..),
    ) {
        let v4 = std::net::Ipv4Addr::from(octets).to_string();
        let v6 = std::net::Ipv6Addr::from(words).to_string();
        let line = format!("{text} {v4} {text} {v6} {text} me@host.example ");
        let out = String::from_utf8(redacted(&["email", "ip", r"(?-u:[\x98\xC3])"], line.as_bytes())).unwrap();
        proptest::prop_assert!(!out.contains(&v4) && !out.contains(&v6) && !out.contains("@host.example"), "{line} -> {out}");
    }
}
