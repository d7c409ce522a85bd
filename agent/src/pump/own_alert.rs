//! The agent's alert on itself: its state cannot be saved, or was lost. It goes through every
//! output like any other alert, under the rule name [`RULE`], and ends when something is durable
//! again. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use lapwing_rules::model::{
    Attachment, History, Mode, Notification, Number, Rate, Reason, Severity, Status, Timestamp,
};
use lapwing_rules::mute::{self, Labels, Matcher, Silence};
use sha2::{Digest as _, Sha256};

use crate::outputs::render;
use crate::store::Start;

/// What stands as `rule` in these notifications; no rule that an operator writes is taken for it,
/// because its type is `internal`.
pub const RULE: &str = "lapwing-state";
/// Files named in a message.
const NAMED: usize = 10;

/// Knows whether the alert is running.
#[derive(Debug)]
pub(super) struct OwnAlert {
    host: Arc<str>,
    /// One; more only when an agent was killed while the disk was full again, before the end of the
    /// alert of the time before was saved: then all have been told, and all have to end.
    running: Vec<Notification>,
}

impl OwnAlert {
    /// Running if earlier runs left some `open`, oldest first.
    pub(super) fn new(host: Arc<str>, open: Vec<Notification>) -> Self {
        Self {
            host,
            running: open,
        }
    }

    /// It starts, if it is not running: `what` says what is wrong since `since` (wall clock).
    /// `committed_at`: the last moment of which anything is saved, where that is known. The id depends
    /// on it, because an agent that is killed meanwhile leaves nothing else to the next one, which is
    /// to go on with the same alert.
    pub(super) fn fire(
        &mut self,
        what: String,
        since: Timestamp,
        committed_at: Option<Timestamp>,
    ) -> Option<&Notification> {
        if !self.running.is_empty() {
            return None;
        }
        Some(self.begin(what, since, committed_at.unwrap_or(since)))
    }

    /// The one that an earlier run told and could not save goes on, if it is not known to be running.
    pub(super) fn go_on(&mut self, what: String, committed_at: Timestamp) -> Option<&Notification> {
        let id = id(RULE, &[&self.host], committed_at);
        let is_known = self.running.iter().any(|running| running.id == id);
        (!is_known).then(|| self.begin(what, committed_at, committed_at))
    }

    fn begin(&mut self, what: String, since: Timestamp, of: Timestamp) -> &Notification {
        let notification = Notification {
            summary: what,
            id: id(RULE, &[&self.host], of),
            ..blank(&self.host, since)
        };
        self.running.push_mut(notification)
    }

    /// The latest, if it is running.
    pub(super) fn running(&self) -> Option<&Notification> {
        self.running.last()
    }

    /// It ends, if it is running.
    pub(super) fn resolve(&mut self, now: Timestamp) -> Vec<Notification> {
        let summary = format!("the state of lapwing on {} is saved again", self.host);
        let end = |firing: Notification| Notification {
            seq: firing.seq + 1,
            status: Status::Resolved,
            reason: Reason::Resolved,
            summary: summary.clone(),
            ended_at: Some(now),
            sent_at: now,
            ..firing
        };
        self.running.drain(..).map(end).collect()
    }
}

/// Whether an operator's silence mutes it at `now`.
pub(super) fn is_silenced(silences: &[Silence], alert: &Notification, now: Timestamp) -> bool {
    let labels = Labels {
        rule: &alert.rule,
        rule_type: &alert.rule_type,
        severity: render::severity(alert.severity),
        host: &alert.host,
        labels: &alert.labels,
        group: &alert.group,
    };
    mute::by_silence(silences, &labels, now).is_some()
}

/// Whether a silence with these matchers could ever mute it.
pub(super) fn may_be_meant(matchers: &[Matcher]) -> bool {
    can_meet(matchers, RULE, "critical", None)
}

/// Whether an alert of the agent's own with this rule and severity, and `field` in its group, could meet
/// all of them.
pub(super) fn can_meet(
    matchers: &[Matcher],
    rule: &str,
    severity: &str,
    field: Option<&str>,
) -> bool {
    matchers.iter().all(|matcher| match matcher.name() {
        "rule" => matcher.takes(rule),
        "type" => matcher.takes("internal"),
        "severity" => matcher.takes(severity),
        "host" => true,
        name => Some(name) == field || matcher.takes_nothing(),
    })
}

