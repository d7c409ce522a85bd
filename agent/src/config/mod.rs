//! What the operator wrote, as checked values: `lapwing.yaml`, the rule files it names, and the
//! rule files that a command names.
//!
//! Everything that is wrong in all files is found at once. Nothing here is opened but those files
//! and the secrets that they name.

mod check;
mod mask;
pub mod rule_files;
pub mod secret;
mod substitute;

pub use check::host_name;
pub use check::schema::{Of as SchemaOf, schema};

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lapwing_rules::fields::Format;
use lapwing_rules::language::check::{
    Defaults, Known, SourceFile, check as check_rules, rule_files as rule_files_of,
};
use lapwing_rules::language::diagnostic::{Diagnostic, Level, Place};
use lapwing_rules::language::reader::Reader;
use lapwing_rules::language::rule::{Rule, RuleSet};
use lapwing_rules::language::yaml;
use lapwing_rules::mute::InhibitRule;
use lapwing_rules::scanner::Listening;

use crate::inputs::framer::Framing;
use crate::inputs::{journal, syslog, tail};
use crate::operate::http;
use crate::outputs;

use rule_files::RuleFileError;
pub use substitute::Environment;

/// Longest line that is kept whole where an input does not say otherwise, in bytes.
pub const MAX_LINE_BYTES: usize = 256 * 1024;
/// Where the agent listens for `status` and its like, where the file does not say otherwise.
pub const CONTROL: &str = "/run/lapwing/control.sock";
/// How far in the future a line's own time is believed where the file does not say otherwise.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(10);

/// A checked `lapwing.yaml`.
#[derive(Debug)]
pub struct Config {
    /// What the agent calls its host.
    pub host: Arc<str>,
    /// Where the state lies.
    pub state_dir: PathBuf,
    /// Rule files: globs made absolute, or `pack:NAME`.
    pub rules: Vec<String>,
    /// A line time further in the future than this counts as arrival time.
    pub max_clock_skew: Duration,
    /// By `InputId`.
    pub inputs: Vec<Input>,
    /// In the order of the file.
    pub outputs: Vec<outputs::Spec>,
    /// Of all rule files.
    pub defaults: Defaults,
    /// Where the agent listens for those that look at it; `None`: at [`CONTROL`].
    pub control: Option<PathBuf>,
    /// The status page and metrics; `None`: none.
    pub http: Option<http::Spec>,
    /// Who is told that the agent lives.
    pub heartbeat: Option<outputs::Heartbeat>,
    /// Whether rules that name inputs are held against those only.
    pub listening: Listening,
}

/// One input.
#[derive(Debug)]
pub struct Input {
    /// Its name.
    pub name: Arc<str>,
    /// How its lines are written; `None`: by looking.
    pub format: Option<Arc<Format>>,
    /// Which lines are one record, and where longer ones are cut.
    pub framing: Framing,
    /// Where its lines come from.
    pub kind: InputKind,
}

/// Where lines come from.
#[derive(Debug)]
pub enum InputKind {
    /// Files.
    File {
        /// What it means.
        paths: Vec<tail::Pattern>,
        /// What it does not mean.
        exclude: Vec<tail::Exclude>,
        /// Where files that exist at the very first start are read from.
        start_at: tail::StartAt,
    },
    /// What others send.
    Syslog(syslog::Spec),
    /// The journal of systemd.
    Journal(journal::Spec),
    /// Standard input.
    Stdin,
}

impl InputKind {
    /// The word of the configuration's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Syslog(_) => "syslog",
            Self::Journal(_) => "journald",
            Self::Stdin => "stdin",
        }
    }
}

/// A file that could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: std::io::Error,
}

/// What came of reading files: rules, problems, and the texts that the problems are in.
#[derive(Debug, Default)]
pub struct Findings {
    /// The rules without an error.
    pub rules: Vec<Rule>,
    /// Which alerts mute which others.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Everything that is wrong.
    pub problems: Vec<Diagnostic>,
    /// The text of every file that was read, by the name it has in the problems.
    pub texts: HashMap<Arc<str>, Arc<str>>,
    /// The files that were asked for, and not those that a test file names in `rule_files`.
    pub asked_for: HashSet<Arc<str>>,
}

impl Findings {
    /// Whether something keeps an agent from starting with this.
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.level == Level::Error)
    }

    /// The rules, as the engine wants them.
    pub fn into_rule_set(self) -> Arc<RuleSet> {
        Arc::new(RuleSet::new(self.rules).with_inhibition(self.inhibit_rules))
    }
}

