use super::*;

fn fields(line: &[u8]) -> String {
    let mut out = Fields::default();
    read(line, &mut out);
    let show =
        |(name, value): (&str, &[u8])| format!("{name}={}\n", String::from_utf8_lossy(value));
    out.iter().map(show).collect()
}

/// The fields of a request line, status and what is behind it, without what stands before it.
fn after_the_time(tail: &str) -> String {
    let line = format!("10.0.0.9 - - [21/Nov/2026:09:00:00 +0000] {tail}");
    let all = fields(line.as_bytes());
    let (_, tail) = all
        .split_once("time=21/Nov/2026:09:00:00 +0000\n")
        .expect("the time is read");
    tail.replace('\n', " | ")
}

fn before_the_request(head: &str) -> String {
    let line = format!("{head} [21/Nov/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 1");
    let all = fields(line.as_bytes());
    let (head, _) = all.split_once("request=").unwrap_or_default();
    head.replace('\n', " | ")
}

#[test]
fn reads_every_field_of_a_combined_line() {
    let line = br#"2001:db8::1 - alice [21/Nov/2026:09:00:00 +0000] "GET /a?b=1&c HTTP/1.1" 502 173 "http://e.com/?q" "curl/8 (x)" rt=0.005 upstream=10.2.0.7:8080 host="e.com x""#;
    let expected = "\
remote_addr=2001:db8::1
remote_user=alice
time=21/Nov/2026:09:00:00 +0000
request=GET /a?b=1&c HTTP/1.1
method=GET
path=/a
query=b=1&c
protocol=HTTP/1.1
status=502
bytes=173
referer=http://e.com/?q
user_agent=curl/8 (x)
rt=0.005
upstream=10.2.0.7:8080
host=e.com x
";
    assert_eq!(fields(line), expected);
    let expected = "2026-11-21T09:00:00Z".parse().ok();
    assert_eq!(time(line), expected);
}

