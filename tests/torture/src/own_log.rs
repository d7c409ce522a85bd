//! The oracle Q over what the agent wrote about itself: no secret, at most one line a second for one
//! cause.

use std::collections::HashMap;

/// What it says of a file whose lines were lost.
const LOST: [&str; 2] = [
    " before all of it had been read",
    " is a compressed file that could not be read to its end",
];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// Lines in all.
    pub lines: u64,
    /// Warnings and errors among them.
    pub complaints: u64,
    /// Warnings and errors that came within a second of one with the same words.
    pub hasty: u64,
    /// Warnings that lines of a file were lost.
    pub losses: u64,
    /// Lines that hold the secret.
    pub leaks: u64,
    /// The most hasty words, as an example.
    pub example: String,
}

impl Quiet {
    /// Reads one start's log. A cause is a line's words without its numbers and quoted parts.
    pub fn read(&mut self, text: &str, secret: &str) {
        let mut last: HashMap<String, f64> = HashMap::new();
        for line in text.lines() {
            self.lines += 1;
            self.leaks += u64::from(line.contains(secret));
            let Some((time, rest)) = line.trim_start().split_once(' ') else {
                continue;
            };
            let rest = rest.trim_start();
            if !(rest.starts_with("WARN") || rest.starts_with("ERROR")) {
                continue;
            }
            self.complaints += 1;
            self.losses += u64::from(LOST.iter().any(|words| rest.contains(words)));
            let Ok(at) = time.parse::<jiff::Timestamp>() else {
                continue;
            };
            let at = at.as_duration().as_secs_f64();
            let cause: String = rest
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(60)
                .collect();
            let before = last.insert(cause, at);
            // The agent measures from the first line's moment, which it writes a little later.
            if before.is_some_and(|before| at >= before && at - before < 0.95) {
                self.hasty += 1;
                rest.clone_into(&mut self.example);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_twice_in_a_second_is_hasty_and_two_causes_are_not() {
        let mut quiet = Quiet::default();
        quiet.read(
            "2026-11-21T10:00:00.000000Z  INFO ready\n\
             2026-11-21T10:00:00.100000Z  WARN not delivered: 12 of 5\n\
             2026-11-21T10:00:00.300000Z ERROR disk full\n\
             2026-11-21T10:00:00.900000Z  WARN not delivered: 13 of 5\n\
             2026-11-21T10:00:02.900000Z  WARN not delivered: hunter2\n\
             2026-11-21T10:00:03.900000Z  WARN /a was gone before all of it had been read bytes=7\n\
             2026-11-21T10:00:04.900000Z  INFO /a is read before all of it had been read\n",
            "hunter2",
        );
        assert_eq!((quiet.lines, quiet.complaints), (7, 5));
        assert_eq!((quiet.hasty, quiet.leaks, quiet.losses), (1, 1, 1));
    }
}
