//! What the agent tells of itself when it is less than people take it for: a file that it cannot read,
//! lines that it lost, clocks that are wrong, an output that takes nothing. Each is an alert like any
//! other, told once, ended when the trouble is over. Pure: looks come in. That its own state cannot be
//! saved is [`own_alert`](super::own_alert)'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Notification, Reason, Severity, Status, Timestamp};
use lapwing_rules::mute::Matcher;

use super::habits::Figures;
use super::own_alert::{self, blank, id};
use crate::outputs::render::severity;
use crate::store::Routed;

/// Between two looks.
pub const EVERY: Duration = Duration::from_secs(15);
/// A trouble is over when it was not seen for so long; of some kinds for longer.
const CALM: Duration = Duration::from_mins(1);
/// Troubles that are told at once; what comes beyond is in `lapwing status`.
const MOST: usize = 100;

/// What can be wrong. Ordered for being a key only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Files of an input cannot be read.
    Unreadable,
    /// Lines of an input were lost before they were read.
    Lost,
    /// An input's lines bear times in the future.
    Skewed,
    /// An input has been silent for longer than it ever is.
    Silent,
    /// Lines of an input are no longer written as they were.
    Misfit,
    /// A line that the agent wrote for itself does not come through.
    Blind,
    /// An output has not taken anything for a while, and something waits for it.
    Dead,
    /// An output's queue was full, and what waited longest is lost.
    Overflown,
}

impl Kind {
    /// Whether a silence with these matchers could ever mute one of them.
    pub(super) fn may_be_meant(self, matchers: &[Matcher]) -> bool {
        let (rule, severity) = (self.rule(), severity(self.severity()));
        own_alert::can_meet(matchers, rule, severity, Some(self.field()))
    }

    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Unreadable,
        Self::Lost,
        Self::Skewed,
        Self::Silent,
        Self::Misfit,
        Self::Blind,
        Self::Dead,
        Self::Overflown,
    ];

    /// What stands as `rule`.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Unreadable => "lapwing-input-unreadable",
            Self::Lost => "lapwing-lines-lost",
            Self::Skewed => "lapwing-clock-skew",
            Self::Silent => "lapwing-input-silent",
            Self::Misfit => "lapwing-lines-unparsed",
            Self::Blind => "lapwing-blind",
            Self::Dead => "lapwing-output-dead",
            Self::Overflown => "lapwing-output-overflown",
        }
    }

    /// What `group` calls that which it is about.
    const fn field(self) -> &'static str {
        match self {
            Self::Unreadable
            | Self::Lost
            | Self::Skewed
            | Self::Silent
            | Self::Misfit
            | Self::Blind => "input",
            Self::Dead | Self::Overflown => "output",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Skewed | Self::Silent | Self::Misfit => Severity::Warning,
            Self::Unreadable | Self::Lost | Self::Blind | Self::Dead | Self::Overflown => {
                Severity::Critical
            }
        }
    }

    /// What has happened counts as wrong for so long. One line of the wrong time is no trouble: only when
    /// they keep coming is it one for as long as it takes to be told.
    const fn lasts(self) -> Duration {
        match self {
            Self::Skewed => Duration::from_secs(2 * EVERY.as_secs()),
            _ => Duration::from_mins(15),
        }
    }

    /// It is over when it was not seen for so long. One line that comes through does not make a disk quick.
    const fn calm(self) -> Duration {
        match self {
            Self::Blind => Duration::from_mins(5),
            _ => CALM,
        }
    }

    /// It is told when it was seen for so long: a rotation in progress or a service that is started
    /// again wakes nobody.
    const fn patience(self) -> Duration {
        match self {
            Self::Dead => Duration::from_mins(5),
            _ => Duration::from_mins(1),
        }
    }
}

/// Something that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is.
    pub kind: Kind,
    /// The input's or the output's name.
    pub about: String,
    /// For people: one line, harmless text.
    pub what: String,
}

/// Counts that should not grow: what has happened counts as wrong for a while.
#[derive(Debug, Default)]
pub struct Growth(BTreeMap<(Kind, String), (u64, Option<Instant>)>);

impl Growth {
    /// Whether this count has grown of late.
    pub fn is(&mut self, kind: Kind, about: &str, count: u64, now: Instant) -> bool {
        let (last, grown_at) = self.0.entry((kind, about.to_owned())).or_default();
        if count > *last {
            *grown_at = Some(now);
        }
        *last = count;
        grown_at.is_some_and(|at| now.saturating_duration_since(at) < kind.lasts())
    }
}

/// Knows what is wrong and what was told of it.
#[derive(Debug)]
pub(super) struct SelfWatch {
    host: Arc<str>,
    seen: BTreeMap<(Kind, String), Seen>,
    growth: Growth,
}

#[derive(Debug)]
struct Seen {
    first: Instant,
    last: Instant,
    /// What was told.
    alert: Option<Alert>,
}

#[derive(Debug)]
struct Alert {
    notification: Notification,
    /// To whom; `None`: an earlier run knew.
    told: Option<Vec<String>>,
}

