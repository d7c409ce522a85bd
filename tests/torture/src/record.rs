//! What was found, as lines of CSV: `scenario,seed,kind,name,value,holds`. `kind` is `fact`, or the letter of
//! an oracle; `holds` is empty for a fact. Appended, so that one file holds many runs.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::Value;

use crate::verdict::Verdict;

const HEAD: &str = "scenario,seed,kind,name,value,holds\n";

/// Appends a verdict to the file at `path`, which is made with a head where there is none.
///
/// # Errors
///
/// Those of the system.
pub fn append(path: &Path, verdict: &Verdict) -> io::Result<()> {
    let mut text = String::new();
    let seconds = Value::from(verdict.took.as_secs());
    let took = [("seconds".to_owned(), seconds)];
    for (name, value) in took.iter().chain(&verdict.facts) {
        if name != "kept" {
            row(&mut text, verdict, ["fact", name, &plain(value), ""]);
        }
    }
    for check in &verdict.checks {
        let (oracle, holds) = (check.oracle.to_string(), check.holds.to_string());
        row(
            &mut text,
            verdict,
            [&oracle, &check.what, &plain(&check.found), &holds],
        );
    }
    append_text(path, &text)
}

/// Appends cells of the peers' table: objects with `who`, `event` and an object `found`.
///
/// # Errors
///
/// Those of the system.
pub fn append_cells(path: &Path, seed: u64, cells: &[Value]) -> io::Result<()> {
    let mut text = String::new();
    for cell in cells {
        let found = cell["found"].as_object().into_iter().flatten();
        for (name, value) in found {
            let who = plain(&cell["who"]);
            let what = format!("{}: {name}", plain(&cell["event"]));
            let fields = ["peers", &seed.to_string(), &who, &what, &plain(value), ""].map(quoted);
            text.push_str(&fields.join(","));
            text.push('\n');
        }
    }
    append_text(path, &text)
}

fn append_text(path: &Path, text: &str) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let head = if is_new { HEAD } else { "" };
    file.write_all(format!("{head}{text}").as_bytes())
}

fn row(text: &mut String, verdict: &Verdict, fields: [&str; 4]) {
    let seed = verdict.seed.to_string();
    let fields: Vec<String> = [verdict.scenario.as_str(), &seed]
        .into_iter()
        .chain(fields)
        .map(quoted)
        .collect();
    text.push_str(&fields.join(","));
    text.push('\n');
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn two_verdicts_stand_below_one_head_and_what_has_commas_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.csv");
        let settings = Settings::new(PathBuf::from("lapwing"));
        let mut verdict = Verdict::new("rename", &settings, Duration::from_secs(7));
        verdict.fact("lines", 10);
        verdict.none('L', "lines lost, all in all", 3);
        append(&path, &verdict).unwrap();
        append(&path, &verdict).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let one = "rename,20261121,fact,seconds,7,\n\
                   rename,20261121,fact,lines,10,\n\
                   rename,20261121,L,\"lines lost, all in all\",3,false\n";
        assert_eq!(text, format!("{HEAD}{one}{one}"));
    }
}
