//! `match:` → [`Match`].

use crate::language::expression::Expression;
use crate::language::pattern::{Case, Pattern};
use crate::language::reader::{Keys, Reader, Section};
use crate::language::rule::Match;
use crate::language::yaml::Node;

pub(super) const MATCH_KEYS: Keys = Keys {
    of: "`match`",
    known: &["contains", "regex", "ignore_case", "where", "not"],
};
pub(super) const NOT_KEYS: Keys = Keys {
    of: "`not`",
    known: &["contains", "regex"],
};

pub(super) const STEP_KEYS: Keys = Keys {
    of: "a step",
    known: &[
        "contains",
        "regex",
        "ignore_case",
        "where",
        "not",
        "num_events",
    ],
};

/// Reads a `match:` map; what is wrong in it is left out of the result.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Match {
    match reader.section(node, MATCH_KEYS) {
        Some(section) => of_section(reader, &section),
        None => Match::default(),
    }
}

/// Reads one of `steps`: which lines, and how many of them.
pub(super) fn read_step(reader: &mut Reader, node: &Node, most: u32) -> (Match, u32) {
    let Some(section) = reader.section(node, STEP_KEYS) else {
        return (Match::default(), 1);
    };
    let count = section
        .get("num_events")
        .and_then(|node| reader.integer(node, "num_events", 1..=most));
    (of_section(reader, &section), count.unwrap_or(1))
}

fn of_section(reader: &mut Reader, section: &Section<'_>) -> Match {
    let ignore_case = section
        .get("ignore_case")
        .and_then(|node| reader.boolean(node, "ignore_case"))
        .unwrap_or(false);
    let case = if ignore_case {
        Case::Ignore
    } else {
        Case::Sensitive
    };
    let mut matching = Match {
        ignore_case,
        ..Match::default()
    };
    if let Some(node) = section.get("contains") {
        matching.contains = contains(reader, node);
    }
    if let Some(node) = section.get("regex") {
        matching.regex = patterns(reader, node, case);
    }
    if let Some(node) = section.get("where") {
        matching.condition = condition(reader, node);
    }
    if let Some(node) = section.get("not")
        && let Some(section) = reader.section(node, NOT_KEYS)
    {
        if let Some(node) = section.get("contains") {
            matching.not_contains = contains(reader, node);
        }
        if let Some(node) = section.get("regex") {
            matching.not_regex = patterns(reader, node, case);
        }
    }
    matching
}

fn contains(reader: &mut Reader, node: &Node) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    for (text, node) in reader.text_nodes(node, "contains") {
        if text.is_empty() {
            let help = Some("leave it out: without it, every line counts".to_owned());
            reader.error(
                "empty-text",
                &node.place,
                "`contains` looks for an empty text",
                help,
            );
        } else if text.contains('\n') {
            let help = Some("one pattern sees one line".to_owned());
            reader.error(
                "line-feed",
                &node.place,
                "`contains` looks for a line feed, and no line has one",
                help,
            );
        } else {
            items.push(text.as_bytes().to_vec());
        }
    }
    items
}

fn patterns(reader: &mut Reader, node: &Node, case: Case) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (text, node) in reader.text_nodes(node, "regex") {
        match Pattern::new(text, case) {
            Ok(pattern) => {
                if pattern.matches_every_line() {
                    reader.warning(
                        "every-line",
                        &node.place,
                        format!("`{text}` matches every line"),
                        Some("leave it out, or ask for more than nothing: `+` for `*`".to_owned()),
                    );
                }
                reader.large_patterns = reader.large_patterns.saturating_add(pattern.large_bytes());
                if pattern.large_bytes() > 0 && reader.large_patterns > Pattern::MAX_LARGE_BYTES {
                    let message = format!(
                        "with this pattern the large ones of all rules take more than {} MiB",
                        Pattern::MAX_LARGE_BYTES / (1024 * 1024)
                    );
                    let help = "lower the counts in `{…}`, or write `(?-u:\\w)` where ASCII letters will do";
                    reader.error("bad-regex", &node.place, message, Some(help.to_owned()));
                    continue;
                }
                patterns.push(pattern);
            }
            Err(error) => reader.error(
                "bad-regex",
                &node.place_within(&error.span),
                error.message,
                error.help,
            ),
        }
    }
    patterns
}

fn condition(reader: &mut Reader, node: &Node) -> Option<Expression> {
    let text = reader.text(node, "where")?;
    match Expression::parse(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            reader.error(
                "bad-where",
                &node.place_within(&error.span),
                error.message,
                error.help,
            );
            None
        }
    }
}
