//! Rule files → checked rules and every problem of all files at once.
//!
//! A rule with an error is left out, all others are there: what is done about it is up to the
//! caller (`run` refuses to start, a reload keeps the old rules).

mod condition;
mod defaults;
mod inline_test;
mod matching;
mod rule;
mod summary;

use std::collections::HashMap;
use std::sync::Arc;

pub use defaults::{Defaults, SEVERITIES, read as read_defaults};

use super::diagnostic::{Diagnostic, Place};
use super::reader::{Keys, Reader, meant};
use super::rule::Rule;
use super::yaml::{self, Node};

/// One rule file.
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
}

const FILE_KEYS: Keys = Keys {
    of: "a rule file",
    known: &["version", "defaults", "rules"],
    not_yet: &["inhibit_rules", "time_intervals"],
};

/// Reads all files. The rules that are free of errors come in the order of the files, with unique
/// names; the problems in the order of the files and their places.
pub fn check(
    files: &[SourceFile],
    base: &Defaults,
    known: Known<'_>,
) -> (Vec<Rule>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    let mut rules: Vec<Rule> = Vec::new();
    let mut names: HashMap<String, Place> = HashMap::new();
    for file in files {
        let before = reader.problems.len();
        check_file(&mut reader, file, base, known, &mut names, &mut rules);
        if let Some(of_file) = reader.problems.get_mut(before..) {
            of_file.sort_by_key(|problem| (problem.place.line, problem.place.column));
        }
    }
    (rules, reader.problems)
}

fn check_file(
    reader: &mut Reader,
    file: &SourceFile,
    base: &Defaults,
    known: Known<'_>,
    names: &mut HashMap<String, Place>,
    rules: &mut Vec<Rule>,
) {
    let Some(root) = yaml::read(&file.name, &file.text, &mut reader.problems) else {
        return;
    };
    let Some(top) = reader.section(&root, FILE_KEYS) else {
        return;
    };
    if let Some(version) = top.get("version") {
        reader.integer(version, "version", 1..=1);
    }
    let defaults = match top.get("defaults") {
        Some(node) => defaults::read(reader, node, known).over(base),
        None => base.clone(),
    };
    let Some(list) = top.get("rules") else { return };
    for node in reader.list(list, "rules") {
        let Some((name, rule)) = rule::read(reader, node, &defaults, known) else {
            continue;
        };
        if let Some(first) = names.get(&name.text) {
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
        names.insert(name.text, name.place);
        rules.extend(rule);
    }
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
