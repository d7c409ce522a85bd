//! Pieces of JSON Schema (draft 2020-12) for editors. The schema of a map is made from the very
//! [`Keys`] that `check` reads it with, so a key can be missing in neither; what stands behind a key
//! is said beside it. What a schema cannot say (patterns, templates, names) only `check` knows.

use serde_json::{Map, Value, json};

use super::reader::Keys;

/// The dialect.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A key, what may stand behind it, and what an editor says of it.
pub type Row = (&'static str, Value, &'static str);

/// A map with exactly these keys. A key without a row may be anything; tests see to it that there
/// is none.
pub fn map(keys: Keys, rows: &[Row], required: &[&str]) -> Value {
    let mut properties = Map::new();
    for key in keys.known {
        let row = rows.iter().find(|(name, _, _)| name == key);
        let mut shape = row.map_or_else(|| json!({}), |(_, shape, _)| shape.clone());
        if let (Some((_, _, about)), Some(shape)) = (row, shape.as_object_mut()) {
            shape.insert("description".to_owned(), json!(about));
        }
        properties.insert((*key).to_owned(), shape);
    }
    json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "required": required,
    })
}

/// One text; YAML makes numbers and booleans of some.
pub fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// A list of texts; one text stands for a list of one.
pub fn texts() -> Value {
    list_or_one(&text())
}

/// A list of such values, or one of them.
pub fn list_or_one(item: &Value) -> Value {
    json!({"anyOf": [item, {"type": "array", "items": item}]})
}

/// A list of such values.
pub fn list(item: &Value) -> Value {
    json!({"type": "array", "items": item})
}

/// `500ms`, `10s`, `5m`, `2h`, `7d`; `0`.
pub fn duration() -> Value {
    json!({"type": ["string", "integer"], "pattern": "^(0|[0-9]+ *(ms|s|m|h|d))$", "minimum": 0, "maximum": 0})
}

/// `64KiB`, `1MiB`; a number without a unit is bytes.
pub fn size() -> Value {
    json!({"type": ["string", "integer"], "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$", "minimum": 0})
}

/// A whole number within bounds.
pub fn integer(least: u64, most: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// Any number.
pub fn number() -> Value {
    json!({"type": "number"})
}

/// `true` or `false`.
pub fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// One of these words.
pub fn choice(words: &[&str]) -> Value {
    json!({"enum": words})
}

/// Names that are the operator's own, each with a text.
pub fn text_map() -> Value {
    json!({"type": "object", "additionalProperties": text()})
}

/// Names that are the operator's own, each with such a value.
pub fn named(value: &Value) -> Value {
    json!({"type": "object", "additionalProperties": value})
}

/// What stands under `$defs`.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}
