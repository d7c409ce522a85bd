//! Filters of messages: how long, how much, how many, which most, and not too much of it.
//!
//! A field of a line is text, so what looks like a number counts as one; anything else goes through
//! as it is: a message with an odd value is better than none.

use std::time::Duration;

use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Value};

use super::words::{Kind, Word};
use super::{ENVIRONMENT, TemplateError};
use crate::language::diagnostic::nearest;
use crate::language::quantity::duration_text;

/// Those of this file, and those of minijinja that a message may need: for `did you mean`.
const NAMES: &[&str] = &[
    "duration",
    "bytes",
    "count",
    "truncate",
    "top",
    "default",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "string",
    "title",
    "tojson",
    "trim",
    "upper",
    "urlencode",
];

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("duration", duration);
    environment.add_filter("bytes", bytes);
    environment.add_filter("count", count);
    environment.add_filter("truncate", truncate);
    environment.add_filter("top", top);
}

/// Whether there is a filter or a test of that name.
pub(super) fn check(word: &Word<'_>) -> Result<(), TemplateError> {
    let name = word.name;
    let (trial, unknown, kind) = match word.kind {
        Kind::Filter => (format!("x|{name}"), ErrorKind::UnknownFilter, "filter"),
        Kind::Test => (format!("x is {name}"), ErrorKind::UnknownTest, "test"),
    };
    // Minijinja has no list of them: it is asked to use it.
    let trial = ENVIRONMENT.compile_expression_owned(trial);
    let Err(error) = trial.and_then(|trial| trial.eval(())) else {
        return Ok(());
    };
    if error.kind() != unknown {
        return Ok(());
    }
    let help = match (nearest(name, NAMES.iter().copied()), word.kind) {
        (Some(meant), Kind::Filter) => format!("did you mean `{meant}`?"),
        (_, Kind::Filter) => {
            "there are duration, bytes, count, truncate, top and those of minijinja".to_owned()
        }
        (_, Kind::Test) => "there are defined, odd, even, none and those of minijinja".to_owned(),
    };
    Err(TemplateError {
        message: format!("there is no {kind} `{name}`"),
        help: Some(help),
        span: Some(word.span.clone()),
    })
}

fn number(value: &Value) -> Option<f64> {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Seconds as a person says them: `90` is `1m30s`.
fn duration(value: Value) -> Value {
    let span = number(&value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.map_or(value, |span| Value::from(duration_text(span)))
}

/// A number of bytes: `1536` is `1.5 KiB`.
fn bytes(value: Value) -> Value {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let Some(mut size) = number(&value) else {
        return value;
    };
    let mut unit = 0;
    while size.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let text = format!("{size:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    Value::from(format!(
        "{text} {}",
        UNITS.get(unit).copied().unwrap_or("B")
    ))
}

/// A number with its thousands apart, `1234567` is `1,234,567`; of a list or map, how many it holds.
fn count(value: Value) -> Value {
    if matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
    ) {
        return value.len().map_or(value, Value::from);
    }
    let text = value.to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |rest| ("-", rest));
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return value;
    }
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    Value::from(out)
}

/// No more than so many characters (80), with `…` where some are missing.
fn truncate(value: Value, most: Option<usize>) -> Value {
    let most = most.unwrap_or(80);
    let text = value.to_string();
    if text.chars().nth(most).is_none() {
        return value;
    }
    let kept = text.chars().take(most.saturating_sub(1));
    Value::from(kept.chain(['…']).collect::<String>())
}

