//! The text of a message with its blanks: minijinja with fuel, so that no template runs for long.
//!
//! What a log holds comes in as values, never as template source, so it runs nothing.

use std::collections::BTreeMap;
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

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// of `group_by`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn new(text: &str, group_by: &[String]) -> Result<Self, TemplateError> {
        let template = ENVIRONMENT
            .template_from_str(text)
            .map_err(|error| TemplateError {
                message: format!("bad template: {}", describe(&error)),
                help: None,
                span: error.range(),
            })?;
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.sort_unstable();
        for name in &names {
            let known = NAMES.contains(&name.as_str()) || group_by.contains(name);
            // Functions such as `range` are names, too.
            if !known && ENVIRONMENT.globals().all(|(global, _)| global != name) {
                let meant = nearest(
                    name,
                    NAMES
                        .iter()
                        .copied()
                        .chain(group_by.iter().map(String::as_str)),
                );
                return Err(TemplateError {
                    message: format!("a message knows no `{name}`"),
                    help: Some(match meant {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("a field of the line is written `fields.{name}`"),
                    }),
                    span: text.find(name.as_str()).map(|at| at..at + name.len()),
                });
            }
        }
        Ok(Self {
            text: text.to_owned(),
            wants_fields: names.iter().any(|name| name == "fields"),
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
        let mut text = ENVIRONMENT
            .render_str(&self.text, context(about, fields))
            .map_err(|error| describe(&error).to_owned())?;
        if text.len() > MAX_BYTES {
            text.truncate(text.floor_char_boundary(MAX_BYTES));
            text.push('…');
        }
        Ok(text)
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