/// An earlier run ended while it could save nothing any more after `committed_at`.
pub(super) fn could_not_save(host: &str, committed_at: Timestamp) -> String {
    format!(
        "the state of lapwing on {host} could not be saved after {committed_at}, until lapwing ended; \
         lines since then are read again"
    )
}

/// Nothing can be saved since `since`.
pub(super) fn cannot_save(host: &str, since: Timestamp, error: &str) -> String {
    format!(
        "the state of lapwing on {host} cannot be saved since {since}: {error}; \
         lines are watched and alerts told from memory"
    )
}

/// What there is to say of a start; `None`: nothing. `begin_at_end`: files that begin at their ends.
pub(super) fn about_start(
    host: &str,
    start: &Start,
    now: Timestamp,
    begin_at_end: &[PathBuf],
) -> Option<String> {
    let lies = |aside: &Option<PathBuf>| match aside {
        Some(aside) => format!(", the old file lies at {}", aside.display()),
        None => String::new(),
    };
    match start {
        Start::Fresh | Start::Resumed => None,
        Start::Recovered { aside, why, as_of } => Some(format!(
            "the state of lapwing on {host} could not be used ({why}){}: files are read on from \
             where they were at {as_of}, windows and running alerts begin anew",
            lies(aside)
        )),
        Start::Lost {
            aside,
            why,
            last_known,
        } => {
            let since = last_known.map_or("some time".to_owned(), |at| at.to_string());
            let mut text = format!(
                "the state of lapwing on {host} could not be used ({why}){}: positions are lost, \
                 lines written between {since} and {now} were not checked in {} files",
                lies(aside),
                begin_at_end.len()
            );
            for (n, path) in begin_at_end.iter().take(NAMED).enumerate() {
                let before = if n == 0 { ": " } else { ", " };
                // Writing to a String cannot fail.
                write!(text, "{before}{}", path.display()).unwrap_or_default();
            }
            if begin_at_end.len() > NAMED {
                text.push_str(", …");
            }
            Some(text)
        }
    }
}

/// Of an alert of `rule` about `parts` that began then: the same for the same, whoever says it.
pub(super) fn id(rule: &str, parts: &[&str], begins_at: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(parts.join("\0").as_bytes());
    hash.update(begins_at.as_nanos().to_be_bytes());
    let mut id = format!("{rule}-");
    for byte in hash.finalize().iter().take(8) {
        write!(id, "{byte:02x}").unwrap_or_default();
    }
    id
}

