//! Made-up rules, as patterns: the same ones in every run and on every machine.
//!
//! What an operator of a small fleet looks for stands in [`COMMON`]; larger sets begin with it and
//! go on with drawn ones, which share their wording (as the rules of one house do) or share nothing.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::choices::Choices;

/// A named list of patterns.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// As in tables.
    pub name: String,
    /// Each is a whole pattern of the regex crate, without flags of its own from outside.
    pub patterns: Vec<String>,
}

/// What is common knowledge to look for.
const COMMON: [&str; 50] = [
    r#"" 502 "#,
    r#"HTTP/[12]\.[01]" 50[34] "#,
    r"upstream timed out .* while (?:connecting|reading)",
    r"no live upstreams",
    r"client intended to send too large body: \d+ bytes",
    r"SSL_do_handshake\(\) failed",
    r"worker_connections are not enough",
    r"limiting requests, excess: \d+\.\d+",
    r"upstream sent too big header",
    r"bind\(\) to \S+ failed",
    r"segfault at [0-9a-f]+ ip",
    r"Out of memory: Killed process \d+",
    r"EXT4-fs error \(device \w+\)",
    r"I/O error, dev (?:sd[a-z]|nvme\dn\d), sector \d+",
    r"task \S+ blocked for more than \d+ seconds",
    r"nf_conntrack: table full",
    r"Possible SYN flooding on port \d+",
    r"BUG: soft lockup|watchdog: hard LOCKUP",
    r"Kernel panic - not syncing",
    r"mce: \[Hardware Error\]",
    r"temperature above threshold, cpu clock throttled",
    r"Failed password for (?:invalid user )?\S+ from \S+",
    r"Accepted (?:password|publickey) for root",
    r"maximum authentication attempts exceeded",
    r"sudo: .* : command not allowed",
    r"FAILED su for root",
    r"remaining connection slots are reserved",
    r"deadlock detected|Deadlock found when trying",
    r"Too many connections",
    r"checkpoints are occurring too frequently",
    r"could not (?:extend|write to) file .*: ",
    r"canceling statement due to statement timeout",
    r"InnoDB: (?:Error|Assertion failure)",
    r"MISCONF Redis is configured to save",
    r"OOM command not allowed when used memory",
    r"(?i)no space left on device",
    r"(?i)certificate (?:has expired|verify failed)",
    r"(?i)connection reset by peer",
    r"(?i)stack ?overflow",
    r"(?i)read-only file ?system",
    r"(?i)too many open files",
    r"java\.lang\.OutOfMemoryError: \w+",
    r#"Exception in thread "[^"]+" [a-z.]+[A-Z]\w+Error"#,
    r"Traceback \(most recent call last\)",
    r"panic: runtime error: ",
    r"thread '[^']+' panicked at",
    r"PHP (?:Fatal|Parse) error: ",
    r"Server \w+/\w+ is (?:DOWN|going DOWN)",
    r"Main process exited, code=(?:exited|killed|dumped), status=\d+/[A-Z]+",
    r"quorum lost|no leader elected for \d+s",
];

/// Without a literal that would be rare in a log: at least one line in ten matches.
const WEAK: [&str; 5] = [
    r"\b5\d\d\b",
    r"(?i)\bwarn\b",
    r"\d{4,} ?ms\b",
    r"took [0-9]{3,}",
    r#"" [45]\d\d \d+ "-""#,
];

const THINGS: [&str; 24] = [
    "orchard", "harbour", "lantern", "quarry", "meadow", "turbine", "ferry", "granary", "beacon",
    "foundry", "kiln", "weir", "cellar", "mill", "jetty", "smithy", "tannery", "aqueduct", "loom",
    "cistern", "brewery", "viaduct", "windlass", "almanac",
];
const TROUBLES: [&str; 16] = [
    "lost its lease",
    "queue is full",
    "checksum differs",
    "refused the token",
    "replica lags",
    "leader moved",
    "pool is empty",
    "handshake broke",
    "quota is spent",
    "shard is gone",
    "clock jumped",
    "journal is torn",
    "cursor is stale",
    "ledger does not add up",
    "snapshot is too old",
    "lock was stolen",
];
const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
const VOWELS: &[u8] = b"aeiou";

/// One rule, found by one literal.
pub fn r1() -> RuleSet {
    set("r1", texts(&COMMON[..1]))
}

