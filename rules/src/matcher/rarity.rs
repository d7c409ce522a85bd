//! How rare a text is in logs: the guess that literals are chosen by. It decides how fast a scan
//! is, never what it finds.
//!
//! Byte for byte, from how common each byte is; but what stands in lines that every host writes all
//! day is as common as it is there, because `http/1.1" ` is long and yet on every line.

use std::sync::LazyLock;

/// Ordinary lines, ASCII lower case: nginx and Apache access and error logs, syslog and systemd,
/// JSON and logfmt from applications.
const ORDINARY: &[u8] = br#"
10.1.2.34 - - [21/nov/2026:09:00:45 +0000] "get /index.html http/1.1" 200 1532 "https://www.example.com/" "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/130.0.0.0 safari/537.36"
192.168.10.7 - alice [01/jan/2025:23:59:59 +0100] "post /api/v1/users/42?page=3&limit=50 http/2.0" 304 0 "-" "mozilla/5.0 (x11; linux x86_64; rv:132.0) gecko/20100101 firefox/132.0" rt=0.012 uct=0.001 upstream=127.0.0.1:8080
172.16.0.9 - - [13/jul/2026:12:30:00 +0000] "get /static/css/main.css http/1.1" 404 153 "-" "mozilla/5.0 (iphone; cpu iphone os 18_0 like mac os x) mobile/15e148 version/18.0 compatible; googlebot/2.1; +http://www.google.com/bot.html"
127.0.0.1 - - [30/apr/2026:08:15:20 +0200] "head /healthz http/1.1" 301 0 "-" "curl/8.5.0"
2026/11/21 09:00:45 [error] 1234#1234: *5678 open() "/var/www/html/favicon.ico" failed (2: no such file or directory), client: 10.0.0.1, server: www.example.com, request: "get /favicon.ico http/1.1", host: "www.example.com"
nov 21 09:00:45 web-1 sshd[12345]: failed password for invalid user admin from 203.0.113.9 port 52144 ssh2
nov 21 09:00:46 web-1 sshd[12345]: pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)
nov 21 09:01:01 web-1 cron[2345]: (root) cmd (run-parts /etc/cron.hourly)
2026-11-21t09:00:45.123456+00:00 db-2 systemd[1]: started session 42 of user root.
nov 21 09:00:47 web-1 kernel: [12345.678901] eth0: link is up, 1000 mbps full duplex
{"time":"2026-11-21t09:00:45.123z","level":"info","msg":"request completed","method":"get","path":"/api/v1/orders","status":200,"duration_ms":12,"request_id":"0f8fad5b-d9cb-469f-a165-70867728950e"}
time=2026-11-21t09:00:45z level=info msg="connection accepted" component=server user_id=1001 remote=10.0.0.5:443 duration=15ms error=""
2026-11-21 09:00:45,123 info  [main] org.example.service.worker - started application in 3.2 seconds, warn debug thread pool
"#;

/// How many bits of surprise a text can give at the most: past this all are equally rare.
const MOST_BITS: f64 = 40.0;

/// The starts of all ends of [`ORDINARY`], sorted by what stands there: any text is found in it by
/// bisection.
static ENDS: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let mut ends: Vec<usize> = (0..ORDINARY.len()).collect();
    ends.sort_unstable_by_key(|&start| end_of_ordinary(start));
    ends
});

fn end_of_ordinary(start: usize) -> &'static [u8] {
    ORDINARY.get(start..).unwrap_or_default()
}

/// About how often, for each byte of log, one of `literals` (ASCII lower case, sorted) ends there.
pub(super) fn frequency<T: AsRef<[u8]>>(literals: &[T]) -> f64 {
    /// Of long lists some stand for all. The first one is among them: the empty text, if any.
    const ASKED: usize = 16;
    let step = literals.len().div_ceil(ASKED).max(1);
    let asked = literals.iter().step_by(step);
    let share = count(literals.len()) / count(asked.len()).max(1.0);
    share
        * asked
            .map(|literal| (-bits_of(literal.as_ref()).min(MOST_BITS)).exp2())
            .sum::<f64>()
}