/// Reads `lapwing.yaml` at `path` and the rule files that it names. There is a configuration
/// only where it has no error of its own; the rules are checked against it either way.
///
/// # Errors
///
/// When the file itself cannot be read. Rule files that cannot be read are among the problems.
pub fn load(
    path: &Path,
    environment: &Environment<'_>,
) -> Result<(Option<Config>, Findings), Unreadable> {
    let file = read(path)?;
    let mut findings = Findings::default();
    let mut reader = Reader::default();
    let folder = folder_of(path);
    reader.problems.extend(not_utf8(&file));
    let tree = yaml::read(&file.name, &file.text, &mut reader.problems);
    let shown = mask::mask(&file.text, tree.as_ref());
    findings.texts.insert(Arc::clone(&file.name), shown.into());
    let Some(mut tree) = tree else {
        findings.problems = reader.problems;
        return Ok((None, findings));
    };
    substitute::substitute(&mut reader, &mut tree, &folder, environment);
    let checked = check::check(&mut reader, &tree, &folder);
    substitute::drop_consequences(&mut reader.problems);
    reader
        .problems
        .sort_by_key(|problem| (problem.place.line, problem.place.column));
    let clean = reader
        .problems
        .iter()
        .all(|problem| problem.level != Level::Error);
    findings.problems = reader.problems;
    let Some(checked) = checked else {
        return Ok((None, findings));
    };
    let config = checked.config;
    let mut files = Vec::new();
    for (pattern, place) in config.rules.iter().zip(checked.rule_places) {
        match rule_files::read(pattern) {
            Ok(found) => files.extend(found),
            Err(problem) => findings.problems.push(problem.at(&place)),
        }
    }
    let known = Known {
        inputs: Some(&checked.input_names),
        outputs: Some(&checked.output_names),
        zone: Some(find_zone),
    };
    findings.asked_for = files.iter().map(|file| Arc::clone(&file.name)).collect();
    add_rules(&mut findings, files, &config.defaults, known);
    Ok((clean.then_some(config), findings))
}

/// Reads rule files alone: paths, globs or `pack:NAME`.
///
/// # Errors
///
/// When one of them cannot be read or does not exist.
pub fn load_rules(patterns: &[String]) -> Result<Findings, RuleFileError> {
    let mut files = Vec::new();
    for pattern in patterns {
        let found = rule_files::read(pattern)?;
        if found.is_empty() {
            return Err(RuleFileError::Nothing(pattern.clone()));
        }
        files.extend(found);
    }
    let mut findings = Findings {
        asked_for: files.iter().map(|file| Arc::clone(&file.name)).collect(),
        ..Findings::default()
    };
    add_tested(&mut findings, &mut files);
    let known = Known {
        zone: Some(find_zone),
        ..Known::default()
    };
    add_rules(&mut findings, files, &Defaults::default(), known);
    Ok(findings)
}

/// Adds the rule files that test files name, taken relative to them.
fn add_tested(findings: &mut Findings, files: &mut Vec<SourceFile>) {
    for index in 0..files.len() {
        let Some(file) = files.get(index) else { break };
        let folder = Path::new(&*file.name).parent().unwrap_or(Path::new(""));
        let named: Vec<_> = rule_files_of(file)
            .into_iter()
            .map(|(pattern, place)| (check::rule_pattern(&pattern, folder), place))
            .collect();
        for (pattern, place) in named {
            let found = rule_files::read(&pattern).and_then(|found| match found.as_slice() {
                [] => Err(RuleFileError::Nothing(pattern)),
                _ => Ok(found),
            });
            match found {
                Ok(found) => files.extend(found),
                Err(problem) => findings.problems.push(problem.at(&place)),
            }
        }
    }
}

fn add_rules(
    findings: &mut Findings,
    mut files: Vec<SourceFile>,
    defaults: &Defaults,
    known: Known<'_>,
) {
    // A file that two globs name is one file, however it is written.
    let mut seen = HashSet::new();
    let as_it_is = |name: &str| std::fs::canonicalize(name).unwrap_or_else(|_| name.into());
    files.retain(|file| seen.insert(as_it_is(&file.name)));
    let checked = check_rules(&files, defaults, known);
    findings.problems.extend(files.iter().filter_map(not_utf8));
    findings
        .texts
        .extend(files.into_iter().map(|file| (file.name, file.text)));
    findings.rules = checked.rules;
    findings.inhibit_rules = checked.inhibit_rules;
    findings.problems.extend(checked.problems);
}

/// The host's own data, and where it has none, those that came with this program.
fn find_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// A whole text file; bytes that are no UTF-8 become replacement characters, of which
/// [`not_utf8`] says where the first one is.
fn read(path: &Path) -> Result<SourceFile, Unreadable> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(SourceFile {
            name: path.to_string_lossy().into(),
            text: String::from_utf8_lossy(&bytes).into(),
        }),
        Err(source) => Err(Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A pattern that was written in another encoding would never match, and nobody would know why.
fn not_utf8(file: &SourceFile) -> Option<Diagnostic> {
    let at = file.text.find(char::REPLACEMENT_CHARACTER)?;
    let before = file.text.get(..at)?;
    let line = before.rsplit('\n').next()?;
    let place = Place {
        file: Arc::clone(&file.name),
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        bytes: at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
    };
    Some(Diagnostic {
        code: "not-utf8",
        level: Level::Error,
        place,
        message: "this file is not UTF-8".to_owned(),
        help: Some("save it as UTF-8; in a pattern, `(?-u:\\xFF)` is one byte".to_owned()),
    })
}

/// The absolute folder that relative paths in the file at `path` are taken from.
fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned)
}
