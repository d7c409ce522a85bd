//! How rules and a log are written in the fuzzer's input.
//!
//! ```text
//! 000k          kernel, sample, format, and so on: one byte each
//! cupstream     `contains`
//! r5\d\d        `regex`
//! ndebug        `not: contains`
//! x^$           `not: regex`
//! wstatus > 1   `where`
//! i             `ignore_case`
//! f             fields are wanted
//! -             the next rule
//! j213          two lines form a record, then each one alone, then three, and again
//! hweb-1        who sent the lines
//! p(?P<a>\w+)   the pattern, where that is the format
//! l             what follows is the log
//! ```
//!
//! The log is taken as it stands, but for the control bytes of [`LogWriter`]: with those a few bytes
//! make lines that the rules match or nearly match. What is no rule is passed over, so that most
//! changes of an input make another one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lapwing_rules::fields::Format;
use lapwing_rules::language::expression::Expression;
use lapwing_rules::language::pattern::{Case as Fold, Pattern};
use lapwing_rules::language::rule::Match;
use lapwing_rules::matcher::{FieldUse, Kernel, Wanted};
use lapwing_rules::model::{RuleId, Text};
use regex_syntax::hir::Hir;

use crate::draw::{self, Draw};

/// More rules make a run slow and find little more.
const MOST_RULES: usize = 40;
/// Longer patterns and texts as well. Some texts are longer than what any tier looks at.
const MOST_TEXT: usize = 300;
/// Of the lines, where none is written.
const ORDINARY_PATTERN: &str = r"^(?P<time>\S+) \[?(?P<level>\w+)\]? (?:(?P<who>\w+): )?(?P<msg>.*)$";
/// The log, written out.
const MOST_LOG: usize = 40 * 1024;

/// What to compare on.
pub(crate) struct Case {
    pub(crate) kernel: Kernel,
    pub(crate) sample: Sample,
    pub(crate) format: Format,
    /// Whether the plan is made for that format.
    pub(crate) is_format_known: bool,
    /// Whether the log is also scanned many times over.
    pub(crate) is_long: bool,
    /// The line before which the log is cut in two, modulo their number.
    pub(crate) cut: usize,
    pub(crate) rules: Vec<Wanted>,
    pub(crate) log: Vec<u8>,
    /// The records of several lines.
    pub(crate) records: Vec<Range<usize>>,
    /// Who sent the lines.
    pub(crate) peer: Option<String>,
}

/// What the plan takes for ordinary.
pub(crate) enum Sample {
    /// What is built in.
    Ordinary,
    /// What will be scanned: nothing in it is rare.
    Log,
    /// The same, but rare enough to be looked for.
    LogAmongOthers,
    /// Other lines.
    Others,
}

/// What is written once for all rules; of several the last one counts.
#[derive(Default)]
struct Shared<'a> {
    /// So many lines form each record, in turn.
    joined: &'a [u8],
    peer: Option<&'a str>,
    pattern: Option<&'a str>,
}

#[derive(Default)]
struct Draft<'a> {
    contains: Vec<&'a [u8]>,
    regex: Vec<&'a str>,
    not_contains: Vec<&'a [u8]>,
    not_regex: Vec<&'a str>,
    condition: Option<&'a str>,
    ignores_case: bool,
    wants_fields: bool,
}

impl Case {
    /// `None` where no rule is written.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[kernel, sample, format, cut], mut rest) = bytes.split_first_chunk()?;
        let digit = |byte: u8| byte.wrapping_sub(b'0');
        let mut drafts = vec![Draft::default()];
        let mut shared = Shared::default();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind.get(1..).unwrap_or_default();
            match line {
                b"l" => break,
                b"-" if drafts.len() < MOST_RULES => drafts.push(Draft::default()),
                [key, value @ ..] if value.len() <= MOST_TEXT && !shared.take(*key, value) => {
                    drafts.last_mut()?.take(*key, value);
                }
                _ => {}
            }
        }
        let rules: Vec<Wanted> = (0..)
            .map(RuleId)
            .zip(&drafts)
            .map(|(rule, draft)| draft.wanted(rule))
            .collect();
        let log = LogWriter::new(&drafts, &rules).write(rest);
        Some(Self {
            kernel: supported(Kernel::ALL[usize::from(digit(kernel) % 3)]),
            sample: match digit(sample) % 4 {
                0 => Sample::Ordinary,
                1 => Sample::Log,
                2 => Sample::LogAmongOthers,
                _ => Sample::Others,
            },
            format: match digit(format) % 8 {
                0 => Format::Nginx,
                1 => Format::NginxError,
                2 => Format::Json { time_field: None },
                3 => Format::Logfmt { time_field: None },
                4 => Format::Plain,
                5 => Format::Apache,
                6 => Format::Syslog,
                _ => shared.format()?,
            },
            is_format_known: digit(format) % 16 < 12,
            is_long: cut % 32 == 0,
            cut: usize::from(cut / 16) + usize::from(cut % 4),
            records: shared.records(&log),
            peer: shared.peer.map(str::to_owned),
            rules,
            log,
        })
    }

    /// The records of the log that begin in `place`, whole, as a text of their own.
    pub(crate) fn records_in(&self, place: Range<usize>) -> Vec<Range<usize>> {
        let is_there = |record: &&Range<usize>| place.contains(&record.start);
        let there = self.records.iter().filter(is_there);
        there
            .map(|record| record.start - place.start..record.end - place.start)
            .collect()
    }

    /// Where in the log each record begins, those of one line among them; and its end.
    pub(crate) fn borders(&self) -> Vec<usize> {
        let text = Text {
            bytes: &self.log,
            records: &self.records,
        };
        let mut borders = vec![0];
        while let Some(&at) = borders.last()
            && at < self.log.len()
        {
            borders.push(text.behind(at));
        }
        borders
    }
}

