//! Which format a line is written in, by looking. Says one of the others only when the line is
//! wholly of that shape: a wrong guess loses fields, and worse, times.

use super::{Format, access, json, logfmt, nginx_error, syslog, timestamp::Zone};

/// The format of `line`; `Plain` when it is none of the others.
///
/// nginx and Apache write the same `combined`, which is then said to be nginx's; only Apache puts
/// a virtual host in front.
pub(super) fn detect(line: &[u8]) -> Format {
    let start = line.trim_ascii_start();
    if start.starts_with(b"{") {
        return if json::detect(start) {
            Format::Json { time_field: None }
        } else {
            Format::Plain
        };
    }
    if nginx_error::time(line, Zone::UTC).is_some() {
        return Format::NginxError;
    }
    // Before access logs: their lines are sent by syslog, too, behind its header.
    if syslog::detect(line) {
        return Format::Syslog;
    }
    match access::detect(line) {
        Some(head) if head.vhost.is_some() => return Format::Apache,
        Some(_) => return Format::Nginx,
        None => {}
    }
    if logfmt::detect(line) {
        return Format::Logfmt { time_field: None };
    }
    Format::Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_formats_apart() {
        for (line, name) in [
            (
                r#"1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#,
                "nginx",
            ),
            (
                r#"::1 - - [21/Nov/2026:09:00:00 +0000] "\x16\x03" 400 0 "-" "-" rt=0.1"#,
                "nginx",
            ),
            (
                r#"1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 -"#,
                "nginx",
            ),
            (
                r#"e.com:443 1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#,
                "apache",
            ),
            (
                "2026/11/21 09:00:00 [error] 1#2: *3 x, client: 1.2.3.4",
                "nginx_error",
            ),
            (
                "2026/11/21 09:00:00 [notice] 1#2: signal process started",
                "nginx_error",
            ),
            (r#"{"level":"info","msg":"x"}"#, "json"),
            (r#"  {"a":1}"#, "json"),
            ("ts=2026-11-21T09:00:00Z level=info msg=\"x y\"", "logfmt"),
            ("level=warn msg=x", "logfmt"),
            ("time=1795251600 a=1", "logfmt"),
            (
                "Nov 21 09:00:00 web sshd[1]: Failed password for root from 1.2.3.4 port 22",
                "syslog",
            ),
            (
                "Nov 21 09:00:00 web kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= MAC=00:11 SRC=1.2.3.4",
                "syslog",
            ),
            (
                "<13>1 2026-11-21T09:00:00Z web app 1 - - level=info msg=x time=2026-11-21T09:00:00Z",
                "syslog",
            ),
            (
                r#"2026-11-21T09:00:00.123456+00:00 web nginx: 1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#,
                "syslog",
            ),
            (
                "Sat 2026-11-21 09:00:00 UTC web systemd[1]: Started x.",
                "syslog",
            ),
        ] {
            assert_eq!(detect(line.as_bytes()).name(), name, "{line}");
        }
    }

    #[test]
    fn prose_and_logs_of_no_known_format_are_plain() {
        for line in [
            "",
            "{}",
            "{not json}",
            r#"{"a":1} and more"#,
            "<13>web: a line without a time",
            "Nov 21 09:00:00 web last message repeated 2 times",
            "Nov 21 is a day",
            "2026-11-21T09:00:00.123Z INFO app: started",
            "2026-11-21T09:00:00Z [ERROR] app[1]: failed",
            "2026-11-21T09:00:00Z app: started",
            "2026-11-21 09:00:00 web app[1]: started",
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2",
            "PATH=/bin HOME=/root",
            "level=3",
            "time=2026-11-21T09:00:00Z",
            "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok",
            "2026-11-21 09:00:00,978 INFO [main] a.b.C: level=info msg=x ts=1795251600",
            "2026/11/21 09:00:00 http: proxy error: dial tcp",
            r#"1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1""#,
        ] {
            assert_eq!(detect(line.as_bytes()).name(), "plain", "{line}");
        }
    }
}
