//! A file of tests that stands beside the rules: `rule_files:` and `tests:`, each test with the name
//! of its rule. The tests become those of the rules, so whoever runs them knows no difference.
//!
//! Which files `rule_files` means is for the caller to find out: nothing is read here.

use std::collections::HashMap;

use super::{SourceFile, inline_test};
use crate::language::diagnostic::Place;
use crate::language::reader::{Keys, Reader, meant};
use crate::language::rule::{Rule, RuleTest};
use crate::language::yaml::{self, Key, Node, Value};

pub(super) const TEST_FILE_KEYS: Keys = Keys {
    of: "a test file",
    known: &["version", "rule_files", "tests"],
};

/// A test, and the rule that it is of.
pub(super) struct NamedTest {
    rule: Key,
    test: RuleTest,
}

/// Whether a tree is a test file, and not a rule file with a key at the wrong place.
pub(super) fn is_test_file(root: &Node) -> bool {
    let Value::Map(entries) = &root.value else {
        return false;
    };
    let has = |wanted: &[&str]| {
        entries
            .iter()
            .any(|(key, _)| wanted.contains(&key.text.as_str()))
    };
    has(&["rule_files", "tests"]) && !has(&["rules"])
}

/// What `rule_files` of a test file names, as it stands there, each with its place. Empty for any
/// other file; what is wrong with it is told by [`super::check`].
pub fn rule_files(file: &SourceFile) -> Vec<(String, Place)> {
    // Most files are none, and to read a large one twice takes its time.
    if !file.text.contains("rule_files") {
        return Vec::new();
    }
    let mut reader = Reader::default();
    let Some(root) = yaml::read(&file.name, &file.text, &mut reader.problems) else {
        return Vec::new();
    };
    if !is_test_file(&root) {
        return Vec::new();
    }
    let section = reader.section(&root, TEST_FILE_KEYS);
    let Some(node) = section.and_then(|section| section.get("rule_files")) else {
        return Vec::new();
    };
    let names = reader.text_nodes(node, "rule_files");
    names
        .into_iter()
        .map(|(name, node)| (name.to_owned(), node.place.clone()))
        .collect()
}

/// Reads a test file.
pub(super) fn read(reader: &mut Reader, root: &Node, into: &mut Vec<NamedTest>) {
    let Some(top) = reader.section(root, TEST_FILE_KEYS) else {
        return;
    };
    if let Some(version) = top.get("version") {
        reader.integer(version, "version", 1..=1);
    }
    if let Some(node) = top.get("rule_files") {
        reader.text_nodes(node, "rule_files");
    }
    let Some(node) = top.get("tests") else {
        let help = Some("write `tests:` and below it what must come of which lines".to_owned());
        reader.error("missing-key", top.place, "a test file needs `tests`", help);
        return;
    };
    for node in reader.list(node, "tests") {
        if let Some((rule, test)) = inline_test::read_named(reader, node) {
            into.push(NamedTest { rule, test });
        }
    }
}

/// Gives each test to its rule. `names` are those of all rules, wrong ones included: theirs are
/// passed over.
pub(super) fn give_out(
    reader: &mut Reader,
    tests: Vec<NamedTest>,
    rules: &mut [Rule],
    names: &HashMap<String, Place>,
) {
    let at: HashMap<String, usize> = rules
        .iter()
        .map(|rule| rule.name.clone())
        .zip(0..)
        .collect();
    for NamedTest { rule, test } in tests {
        let of = at.get(&rule.text).and_then(|at| rules.get_mut(*at));
        if let Some(of) = of {
            of.tests.push(test);
        } else if !names.contains_key(&rule.text) {
            let help = meant(&rule.text, names.keys().map(String::as_str));
            let help = help
                .unwrap_or_else(|| "name the file that it stands in under `rule_files`".to_owned());
            let message = format!("there is no rule `{}`", rule.text);
            reader.error("unknown-name", &rule.place, message, Some(help));
        }
    }
}
