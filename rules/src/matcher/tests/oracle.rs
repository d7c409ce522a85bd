//! The naive matcher. It shares no code with the real one: its own lines, its own search for
//! texts, patterns straight from the regex engine.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use super::{Pairs, Written};

pub(super) struct Oracle {
    rules: Vec<Rule>,
}

struct Rule {
    contains: Vec<Text>,
    regex: Vec<Regex>,
    not_contains: Vec<Text>,
    not_regex: Vec<Regex>,
}

enum Text {
    Bytes(Vec<u8>),
    Folded(Regex),
}

impl Oracle {
    pub(super) fn new(rules: &[Written]) -> Self {
        let rules = rules.iter().map(Rule::new).collect();
        Self { rules }
    }

    pub(super) fn pairs(&self, lines: &[u8]) -> Pairs {
        self.pairs_of(lines, &[])
    }

    /// Each rule held against each record.
    pub(super) fn pairs_of(&self, lines: &[u8], records: &[Range<usize>]) -> Pairs {
        let mut pairs = Vec::new();
        let mut start = 0;
        while start < lines.len() {
            let record = records.iter().find(|record| record.start == start);
            let next = record.map_or_else(
                || {
                    let lf = lines[start..].iter().position(|&byte| byte == b'\n');
                    lf.map_or(lines.len(), |lf| start + lf + 1)
                },
                |record| record.end,
            );
            let whole = &lines[start..next];
            let text = match whole.strip_suffix(b"\n") {
                Some(text) => text.strip_suffix(b"\r").unwrap_or(text),
                None => whole,
            };
            for (id, rule) in (0..).zip(&self.rules) {
                if rule.accepts(text) {
                    pairs.push((start, start + text.len(), id));
                }
            }
            start = next;
        }
        pairs
    }
}

/// Within one of the record's lines; what the pattern asserts sees the whole record.
fn is_match(regex: &Regex, record: &[u8]) -> bool {
    let mut start = 0;
    record.split(|&byte| byte == b'\n').any(|line| {
        let span = start..start + line.len();
        start = span.end + 1;
        regex.is_match(Input::new(record).span(span))
    })
}

impl Rule {
    fn new(written: &Written) -> Self {
        let fold = written.ignore_case;
        let texts = |texts: &[Vec<u8>]| texts.iter().map(|text| Text::new(text, fold)).collect();
        let patterns = |texts: &[String]| texts.iter().map(|text| compile(text, fold)).collect();
        Self {
            contains: texts(&written.contains),
            regex: patterns(&written.regex),
            not_contains: texts(&written.not_contains),
            not_regex: patterns(&written.not_regex),
        }
    }

    fn accepts(&self, line: &[u8]) -> bool {
        (self.contains.is_empty() || self.contains.iter().any(|text| text.is_in(line)))
            && (self.regex.is_empty() || self.regex.iter().any(|regex| is_match(regex, line)))
            && !self.not_contains.iter().any(|text| text.is_in(line))
            && !self.not_regex.iter().any(|regex| is_match(regex, line))
    }
}

impl Text {
    fn new(text: &[u8], fold: bool) -> Self {
        if !fold {
            return Self::Bytes(text.to_vec());
        }
        let escaped: String = text
            .utf8_chunks()
            .map(|chunk| {
                let bytes = chunk
                    .invalid()
                    .iter()
                    .map(|byte| format!(r"(?-u:\x{byte:02X})"));
                regex_syntax::escape(chunk.valid()) + &bytes.collect::<String>()
            })
            .collect();
        Self::Folded(compile(&escaped, fold))
    }

    fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Bytes(text) => line.windows(text.len()).any(|window| window == text),
            Self::Folded(regex) => is_match(regex, line),
        }
    }
}

fn compile(text: &str, fold: bool) -> Regex {
    Regex::builder()
        .syntax(syntax::Config::new().utf8(false).case_insensitive(fold))
        .configure(Config::new().utf8_empty(false))
        .build(text)
        .unwrap()
}
