//! What of an alert matchers can ask for.

use std::collections::BTreeMap;

/// An alert's labels, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The rule's type.
    pub rule_type: &'a str,
    /// `info`, `warning` or `critical`.
    pub severity: &'a str,
    /// The agent's host.
    pub host: &'a str,
    /// The rule's `labels`.
    pub labels: &'a BTreeMap<String, String>,
    /// The group's fields.
    pub group: &'a BTreeMap<String, String>,
}

impl<'a> Labels<'a> {
    /// The value of a label; what is not there is empty, as in Alertmanager. `rule`, `type`,
    /// `severity` and `host` are the alert's own, then come the group's fields, then the rule's
    /// labels; `group.x` and `labels.x` mean just those.
    pub fn get(&self, name: &str) -> &'a str {
        let of = |map: &'a BTreeMap<String, String>, name: &str| map.get(name).map(String::as_str);
        match name {
            "rule" => self.rule,
            "type" => self.rule_type,
            "severity" => self.severity,
            "host" => self.host,
            _ => of(self.group, name)
                .or_else(|| of(self.labels, name))
                .or_else(|| of(self.group, name.strip_prefix("group.")?))
                .or_else(|| of(self.labels, name.strip_prefix("labels.")?))
                .unwrap_or_default(),
        }
    }
}