impl SelfWatch {
    /// `open`: what an earlier run told and did not end.
    pub(super) fn new(host: Arc<str>, open: Vec<Notification>, now: Instant) -> Self {
        let seen = open.into_iter().filter_map(|notification| {
            let mut kinds = Kind::ALL.into_iter();
            let kind = kinds.find(|kind| kind.rule() == notification.rule)?;
            let about = notification.group.get(kind.field())?.clone();
            let alert = Alert {
                notification,
                told: None,
            };
            let seen = Seen {
                first: now,
                last: now,
                alert: Some(alert),
            };
            Some(((kind, about), seen))
        });
        Self {
            host,
            seen: seen.collect(),
            growth: Growth::default(),
        }
    }

    /// What is wrong with the times of lines: those of each input, by its index in `names`, that lay in
    /// the future.
    pub(super) fn skew(
        &mut self,
        figures: &BTreeMap<usize, Figures>,
        names: &[Arc<str>],
        now: Instant,
    ) -> Vec<Trouble> {
        let named = figures.iter().filter_map(|(index, figures)| {
            let name = names.get(*index)?.to_string();
            Some((name, figures.skewed))
        });
        let growing = named.filter(|(name, count)| self.growth.is(Kind::Skewed, name, *count, now));
        let trouble = |(about, count): (String, u64)| Trouble {
            kind: Kind::Skewed,
            what: format!(
                "{count} lines of the input {about} bear times in the future, and the time of their arrival \
                 counts instead: are the clock and the time zone right?"
            ),
            about,
        };
        growing.map(trouble).collect()
    }

    /// Takes what is wrong at `now`, wall clock `at`; gives what is to be told, and to whom. `route`: the
    /// outputs that would be told of it now. One that is dead is told of nothing that is wrong; what
    /// there is nobody for is told when there is somebody.
    pub(super) fn look(
        &mut self,
        troubles: Vec<Trouble>,
        (now, at): (Instant, Timestamp),
        route: &dyn Fn(&Notification) -> Vec<String>,
    ) -> Vec<Routed> {
        let dead = troubles.iter().filter(|it| it.kind == Kind::Dead);
        let dead: BTreeSet<String> = dead.map(|it| it.about.clone()).collect();
        let mut said = Vec::new();
        for Trouble { kind, about, what } in troubles {
            if self.seen.len() >= MOST && !self.seen.contains_key(&(kind, about.clone())) {
                continue;
            }
            let seen = self.seen.entry((kind, about.clone())).or_insert(Seen {
                first: now,
                last: now,
                alert: None,
            });
            seen.last = now;
            let lasts = now.saturating_duration_since(seen.first);
            if seen.alert.is_none() && lasts >= kind.patience() {
                let notification = begin(&self.host, kind, &about, &what, at);
                let mut outputs = route(&notification);
                outputs.retain(|output| !dead.contains(output));
                if !outputs.is_empty() {
                    seen.alert = Some(Alert {
                        notification: notification.clone(),
                        told: Some(outputs.clone()),
                    });
                    said.push(Routed {
                        notification,
                        outputs,
                    });
                }
            }
        }
        let host = &self.host;
        self.seen.retain(|(kind, about), seen| {
            let is_over = now.saturating_duration_since(seen.last) >= kind.calm();
            if is_over && let Some(alert) = seen.alert.take() {
                let notification = end(host, *kind, about, alert.notification, at);
                // Not all who hear of a trouble want to hear of its end.
                let mut outputs = route(&notification);
                outputs.retain(|output| match &alert.told {
                    Some(told) => told.contains(output),
                    None => output != about,
                });
                said.push(Routed {
                    notification,
                    outputs,
                });
            }
            !is_over
        });
        said
    }
}

fn begin(host: &Arc<str>, kind: Kind, about: &str, what: &str, at: Timestamp) -> Notification {
    let group = BTreeMap::from([(kind.field().to_owned(), about.to_owned())]);
    let input = if kind.field() == "input" { about } else { "" };
    Notification {
        id: id(kind.rule(), &[host, about], at),
        rule: kind.rule().to_owned(),
        severity: kind.severity(),
        input: input.to_owned(),
        group,
        summary: format!("lapwing on {host}: {what}"),
        ..blank(host, at)
    }
}

