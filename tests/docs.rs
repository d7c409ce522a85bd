//! The documents in `docs/`: every block that is marked `sh try` is run as it stands, all of a document
//! in one shell; every `lapwing` command in a block of the README is run; every block that is marked
//! `yaml rules` is a rule file whose own tests pass; every `lapwing` command in any block is one that
//! there is; links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::host::{Agent, Host, LAPWING, files_below};

fn docs() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let found = files_below(&root.join("docs"), "md");
    assert!(found.len() > 4, "the documents are in docs/");
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    found.into_iter().map(read).collect()
}

/// The texts of all blocks whose fence begins so.
fn blocks(text: &str, mark: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut within = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), within) {
            (Some(kind), None) => {
                within = Some(kind == mark);
                if kind == mark {
                    found.push(String::new());
                }
            }
            (Some(_), Some(_)) => within = None,
            (None, Some(true)) => {
                let block = found.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// A shell that finds the binary of these tests.
fn with_lapwing(shell: &mut Command) -> &mut Command {
    let folder = Path::new(LAPWING).parent().unwrap().display().to_string();
    let search = std::env::var("PATH").unwrap();
    let shell = shell.stdin(Stdio::null());
    shell.env("PATH", format!("{folder}:{search}"))
}

#[test]
fn every_command_that_can_be_tried_works_as_it_stands() {
    let mut tried = 0;
    for (path, text) in docs() {
        let blocks = blocks(&text, "sh try");
        if blocks.is_empty() {
            continue;
        }
        tried += blocks.len();
        let host = Host::new();
        host.write(
            "script",
            format!("set -euo pipefail\nset -m\n{}", blocks.concat()),
        );
        let mut shell = Command::new("bash");
        shell.arg("script").current_dir(host.path(""));
        let mut done = Agent::start(with_lapwing(&mut shell));
        let status = done.wait();
        let (out, err) = (done.stdout.text(), done.stderr.text());
        assert!(status.success(), "{}: {out}{err}", path.display());
    }
    assert!(tried >= 3, "{tried}");
}

#[test]
fn every_command_of_the_readme_works_as_it_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let host = Host::with(
        "inputs:\n  nginx: {type: file, path: [access.log]}\noutputs:\n  screen: {type: console}\n",
        "version: 1\nrules:\n  - {name: boom, match: {contains: [BOOM]}, type: any}\n",
    );
    fs::copy(host.path("rules.yaml"), host.path("my.yaml")).unwrap();
    host.write("app.log", "BOOM\n");
    let line = "203.0.113.9 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 157 \"-\" \"curl/8\"\n";
    host.write("access.log", line);
    host.write("access.log.1", line);
    let blocks = blocks(&readme, "sh").concat();
    // What builds and tests all of this is not for a test within.
    let commands: Vec<_> = blocks
        .lines()
        .filter(|it| it.starts_with("lapwing "))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let here = command.replace("/var/log/nginx/", "");
        // Signals are for the command and not for its shell.
        let here = match here.rsplit_once("&& ") {
            Some((first, last)) => format!("{first}&& exec {last}"),
            None => format!("exec {here}"),
        };
        let mut shell = Command::new("bash");
        shell.args(["-c", &here]).current_dir(host.path(""));
        let mut done = Agent::start(with_lapwing(&mut shell));
        if here.contains("exec lapwing watch") || here.contains("exec lapwing run") {
            done.stderr.wait_for("ready");
            done.stop();
            continue;
        }
        let status = done.wait();
        let (out, err) = (done.stdout.text(), done.stderr.text());
        assert!(status.success(), "{command}: {out}{err}");
    }
}

#[test]
fn every_rule_file_in_the_documents_passes_its_own_tests() {
    let mut tried = 0;
    for (path, text) in docs() {
        for block in blocks(&text, "yaml rules") {
            tried += 1;
            let host = Host::new();
            host.write("rules.yaml", &block);
            for command in ["check", "test"] {
                let done = host.command(&[command, "rules.yaml"]);
                let said = format!("{}{}", done.stdout, done.stderr);
                assert_eq!(done.code, 0, "{}: {block}{said}", path.display());
            }
        }
    }
    assert!(tried >= 5, "{tried}");
}

#[test]
fn every_command_in_the_documents_is_one_that_there_is() {
    let host = Host::new();
    for (path, text) in docs() {
        let shell = [blocks(&text, "sh"), blocks(&text, "sh try")]
            .concat()
            .concat();
        let shell: Vec<&str> = shell.lines().collect();
        for line in text.lines() {
            // `lapwing check` in text, and lines of shell that begin with it.
            let in_text = line.split('`').skip(1).step_by(2);
            let is_shell = shell.contains(&line);
            let whole = is_shell.then(|| line.trim_start_matches("sudo "));
            let commands = in_text.chain(whole);
            for command in commands.filter_map(|text| text.strip_prefix("lapwing ")) {
                let name = command.split(' ').next().unwrap();
                let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
                if is_name {
                    let done = host.command(&[name, "--help"]);
                    assert_eq!(done.code, 0, "{}: lapwing {name}", path.display());
                }
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in docs() {
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap();
            if !link.contains("://") {
                let target = path.with_file_name(link.split('#').next().unwrap());
                assert!(target.exists(), "{}: {link}", path.display());
            }
        }
    }
}

#[test]
fn manual_pages_are_well_formed() {
    let host = Host::new();
    for page in ["lapwing", "lapwing.yaml", "lapwing-rules"] {
        let text = host.command(&["man", page]);
        assert_eq!(text.code, 0);
        host.write("page", &text.stdout);
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", "page"]);
        man.env("LC_ALL", "C.UTF-8")
            .env("MANROFFSEQ", "")
            .env("MANWIDTH", "80");
        let done = man.current_dir(host.path("")).output();
        let done = done.expect("man: tests/setup installs it");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{page}: {said}");
    }
}
