//! Which outputs a notification goes to. Pure.

use lapwing_rules::model::{Mode, Notification, Status};

use super::{Send, Spec};

/// Names of the outputs that are told, in the order of `outputs`, each once.
///
/// `notify` is the rule's list, its file's defaults filled in; without one it is every output. A name that no output has is passed over: the configuration's check has complained.
pub fn route(
    notification: &Notification,
    notify: Option<&[String]>,
    outputs: &[Spec],
) -> Vec<String> {
    if notification.mode != Mode::Live {
        return Vec::new();
    }
    outputs
        .iter()
        .filter(|output| notify.is_none_or(|names| names.contains(&output.name)))
        .filter(|output| takes(output, notification))
        .map(|output| output.name.clone())
        .collect()
}

fn takes(output: &Spec, notification: &Notification) -> bool {
    let severe_enough = output
        .min_severity
        .is_none_or(|least| notification.severity >= least);
    // That nothing more came is no news where every single hit is told; but an incident stays open
    // until somebody closes it.
    let by_default = notification.rule_type != "any" || output.kind.keeps_incidents();
    let wanted =
        notification.status == Status::Firing || output.send_resolved.unwrap_or(by_default);
    output.send == Send::Notifications && severe_enough && wanted
}

#[cfg(test)]
mod tests {
    use lapwing_rules::model::Severity;

    use super::*;
    use crate::config::secret::Secret;
    use crate::outputs::Kind;
    use crate::outputs::sample::notification;

    fn outputs() -> Vec<Spec> {
        let mut pager = Spec::new("pager", Kind::Console);
        pager.min_severity = Some(Severity::Critical);
        let mut quiet = Spec::new("quiet", Kind::Console);
        quiet.send_resolved = Some(false);
        let mut all = Spec::new("all", Kind::Console);
        all.send_resolved = Some(true);
        vec![Spec::new("chat", Kind::Console), pager, quiet, all]
    }

    fn check(notification: &Notification, notify: Option<&[&str]>, told: &[&str]) {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let routed = route(notification, notify.map(list).as_deref(), &outputs());
        assert_eq!(routed, told);
    }

    #[test]
    fn without_a_list_every_output_is_told_with_an_empty_one_none() {
        let firing = notification();
        check(&firing, None, &["chat", "pager", "quiet", "all"]);
        check(
            &firing,
            Some(&["all", "chat", "chat", "nobody"]),
            &["chat", "all"],
        );
        check(&firing, Some(&[]), &[]);
    }

    #[test]
    fn a_mild_alert_does_not_page() {
        let mut mild = notification();
        mild.severity = Severity::Warning;
        check(&mild, None, &["chat", "quiet", "all"]);
    }

    #[test]
    fn an_end_is_told_unless_the_rule_tells_every_hit() {
        let mut over = notification();
        over.status = Status::Resolved;
        check(&over, None, &["chat", "pager", "all"]);
        over.rule_type = "any".to_owned();
        check(&over, None, &["all"]);
    }

    #[test]
    fn what_keeps_incidents_open_is_told_of_every_end() {
        let url = Secret::new("http://127.0.0.1:9093");
        let manager = [Spec::new("am", Kind::Alertmanager { url })];
        let mut over = notification();
        over.status = Status::Resolved;
        over.rule_type = "any".to_owned();
        assert_eq!(route(&over, None, &manager), ["am"]);
    }

    #[test]
    fn a_shadow_rule_tells_nobody() {
        let mut shadow = notification();
        shadow.mode = Mode::Shadow;
        check(&shadow, None, &[]);
    }
}
