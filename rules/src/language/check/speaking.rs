//! Keys of a rule that say how it speaks: `escalate`, `fold_groups`, `expand_repeats`, `context`.

use std::time::Duration;

use super::{Known, Names, outputs, times};
use crate::language::reader::{Keys, Reader, Section};
use crate::language::rule::{ConditionSpec, Context, Dedupe, Escalation, Repeats, Rule};
use crate::language::yaml::Node;
use crate::model::Attachment;
use crate::mute::Times;

pub(super) const ESCALATE_KEYS: Keys = Keys {
    of: "`escalate`",
    known: &["after", "unless", "notify"],
};
pub(super) const CONTEXT_KEYS: Keys = Keys {
    of: "`context`",
    known: &["before", "after"],
};

const MONTH: Duration = Duration::from_hours(31 * 24);

/// `escalate: {after: 10m, unless: acked, notify: [pager-second]}`.
pub(super) fn escalation(reader: &mut Reader, node: &Node, known: Known<'_>) -> Option<Escalation> {
    let section = reader.section(node, ESCALATE_KEYS)?;
    for key in ["after", "notify"] {
        if section.get(key).is_none() {
            let message = format!("`escalate` needs `{key}`");
            let help = "write `escalate: {after: 10m, unless: acked, notify: [pager]}`".to_owned();
            reader.error("missing-key", section.place, message, Some(help));
        }
    }
    if let Some(node) = section.get("unless") {
        reader.choice(node, "unless", &[("acked", ())]);
    }
    let after = section.get("after");
    let after =
        after.and_then(|node| reader.duration(node, "after", Duration::from_millis(1)..=MONTH));
    let notify = section.get("notify");
    let notify = notify.map(|node| outputs(reader, node, known));
    Some(Escalation {
        after: after?,
        notify: notify?,
    })
}

/// `context: {before: 3, after: 3}`.
pub(super) fn context(reader: &mut Reader, node: &Node) -> Option<Context> {
    let section = reader.section(node, CONTEXT_KEYS)?;
    let mut lines = |key| {
        let node = section.get(key);
        node.and_then(|node| reader.integer(node, key, 0..=Context::MOST))
    };
    Some(Context {
        before: lines("before").unwrap_or_default(),
        after: lines("after").unwrap_or_default(),
    })
}

/// `fold_groups: 20`.
fn fold_groups(reader: &mut Reader, section: &Section<'_>, has_groups: HasGroups) -> Option<usize> {
    let node = section.get("fold_groups")?;
    if has_groups == HasGroups::No {
        let help = "groups come of `group_by`, or of the types new_term and new_pattern".to_owned();
        let message = "`fold_groups` means nothing without groups";
        reader.error("bad-combination", &node.place, message, Some(help));
    }
    reader.integer(node, "fold_groups", 1..=Rule::MOST_FOLDED)
}

/// Keys of one rule alone.
pub(super) struct Speaking {
    pub(super) active_times: Vec<Times>,
    pub(super) mute_times: Vec<Times>,
    pub(super) fold_groups: Option<usize>,
    pub(super) repeats: Repeats,
    pub(super) dedupe: Dedupe,
}

/// Reads them.
pub(super) fn read(
    reader: &mut Reader,
    section: &Section<'_>,
    names: &Names<'_>,
    has_groups: HasGroups,
) -> Speaking {
    Speaking {
        active_times: times::named(reader, section, "active_time_intervals", names),
        mute_times: times::named(reader, section, "mute_time_intervals", names),
        fold_groups: fold_groups(reader, section, has_groups),
        repeats: repeats(reader, section),
        dedupe: dedupe(reader, section),
    }
}

impl HasGroups {
    /// `spec`: the type, where it could be read.
    pub(super) fn of(group_by: &[String], spec: Option<&ConditionSpec>) -> Self {
        if group_by.is_empty() && !spec.is_some_and(ConditionSpec::finds_new) {
            Self::No
        } else {
            Self::Yes
        }
    }
}

/// Whether a rule may have several alerts at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HasGroups {
    Yes,
    No,
}

/// `expand_repeats: true`.
fn repeats(reader: &mut Reader, section: &Section<'_>) -> Repeats {
    let node = section.get("expand_repeats");
    match node.and_then(|node| reader.boolean(node, "expand_repeats")) {
        Some(true) => Repeats::Expanded,
        _ => Repeats::AsOne,
    }
}

/// `dedupe: template`.
fn dedupe(reader: &mut Reader, section: &Section<'_>) -> Dedupe {
    const CHOICES: &[(&str, Dedupe)] = &[("none", Dedupe::Nothing), ("template", Dedupe::Template)];
    let node = section.get("dedupe");
    node.and_then(|node| reader.choice(node, "dedupe", CHOICES))
        .unwrap_or_default()
}

/// `attach: [graph, history]`.
pub(super) fn attach(reader: &mut Reader, node: &Node) -> Vec<Attachment> {
    const CHOICES: &[(&str, Attachment)] = &[
        ("graph", Attachment::Graph),
        ("history", Attachment::History),
    ];
    let nodes = reader.text_nodes(node, "attach");
    let items = nodes.into_iter();
    items
        .filter_map(|(_, node)| reader.choice(node, "attach", CHOICES))
        .collect()
}