/// What all alerts of the agent on itself have in common.
pub(super) fn blank(host: &Arc<str>, since: Timestamp) -> Notification {
    Notification {
        version: 1,
        id: String::new(),
        seq: 1,
        status: Status::Firing,
        reason: Reason::First,
        rule: RULE.to_owned(),
        rule_type: "internal".to_owned(),
        severity: Severity::Critical,
        mode: Mode::Live,
        host: host.to_string(),
        input: String::new(),
        group: BTreeMap::new(),
        pattern: None,
        input_state: None,
        summary: String::new(),
        description: "lapwing watches itself: see its own log for more.".to_owned(),
        labels: BTreeMap::new(),
        count: 1,
        suppressed: 0,
        timeframe_s: None,
        value: Number(1.0),
        threshold: Number(1.0),
        started_at: since,
        first_hit_at: since,
        ended_at: None,
        sent_at: since,
        samples: Vec::new(),
        top: BTreeMap::new(),
        folded_groups: None,
        acked: None,
        history: History::default(),
        attach: Attachment::all(),
        rate: Rate::default(),
        runbook_url: None,
        dashboard_url: None,
        late_s: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_secs(s)
    }

    #[test]
    fn it_is_told_once_ends_once_and_has_another_id_the_next_time() {
        let mut own = OwnAlert::new("web-1".into(), Vec::new());
        assert!(own.resolve(at(0)).is_empty());
        let first = own.fire("x".to_owned(), at(1), None).cloned().unwrap();
        assert!(own.fire("y".to_owned(), at(2), None).is_none());
        let end = own.resolve(at(3)).remove(0);
        assert_eq!((first.seq, end.seq), (1, 2));
        assert_eq!(first.id, end.id);
        assert_eq!((end.status, end.ended_at), (Status::Resolved, Some(at(3))));
        assert!(own.resolve(at(4)).is_empty());
        assert_ne!(own.fire("z".to_owned(), at(5), None).unwrap().id, first.id);
    }

    #[test]
    fn an_operator_can_silence_it_for_a_while() {
        let mut own = OwnAlert::new("web-1".into(), Vec::new());
        let alert = own.fire("x".to_owned(), at(1), None).unwrap();
        let silence = |matchers: &str| Silence {
            id: String::new(),
            matchers: mute::parse(matchers).unwrap(),
            author: String::new(),
            note: String::new(),
            starts_at: at(0),
            ends_at: at(10),
        };
        for (matchers, now, silenced) in [
            ("rule=lapwing-state", 5, true),
            ("type=internal, host=~web.*", 5, true),
            ("severity=critical", 9, true),
            ("rule=lapwing-state", 10, false),
            ("rule=lapwing-state, host=db", 5, false),
        ] {
            let is = is_silenced(&[silence(matchers)], alert, at(now));
            assert_eq!(is, silenced, "{matchers} at {now}");
        }
    }

    #[test]
    fn after_a_kill_it_is_the_same_alert_whether_it_was_saved_or_not() {
        let agent = || OwnAlert::new("web-1".into(), Vec::new());
        let said = |own: &mut OwnAlert, since| {
            let said = own.fire("x".to_owned(), at(since), Some(at(1)));
            said.cloned().unwrap()
        };
        let first = said(&mut agent(), 2);
        let second = agent().go_on("x".to_owned(), at(1)).cloned().unwrap();
        assert_eq!((&first.id, first.seq), (&second.id, second.seq));
        let mut third = OwnAlert::new("web-1".into(), vec![second]);
        assert!(third.fire("y".to_owned(), at(10), Some(at(1))).is_none());
        let end = third.resolve(at(11)).remove(0);
        assert_eq!((&end.id, end.seq), (&first.id, 2));
    }

    /// The disk was free for one commit: it held the beginning of the first alert and not its end.
    #[test]
    fn when_the_disk_was_full_twice_before_a_kill_both_alerts_end() {
        let mut killed = OwnAlert::new("web-1".into(), Vec::new());
        let first = killed.fire("x".to_owned(), at(2), Some(at(1))).cloned();
        let first = first.unwrap();
        killed.resolve(at(3));
        let second = killed.fire("y".to_owned(), at(5), Some(at(4))).cloned();
        let second = second.unwrap();

        let mut next = OwnAlert::new("web-1".into(), vec![first.clone()]);
        let told = next.go_on("z".to_owned(), at(4)).unwrap();
        assert_eq!((&told.id, told.seq), (&second.id, second.seq));
        assert!(next.go_on("z".to_owned(), at(4)).is_none(), "once");
        let ends = next.resolve(at(9));
        let ends: Vec<_> = ends.iter().map(|end| (&end.id, end.seq)).collect();
        assert_eq!(ends, [(&first.id, 2), (&second.id, 2)]);
    }

    #[test]
    fn lost_positions_are_told_with_the_gap_and_the_files() {
        let lost = Start::Lost {
            aside: Some("/var/lib/lapwing/state.redb.damaged-1".into()),
            why: "it is cut off".to_owned(),
            last_known: Some(at(0)),
        };
        let files: Vec<PathBuf> = (0..12).map(|n| format!("/l/{n}").into()).collect();
        let text = about_start("web-1", &lost, at(60), &files).unwrap();
        for part in [
            "it is cut off",
            "damaged-1",
            "between 1970-01-01T00:00:00Z and 1970-01-01T00:01:00Z",
            "12 files: /l/0, /l/1,",
            "/l/9, …",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(about_start("h", &Start::Resumed, at(0), &files), None);
    }
}