/// The commonest values of one of `top_count_keys`: `/a 9, /b 1`; so many of them (3).
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands out values")]
fn top(value: Value, most: Option<usize>) -> Value {
    let Ok(pairs) = value.try_iter() else {
        return Value::from("");
    };
    let mut parts = Vec::new();
    for pair in pairs.take(most.unwrap_or(3)) {
        match (pair.get_item_by_index(0), pair.get_item_by_index(1)) {
            (Ok(name), Ok(count)) if !count.is_undefined() => parts.push(format!("{name} {count}")),
            _ => parts.push(pair.to_string()),
        }
    }
    Value::from(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::{OfRule, Template};
    use super::*;

    fn rendered(text: &str) -> String {
        let mut environment = Environment::new();
        add(&mut environment);
        let context = minijinja::context! {
            took => "90.5", size => 1_572_864, hits => 1_234_567, word => "größer",
            paths => vec![("/a", 9), ("/b", 4), ("/c", 3), ("/d", 1)], few => vec![1, 2],
        };
        environment.render_str(text, context).unwrap()
    }

    #[test]
    fn filters_say_what_a_person_would() {
        for (text, expected) in [
            ("{{ took | duration }}", "1m30s"),
            ("{{ 7200 | duration }}", "2h"),
            ("{{ word | duration }}", "größer"),
            ("{{ size | bytes }}", "1.5 MiB"),
            ("{{ '512' | bytes }} {{ 2048 | bytes }}", "512 B 2 KiB"),
            (
                "{{ hits | count }} {{ few | count }} {{ -1000 | count }}",
                "1,234,567 2 -1,000",
            ),
            ("{{ word | count }} {{ 999 | count }}", "größer 999"),
            (
                "{{ word | truncate(4) }} {{ word | truncate(6) }} {{ word | truncate }}",
                "grö… größer größer",
            ),
            ("{{ paths | top }}", "/a 9, /b 4, /c 3"),
            ("{{ paths | top(1) }} {{ missing | top }}", "/a 9 "),
        ] {
            assert_eq!(rendered(text), expected, "{text}");
        }
    }

    #[test]
    fn no_number_makes_a_text_without_end() {
        for text in [
            "{{ 'x'|indent(99999999999) }}",
            "{{ '%99999999999d'|format(1) }}",
        ] {
            assert!(Template::new(text, OfRule::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_message_cannot_know_is_told_with_what_was_meant() {
        let (group_by, labels) = (["path".to_owned()], ["team".to_owned()]);
        let of_rule = OfRule {
            group_by: &group_by,
            labels: Some(&labels),
            top: &group_by,
        };
        for (text, help) in [
            ("{{ cuont }}", "did you mean `count`?"),
            (
                "{{ status_code }}",
                "a field of the line is written `fields.status_code`",
            ),
            ("{{ group.paht }}", "did you mean `group.path`?"),
            (
                "{{ group.user }}",
                "`group_by` does not name it; as a field: `fields.user`",
            ),
            ("{{ labels.teem }}", "did you mean `labels.team`?"),
            ("{{ top.user }}", "name it in `top_count_keys`"),
            (
                "{{ history.fired }}",
                "it has: fired_30d, last_started_at, last_duration_s",
            ),
            ("{{ value | durration }}", "did you mean `duration`?"),
            (
                "{{ value | sparkle }}",
                "there are duration, bytes, count, truncate, top and those of minijinja",
            ),
            (
                "{% if count > 1 %}{{ value | durration }}{% endif %}",
                "did you mean `duration`?",
            ),
            (
                "{% if count is strange %}{% endif %}",
                "there are defined, odd, even, none and those of minijinja",
            ),
            (
                "{% if count > 1 %}{{ cuont(3) }}{% endif %}",
                "did you mean `count`?",
            ),
        ] {
            let error = Template::new(text, of_rule).unwrap_err();
            assert_eq!(error.help.as_deref(), Some(help), "{text}");
            assert!(error.span.is_some(), "{text}");
        }
        for fine in [
            "{{ group.path }} {{ path }} {{ group }} {{ labels.team }} {{ fields.any.thing }}",
            "{{ top.path | top(2) }} {{ history.fired_30d }} {{ rate.counts | length }}",
            "{% for path, count in top.path %}{{ path }} {{ count }}{% endfor %}",
            "{% raw %}{{ x | nothing }}{% endraw %}{{ 'a|b' if host is defined else value is divisibleby(3) }}",
            "{% if value > 3 %}{{ value | duration }}{% endif %} {{ range(3) }} {{ samples[0].line | truncate(20) }}",
        ] {
            Template::new(fine, of_rule).unwrap();
        }
    }
}