impl<'a> Shared<'a> {
    /// Whether `key` is one of these.
    fn take(&mut self, key: u8, value: &'a [u8]) -> bool {
        let text = std::str::from_utf8(value).ok();
        match key {
            b'j' => self.joined = value,
            b'h' => self.peer = text,
            b'p' => self.pattern = text,
            _ => return false,
        }
        true
    }

    /// `None` where what is written is no pattern.
    fn format(&self) -> Option<Format> {
        let pattern = compiled(self.pattern.unwrap_or(ORDINARY_PATTERN), Fold::Sensitive)?;
        Some(Format::Pattern {
            pattern: Box::new(pattern),
            time_format: None,
        })
    }

    /// Those of several lines.
    fn records(&self, log: &[u8]) -> Vec<Range<usize>> {
        let mut records = Vec::new();
        let mut counts = self.joined.iter().cycle();
        let mut lines = log.split_inclusive(|byte| *byte == b'\n').peekable();
        let mut start = 0;
        while let Some(count) = counts.next()
            && lines.peek().is_some()
        {
            let count = usize::from(count.wrapping_sub(b'0') % 8).max(1);
            let (mut end, mut taken) = (start, 0);
            for line in lines.by_ref().take(count) {
                end += line.len();
                taken += 1;
            }
            if taken > 1 {
                records.push(start..end);
            }
            start = end;
        }
        records
    }
}

/// `None` for what is no pattern, and for one that takes long to compile.
fn compiled(text: &str, fold: Fold) -> Option<Pattern> {
    let parsed = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .case_insensitive(fold == Fold::Ignore)
        .build()
        .parse(text)
        .ok()?;
    if draw::states(&parsed) > 4000 {
        return None;
    }
    Pattern::new(text, fold).ok()
}

/// `kernel`, or the next slower one that this processor can run.
fn supported(kernel: Kernel) -> Kernel {
    let slower = Kernel::ALL.into_iter().skip_while(|other| *other != kernel);
    let mut can_run = slower.filter(|kernel| kernel.is_supported());
    can_run.next().unwrap_or(Kernel::Scalar)
}

impl<'a> Draft<'a> {
    fn take(&mut self, key: u8, value: &'a [u8]) {
        let text = std::str::from_utf8(value);
        match (key, text) {
            (b'c', _) if !value.is_empty() => self.contains.push(value),
            (b'n', _) if !value.is_empty() => self.not_contains.push(value),
            (b'r', Ok(text)) => self.regex.push(text),
            (b'x', Ok(text)) => self.not_regex.push(text),
            (b'w', Ok(text)) => self.condition = Some(text),
            (b'i', _) => self.ignores_case = true,
            (b'f', _) => self.wants_fields = true,
            _ => {}
        }
    }

    fn wanted(&self, rule: RuleId) -> Wanted {
        let owned = |texts: &[&[u8]]| texts.iter().map(|text| text.to_vec()).collect();
        let patterns =
            |texts: &[&str]| texts.iter().filter_map(|text| self.pattern(text)).collect();
        Wanted {
            rule,
            matching: Arc::new(Match {
                contains: owned(&self.contains),
                regex: patterns(&self.regex),
                ignore_case: self.ignores_case,
                condition: self.condition.and_then(|text| Expression::parse(text).ok()),
                not_contains: owned(&self.not_contains),
                not_regex: patterns(&self.not_regex),
            }),
            fields: if self.wants_fields {
                FieldUse::Wanted
            } else {
                FieldUse::Unwanted
            },
        }
    }

