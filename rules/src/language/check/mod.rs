//! Rule files → checked rules and every problem of all files at once.
//!
//! A rule with an error is left out, all others are there: what is done about it is up to the
//! caller (`run` refuses to start, a reload keeps the old rules).

mod condition;
mod defaults;
mod inhibition;
mod inline_test;
mod matching;
mod reach;
mod rule;
mod schema;
mod speaking;
mod summary;
mod test_file;
mod times;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use defaults::{Defaults, SEVERITIES, read as read_defaults};
pub use reach::may_all_match;
pub use schema::{any_rule_file, definitions};
pub use test_file::rule_files;

use super::diagnostic::{Diagnostic, Level, Place};
use super::reader::{Keys, Reader, meant};
use super::rule::{Rule, RuleSet};
use super::yaml::{self, Node, Value};
use crate::mute::{InhibitRule, Times};
use inhibition::Written;

/// One file: rules, or tests of rules.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The file as the operator named it, or `pack:nginx`.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// What the configuration names; `None` where there is no configuration to hold rules against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Names of inputs.
    pub inputs: Option<&'a [String]>,
    /// Names of outputs.
    pub outputs: Option<&'a [String]>,
    /// Finds a time zone by its name; without it there is UTC only.
    pub zone: Option<fn(&str) -> Option<TimeZone>>,
}

/// What came of rule files; what has an error is left out.
#[derive(Debug, Default)]
pub struct Checked {
    /// In the order of the files, with unique names.
    pub rules: Vec<Rule>,
    /// Which alerts mute which others.
    pub inhibit_rules: Vec<InhibitRule>,
    /// In the order of the files and their places.
    pub problems: Vec<Diagnostic>,
}

impl Checked {
    /// All rules, ready for use.
    pub fn into_rule_set(self) -> RuleSet {
        RuleSet::new(self.rules).with_inhibition(self.inhibit_rules)
    }
}

const FILE_KEYS: Keys = Keys {
    of: "a rule file",
    known: &[
        "version",
        "defaults",
        "rules",
        "inhibit_rules",
        "time_intervals",
    ],
};

/// What rules of all files may name.
struct Names<'k> {
    known: Known<'k>,
    rules: HashMap<String, Place>,
    times: HashMap<String, (Place, Times)>,
}

/// Reads all files. A file of tests adds them to the rules that it names, wherever those stand.
pub fn check(files: &[SourceFile], base: &Defaults, known: Known<'_>) -> Checked {
    let mut names = Names {
        known,
        rules: HashMap::new(),
        times: HashMap::new(),
    };
    // A rule may name an interval of a file that comes after its own.
    let trees = files.iter().map(|file| {
        let mut reader = Reader::default();
        let root = yaml::read(&file.name, &file.text, &mut reader.problems);
        if let Some(Value::Map(entries)) = root.as_ref().map(|root| &root.value) {
            let named = entries
                .iter()
                .filter(|(key, _)| key.text == "time_intervals");
            named.for_each(|(_, node)| times::read(&mut reader, node, &mut names));
        }
        (root, reader)
    });
    let trees: Vec<(Option<Node>, Reader)> = trees.collect();
    let mut checked = Checked::default();
    let (mut tests, mut written, mut last) = (Vec::new(), Vec::new(), Reader::default());
    for (root, mut reader) in trees {
        match root {
            Some(root) if test_file::is_test_file(&root) => {
                test_file::read(&mut reader, &root, &mut tests);
            }
            Some(root) => {
                let of_file = check_file(&mut reader, &root, base, &mut names, &mut checked);
                written.extend(of_file);
            }
            None => {}
        }
        reader
            .problems
            .sort_by_key(|problem| (problem.place.line, problem.place.column));
        checked.problems.append(&mut reader.problems);
    }
    test_file::give_out(&mut last, tests, &mut checked.rules, &names.rules);
    let is_error = |problem: &Diagnostic| problem.level == Level::Error;
    if !checked.rules.is_empty() && !checked.problems.iter().any(is_error) {
        // A rule with an error is not there to be matched, nor are those of files not named.
        reach::check(&mut last, &written, &checked.rules);
    }
    checked.inhibit_rules = written.into_iter().map(Written::into_rule).collect();
    checked.problems.append(&mut last.problems);
    checked
}

/// Adds a file's rules to `checked`; gives its inhibit rules.
fn check_file(
    reader: &mut Reader,
    root: &Node,
    base: &Defaults,
    names: &mut Names<'_>,
    checked: &mut Checked,
) -> Vec<Written> {
    let Some(top) = reader.section(root, FILE_KEYS) else {
        return Vec::new();
    };
    if let Some(version) = top.get("version") {
        reader.integer(version, "version", 1..=1);
    }
    let inhibit = top.get("inhibit_rules");
    let written = inhibit.map(|node| inhibition::read(reader, node));
    let written = written.unwrap_or_default();
    let defaults = match top.get("defaults") {
        Some(node) => defaults::read(reader, node, names.known).over(base),
        None => base.clone(),
    };
    let Some(list) = top.get("rules") else {
        return written;
    };
    for node in reader.list(list, "rules") {
        let Some((name, rule)) = rule::read(reader, node, &defaults, names) else {
            continue;
        };
        if let Some(first) = names.rules.get(&name.text) {
            let message = format!(
                "a rule named `{}` stands already in {}, line {}",
                name.text, first.file, first.line
            );
            reader.error(
                "duplicate-name",
                &name.place,
                message,
                Some("names are unique over all files".to_owned()),
            );
            continue;
        }
        names.rules.insert(name.text, name.place);
        checked.rules.extend(rule);
    }
    written
}

/// Says that a name in a list is none of the configured ones.
fn unknown_name(reader: &mut Reader, node: &Node, name: &str, kind: &str, known: &[String]) {
    let help = meant(name, known.iter().map(String::as_str))
        .unwrap_or_else(|| format!("the configuration has: {}", known.join(", ")));
    reader.error(
        "unknown-name",
        &node.place,
        format!("there is no {kind} `{name}`"),
        Some(help),
    );
}

/// Names of outputs, each of which exists.
fn outputs(reader: &mut Reader, node: &Node, known: Known<'_>) -> Vec<String> {
    let names = reader.text_nodes(node, "notify");
    if let Some(outputs) = known.outputs {
        for (name, node) in &names {
            if !outputs.iter().any(|output| output == name) {
                unknown_name(reader, node, name, "output", outputs);
            }
        }
    }
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests;
