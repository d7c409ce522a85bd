//! The JSON Schema of `lapwing.yaml`, from the keys that are checked, and of both files in one
//! document.

use lapwing_rules::fields::Format;
use lapwing_rules::language::check::{SEVERITIES, any_rule_file, definitions};
use lapwing_rules::language::schema::{
    DIALECT, Row, boolean, choice, duration, integer, map, named, reference, size, text, texts,
};
use serde_json::{Value, json};

use super::{TOP_KEYS, input, output};

/// Which file is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Rule files and test files.
    Rules,
    /// `lapwing.yaml`.
    Config,
    /// Whichever it looks like.
    Both,
}

/// The schema.
pub fn schema(of: Of) -> Value {
    let mut definitions = definitions();
    if let Some(all) = definitions.as_object_mut() {
        all.insert("input".to_owned(), input_schema());
        all.insert("output".to_owned(), output_schema());
        all.insert("config".to_owned(), map(TOP_KEYS, &top(), &[]));
    }
    let mut schema = match of {
        Of::Rules => any_rule_file(),
        Of::Config => reference("config"),
        // In lapwing.yaml `rules` are names of files.
        Of::Both => json!({
            "if": {"anyOf": [
                {"required": ["rules"], "properties": {"rules": {"type": "array", "contains": {"type": "object"}}}},
                {"required": ["rule_files"]}, {"required": ["tests"]},
                {"required": ["inhibit_rules"]}, {"required": ["time_intervals"]},
            ]},
            "then": any_rule_file(),
            "else": reference("config"),
        }),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), DIALECT.into());
        schema.insert("title".to_owned(), "lapwing".into());
        schema.insert("$defs".to_owned(), definitions);
    }
    schema
}

