//! The tree of `lapwing.yaml` → [`Config`].

mod http;
mod input;
mod output;
pub(super) mod schema;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::language::check::{Known, read_defaults};
use lapwing_rules::language::diagnostic::Place;
use lapwing_rules::language::packs;
use lapwing_rules::language::reader::{Keys, Reader, Section, meant, shown};
use lapwing_rules::language::yaml::{Node, Value};
use lapwing_rules::scanner::Listening;

use super::{Config, Input, InputKind, MAX_CLOCK_SKEW};
use crate::outputs::{self, Kind};

const TOP_KEYS: Keys = Keys {
    of: "lapwing.yaml",
    known: &[
        "version",
        "host",
        "state_dir",
        "rules",
        "inputs",
        "outputs",
        "defaults",
        "max_clock_skew",
        "control",
        "http",
        "heartbeat",
    ],
};

/// From none to a year and a day.
const CLOCK_SKEWS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24 * 366);
/// Where the state lies, where the file does not say otherwise.
const STATE_DIR: &str = "/var/lib/lapwing";

/// What came of reading the file; what is wrong in it is left out of `config`.
pub(super) struct Checked {
    pub(super) config: Config,
    /// Where each of `config.rules` stands.
    pub(super) rule_places: Vec<Place>,
    /// Names of all inputs and outputs, wrong ones included: a rule that names one of those is
    /// not wrong for that.
    pub(super) input_names: Vec<String>,
    pub(super) output_names: Vec<String>,
}

/// Reads the file. `None` only when it is no map at all.
pub(super) fn check(reader: &mut Reader, tree: &Node, folder: &Path) -> Option<Checked> {
    let top = reader.section(tree, TOP_KEYS)?;
    if let Some(version) = top.get("version") {
        reader.integer(version, "version", 1..=1);
    }
    let host = host(reader, &top);
    let path = |reader: &mut Reader, key| {
        let text = top.get(key).and_then(|node| reader.text(node, key));
        text.map(|text| folder.join(text))
    };
    let state_dir = path(reader, "state_dir").unwrap_or_else(|| PathBuf::from(STATE_DIR));
    let control = path(reader, "control");
    let skew = skew(reader, &top);
    let inputs = named(reader, &top, "inputs", |reader, name, node| {
        input::read(reader, name, node, folder)
    });
    let outputs = named(reader, &top, "outputs", |reader, name, node| {
        output::read(reader, name, node, folder)
    });
    warn_of_loops(reader, &top, &inputs, &outputs);
    let (input_names, output_names) = (names(&top, "inputs"), names(&top, "outputs"));
    output::check_fallbacks(reader, &top, &outputs, &output_names);
    let known = Known {
        inputs: None,
        outputs: Some(&output_names),
        zone: None,
    };
    let defaults = top
        .get("defaults")
        .map(|node| read_defaults(reader, node, known))
        .unwrap_or_default();
    let rules = top
        .get("rules")
        .map(|node| reader.text_nodes(node, "rules"))
        .unwrap_or_default();
    let rule_places = rules.iter().map(|(_, node)| node.place.clone()).collect();
    let rules = rules
        .iter()
        .map(|(pattern, _)| rule_pattern(pattern, folder))
        .collect();
    let config = Config {
        host,
        state_dir,
        rules,
        max_clock_skew: skew.unwrap_or(MAX_CLOCK_SKEW),
        inputs,
        outputs,
        defaults,
        control,
        http: top.get("http").and_then(|node| http::read(reader, node)),
        heartbeat: top
            .get("heartbeat")
            .and_then(|node| output::heartbeat(reader, node)),
        listening: Listening::AsConfigured,
    };
    Some(Checked {
        config,
        rule_places,
        input_names,
        output_names,
    })
}

fn skew(reader: &mut Reader, top: &Section<'_>) -> Option<Duration> {
    let node = top.get("max_clock_skew")?;
    reader.duration(node, "max_clock_skew", CLOCK_SKEWS)
}

