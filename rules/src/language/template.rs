//! The text of a message with its blanks: minijinja with fuel, so that no template runs for long.
//!
//! What a log holds comes in as values, never as template source, so it runs nothing. The filters
//! that operators need beside minijinja's own are in `filters`.

mod filters;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::diagnostic::nearest;
use super::quantity::duration_text;
use crate::model::Notification;

/// Steps that one rendering may take.
const FUEL: u64 = 50_000;
/// A longer rendering is cut here, in bytes.
const MAX_BYTES: usize = 4 * 1024;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    // They make as much text as a number says, which may come from a line, before fuel is asked for.
    for endless in ["batch", "format", "indent", "slice"] {
        environment.remove_filter(endless);
    }
    filters::add(&mut environment);
    environment
});

/// Names that every template sees, beside the rule's `group_by` fields.
pub const NAMES: &[&str] = &[
    "version",
    "id",
    "seq",
    "status",
    "reason",
    "rule",
    "type",
    "severity",
    "mode",
    "host",
    "input",
    "group",
    "pattern",
    "input_state",
    "summary",
    "description",
    "labels",
    "count",
    "suppressed",
    "timeframe",
    "timeframe_s",
    "value",
    "threshold",
    "started_at",
    "started_ms",
    "first_hit_at",
    "ended_at",
    "ended_ms",
    "sent_at",
    "samples",
    "top",
    "history",
    "rate",
    "runbook_url",
    "dashboard_url",
    "late_s",
    "fields",
];

/// What stands below some of [`NAMES`], where that is fixed.
const BELOW: &[(&str, &[&str])] = &[
    (
        "history",
        &["fired_30d", "last_started_at", "last_duration_s"],
    ),
    ("rate", &["step_s", "counts"]),
];

/// Names that a rule itself brings along.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfRule<'a> {
    /// Fields that groups are told apart by: `group.x`, or plain `x`.
    pub group_by: &'a [String],
    /// `labels.x`; `None` where they are not known.
    pub labels: Option<&'a [String]>,
    /// `top.x`.
    pub top: &'a [String],
}

/// A checked template. The default says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    text: String,
    wants_fields: bool,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The bytes of the text that are meant, where that is known.
    pub span: Option<std::ops::Range<usize>>,
}

impl Template {
    /// Checks `text`: its syntax, its filters, and that every name in it is one of [`NAMES`] or
    /// of the rule's own.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn new(text: &str, of_rule: OfRule<'_>) -> Result<Self, TemplateError> {
        let template = ENVIRONMENT
            .template_from_str(text)
            .map_err(|error| TemplateError {
                message: format!("bad template: {}", describe(&error)),
                help: Some(
                    "write `{{ count }}`, `{{ group.path }}`; `{{ '{{' }}` is a brace".to_owned(),
                ),
                span: error.range(),
            })?;
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.sort_unstable();
        for name in &names {
            check_name(text, name, of_rule)?;
        }
        // What minijinja finds out while it renders only, and in branches that it takes.
        words::words(text).iter().try_for_each(filters::check)?;
        let wants_fields = |name: &String| name.split('.').next() == Some("fields");
        Ok(Self {
            text: text.to_owned(),
            wants_fields: names.iter().any(wants_fields),
        })
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for fields of the hit that fired.
    pub fn wants_fields(&self) -> bool {
        self.wants_fields
    }

    /// Fills in the blanks. `fields` are those of the hit that fired.
    ///
    /// # Errors
    ///
    /// What went wrong, when it ran out of fuel or asked something impossible of a value.
    pub fn render(
        &self,
        about: &Notification,
        fields: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let template = ENVIRONMENT
            .template_from_str(&self.text)
            .map_err(|error| describe(&error).to_owned())?;
        let mut kept = Kept::default();
        let rendered = template.render_captured_to(context(about, fields), &mut kept);
        match rendered {
            Err(error) if !kept.is_full() => Err(describe(&error).to_owned()),
            _ => Ok(kept.text()),
        }
    }
}