#[test]
fn broken_requests_give_what_can_be_read() {
    for (tail, expected) in [
        (
            r#""\x16\x03\x01\x00" 400 157 "-" "-""#,
            r"request=\x16\x03\x01\x00 | status=400 | bytes=157 | referer=- | user_agent=- | ",
        ),
        (
            r#""-" 400 0 "-" "-""#,
            "request=- | status=400 | bytes=0 | referer=- | user_agent=- | ",
        ),
        (
            r#""" 400 0 "-" "-""#,
            "request= | status=400 | bytes=0 | referer=- | user_agent=- | ",
        ),
        (
            r#""GET /a b?c d HTTP/1.1" 400 0"#,
            "request=GET /a b?c d HTTP/1.1 | method=GET | path=/a b | query=c d | protocol=HTTP/1.1 | status=400 | bytes=0 | ",
        ),
        (
            r#""GET /a" 200 5"#,
            "request=GET /a | method=GET | path=/a | status=200 | bytes=5 | ",
        ),
        (
            r#""GET  HTTP/1.1" 400 5"#,
            "request=GET  HTTP/1.1 | method=GET | protocol=HTTP/1.1 | status=400 | bytes=5 | ",
        ),
        (
            r#""GET / HTTP/1.1" 304 -"#,
            "request=GET / HTTP/1.1 | method=GET | path=/ | protocol=HTTP/1.1 | status=304 | bytes=- | ",
        ),
        (r#""GET /a"#, "request=GET /a | method=GET | path=/a | "),
        (
            r#""GET / HTTP/1.1" 200"#,
            "request=GET / HTTP/1.1 | method=GET | path=/ | protocol=HTTP/1.1 | status=200 | ",
        ),
        (
            r#""GET / HTTP/1.1" abc"#,
            "request=GET / HTTP/1.1 | method=GET | path=/ | protocol=HTTP/1.1 | ",
        ),
        (
            r#""CONNECT e.com:443 HTTP/1.1" 400 5"#,
            "request=CONNECT e.com:443 HTTP/1.1 | method=CONNECT | path=e.com:443 | protocol=HTTP/1.1 | status=400 | bytes=5 | ",
        ),
    ] {
        assert_eq!(after_the_time(tail), expected, "{tail}");
    }
}

#[test]
fn a_status_has_a_space_before_it_and_three_digits_at_the_most() {
    for (behind, expected) in [
        (" 502 5", "request=- | status=502 | bytes=5 | "),
        (" 0 5", "request=- | status=0 | bytes=5 | "),
        (" - 5", "request=- | status=- | bytes=5 | "),
        (" 0502 5", "request=- | "),
        ("502 5", "request=- | "),
        ("  502 5", "request=- | "),
    ] {
        assert_eq!(
            after_the_time(&format!("\"-\"{behind}")),
            expected,
            "{behind}"
        );
    }
}

#[test]
fn an_escaped_quote_closes_nothing() {
    let tail = r#""GET /\" HTTP/1.1" 200 5 "\"" "a\\" k="x\"y" l=1"#;
    let expected = r#"request=GET /\" HTTP/1.1 | method=GET | path=/\" | protocol=HTTP/1.1 | status=200 | bytes=5 | referer=\" | user_agent=a\\ | k=x\"y | l=1 | "#;
    assert_eq!(after_the_time(tail), expected);
}

#[test]
fn what_was_added_to_the_format_is_read_by_its_keys() {
    let request = "\"-\" 200 5 \"-\" \"-\"";
    for (added, expected) in [
        (" upstream=- rt=", "upstream=- | rt= | "),
        (" \"1.2.3.4, 5.6.7.8\" rt=0.1", "rt=0.1 | "),
        (
            " up=10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 rt=0.1, 0.2",
            "up=10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 | rt=0.1, 0.2 | ",
        ),
        (" a=1, b=2", "a=1, | b=2 | "),
        (" 0.005 . x y=1 =z 9=1", "y=1 | "),
        (" url=/a?b=c x", "url=/a?b=c | "),
        (" status=200 time=0.1 method=x", ""),
        (" k=\"open", "k=open | "),
    ] {
        let found = after_the_time(&format!("{request}{added}"));
        let found =
            found.strip_prefix("request=- | status=200 | bytes=5 | referer=- | user_agent=- | ");
        assert_eq!(found, Some(expected), "{added}");
    }
    assert!(after_the_time("\"-\" 200 5 rt=0.1").ends_with("bytes=5 | rt=0.1 | "));
}

#[test]
fn tells_a_virtual_host_from_an_address() {
    for (head, expected) in [
        ("1.2.3.4 - -", "remote_addr=1.2.3.4 | remote_user=- | "),
        (
            "e.com:443 1.2.3.4 - bob",
            "vhost=e.com:443 | remote_addr=1.2.3.4 | remote_user=bob | ",
        ),
        (
            "1.2.3.4 - john doe",
            "remote_addr=1.2.3.4 | remote_user=john doe | ",
        ),
        (
            "1.2.3.4 ident bob",
            "remote_addr=1.2.3.4 | remote_user=bob | ",
        ),
        (
            "1.2.3.4 - \"\"",
            "remote_addr=1.2.3.4 | remote_user=\"\" | ",
        ),
        ("1.2.3.4 -", ""),
        ("1.2.3.4", ""),
    ] {
        let found = before_the_request(head);
        let found = found.replace("time=21/Nov/2026:09:00:00 +0000 | ", "");
        assert_eq!(found, expected, "{head}");
    }
}

#[test]
fn a_users_name_cannot_forge_the_time() {
    let line = br#"1.2.3.4 - x [01/Jan/2020:00:00:00 +0000] \"GET / [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 401 5"#;
    assert_eq!(time(line), "2026-11-21T09:00:00Z".parse().ok());
    assert!(fields(line).contains("\nstatus=401\n"));
}

#[test]
fn a_line_of_another_kind_gives_nothing() {
    for line in [
        "",
        "\"",
        "Nov 21 09:00:00 web sshd[1]: Invalid user \"x\" from 1.2.3.4",
        "1.2.3.4 - - [31/Feb/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
        "1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] GET / HTTP/1.1 200 5",
        "[21/Nov/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
    ] {
        assert_eq!(fields(line.as_bytes()), "", "{line}");
        assert_eq!(time(line.as_bytes()), None, "{line}");
    }
}