/// `${NAME}` may stand for every value.
fn or_variable(shape: &Value) -> Value {
    json!({"anyOf": [shape, {"type": "string", "pattern": "\\$\\{"}]})
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn top() -> Vec<Row> {
    let http: &[(&str, Value)] = &[("listen", text())];
    let object = |rows: &[(&str, Value)]| {
        let properties: serde_json::Map<String, Value> = rows
            .iter()
            .map(|(key, shape)| ((*key).to_owned(), shape.clone()))
            .collect();
        json!({"type": "object", "properties": properties})
    };
    let heartbeat = object(&[("url", text()), ("every", or_variable(&duration()))]);
    vec![
        ("version", integer(1, 1), "Of the configuration: 1"),
        (
            "host",
            text(),
            "What the agent calls its host [the machine's name]",
        ),
        (
            "state_dir",
            text(),
            "Positions, windows, alerts, history [/var/lib/lapwing]",
        ),
        (
            "rules",
            texts(),
            "Rule files: paths, globs, pack:NAME; relative to this file",
        ),
        (
            "inputs",
            named(&reference("input")),
            "Where lines come from, each with a name",
        ),
        (
            "outputs",
            named(&reference("output")),
            "Whom to tell, each with a name",
        ),
        ("defaults", reference("defaults"), "Of all rules"),
        (
            "max_clock_skew",
            or_variable(&duration()),
            "How far in the future a line's time is believed [10m]",
        ),
        (
            "control",
            text(),
            "The control socket [/run/lapwing/control.sock]",
        ),
        (
            "http",
            object(http),
            "Status page, /metrics, /healthz, /readyz",
        ),
        (
            "heartbeat",
            heartbeat,
            "Tells someone else that this agent lives",
        ),
        (
            "inhibit_rules",
            json!({"type": "array"}),
            "While one alert fires, others are kept quiet",
        ),
        ("time_intervals", json!({"type": "array"}), "Named times"),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn input_schema() -> Value {
    let formats: Vec<&str> = Format::NAMES.iter().copied().chain(["auto"]).collect();
    let multiline: &[Row] = &[
        ("start", text(), "What a record's first line matches"),
        ("continue", text(), "What all other lines of a record match"),
        (
            "timeout",
            or_variable(&duration()),
            "A record that nothing came for in this time is complete [1s]",
        ),
    ];
    map(
        input::KEYS,
        &[
            (
                "type",
                or_variable(&choice(input::TYPES)),
                "Where lines come from",
            ),
            ("path", texts(), "Files; globs, relative to this file"),
            (
                "exclude",
                texts(),
                "Files that `path` does not mean; without a slash, a file's name",
            ),
            (
                "format",
                or_variable(&choice(&formats)),
                "How lines are written [auto]",
            ),
            (
                "pattern",
                text(),
                "For format pattern: its named groups are the fields",
            ),
            (
                "time_format",
                text(),
                "For format pattern: how `time` is written",
            ),
            (
                "time_field",
                text(),
                "For json and logfmt: the field that holds the time",
            ),
            (
                "start_at",
                or_variable(&choice(&["end", "beginning"])),
                "For files never seen before, at the first start [end]",
            ),
            (
                "max_line_bytes",
                or_variable(&size()),
                "Longer lines are cut [256KiB]",
            ),
            (
                "multiline",
                map(input::MULTILINE_KEYS, multiline, &[]),
                "Which lines are one record",
            ),
            (
                "listen",
                texts(),
                "udp://, tcp://, tls://, relp://, relp+tls://, unix://, unix+stream:// addresses",
            ),
            ("tls", json!({"type": "object"}), "{cert, key, client_ca}"),
            (
                "max_connections",
                or_variable(&json!({"type": "integer", "minimum": 1, "maximum": 100_000})),
                "Connections of senders that may be open at once [1000]",
            ),
            (
                "idle_timeout",
                or_variable(&duration()),
                "A connection on which nothing came for so long is closed [24h]",
            ),
            ("units", texts(), "Units of systemd [all]"),
            (
                "directory",
                text(),
                "For journald: a folder with journal files [the host's own journal]",
            ),
            (
                "unless_files",
                texts(),
                "For journald: it is not read while one of these files is written to [none]",
            ),
        ],
        &["type"],
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn output_schema() -> Value {
    let severities: Vec<&str> = SEVERITIES.iter().map(|(word, _)| *word).collect();
    let queue: &[Row] = &[("max_bytes", or_variable(&size()), "On disk [64MiB]")];
    let object = || json!({"type": "object"});
    map(
        output::KEYS,
        &[
            ("type", or_variable(&choice(output::TYPES)), "Whom to tell"),
            ("path", text(), "The file, relative to this one"),
            ("url", text(), "The server"),
            (
                "webhook_url",
                text(),
                "The chat's webhook: a secret, ${file:PATH}",
            ),
            (
                "api_url",
                text(),
                "The service, where it is not the usual one",
            ),
            (
                "format",
                or_variable(&choice(&["lapwing", "papertrail", "alertmanager"])),
                "Of the webhook [lapwing]",
            ),
            ("secret", text(), "Signs the body: ${HOOK_SECRET}"),
            (
                "min_severity",
                or_variable(&choice(&severities)),
                "Nothing less is sent [info]",
            ),
            (
                "send_resolved",
                or_variable(&boolean()),
                "[true; false for rules of type any]",
            ),
            (
                "send",
                or_variable(&choice(&["notifications", "lines", "counts"])),
                "[notifications]",
            ),
            ("timeout", or_variable(&duration()), "Of one try [10s]"),
            (
                "max_age",
                or_variable(&duration()),
                "Older notifications are not sent any more [24h]",
            ),
            ("queue", map(output::QUEUE_KEYS, queue, &[]), "What waits"),
            (
                "rate_limit",
                json!({"type": ["string", "integer", "object"]}),
                "No more than so many messages",
            ),
            (
                "fallback",
                object(),
                "{to: OUTPUT, after: 2m}: plan B when this output cannot deliver",
            ),
            ("token", text(), "A secret"),
            ("channel", text(), "Where to post"),
            ("chat_id", text(), "Where to post"),
            ("room", text(), "Where to post"),
            ("server", text(), "host:port"),
            (
                "tls",
                json!({"type": ["object", "boolean", "string"]}),
                "Whether, or how, it is encrypted",
            ),
            ("nick", text(), "Who posts"),
            ("sasl", object(), "{user, password}"),
            ("smtp_url", text(), "smtp:// or smtps://"),
            ("from", text(), "An address"),
            ("to", texts(), "Addresses"),
            ("routing_key", text(), "A secret"),
            ("api_key", text(), "A secret"),
            ("index", text(), "Of Elasticsearch"),
            ("address", text(), "host:port"),
            ("prefix", text(), "Of the names of counts"),
            ("command", texts(), "A program and its arguments"),
        ],
        &["type"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_of_every_key_what_it_takes() {
        let all = schema(Of::Config);
        for (name, keys) in [
            ("config", TOP_KEYS),
            ("input", input::KEYS),
            ("output", output::KEYS),
        ] {
            let properties = &all["$defs"][name]["properties"];
            for key in keys.known {
                let shape = properties[key].as_object();
                assert!(
                    shape.is_some_and(|shape| !shape.is_empty()),
                    "`{key}` of {name}: give it a row in this file"
                );
            }
        }
    }
}
