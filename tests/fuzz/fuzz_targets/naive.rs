//! What the matcher must find, found the slow way: every rule is asked about every line. Knows
//! nothing of plans; lines are cut here once more.

use lapwing_rules::fields::{Fields, Format};
use lapwing_rules::language::pattern::{Case as Fold, Pattern};
use lapwing_rules::matcher::{FieldUse, Wanted};

use crate::written::Case;
use crate::{Hit, shown};

/// A rule, its patterns compiled.
struct Rule<'a> {
    wanted: &'a Wanted,
    contains: Vec<Text<'a>>,
    not_contains: Vec<Text<'a>>,
}

enum Text<'a> {
    Bytes(&'a [u8]),
    Folded(Pattern),
}

/// Lines ascending, rules ascending.
pub(crate) fn hits(case: &Case) -> Vec<Hit> {
    let rules: Vec<Rule<'_>> = case.rules.iter().map(Rule::new).collect();
    let mut hits = Vec::new();
    let mut start = 0;
    for whole in case.log.split_inclusive(|byte| *byte == b'\n') {
        let line = match whole {
            [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
            line => line,
        };
        for rule in &rules {
            if let Some(fields) = rule.ask(line, &case.format) {
                hits.push(Hit {
                    line: start..start + line.len(),
                    rule: rule.wanted.rule.0,
                    fields: shown(&fields),
                });
            }
        }
        start += whole.len();
    }
    hits
}

impl<'a> Rule<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let rule = &wanted.matching;
        let texts = |texts: &'a [Vec<u8>]| {
            let text = |text: &'a Vec<u8>| {
                if rule.ignore_case {
                    Text::Folded(Pattern::literal(text, Fold::Ignore))
                } else {
                    Text::Bytes(text)
                }
            };
            texts.iter().map(text).collect()
        };
        Self {
            wanted,
            contains: texts(&rule.contains),
            not_contains: texts(&rule.not_contains),
        }
    }

    /// What there is to say about the line when the rule accepts it.
    fn ask(&self, line: &[u8], format: &Format) -> Option<Fields> {
        let rule = &*self.wanted.matching;
        let holds = |text: &Text<'_>| text.is_in(line);
        if !(self.contains.is_empty() || self.contains.iter().any(holds))
            || self.not_contains.iter().any(holds)
        {
            return None;
        }
        let matched = rule.regex.iter().find(|pattern| pattern.is_match(line));
        if (matched.is_none() && !rule.regex.is_empty())
            || rule.not_regex.iter().any(|pattern| pattern.is_match(line))
        {
            return None;
        }
        let mut fields = Fields::default();
        if self.wanted.fields == FieldUse::Unwanted && rule.condition.is_none() {
            return Some(fields);
        }
        format.read(line, &mut fields);
        if let Some(pattern) = matched {
            pattern.captures(line, &mut |name, place| fields.push(name, &line[place]));
        }
        let condition = rule.condition.as_ref();
        let holds = condition.is_none_or(|condition| condition.holds(&fields));
        holds.then_some(fields)
    }
}

impl Text<'_> {
    fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Bytes(text) => line.windows(text.len()).any(|window| window == *text),
            Self::Folded(pattern) => pattern.is_match(line),
        }
    }
}
