//! What the matcher must find, found the slow way: every rule is asked about every record.
//! Knows nothing of plans; lines are cut here once more.

use lapwing_rules::fields::Fields;
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

/// Records ascending, rules ascending.
pub(crate) fn hits(case: &Case) -> Vec<Hit> {
    let rules: Vec<Rule<'_>> = case.rules.iter().map(Rule::new).collect();
    let mut joined = case.records.iter().peekable();
    let mut hits = Vec::new();
    let mut start = 0;
    while start < case.log.len() {
        let rest = &case.log[start..];
        let lf = rest.iter().position(|byte| *byte == b'\n');
        let record = joined.next_if(|record| record.start == start);
        let end = record.map_or_else(
            || lf.map_or(case.log.len(), |lf| start + lf + 1),
            |record| record.end,
        );
        let text = match &case.log[start..end] {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            text => text,
        };
        for rule in &rules {
            if let Some(fields) = rule.ask(text, case) {
                hits.push(Hit {
                    line: start..start + text.len(),
                    rule: rule.wanted.rule.0,
                    fields: shown(&fields),
                });
            }
        }
        start = end;
    }
    hits
}

/// A record is of the format as a whole, or else in its first line.
fn read(record: &[u8], case: &Case) -> Fields {
    let first = record.split(|byte| *byte == b'\n').next();
    let mut fields = Fields::default();
    for text in [Some(record), first].into_iter().flatten() {
        if fields.iter().next().is_none() {
            case.format.read(text, &mut fields);
        }
    }
    if let Some(peer) = &case.peer {
        fields.push("peer", peer.as_bytes());
    }
    fields
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

    /// What there is to say about the record when the rule accepts it.
    fn ask(&self, line: &[u8], case: &Case) -> Option<Fields> {
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
        if self.wanted.fields == FieldUse::Unwanted && rule.condition.is_none() {
            return Some(Fields::default());
        }
        let mut fields = read(line, case);
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
