//! The numbered lines: what a writer writes, and what of a line can be found again in a file.
//!
//! A line says who wrote it, its number, its block of [`BLOCK`] lines and its place within that block
//! as digits to the base 5. Its end is marked, so that a torn or glued line is no line. The agent's
//! rules group by block and count the digits: see `book`.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::clock;

/// Lines of one block: 5 to the power of [`DIGITS`].
pub const BLOCK: u64 = 625;
/// Digits that name a line's place in its block.
pub const DIGITS: u32 = 4;
/// Lines of one block that are alike in `d3`.
pub const PART: u64 = BLOCK / 5;
/// Every so many lines one bears `ten=`: ten of those fire the rule `tens`.
pub const TENTH: u64 = 100;
/// Every so many lines one bears `mark=`: it is an alert of its own.
pub const MARK: u64 = 1_000;

/// Makes lines of one writer; each has a time of its own, later than the one before.
#[derive(Clone, Debug)]
pub struct Maker {
    writer: u32,
    next: u64,
    last_at: u64,
    /// Whole seconds and their text.
    second: (u64, String),
    /// Whether each line bears what tells it from all others of its [`PART`].
    named: bool,
}

impl Maker {
    /// Begins with line 0.
    pub fn new(writer: u32) -> Self {
        Self {
            writer,
            next: 0,
            last_at: 0,
            second: (u64::MAX, String::new()),
            named: false,
        }
    }

    /// From now on each line bears a `uXY=Z`: its three lower digits, so that within the lines of one `b`
    /// and `d3` no two are alike in it. See `book::single`.
    pub fn name_each(&mut self) {
        self.named = true;
    }

    /// How many lines there are.
    pub fn made(&self) -> u64 {
        self.next
    }

    /// Appends the next `count` lines to `out`.
    pub fn make(&mut self, count: u64, out: &mut Vec<u8>) {
        let now = clock::micros();
        for _ in 0..count {
            self.last_at = now.max(self.last_at + 1);
            self.one(out);
        }
    }

    fn one(&mut self, out: &mut Vec<u8>) {
        let (n, at) = (self.next, self.last_at);
        self.next += 1;
        let seconds = at / 1_000_000;
        if self.second.0 != seconds {
            let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0));
            let text = time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string());
            self.second = (seconds, text.unwrap_or_default());
        }
        let (text, micros) = (&self.second.1, at % 1_000_000);
        let (w, b) = (self.writer, n / BLOCK);
        let mut line = || -> std::io::Result<()> {
            write!(out, "time={text}.{micros:06}Z w={w} n={n} b={b}")?;
            for digit in 0..DIGITS {
                write!(out, " d{digit}={}", digit_of(n, digit))?;
            }
            if n.is_multiple_of(TENTH) {
                write!(out, " ten={}", n / MARK)?;
            }
            if n.is_multiple_of(MARK) {
                write!(out, " mark={n}")?;
            }
            if self.named {
                write!(out, " {}={}", name_of(n), digit_of(n, 0))?;
            }
            out.extend_from_slice(b" x=");
            // Lines of many lengths, so that they end everywhere in a page.
            let length = usize::try_from(n.wrapping_mul(7_919) % 61).unwrap_or(0);
            out.resize(out.len() + length, b'a' + u8::try_from(n % 26).unwrap_or(0));
            out.extend_from_slice(b" end=1\n");
            Ok(())
        };
        line().expect("memory takes everything");
    }
}

/// The field that the line `n` shares with four others of its block and `d3`.
fn name_of(n: u64) -> String {
    format!("u{}{}", digit_of(n, 2), digit_of(n, 1))
}

/// All such fields.
pub fn names() -> Vec<String> {
    (0..PART).step_by(5).map(name_of).collect()
}

/// The line that is the one of block `b` with these values of `d3` and of the field `name`.
pub fn named(b: u64, d3: u64, name: &str, value: u64) -> Option<u64> {
    let upper: u64 = name.strip_prefix('u')?.parse().ok()?;
    let (second, first) = (upper / 10, upper % 10);
    let is_one = [d3, second, first, value].iter().all(|digit| *digit < 5);
    is_one.then(|| b * BLOCK + d3 * PART + second * 25 + first * 5 + value)
}

