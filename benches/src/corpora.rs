//! Made-up logs: the same bytes in every run and on every machine, in whole lines that end with LF.
//!
//! `nginx` and `mixed` are what an agent sees on an ordinary day (`messages` holds what programs
//! write); `near_misses` and `tenth_matching` are what a search by literals finds hard. What is
//! looked for in them is made in [`crate::rule_sets`].

mod messages;
mod nginx;
#[cfg(test)]
mod tests;

use crate::choices::Choices;
use crate::examples::{Example, example};

use messages::{PROGRAMS, Program, TROUBLE, render};

/// One line in so many of `mixed` is trouble.
const TROUBLE_ONE_IN: u32 = 140;
/// Longer than any line made here.
const LINE_BYTES: usize = 2048;

/// At least `size` bytes of an nginx access log; about one line in 250 is a 502, in bursts.
pub fn nginx(size: usize) -> Vec<u8> {
    let (mut choices, mut burst) = (Choices::new(7), 0);
    log_of(size, &mut |number, log| {
        nginx::line(number, &mut burst, &mut choices, log);
    })
}

/// At least `size` bytes of many programs' messages behind syslog headers of 40 hosts; one line in
/// 140 is trouble.
pub fn mixed(size: usize) -> Vec<u8> {
    let mut choices = Choices::new(11);
    log_of(size, &mut |number, log| {
        let programs = if choices.once_in(TROUBLE_ONE_IN) {
            TROUBLE
        } else {
            PROGRAMS
        };
        syslog_line(number, programs, &mut choices, log);
    })
}

/// As `mixed` without trouble, but every line also holds what one of `rules` (patterns, at least
/// one) matches, but for one byte of its fixed text.
///
/// # Panics
///
/// When one of `rules` is no pattern.
pub fn near_misses(size: usize, rules: &[String]) -> Vec<u8> {
    let mut choices = Choices::new(13);
    log_of(size, &mut |number, log| {
        syslog_line(number, PROGRAMS, &mut choices, log);
        let rule = &rules[choices.place(rules.len())];
        let mut almost = example(rule, &mut choices);
        spoil(&mut almost, &mut choices);
        embed(&almost.bytes, &mut choices, log);
    })
}

/// As `mixed` without trouble, but one line in ten also holds what one of `rules` (patterns, at
/// least one) matches.
///
/// # Panics
///
/// When one of `rules` is no pattern.
pub fn tenth_matching(size: usize, rules: &[String]) -> Vec<u8> {
    let mut choices = Choices::new(17);
    log_of(size, &mut |number, log| {
        syslog_line(number, PROGRAMS, &mut choices, log);
        if choices.once_in(10) {
            let rule = &rules[choices.place(rules.len())];
            let found = example(rule, &mut choices);
            embed(&found.bytes, &mut choices, log);
        }
    })
}

/// Lines until there are `size` bytes. `line(n, log)` appends the line with n lines before it.
fn log_of(size: usize, line: &mut dyn FnMut(u32, &mut Vec<u8>)) -> Vec<u8> {
    let mut log = Vec::with_capacity(size + LINE_BYTES);
    for number in 0.. {
        if log.len() >= size {
            break;
        }
        line(number, &mut log);
    }
    log
}

/// Appends one line with its LF.
fn syslog_line(number: u32, programs: &[Program], choices: &mut Choices, log: &mut Vec<u8>) {
    let kind = choices.one_of(&["web", "app", "db", "edge"]);
    let host = choices.below(10) + 1;
    // Some 250 messages a second.
    let seconds = number / 250;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let header = format!("Nov 21 {hour:02}:{minute:02}:{second:02} {kind}-{host:02} ");
    log.extend_from_slice(header.as_bytes());
    let program = &programs[choices.place(programs.len())];
    render(program.tag, choices, log);
    log.extend_from_slice(b": ");
    render(
        program.messages[choices.place(program.messages.len())],
        choices,
        log,
    );
    log.push(b'\n');
}

/// Puts `text` between two words of the message that ends `log`, or at its end.
fn embed(text: &[u8], choices: &mut Choices, log: &mut Vec<u8>) {
    log.pop();
    let line = log
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |lf| lf + 1);
    let spaces: Vec<usize> = (line..log.len())
        .filter(|&at| log[at] == b' ')
        // Behind the header: its time and its host.
        .skip(4)
        .collect();
    let tail = if spaces.is_empty() {
        Vec::new()
    } else {
        log.split_off(spaces[choices.place(spaces.len())])
    };
    log.push(b' ');
    log.extend_from_slice(text);
    log.extend_from_slice(&tail);
    log.push(b'\n');
}

/// Another letter for a letter of the fixed text, another digit for a digit, `_` for the rest.
fn spoil(example: &mut Example, choices: &mut Choices) {
    if example.fixed.is_empty() {
        return;
    }
    let at = example.fixed[choices.place(example.fixed.len())];
    let byte = &mut example.bytes[at];
    *byte = match *byte {
        b'z' => b'a',
        b'Z' => b'A',
        b'9' => b'0',
        letter if letter.is_ascii_alphanumeric() => letter + 1,
        _ => b'_',
    };
}
