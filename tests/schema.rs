//! `lapwing schema` against a validator that is not ours: everything published is right by it, and
//! what `check` refuses for its shape is refused by it, too.

use std::process::Command;
use std::sync::Arc;

use lapwing_rules::language::packs;
use lapwing_rules::language::yaml::{self, Node, Value};
use serde_json::json;

use crate::host::Host;

const LANGUAGE: &str = include_str!("../rules/LANGUAGE.md");
const README: &str = include_str!("../README.md");

/// YAML as JSON, plain words as YAML's core schema has them.
fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => json!(null),
        Value::Scalar(scalar) => {
            let text = scalar.text.as_str();
            let plain = format!("{:?}", scalar.style) == "Plain";
            match serde_json::from_str(text) {
                Ok(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)))
                    if plain =>
                {
                    value
                }
                _ => json!(text),
            }
        }
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.text.clone(), to_json(value)))
            .collect(),
    }
}

fn read(name: &str, text: &str) -> serde_json::Value {
    let mut problems = Vec::new();
    let node = yaml::read(&Arc::from(name), text, &mut problems);
    assert!(problems.is_empty(), "{name}: {problems:?}");
    to_json(&node.unwrap())
}

/// The YAML blocks of a page; some keys of a rule become a file.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("\n```yaml\n").skip(1);
    blocks
        .map(|behind| {
            let block = behind.split("\n```").next().unwrap_or_default();
            let begins = |word: &str| block.lines().any(|line| line.starts_with(word));
            let files = [
                "rules:",
                "rule_files:",
                "inputs:\n",
                "outputs:",
                "inhibit_rules:",
            ];
            if files
                .iter()
                .any(|word| format!("\n{block}").contains(&format!("\n{word}")))
                || begins("time_intervals:")
            {
                return block.to_owned();
            }
            let name = if begins("name:") {
                ""
            } else {
                "    name: example\n"
            };
            let kind = if begins("type:") {
                ""
            } else {
                "    type: any\n"
            };
            let body = block.replace('\n', "\n    ");
            format!("rules:\n  -\n{name}{kind}    {body}\n")
        })
        .collect()
}

/// Holds each document against the schema; gives those that it refuses.
fn refused(documents: &[(String, serde_json::Value)]) -> Vec<String> {
    let host = Host::new();
    let done = host.command(&["schema"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    host.write("schema.json", done.stdout);
    host.write("documents.json", serde_json::to_string(documents).unwrap());
    let script = "import json, jsonschema\n\
        schema = json.load(open('schema.json'))\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        validator = jsonschema.Draft202012Validator(schema)\n\
        for name, document in json.load(open('documents.json')):\n \
        error = jsonschema.exceptions.best_match(validator.iter_errors(document))\n \
        if error: print(name, '|', error.json_path, '|', error.message[:200])";
    let python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .current_dir(host.path(""))
        .output()
        .expect("python3 with jsonschema is there; see tests/setup");
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(
        python.status.success(),
        "tests/setup installs python3-jsonschema: {said}"
    );
    let out = String::from_utf8_lossy(&python.stdout);
    out.lines().map(str::to_owned).collect()
}

#[test]
fn everything_that_is_published_is_right_by_the_schema() {
    let mut documents = Vec::new();
    for name in packs::names() {
        let pack = packs::find(name).unwrap();
        documents.push((name.to_owned(), read(name, &pack.text)));
    }
    for (page, text) in [("LANGUAGE.md", LANGUAGE), ("README.md", README)] {
        for (n, block) in blocks(text).iter().enumerate() {
            let name = format!("{page} block {n}");
            documents.push((name.clone(), read(&name, block)));
        }
    }
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for path in crate::host::files_below(examples.as_ref(), "yaml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        documents.push((name.clone(), read(&name, &text)));
    }
    assert!(documents.len() > 40, "{}", documents.len());
    assert_eq!(refused(&documents), [""; 0]);
}

#[test]
fn what_has_the_wrong_shape_is_refused_by_the_schema_as_by_check() {
    let wrong = [
        "rules: [{name: a, type: any, sevrity: info}]",
        "rules: [{name: A, type: any}]",
        "rules: [{type: any}]",
        "rules: [{name: a}]",
        "rules: [{name: a, type: frequancy}]",
        "rules: [{name: a, type: frequency, timeframe: 1m}]",
        "rules: [{name: a, type: any, timeframe: 1m}]",
        "rules: [{name: a, type: frequency, num_events: ten, timeframe: 1m}]",
        "rules: [{name: a, type: frequency, num_events: 10, timeframe: 10}]",
        "rules: [{name: a, type: any, severity: fatal}]",
        "rules: [{name: a, type: any, samples: 101}]",
        "rules: [{name: a, type: any, match: {contain: x}}]",
        "rules: [{name: a, type: any, match: {not: {where: x}}}]",
        "rules: [{name: a, type: any, labels: [web]}]",
        "rules: [{name: a, type: sequence, within: 1m, steps: [{contains: x, num_event: 6}]}]",
        "rules: [{name: a, type: any, tests: [{lines: [{at: 1s}], expect: []}]}]",
        "rules: [{name: a, type: any, tests: [{lines: [], expect: [{at: 1s, fired: 1}]}]}]",
        "rule_files: [x.yaml]",
        "tests: [{lines: [], expect: []}]",
        "inputs: {a: {path: x}}",
        "inputs: {a: {type: file, pth: x}}",
        "outputs: {a: {type: console, min_severity: high}}",
        "outputs: {a: {type: file, path: x, timeout: soon}}",
        "state_dri: /x",
    ];
    let host = Host::new();
    for text in wrong {
        host.write("x.yaml", text);
        let is_config = ["inputs", "outputs", "state_dri"]
            .iter()
            .any(|word| text.starts_with(word));
        let args: &[&str] = if is_config {
            &["check", "-c", "x.yaml"]
        } else {
            &["check", "x.yaml"]
        };
        assert_eq!(host.command(args).code, 78, "{text}");
    }
    let documents: Vec<_> = wrong
        .iter()
        .map(|text| ((*text).to_owned(), read(text, text)))
        .collect();
    let refused = refused(&documents);
    let passed: Vec<&&str> = wrong
        .iter()
        .filter(|text| !refused.iter().any(|said| said.starts_with(**text)))
        .collect();
    assert!(passed.is_empty(), "{passed:#?}");
}