fn digit_of(n: u64, digit: u32) -> u64 {
    n % BLOCK / 5_u64.pow(digit) % 5
}

/// How often each digit stands in the lines `from..to`, which are of one block; the commonest first,
/// as a notification's `top` has it.
pub fn digits(from: u64, to: u64, digit: u32) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for n in from..to {
        *counts.entry(digit_of(n, digit).to_string()).or_default() += 1;
    }
    counts
}

/// The pattern of a whole line, for rules.
pub fn pattern() -> String {
    let digits: Vec<String> = (0..DIGITS)
        .map(|digit| format!(" d{digit}=[0-4]"))
        .collect();
    let digits = digits.concat();
    format!(
        "^time=[^ ]+ w=[0-9]+ n=[0-9]+ b=[0-9]+{digits}( ten=[0-9]+)?( mark=[0-9]+)?( u[0-4][0-4]=[0-4])? x=[a-z]* end=1$"
    )
}

/// The same within a longer text, the values as named groups.
pub fn named_pattern() -> String {
    let digits: Vec<String> = (0..DIGITS)
        .map(|digit| format!(" d{digit}=(?P<d{digit}>[0-4])"))
        .collect();
    let digits = digits.concat();
    format!(
        "time=[^ ]+ w=(?P<w>[0-9]+) n=[0-9]+ b=(?P<b>[0-9]+){digits}( ten=[0-9]+)?( mark=[0-9]+)? x=[a-z]* end=1$"
    )
}

/// Writer and number of each whole line in `text`, which may be torn at both ends.
pub fn numbers(text: &[u8]) -> impl Iterator<Item = (u32, u64)> {
    text.split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            let line = line.strip_suffix(" end=1\n")?;
            let mut words = line.split(' ');
            words.next()?.strip_prefix("time=20")?;
            let writer = words.next()?.strip_prefix("w=")?.parse().ok()?;
            let number = words.next()?.strip_prefix("n=")?.parse().ok()?;
            (line.matches("time=").count() == 1).then_some((writer, number))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_found_again_and_what_is_torn_or_glued_is_not() {
        let mut maker = Maker::new(3);
        let mut text = Vec::new();
        maker.make(2_001, &mut text);
        let found: Vec<_> = numbers(&text).collect();
        assert_eq!(found, (0..2_001).map(|n| (3, n)).collect::<Vec<_>>());
        let torn = text.get(10..text.len() - 10).unwrap();
        assert_eq!(numbers(torn).count(), 1_999);
        let first = text.iter().position(|byte| *byte == b'\n').unwrap();
        let mut glued = text.get(..first - 20).unwrap().to_vec();
        glued.extend_from_slice(text.get(first + 1..).unwrap());
        assert_eq!(numbers(&glued).count(), 1_999);
    }

    #[test]
    fn each_line_of_a_block_has_a_name_of_its_own() {
        let mut maker = Maker::new(0);
        maker.name_each();
        let mut text = Vec::new();
        maker.make(2 * BLOCK, &mut text);
        let text = String::from_utf8(text).unwrap();
        for (n, line) in (0..).zip(text.lines()) {
            let mut value = None;
            for word in line.split(' ') {
                let (name, said) = word.split_once('=').unwrap();
                if names().iter().any(|one| one == name) {
                    assert!(value.is_none());
                    value = named(n / BLOCK, digit_of(n, 3), name, said.parse().unwrap());
                }
            }
            assert_eq!(value, Some(n), "{line}");
        }
        assert_eq!(numbers(text.as_bytes()).count() as u64, 2 * BLOCK);
        assert_eq!(named(0, 5, "u00", 0), None);
        assert_eq!(named(0, 0, "u50", 0), None);
    }

    #[test]
    fn every_digit_stands_in_a_block_as_often_as_every_other() {
        for digit in 0..DIGITS {
            let counts = digits(BLOCK, 2 * BLOCK, digit);
            assert_eq!(counts.len(), 5);
            assert!(counts.values().all(|count| *count == BLOCK / 5));
        }
        assert_eq!(digits(0, 7, 0).get("0"), Some(&2));
        assert_eq!(digits(0, 7, 1).get("1"), Some(&2));
    }
}
