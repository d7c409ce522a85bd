//! One of `inputs:` → [`Input`].

mod receiver;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::{Format, check_time_format};
use lapwing_rules::language::pattern::{Case, Pattern};
use lapwing_rules::language::reader::{Keys, Reader, Section};
use lapwing_rules::language::yaml::Node;

use super::{kind, only};
use crate::canary;
use crate::config::{Input, InputKind, MAX_LINE_BYTES};
use crate::inputs::framer::Framing;
use crate::inputs::multiline::Multiline;
use crate::inputs::{journal, tail};

pub(super) const KEYS: Keys = Keys {
    of: "an input",
    known: &[
        "type",
        "path",
        "exclude",
        "format",
        "pattern",
        "time_format",
        "time_field",
        "start_at",
        "max_line_bytes",
        "multiline",
        "listen",
        "tls",
        "max_connections",
        "idle_timeout",
        "units",
        "directory",
        "unless_files",
    ],
};
const FILE_KEYS: &[&str] = &[
    "type",
    "path",
    "exclude",
    "format",
    "pattern",
    "time_format",
    "time_field",
    "start_at",
    "max_line_bytes",
    "multiline",
];
pub(super) const MULTILINE_KEYS: Keys = Keys {
    of: "`multiline`",
    known: &["start", "continue", "timeout"],
};
/// How long a record waits for more lines where nobody says.
const MULTILINE_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const TYPES: &[&str] = &["file", "syslog", "journald", "stdin"];

/// Reads one; `None` when it has no type that is known.
pub(super) fn read(reader: &mut Reader, name: &str, node: &Node, folder: &Path) -> Option<Input> {
    if name == canary::INPUT {
        let message = format!("`{name}` is what the agent calls an input of its own");
        let help = Some("give it another name".to_owned());
        reader.error("reserved-name", &node.place, message, help);
        return None;
    }
    let section = reader.section(node, KEYS)?;
    let kind = kind(reader, &section, "an input", TYPES)?;
    let format = if kind == "syslog" || kind == "journald" {
        Some(Arc::new(Format::Syslog))
    } else {
        format(reader, &section)
    };
    let max = section.get("max_line_bytes");
    let max = max.and_then(|node| reader.size(node, "max_line_bytes", 64..=64 << 20));
    let max_line_bytes = max
        .and_then(|max| usize::try_from(max).ok())
        .unwrap_or(MAX_LINE_BYTES);
    let multiline = section
        .get("multiline")
        .and_then(|node| multiline(reader, node));
    let kind = if kind == "stdin" {
        let own = [
            "type",
            "format",
            "pattern",
            "time_format",
            "time_field",
            "max_line_bytes",
            "multiline",
        ];
        only(reader, &section, KEYS, "standard input", &own);
        InputKind::Stdin
    } else if kind == "journald" {
        InputKind::Journal(journal_input(reader, &section, folder))
    } else if kind == "syslog" {
        InputKind::Syslog(receiver::read(reader, &section, KEYS, folder)?)
    } else {
        only(reader, &section, KEYS, "files", FILE_KEYS);
        file_input(reader, &section, folder)?
    };
    Some(Input {
        name: name.into(),
        format,
        framing: Framing {
            max_line_bytes,
            multiline: multiline.map(Arc::new),
        },
        kind,
    })
}

/// `multiline:`; `None` also where something is wrong with it.
fn multiline(reader: &mut Reader, node: &Node) -> Option<Multiline> {
    let section = reader.section(node, MULTILINE_KEYS)?;
    let mut is_wrong = false;
    let mut pattern = |key| {
        let node = section.get(key)?;
        let pattern = one_pattern(reader, node, key);
        is_wrong |= pattern.is_none();
        pattern
    };
    let (start, continues) = (pattern("start"), pattern("continue"));
    let timeout = section.get("timeout").and_then(|node| {
        let bounds = Duration::from_millis(50)..=Duration::from_hours(1);
        reader.duration(node, "timeout", bounds)
    });
    if section.get("start").is_none() && section.get("continue").is_none() {
        let help = r"`start: '^\d{4}-'`: what a record's first line matches; or `continue: '^\s'`: what all others do";
        reader.error(
            "missing-key",
            section.place,
            "`multiline` needs `start`, or `continue`, or both",
            Some(help.to_owned()),
        );
    }
    let timeout = timeout.unwrap_or(MULTILINE_TIMEOUT);
    Multiline::new(start, continues, timeout).filter(|_| !is_wrong)
}

/// A pattern that tells lines apart: one that matches all of them is none.
fn one_pattern(reader: &mut Reader, node: &Node, key: &str) -> Option<Pattern> {
    match Pattern::new(reader.text(node, key)?, Case::Sensitive) {
        Ok(pattern) => {
            if pattern.matches_every_line() {
                let message = format!("`{}` matches every line", pattern.text());
                reader.warning("every-line", &node.place, message, None);
            }
            Some(pattern)
        }
        Err(error) => {
            let place = node.place_within(&error.span);
            reader.error("bad-regex", &place, error.message, error.help);
            None
        }
    }
}

