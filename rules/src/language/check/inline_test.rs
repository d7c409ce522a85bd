//! A rule's `tests:`, and those of a test file → [`RuleTest`]s.

use std::time::Duration;

use crate::fields::Format;
use crate::language::reader::{Keys, Reader, Section};
use crate::language::rule::{Expectation, RuleTest, TestLine};
use crate::language::yaml::{Key, Node, Value};

pub(super) const TEST_KEYS: Keys = Keys {
    of: "a test",
    known: &["name", "format", "lines", "expect"],
};
/// In a test file a test says of which rule it is.
pub(super) const NAMED_TEST_KEYS: Keys = Keys {
    of: "a test of a test file",
    known: &["rule", "name", "format", "lines", "expect"],
};
pub(super) const LINE_KEYS: Keys = Keys {
    of: "a test's line",
    known: &["at", "every", "repeat", "line"],
};
pub(super) const EXPECT_KEYS: Keys = Keys {
    of: "an expectation",
    known: &[
        "at",
        "alerts",
        "resolved",
        "notifications",
        "count",
        "suppressed",
        "value",
        "group",
    ],
};
const YEAR: Duration = Duration::from_hours(366 * 24);

/// Reads the list under `tests:`.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Vec<RuleTest> {
    reader
        .list(node, "tests")
        .iter()
        .filter_map(|node| {
            let section = reader.section(node, TEST_KEYS)?;
            test(reader, &section)
        })
        .collect()
}

/// Reads a test of a test file: the name of its rule, and the test.
pub(super) fn read_named(reader: &mut Reader, node: &Node) -> Option<(Key, RuleTest)> {
    let section = reader.section(node, NAMED_TEST_KEYS)?;
    let Some(node) = section.get("rule") else {
        let help = Some("write `rule: NAME`; in a rule's own `tests` it is not needed".to_owned());
        let message = "a test of a test file needs `rule`";
        reader.error("missing-key", section.place, message, help);
        return None;
    };
    let name = Key {
        text: reader.text(node, "rule")?.to_owned(),
        place: node.place.clone(),
    };
    Some((name, test(reader, &section)?))
}

fn test(reader: &mut Reader, section: &Section<'_>) -> Option<RuleTest> {
    let name = match section.get("name") {
        Some(node) => reader.text(node, "name")?.to_owned(),
        None => format!("test in line {}", section.place.line),
    };
    let format = section.get("format").and_then(|node| format(reader, node));
    let lines = required_list(reader, section, "lines");
    let lines = lines.iter().filter_map(|node| line(reader, node)).collect();
    let expect = required_list(reader, section, "expect");
    let expect: Vec<Expectation> = expect
        .iter()
        .filter_map(|node| expectation(reader, node))
        .collect();
    if let (true, Some(node)) = (expect.is_empty(), section.get("expect"))
        && matches!(&node.value, Value::List(items) if items.is_empty())
    {
        let help = Some("add what must have come of it: `{at: 1m, alerts: 1}`".to_owned());
        let message = "this test expects nothing, so it cannot fail";
        reader.warning("empty-test", &node.place, message, help);
    }
    Some(RuleTest {
        name,
        place: section.place.clone(),
        format,
        lines,
        expect,
    })
}

fn required_list<'n>(reader: &mut Reader, section: &Section<'n>, key: &str) -> &'n [Node] {
    let Some(node) = section.get(key) else {
        reader.error(
            "missing-key",
            section.place,
            format!("a test needs `{key}`"),
            Some(if key == "lines" {
                "add `lines: [{at: 0s, line: '…'}]`".to_owned()
            } else {
                "add `expect: [{at: 1m, alerts: 1}]`".to_owned()
            }),
        );
        return &[];
    };
    reader.list(node, key)
}

fn format(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "format")?;
    let named = Format::NAMES.iter().filter(|name| **name != "pattern");
    let choices: Vec<(&str, &str)> = named.chain(&["auto"]).map(|name| (*name, *name)).collect();
    reader
        .choice(node, "format", &choices)
        .filter(|name| *name != "auto")
        .map(|_| text.to_owned())
}

fn line(reader: &mut Reader, node: &Node) -> Option<TestLine> {
    let section = reader.section(node, LINE_KEYS)?;
    let Some(text) = section.get("line") else {
        reader.error(
            "missing-key",
            section.place,
            "a test's line needs `line`",
            Some("write `{at: 0s, line: '…'}`".to_owned()),
        );
        return None;
    };
    let mut span = |key| {
        section
            .get(key)
            .and_then(|node| reader.duration(node, key, Duration::ZERO..=YEAR))
    };
    let (at, every) = (
        span("at").unwrap_or_default(),
        span("every").unwrap_or_default(),
    );
    let repeat = section.get("repeat").map_or(Some(1), |node| {
        reader.integer(node, "repeat", 1..=1_000_000)
    })?;
    Some(TestLine {
        at,
        every,
        repeat,
        line: reader.text(text, "line")?.to_owned(),
    })
}

fn expectation(reader: &mut Reader, node: &Node) -> Option<Expectation> {
    let section = reader.section(node, EXPECT_KEYS)?;
    let Some(at) = section.get("at") else {
        reader.error(
            "missing-key",
            section.place,
            "an expectation needs `at`",
            Some("say when it must hold: `{at: 1m, alerts: 1}`".to_owned()),
        );
        return None;
    };
    let at = reader.duration(at, "at", Duration::ZERO..=YEAR)?;
    let mut number = |key| {
        section
            .get(key)
            .and_then(|node| reader.integer(node, key, 0..=u64::MAX))
    };
    let (alerts, resolved, notifications, count, suppressed) = (
        number("alerts"),
        number("resolved"),
        number("notifications"),
        number("count"),
        number("suppressed"),
    );
    let value = section
        .get("value")
        .and_then(|node| reader.number(node, "value"));
    let group = section
        .get("group")
        .map(|node| reader.text_map(node, "group"));
    let mut entries = section.entries().iter();
    if entries.all(|(key, node)| key.text == "at" || matches!(node.value, Value::Null)) {
        let help = Some("say what: `{at: 1m, alerts: 1}`".to_owned());
        let message = "this expectation expects nothing, so it cannot fail";
        reader.warning("empty-test", &node.place, message, help);
    }
    Some(Expectation {
        place: node.place.clone(),
        at,
        alerts,
        resolved,
        notifications,
        count,
        suppressed,
        value,
        group,
    })
}