/// What the agent calls its host.
fn host(reader: &mut Reader, top: &Section<'_>) -> Arc<str> {
    let text = top.get("host").and_then(|node| reader.text(node, "host"));
    text.map_or_else(host_name, Arc::from)
}

/// An output that writes what an input reads: the agent does not follow such a file.
fn warn_of_loops(
    reader: &mut Reader,
    top: &Section<'_>,
    inputs: &[Input],
    outputs: &[outputs::Spec],
) {
    for output in outputs {
        let Kind::File { path } = &output.kind else {
            continue;
        };
        let means = |input: &&Input| match &input.kind {
            InputKind::File { paths, exclude, .. } => {
                paths.iter().any(|pattern| pattern.matches(path))
                    && !exclude.iter().any(|exclude| exclude.matches(path))
            }
            InputKind::Syslog(_) | InputKind::Journal(_) | InputKind::Stdin => false,
        };
        let entry = |node: &Node| match &node.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(name, _)| name.text == output.name)
                .map(|(name, _)| name.place.clone()),
            _ => None,
        };
        if let Some(input) = inputs.iter().find(means)
            && let Some(place) = top.get("outputs").and_then(entry)
        {
            let message = format!(
                "the input `{}` means the file that this output writes; it is not followed, for each alert would cause the next",
                input.name
            );
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let help = Some(format!("`exclude: ['{name}*']` in the input says so"));
            reader.warning("loop", &place, message, help);
        }
    }
}

/// The keys of a map from names to sections.
fn names(top: &Section<'_>, key: &str) -> Vec<String> {
    match top.get(key).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(name, _)| name.text.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The machine's host name.
pub fn host_name() -> Arc<str> {
    rustix::system::uname().nodename().to_string_lossy().into()
}

/// A path relative to `folder`, or a pack.
pub(super) fn rule_pattern(pattern: &str, folder: &Path) -> String {
    if pattern.starts_with(packs::PREFIX) {
        pattern.to_owned()
    } else {
        folder.join(pattern).to_string_lossy().into_owned()
    }
}

/// The entries of a map from names to sections.
fn named<T>(
    reader: &mut Reader,
    top: &Section<'_>,
    key: &str,
    mut read: impl FnMut(&mut Reader, &str, &Node) -> Option<T>,
) -> Vec<T> {
    let Some(section) = top
        .get(key)
        .and_then(|node| reader.any_keys(node, &format!("`{key}`")))
    else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (name, node) in section.entries() {
        let fine = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.text.is_empty() || name.text.len() > 100 || !name.text.chars().all(fine) {
            let help = Some("use letters, digits, `-`, `_` and `.`, at most 100".to_owned());
            reader.error(
                "bad-name",
                &name.place,
                format!("`{}` is no name", name.text),
                help,
            );
        }
        items.extend(read(reader, &name.text, node));
    }
    items
}

fn kind<'n>(
    reader: &mut Reader,
    section: &Section<'n>,
    of: &str,
    known: &[&str],
) -> Option<&'n str> {
    let Some(node) = section.get("type") else {
        reader.error(
            "missing-key",
            section.place,
            format!("{of} needs a `type`"),
            Some(format!("one of {}", known.join(", "))),
        );
        return None;
    };
    let text = reader.text(node, "type")?;
    if known.contains(&text) {
        return Some(text);
    }
    let help = meant(text, known.iter().copied());
    let help = help.unwrap_or_else(|| format!("one of {}", known.join(", ")));
    reader.error(
        "unknown-type",
        &node.place,
        format!("there is no type `{}` of {of}", shown(node)),
        Some(help),
    );
    None
}

/// Says of the keys that belong to other types that they mean nothing to this one. `own`: the keys
/// that work here.
fn only(reader: &mut Reader, section: &Section<'_>, keys: Keys, of: &str, own: &[&str]) {
    for (key, _) in section.entries() {
        let text = key.text.as_str();
        if keys.known.contains(&text) && !own.contains(&text) {
            reader.error(
                "foreign-key",
                &key.place,
                format!("`{text}` means nothing to {of}"),
                None,
            );
        }
    }
}