fn file_input(reader: &mut Reader, section: &Section<'_>, folder: &Path) -> Option<InputKind> {
    let mut paths = Vec::new();
    let Some(node) = section.get("path") else {
        reader.error(
            "missing-key",
            section.place,
            "an input of type `file` needs a `path`",
            None,
        );
        return None;
    };
    for (text, node) in reader.text_nodes(node, "path") {
        match tail::Pattern::parse(&absolute(text, folder)) {
            Ok(pattern) => paths.push(pattern),
            Err(error) => reader.error("bad-glob", &node.place, error.to_string(), None),
        }
    }
    let mut exclude = Vec::new();
    for (text, node) in section
        .get("exclude")
        .map(|node| reader.text_nodes(node, "exclude"))
        .unwrap_or_default()
    {
        let text = if text.contains('/') {
            absolute(text, folder)
        } else {
            text.to_owned()
        };
        match tail::Exclude::parse(&text) {
            Ok(pattern) => exclude.push(pattern),
            Err(error) => reader.error("bad-glob", &node.place, error.to_string(), None),
        }
    }
    Some(InputKind::File {
        paths,
        exclude,
        start_at: start_at(reader, section),
    })
}

fn start_at(reader: &mut Reader, section: &Section<'_>) -> tail::StartAt {
    let choices = [
        ("end", tail::StartAt::End),
        ("beginning", tail::StartAt::Beginning),
    ];
    let node = section.get("start_at");
    node.and_then(|node| reader.choice(node, "start_at", &choices))
        .unwrap_or(tail::StartAt::End)
}

fn journal_input(reader: &mut Reader, section: &Section<'_>, folder: &Path) -> journal::Spec {
    let own = [
        "type",
        "max_line_bytes",
        "start_at",
        "units",
        "directory",
        "unless_files",
    ];
    only(reader, section, KEYS, "an input of type `journald`", &own);
    let units = section.get("units");
    let directory = section.get("directory");
    let directory = directory.and_then(|node| reader.text(node, "directory"));
    let files = section.get("unless_files");
    let files = files.map(|node| reader.texts(node, "unless_files"));
    let files = files.unwrap_or_default().into_iter();
    journal::Spec {
        units: units
            .map(|node| reader.texts(node, "units"))
            .unwrap_or_default(),
        directory: directory.map(|text| folder.join(text)),
        unless_files: files.map(|text| folder.join(text)).collect(),
        start_at: start_at(reader, section),
    }
}

/// A glob made absolute. What the folder's own name holds means itself.
fn absolute(glob: &str, folder: &Path) -> String {
    if Path::new(glob).is_absolute() {
        return glob.to_owned();
    }
    let mut absolute = String::new();
    for c in folder.to_string_lossy().chars() {
        if "*?[]{}\\".contains(c) {
            absolute.push('\\');
        }
        absolute.push(c);
    }
    absolute + "/" + glob
}

/// `format:` with the keys that belong to it; `None` is `auto`.
fn format(reader: &mut Reader, section: &Section<'_>) -> Option<Arc<Format>> {
    let names: Vec<(&str, &str)> = Format::NAMES
        .iter()
        .chain(&["auto"])
        .map(|name| (*name, *name))
        .collect();
    let name = match section.get("format") {
        Some(node) => reader.choice(node, "format", &names).unwrap_or("auto"),
        None if section.get("pattern").is_some() => "pattern",
        None => "auto",
    };
    for (key, of) in [
        ("pattern", &["pattern"][..]),
        ("time_format", &["pattern"]),
        ("time_field", &["json", "logfmt"]),
    ] {
        if let Some((key, _)) = section.entry(key)
            && !of.contains(&name)
        {
            let message = format!(
                "`{}` belongs to the format {}, not to `{name}`",
                key.text,
                of.join(" or ")
            );
            reader.error("foreign-key", &key.place, message, None);
        }
    }
    let mut text = |key| {
        section
            .get(key)
            .and_then(|node| reader.text(node, key))
            .map(str::to_owned)
    };
    let (time_format, time_field) = (text("time_format"), text("time_field"));
    if let Some(node) = section.get("time_format")
        && let Some(Err(why)) = time_format.as_deref().map(check_time_format)
    {
        let help = Some("as for strftime: `%Y-%m-%d %H:%M:%S%.f %z`".to_owned());
        reader.error("bad-time-format", &node.place, why, help);
    }
    match name {
        "auto" => None,
        "json" => Some(Format::Json { time_field }),
        "logfmt" => Some(Format::Logfmt { time_field }),
        "pattern" => Some(Format::Pattern {
            pattern: Box::new(line_pattern(reader, section)?),
            time_format,
        }),
        name => Format::named(name),
    }
    .map(Arc::new)
}

fn line_pattern(reader: &mut Reader, section: &Section<'_>) -> Option<Pattern> {
    let Some(node) = section.get("pattern") else {
        reader.error(
            "missing-key",
            section.place,
            "the format `pattern` needs a `pattern`",
            None,
        );
        return None;
    };
    match Pattern::new(reader.text(node, "pattern")?, Case::Sensitive) {
        Ok(pattern) if pattern.names().is_empty() => {
            let help = Some("name what it finds: `(?P<status>[0-9]+)`".to_owned());
            reader.error(
                "bad-regex",
                &node.place,
                "this pattern gives no fields",
                help,
            );
            None
        }
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader.error(
                "bad-regex",
                &node.place_within(&error.span),
                error.message,
                error.help,
            );
            None
        }
    }
}