/// What searching for `literals` costs, in wake-ups for each byte of log: the choice between lists
/// goes by this, so that of equally rare ones the shorter is taken.
pub(super) fn cost<T: AsRef<[u8]>>(literals: &[T]) -> f64 {
    /// One more text to search for is worth a wake-up in 256 KiB.
    const EACH: f64 = 1.0 / 262_144.0;
    frequency(literals) + count(literals.len()) * EACH
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn count(items: usize) -> f64 {
    items as f64
}

/// The `size` bytes of `literal` that are rarest.
pub(super) fn rarest_window(literal: &[u8], size: usize) -> &[u8] {
    let surprise = |text: &[u8]| text.iter().map(|&byte| bits(byte)).sum::<f64>();
    literal
        .windows(size)
        .max_by(|a, b| surprise(a).total_cmp(&surprise(b)))
        .unwrap_or(literal)
}

/// How surprising `text` is: piece by piece, each as long as it stands in ordinary lines.
fn bits_of(text: &[u8]) -> f64 {
    let (mut sum, mut rest) = (0.0, text);
    while let Some(first) = rest.first()
        && sum < MOST_BITS
    {
        let (length, times) = in_ordinary(rest);
        let Some((piece, behind)) = rest
            .split_at_checked(length)
            .filter(|(piece, _)| !piece.is_empty())
        else {
            sum += bits(*first);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let bytewise: f64 = piece.iter().map(|&byte| bits(byte)).sum();
        sum += bytewise.min((count(ORDINARY.len()) / count(times)).log2());
        rest = behind;
    }
    sum
}

/// How much of the beginning of `text` stands in ordinary lines, and how often.
fn in_ordinary(text: &[u8]) -> (usize, usize) {
    let at = ENDS.partition_point(|&start| end_of_ordinary(start) < text);
    let common = |at: Option<usize>| {
        let end = at
            .and_then(|at| ENDS.get(at))
            .map_or(&[][..], |&start| end_of_ordinary(start));
        end.iter().zip(text).take_while(|(a, b)| a == b).count()
    };
    let length = common(Some(at)).max(common(at.checked_sub(1)));
    let piece = text.get(..length).unwrap_or_default();
    let first = ENDS.partition_point(|&start| end_of_ordinary(start) < piece);
    let times = ENDS
        .get(first..)
        .unwrap_or_default()
        .partition_point(|&start| end_of_ordinary(start).starts_with(piece));
    (length, times)
}

/// How surprising one byte is, neighbours being of one word: so less than its frequency says.
fn bits(byte: u8) -> f64 {
    match byte {
        b' ' | b'0'..=b'2' | b'e' => 3.0,
        b'a'
        | b'i'
        | b'n'
        | b'o'
        | b'r'
        | b's'
        | b't'
        | b'-'
        | b'.'
        | b'/'
        | b':'
        | b'"'
        | b'3'..=b'9' => 3.5,
        b'c' | b'd' | b'f' | b'h' | b'l' | b'm' | b'p' | b'u' => 4.0,
        b'b' | b'g' | b'k' | b'v' | b'w' | b'x' | b'y' | b',' | b'=' | b'_' | b'[' | b']'
        | b'(' | b')' => 4.5,
        b'j' | b'q' | b'z' | b';' | b'{' | b'}' | b'?' | b'&' | b'%' | b'+' | b'*' | b'#'
        | b'\'' | b'<' | b'>' => 5.5,
        _ => 7.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_line_holds_is_common_however_long() {
        for (rare, common) in [
            ("segfault", "http/1.1"),
            ("\" 502 ", "\" 200 "),
            ("upstream timed out", " (khtml, like gecko) "),
            ("no space left", "e"),
            ("\u{212a}", "k"),
            ("\" 502 ", "http/1.1\" 50"),
        ] {
            assert!(
                frequency(&[rare]) < frequency(&[common]),
                "{rare} against {common}"
            );
        }
    }

    #[test]
    fn the_ordinary_lines_are_folded() {
        assert_eq!(ORDINARY, ORDINARY.to_ascii_lowercase());
    }

    #[test]
    fn ordinary_text_is_found_as_far_as_it_goes() {
        let times = |text: &[u8]| memchr::memmem::find_iter(ORDINARY, text).count();
        for (text, found) in [
            (&b"mozilla/6"[..], &b"mozilla/"[..]),
            (b"status", b"status"),
            (b"\xFFa", b""),
            (b"", b""),
        ] {
            let (length, count) = in_ordinary(text);
            assert_eq!(&text[..length], found);
            assert!(
                found.is_empty() || count == times(found),
                "{text:?}: {count}"
            );
        }
    }

    #[test]
    fn a_window_is_the_rarest_part() {
        assert_eq!(rarest_window(b"aaaa{}[]eeee", 4), b"{}[]");
        assert_eq!(rarest_window(b"ab", 4), b"ab");
    }
}
