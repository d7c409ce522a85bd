//! The house's rules that no compiler knows: where words may stand, what crates depend on, how
//! long files are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::files_below;

/// Lines of code that a file may have, without its tests.
const MOST_LINES: usize = 600;

/// A source file.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// Everything before the unit tests: they stand last in each file.
    fn before_tests(&self) -> &str {
        let tests = self.text.find("\n#[cfg(test)]\nmod tests");
        let end = tests.map_or(self.text.len(), |at| at + 1);
        self.text.get(..end).expect("between lines")
    }

    /// The modules that this file declares for tests only, as paths without `.rs`.
    fn test_modules(&self) -> Vec<PathBuf> {
        let stem = self.path.file_stem().expect("a file");
        let is_root = ["lib", "main", "mod"].iter().any(|name| stem == *name);
        let folder = if is_root {
            self.path.with_file_name("")
        } else {
            self.path.with_extension("")
        };
        let declared = self.text.split("#[cfg(test)]\n").skip(1);
        let names = declared.filter_map(|rest| {
            let line = rest.lines().next()?.strip_suffix(';')?;
            line.strip_prefix("pub(crate) ")
                .unwrap_or(line)
                .strip_prefix("mod ")
        });
        names.map(|name| folder.join(name)).collect()
    }

    /// The lines that are neither comments nor tests, each with its number from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = (1..).zip(self.before_tests().lines());
        numbered.filter_map(|(number, line)| {
            let line = line.trim_start();
            let code = line.split(" // ").next().unwrap_or(line);
            (!line.starts_with("//") && !line.is_empty()).then_some((number, code))
        })
    }
}

fn root() -> PathBuf {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"));
    agent.parent().expect("the workspace").to_owned()
}

/// Sources below a folder of the workspace; without the modules that are there for tests only.
fn sources(folder: &str) -> Vec<Source> {
    let files = files_below(&root().join(folder), "rs");
    let all: Vec<Source> = files.into_iter().map(Source::read).collect();
    let tests: Vec<PathBuf> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |source: &Source| {
        let mut ancestors = source.path.ancestors();
        ancestors.any(|path| tests.contains(&path.with_extension("")))
    };
    let found: Vec<Source> = all
        .into_iter()
        .filter(|source| folder == "tests" || !is_test(source))
        .collect();
    assert!(found.len() > 5, "{folder} is where the sources are");
    found
}

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_rules_crate_touches_nothing_of_the_world() {
    let words = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "async fn",
        "println!",
    ];
    let mut found = Vec::new();
    for source in sources("rules/src") {
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                found.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    none("`rules` is pure", &found);
}

#[test]
fn threads_are_started_in_one_place() {
    let mut found = Vec::new();
    for source in sources("agent/src")
        .iter()
        .filter(|source| !source.path.ends_with("threads.rs"))
    {
        for (number, line) in source.code() {
            if line.contains("std::thread") {
                found.push(format!("{}:{number}", source.path.display()));
            }
        }
    }
    none("threads outside agent/src/threads.rs", &found);
}

#[test]
fn every_file_says_what_it_owns_and_has_one_owner() {
    let mut found = Vec::new();
    for source in ["rules/src", "agent/src", "tests"]
        .into_iter()
        .flat_map(sources)
    {
        let path = source.path.display();
        if !source.text.starts_with("//! ") {
            found.push(format!("{path}: no `//!` at its head"));
        }
        let lines = source.code().count();
        if lines > MOST_LINES {
            found.push(format!("{path}: {lines} lines of code"));
        }
    }
    none("files", &found);
}

#[test]
fn nothing_outside_tests_unwraps() {
    let mut found = Vec::new();
    for source in ["rules/src", "agent/src"].into_iter().flat_map(sources) {
        for (number, line) in source.code() {
            if line.contains(".unwrap()") {
                found.push(format!("{}:{number}", source.path.display()));
            }
        }
    }
    none("`unwrap` outside tests", &found);
}

/// The names under a table of a `Cargo.toml`.
fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let head = format!("[{table}]");
    let lines = text.lines().skip_while(|line| *line != head).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    let mut names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

#[test]
fn a_dependency_is_a_decision() {
    assert_eq!(dependencies("rules/Cargo.toml", "dependencies"), RULES);
    assert_eq!(dependencies("agent/Cargo.toml", "dependencies"), AGENT);
    assert_eq!(
        dependencies("agent/Cargo.toml", "dev-dependencies"),
        AGENT_TESTS
    );
    assert_eq!(
        dependencies("tests/torture/Cargo.toml", "dependencies"),
        TORTURE
    );
}

const RULES: &[&str] = &[
    "aho-corasick",
    "globset",
    "jiff",
    "memchr",
    "minijinja",
    "regex-automata",
    "regex-syntax",
    "saphyr-parser",
    "serde",
    "serde_json",
    "sha2",
    "strsim",
    "thiserror",
];
const AGENT: &[&str] = &[
    "annotate-snippets",
    "axum",
    "base64",
    "clap",
    "clap_complete",
    "clap_mangen",
    "flate2",
    "form_urlencoded",
    "futures-core",
    "globset",
    "hmac",
    "hyper",
    "hyper-util",
    "indicatif",
    "jiff",
    "lapwing-rules",
    "lettre",
    "libc",
    "memchr",
    "nix",
    "notify",
    "ratatui",
    "redb",
    "reqwest",
    "resvg",
    "rustix",
    "rustls",
    "rustls-platform-verifier",
    "sd-notify",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "tokio",
    "tokio-rustls",
    "tracing",
    "tracing-subscriber",
    "zstd",
];
const AGENT_TESTS: &[&str] = &["anyhow", "insta", "lapwing-torture", "proptest", "tempfile"];

const TORTURE: &[&str] = &[
    "anyhow",
    "clap",
    "jiff",
    "nix",
    "rustix",
    "serde_json",
    "tempfile",
];

#[test]
fn a_version_stands_once() {
    let mut found = Vec::new();
    for manifest in [
        "rules/Cargo.toml",
        "agent/Cargo.toml",
        "benches/Cargo.toml",
        "tests/torture/Cargo.toml",
    ] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let tables = text.split("\n[").filter(|table| {
            table.starts_with("dependencies]") || table.starts_with("dev-dependencies]")
        });
        for line in tables.flat_map(|table| table.lines().skip(1)) {
            let inherits =
                line.ends_with(".workspace = true") || line.contains("workspace = true,");
            if !inherits && !line.is_empty() && !line.starts_with('#') {
                found.push(format!("{manifest}: {line}"));
            }
        }
    }
    none("versions stand in the workspace's Cargo.toml", &found);
}
