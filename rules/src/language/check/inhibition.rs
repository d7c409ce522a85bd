//! `inhibit_rules:` of a rule file, as in Alertmanager → [`InhibitRule`]s.

use crate::language::diagnostic::Place;
use crate::language::reader::{Keys, Reader, Section};
use crate::language::yaml::Node;
use crate::mute::{self, InhibitRule, Matcher};

pub(super) const INHIBIT_KEYS: Keys = Keys {
    of: "an inhibit rule",
    known: &["source_matchers", "target_matchers", "equal"],
};

/// An inhibit rule with the places of its parts.
#[derive(Debug)]
pub(super) struct Written {
    /// `source_matchers` and `target_matchers`.
    pub(super) sides: [Side; 2],
    pub(super) equal: Vec<(String, Place)>,
}

/// One list of matchers.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) key: &'static str,
    pub(super) place: Place,
    pub(super) matchers: Vec<(Matcher, Place)>,
}

impl Written {
    /// Without the places.
    pub(super) fn into_rule(self) -> InhibitRule {
        let [source, target] = self.sides.map(|side| {
            let matchers = side.matchers.into_iter();
            matchers.map(|(matcher, _)| matcher).collect()
        });
        InhibitRule {
            source,
            target,
            equal: self.equal.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

/// Reads the list; an item with an error is left out.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Vec<Written> {
    let items = reader.list(node, "inhibit_rules");
    items.iter().filter_map(|node| one(reader, node)).collect()
}

fn one(reader: &mut Reader, node: &Node) -> Option<Written> {
    let section = reader.section(node, INHIBIT_KEYS)?;
    let source = matchers(reader, &section, "source_matchers");
    let target = matchers(reader, &section, "target_matchers");
    let equal = section.get("equal");
    let equal = equal.map_or_else(Vec::new, |node| reader.text_nodes(node, "equal"));
    let equal = equal.into_iter();
    Some(Written {
        sides: [source?, target?],
        equal: equal
            .map(|(name, node)| (name.to_owned(), node.place.clone()))
            .collect(),
    })
}

fn matchers(reader: &mut Reader, section: &Section<'_>, key: &'static str) -> Option<Side> {
    let Some(node) = section.get(key) else {
        let help = format!("write `{key}: ['severity = \"critical\"']`");
        reader.error(
            "missing-key",
            section.place,
            format!("an inhibit rule needs `{key}`"),
            Some(help),
        );
        return None;
    };
    let mut all = Vec::new();
    let mut is_fine = true;
    for (text, node) in reader.text_nodes(node, key) {
        match mute::parse(text) {
            Ok(matchers) => {
                let matchers = matchers.into_iter();
                all.extend(matchers.map(|matcher| (matcher, node.place.clone())));
            }
            Err(error) => {
                let help = "it matches rule, type, severity, host, labels and group fields";
                reader.error(
                    "bad-matcher",
                    &node.place,
                    error.to_string(),
                    Some(help.to_owned()),
                );
                is_fine = false;
            }
        }
    }
    if all.is_empty() && is_fine {
        let message = format!("`{key}` without a matcher would mean every alert");
        reader.error("bad-value", &node.place, message, None);
    }
    (is_fine && !all.is_empty()).then(|| Side {
        key,
        place: node.place.clone(),
        matchers: all,
    })
}