/// What an operator begins with.
pub fn r50() -> RuleSet {
    set("r50", texts(&COMMON))
}

/// The 50 and five without a rare literal.
pub fn r50w() -> RuleSet {
    let mut patterns = texts(&COMMON);
    patterns.extend(texts(&WEAK));
    set("r50w", patterns)
}

/// 500 that share wording, half of them plain text.
pub fn r500() -> RuleSet {
    sharing("r500", 500)
}

/// 2,000 that share wording, half of them plain text.
pub fn r2000() -> RuleSet {
    sharing("r2000", 2_000)
}

/// 2,000 that share nothing but the first 50.
pub fn r2000d() -> RuleSet {
    diverse("r2000d", 2_000)
}

/// All of the above, from few to many.
pub fn all() -> [RuleSet; 6] {
    [r1(), r50(), r50w(), r500(), r2000(), r2000d()]
}

/// `count` different rules that share wording, the 50 common ones first.
pub fn sharing(name: &str, count: usize) -> RuleSet {
    let mut choices = Choices::new(500);
    set(name, drawn(count, &mut || shared_wording(&mut choices)))
}

/// `count` different rules of made-up words, the 50 common ones first.
pub fn diverse(name: &str, count: usize) -> RuleSet {
    let mut choices = Choices::new(2_000);
    set(name, drawn(count, &mut || own_wording(&mut choices)))
}

fn set(name: &str, patterns: Vec<String>) -> RuleSet {
    RuleSet {
        name: name.to_owned(),
        patterns,
    }
}

fn texts(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|&pattern| pattern.to_owned()).collect()
}

fn drawn(count: usize, draw: &mut dyn FnMut() -> String) -> Vec<String> {
    let mut patterns = texts(&COMMON[..count.min(COMMON.len())]);
    let mut known: HashSet<String> = patterns.iter().cloned().collect();
    while patterns.len() < count {
        let pattern = draw();
        if known.insert(pattern.clone()) {
            patterns.push(pattern);
        }
    }
    patterns
}

fn shared_wording(choices: &mut Choices) -> String {
    let (thing, other) = (choices.one_of(&THINGS), choices.one_of(&THINGS));
    let trouble = choices.one_of(&TROUBLES);
    let number = choices.below(10_000);
    match choices.below(12) {
        0 => format!("{thing}-{}: {trouble}", number % 1_000),
        1 => format!("E{number:04}-{thing}"),
        2 => format!("event={thing}_{number}"),
        3 => format!("{trouble} in {thing}-{}", number % 100),
        4 => format!(r"com\.example\.{thing}\.{other}Failure"),
        5 => format!(r"{thing}-{:02}\.{other}\.internal", number % 100),
        6 => format!(r"{thing}\[\d+\]: .*{other}: {trouble}"),
        7 => format!(r"(?i){thing} {trouble} after {}\d ms", number % 1_000),
        8 => {
            format!(
                r#"(?:GET|POST) /{thing}/{other}/v{}[^ ]* HTTP/[12]\.[01]" 5\d\d "#,
                number % 10
            )
        }
        9 => format!(r"code=E{}\d-{thing} (?:down|late)", number % 1_000),
        10 => format!(
            r"{thing} {other} (?:{trouble}|gives up) \(\w+-{}\)",
            number % 100
        ),
        _ => format!(r"{trouble}: retry \d+ of {} at {thing}", number % 100),
    }
}

fn own_wording(choices: &mut Choices) -> String {
    let (a, b, c) = (word(choices), word(choices), word(choices));
    match choices.below(20) {
        0..=9 => format!("{a} {b}"),
        10..=12 => format!("{a}_{b}_{c}"),
        13..=15 => format!("{a}-{b}: {c}"),
        16 | 17 => format!(r"{a} {b}=\d+"),
        _ => format!("(?i){a} {b} (?:{c}|gone)"),
    }
}

/// Two to four syllables.
fn word(choices: &mut Choices) -> String {
    let mut word = String::new();
    for _ in 0..choices.below(3) + 2 {
        word.push(letter(CONSONANTS, choices));
        word.push(letter(VOWELS, choices));
        if choices.once_in(3) {
            word.push(letter(CONSONANTS, choices));
        }
    }
    word
}

fn letter(letters: &[u8], choices: &mut Choices) -> char {
    letters[choices.place(letters.len())].into()
}