    fn pattern(&self, text: &str) -> Option<Pattern> {
        let fold = if self.ignores_case {
            Fold::Ignore
        } else {
            Fold::Sensitive
        };
        compiled(text, fold)
    }
}

/// Writes the log out. A byte is itself, but for these and the one behind them:
///
/// | byte | writes |
/// | --- | --- |
/// | `^P` n | the nth text of the rules |
/// | `^Q` n | something that the nth pattern matches, drawn |
/// | `^R` n | takes n mod 8 bytes back |
/// | `^S` n | n spaces: what follows stands elsewhere in its block |
/// | `^T` n | the last line again, n mod 64 times |
/// | `^U` n | a byte with its case or high bit changed, n bytes back |
/// | `^V` n | n |
struct LogWriter<'a> {
    texts: Vec<&'a [u8]>,
    patterns: Vec<&'a Hir>,
    draw: Draw,
    log: Vec<u8>,
}

impl<'a> LogWriter<'a> {
    fn new(drafts: &[Draft<'a>], rules: &'a [Wanted]) -> Self {
        let texts = |draft: &Draft<'a>| {
            let condition = draft.condition.map(str::as_bytes);
            let words = condition.into_iter().flat_map(words);
            let texts = draft.contains.iter().chain(&draft.not_contains).copied();
            texts.chain(words).collect::<Vec<_>>()
        };
        let patterns = |wanted: &'a Wanted| {
            let Match {
                regex, not_regex, ..
            } = &*wanted.matching;
            regex.iter().chain(not_regex).map(Pattern::hir)
        };
        Self {
            texts: drafts.iter().flat_map(texts).collect(),
            patterns: rules.iter().flat_map(patterns).collect(),
            draw: Draw::new(1),
            log: Vec::new(),
        }
    }

    fn write(mut self, mut program: &[u8]) -> Vec<u8> {
        while let Some((&byte, rest)) = program.split_first()
            && self.log.len() < MOST_LOG
        {
            program = rest;
            if !(0x10..=0x16).contains(&byte) {
                self.log.push(byte);
                continue;
            }
            if let Some((&number, rest)) = program.split_first() {
                program = rest;
                self.control(byte, number);
            }
        }
        self.log.truncate(MOST_LOG);
        self.log
    }

    fn control(&mut self, byte: u8, number: u8) {
        let Self {
            texts,
            patterns,
            draw,
            log,
        } = self;
        let n = usize::from(number);
        match byte {
            0x10 if !texts.is_empty() => log.extend_from_slice(texts[n % texts.len()]),
            0x11 if !patterns.is_empty() => {
                draw.text_of(patterns[n % patterns.len()], MOST_TEXT, log);
            }
            0x12 => log.truncate(log.len().saturating_sub(n % 8)),
            0x13 => log.resize(log.len() + n, b' '),
            0x14 => {
                let before = log.strip_suffix(b"\n").unwrap_or(log);
                let start = before.iter().rposition(|byte| *byte == b'\n');
                let line = log[start.map_or(0, |lf| lf + 1)..].to_vec();
                let room = MOST_LOG.saturating_sub(log.len()) / line.len().max(1);
                log.extend(line.repeat((n % 64).min(room)));
            }
            0x15 => {
                let bit = if n % 8 == 7 { 0x80 } else { 0x20 };
                if let Some(byte) = log.iter_mut().rev().nth(n / 8) {
                    *byte ^= bit;
                }
            }
            0x16 => log.push(number),
            _ => {}
        }
    }
}

/// The names and values of a condition.
fn words(condition: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_border = |byte: &u8| b" '\"`()[],~<>=!".contains(byte);
    let words = condition.split(is_border);
    words.filter(|word| !word.is_empty())
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.is_format_known {
            ""
        } else {
            " (not planned for)"
        };
        writeln!(f, "{:?}, {}{known}", self.kernel, self.format.name())?;
        if let Format::Pattern { pattern, .. } = &self.format {
            writeln!(f, "lines are {:?}", pattern.text())?;
        }
        writeln!(f, "records {:?}, from {:?}", self.records, self.peer)?;
        for wanted in &self.rules {
            let condition = wanted.matching.condition.as_ref().map(Expression::text);
            writeln!(
                f,
                "{}: {:?} where {condition:?}, fields {:?}",
                wanted.rule.0, wanted.matching, wanted.fields
            )?;
        }
        writeln!(f, "b\"{}\"", self.log.escape_ascii())
    }
}