/// The beginning of a rendering: what goes on for longer is ended.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Kept {
    /// Room for a character that begins within the limit.
    const MOST: usize = MAX_BYTES + 4;

    fn is_full(&self) -> bool {
        self.0.len() > MAX_BYTES
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.0).into_owned();
        if text.len() > MAX_BYTES {
            text.truncate(text.floor_char_boundary(MAX_BYTES));
            text.push('…');
        }
        text
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = Self::MOST - self.0.len();
        if room == 0 {
            return Err(io::Error::other("it is long enough"));
        }
        let piece = bytes.get(..room).unwrap_or(bytes);
        self.0.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether there is such a name: `count`, `group.path`, `history.fired_30d`.
fn check_name(text: &str, name: &str, of_rule: OfRule<'_>) -> Result<(), TemplateError> {
    let (root, below) = name.split_once('.').unwrap_or((name, ""));
    let is_own = |wanted: &str| of_rule.group_by.iter().any(|own| own == wanted);
    // Functions such as `range` are names, too; a field of `group_by` may hold dots.
    let is_function = || ENVIRONMENT.globals().any(|(global, _)| global == root);
    if !NAMES.contains(&root) {
        if is_own(root) || is_own(name) || is_function() {
            return Ok(());
        }
        let all = NAMES.iter().copied();
        let meant = nearest(root, all.chain(of_rule.group_by.iter().map(String::as_str)));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("a field of the line is written `fields.{root}`"),
        };
        return Err(unknown(
            text,
            root,
            format!("a message knows no `{root}`"),
            help,
        ));
    }
    let known: Vec<&str> = match (root, of_rule.labels) {
        (_, _) if below.is_empty() => return Ok(()),
        ("group", _) if is_own(below) => return Ok(()),
        ("group", _) => of_rule.group_by.iter().map(String::as_str).collect(),
        ("top", _) => of_rule.top.iter().map(String::as_str).collect(),
        ("labels", Some(labels)) => labels.iter().map(String::as_str).collect(),
        _ => match BELOW.iter().find(|(name, _)| *name == root) {
            Some((_, known)) => known.to_vec(),
            None => return Ok(()),
        },
    };
    let part = below.split('.').next().unwrap_or(below);
    if known.contains(&part) || known.contains(&below) {
        return Ok(());
    }
    let help = match (nearest(part, known.iter().copied()), root) {
        (Some(meant), _) => format!("did you mean `{root}.{meant}`?"),
        (None, "group") => format!("`group_by` does not name it; as a field: `fields.{below}`"),
        (None, "top") => "name it in `top_count_keys`".to_owned(),
        (None, _) => format!("it has: {}", known.join(", ")),
    };
    Err(unknown(
        text,
        name,
        format!("there is no `{root}.{below}`"),
        help,
    ))
}

fn unknown(text: &str, name: &str, message: String, help: String) -> TemplateError {
    TemplateError {
        message,
        help: Some(help),
        span: text.find(name).map(|at| at..at + name.len()),
    }
}

fn context(about: &Notification, fields: &BTreeMap<String, String>) -> Value {
    let all = Value::from(Serde(about));
    let mut names: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in &about.group {
        names.insert(name.clone(), Value::from(value.as_str()));
    }
    for name in NAMES {
        if let Ok(value) = all.get_attr(name)
            && !value.is_undefined()
        {
            names.insert((*name).to_owned(), value);
        }
    }
    let timeframe = about.timeframe_s.map_or_else(String::new, |seconds| {
        duration_text(std::time::Duration::try_from_secs_f64(seconds.0).unwrap_or_default())
    });
    names.insert("timeframe".to_owned(), Value::from(timeframe));
    names.insert(
        "started_ms".to_owned(),
        Value::from(about.started_at.as_millis()),
    );
    if let Some(ended) = about.ended_at {
        names.insert("ended_ms".to_owned(), Value::from(ended.as_millis()));
    }
    names.insert("fields".to_owned(), Value::from(Serde(fields)));
    Value::from(names)
}

fn describe(error: &Error) -> &str {
    match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps",
        _ => error.detail().unwrap_or("it cannot be rendered"),
    }
}