fn end(host: &str, kind: Kind, about: &str, alert: Notification, at: Timestamp) -> Notification {
    let over = match kind {
        Kind::Unreadable => format!("all files of the input {about} can be read again"),
        Kind::Lost => format!("no more lines of the input {about} were lost"),
        Kind::Skewed => format!("times of the input {about} are right again"),
        Kind::Silent => format!("the input {about} is not as silent any more, or not watched"),
        Kind::Misfit => format!(
            "lines of the input {about} are of its format again, or it is not watched any more"
        ),
        Kind::Blind => {
            "its own lines come through again, or nothing can be saved, which is told by itself"
                .to_owned()
        }
        Kind::Dead => format!("the output {about} takes what it is sent, or nothing waits for it"),
        Kind::Overflown => format!("the output {about} keeps up again"),
    };
    Notification {
        seq: alert.seq + 1,
        status: Status::Resolved,
        reason: Reason::Resolved,
        summary: format!("lapwing on {host}: {over}"),
        ended_at: Some(at),
        sent_at: at,
        ..alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn trouble(kind: Kind) -> Trouble {
        Trouble {
            kind,
            about: "x".to_owned(),
            what: "it is so".to_owned(),
        }
    }

    /// Looks every 15 s, with this trouble or none; what was told, and after how many seconds.
    fn told(watch: &mut SelfWatch, looks: &[Option<Kind>]) -> Vec<(u64, Status)> {
        let began = clock::monotonic();
        let mut told = Vec::new();
        for (n, kind) in (0..).zip(looks) {
            let troubles = kind.map(trouble).into_iter().collect();
            let at = Timestamp::from_secs(1_000);
            let said = watch.look(troubles, (began + EVERY * n, at), &everybody);
            told.extend(
                said.iter()
                    .map(|it| (u64::from(n) * EVERY.as_secs(), it.notification.status)),
            );
        }
        told
    }

    fn watch(open: Vec<Notification>) -> SelfWatch {
        SelfWatch::new("web-1".into(), open, clock::monotonic())
    }

    fn everybody(_: &Notification) -> Vec<String> {
        vec!["x".to_owned(), "chat".to_owned()]
    }

    #[test]
    fn what_is_wrong_for_a_minute_is_told_once_and_ended_once() {
        let looks = [vec![Some(Kind::Unreadable); 20], vec![None; 20]].concat();
        let told = told(&mut watch(Vec::new()), &looks);
        assert_eq!(
            told,
            [(60, Status::Firing), (19 * 15 + 60, Status::Resolved)]
        );
    }

    #[test]
    fn what_is_over_before_anybody_was_told_is_not_told() {
        let looks = [vec![Some(Kind::Dead); 19], vec![None; 20]].concat();
        assert_eq!(told(&mut watch(Vec::new()), &looks), []);
        let looks = [vec![Some(Kind::Dead); 21], vec![None; 20]].concat();
        assert_eq!(told(&mut watch(Vec::new()), &looks).len(), 2);
    }

    #[test]
    fn what_comes_and_goes_is_one_alert() {
        let looks: Vec<_> = (0..100)
            .map(|n| (n % 3 == 0).then_some(Kind::Lost))
            .collect();
        assert_eq!(told(&mut watch(Vec::new()), &looks), [(90, Status::Firing)]);
    }

    #[test]
    fn after_a_restart_it_goes_on_and_ends_under_its_id() {
        let at = Timestamp::from_secs;
        let now = clock::monotonic();
        let later = now + Duration::from_mins(6);
        let dead = || vec![trouble(Kind::Dead)];
        let mut first = watch(Vec::new());
        first.look(dead(), (now, at(1)), &everybody);
        let told = first.look(dead(), (later, at(2)), &everybody);
        assert_eq!(told[0].outputs, ["chat"], "what is dead is told nothing");
        let mut second = watch(vec![told[0].notification.clone()]);
        assert!(second.look(dead(), (later, at(3)), &everybody).is_empty());
        let over = second.look(Vec::new(), (later + CALM, at(9)), &everybody);
        let (first, end) = (&told[0].notification, &over[0].notification);
        assert_eq!((&end.id, end.seq), (&first.id, 2));
        assert_eq!(end.status, Status::Resolved);
        assert_eq!(over[0].outputs, ["chat"]);
    }

    #[test]
    fn what_there_is_nobody_for_is_told_when_there_is_somebody() {
        let at = Timestamp::from_secs(1);
        let now = clock::monotonic();
        let later = now + Duration::from_mins(6);
        let also = |about: &str| Trouble {
            about: about.to_owned(),
            ..trouble(Kind::Dead)
        };
        let mut watch = watch(Vec::new());
        let both = || vec![also("x"), also("chat")];
        watch.look(both(), (now, at), &everybody);
        assert!(watch.look(both(), (later, at), &everybody).is_empty());
        let told = watch.look(vec![also("x")], (later + EVERY, at), &everybody);
        assert_eq!(told[0].outputs, ["chat"]);
        // Nobody was told that `chat` was dead, so nobody is told that it is not any more.
        let told = watch.look(vec![also("x")], (later + CALM * 2, at), &everybody);
        assert!(told.is_empty());
    }

    #[test]
    fn very_many_troubles_are_not_all_told() {
        let mut watch = watch(Vec::new());
        let now = clock::monotonic();
        let of = |n: u32| Trouble {
            about: n.to_string(),
            ..trouble(Kind::Unreadable)
        };
        let all: Vec<_> = (0..1_000).map(of).collect();
        let at = Timestamp::from_secs(1);
        watch.look(all.clone(), (now, at), &everybody);
        let told = watch.look(all, (now + Duration::from_mins(2), at), &everybody);
        assert_eq!(told.len(), MOST);
    }
}
