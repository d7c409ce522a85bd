//! `defaults:` of a rule file or of `lapwing.yaml`, and the defaults below them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Known, outputs, speaking};
use crate::language::quantity;
use crate::language::reader::{Keys, Reader};
use crate::language::rule::{Context, Escalation};
use crate::language::yaml::{Node, Value};
use crate::model::{Attachment, Mode, Severity};

/// What a rule that does not say otherwise has. `None` falls through to the next level, last to
/// the getters' values.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    pub(super) severity: Option<Severity>,
    pub(super) mode: Option<Mode>,
    pub(super) realert: Option<Duration>,
    pub(super) exponential_realert: Option<Duration>,
    pub(super) resolve_after: Option<Duration>,
    pub(super) samples: Option<usize>,
    pub(super) max_groups: Option<usize>,
    pub(super) notify: Option<Vec<String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) redact: Option<Node>,
    pub(super) escalate: Option<Escalation>,
    pub(super) context: Option<Context>,
    pub(super) attach: Option<Vec<Attachment>>,
}

pub(super) const KEYS: Keys = Keys {
    of: "`defaults`",
    known: &[
        "severity",
        "mode",
        "realert",
        "exponential_realert",
        "resolve_after",
        "samples",
        "max_groups",
        "notify",
        "labels",
        "redact",
        "escalate",
        "context",
        "attach",
    ],
};

pub(super) const REALERT: Duration = Duration::from_mins(10);
pub(super) const RESOLVE_AFTER: Duration = Duration::from_mins(5);
pub(super) const SAMPLES: usize = 5;
pub(super) const MAX_GROUPS: usize = 10_000;

const MONTH: Duration = Duration::from_hours(31 * 24);

impl Defaults {
    /// These, and where they say nothing, `base`.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            severity: self.severity.or(base.severity),
            mode: self.mode.or(base.mode),
            realert: self.realert.or(base.realert),
            exponential_realert: self.exponential_realert.or(base.exponential_realert),
            resolve_after: self.resolve_after.or(base.resolve_after),
            samples: self.samples.or(base.samples),
            max_groups: self.max_groups.or(base.max_groups),
            notify: self.notify.or(base.notify),
            labels: self.labels.or(base.labels),
            redact: self.redact.or(base.redact),
            escalate: self.escalate.or(base.escalate),
            context: self.context.or(base.context),
            attach: self.attach.or(base.attach),
        }
    }
}

/// Reads a `defaults:` map.
pub fn read(reader: &mut Reader, node: &Node, known: Known<'_>) -> Defaults {
    let Some(section) = reader.section(node, KEYS) else {
        return Defaults::default();
    };
    let mut defaults = Defaults::default();
    for (key, value) in section.entries() {
        if !matches!(value.value, Value::Null) {
            shared_key(reader, &key.text, value, known, &mut defaults);
        }
    }
    defaults
}

/// Reads a key that rules and `defaults` have in common; others are passed over.
pub(super) fn shared_key(
    reader: &mut Reader,
    key: &str,
    value: &Node,
    known: Known<'_>,
    into: &mut Defaults,
) {
    match key {
        "severity" => into.severity = reader.choice(value, key, SEVERITIES),
        "mode" => into.mode = reader.choice(value, key, MODES),
        "realert" => into.realert = reader.duration(value, key, Duration::ZERO..=MONTH),
        "exponential_realert" => {
            into.exponential_realert = reader.duration(value, key, Duration::ZERO..=MONTH);
        }
        "resolve_after" => {
            into.resolve_after = reader.duration(value, key, Duration::from_millis(1)..=MONTH);
        }
        "samples" => into.samples = reader.integer(value, key, 0..=100),
        "max_groups" => into.max_groups = reader.integer(value, key, 1..=1_000_000),
        "notify" => into.notify = Some(outputs(reader, value, known)),
        "labels" => into.labels = Some(reader.text_map(value, key)),
        "redact" => into.redact = Some(value.clone()),
        "escalate" => into.escalate = speaking::escalation(reader, value, known),
        "attach" => into.attach = Some(speaking::attach(reader, value)),
        "context" => into.context = speaking::context(reader, value),
        _ => {}
    }
}

/// The words after `severity:`.
pub const SEVERITIES: &[(&str, Severity)] = &[
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];
pub(super) const MODES: &[(&str, Mode)] = &[
    ("live", Mode::Live),
    ("shadow", Mode::Shadow),
    ("off", Mode::Off),
];

/// Says that `exponential_realert` is below `realert`, where it is.
pub(super) fn check_realert(reader: &mut Reader, node: &Node, realert: Duration, most: Duration) {
    if most < realert {
        let message = format!(
            "`exponential_realert` is less than `realert` ({})",
            quantity::duration_text(realert)
        );
        reader.error(
            "out-of-range",
            &node.place,
            message,
            Some("it is the longest that `realert` may grow to".into()),
        );
    }
}
