//! An alert from its start to its end: what a verdict and the passing of time do to it, and what is
//! said of that, unless something is in the way.

use std::sync::Arc;

use super::alert::{Alert, Due, With};
use super::group::{Firing, Group, Owed};
use super::groups::Slot;
use super::past::Keep;
use super::telling::{self, Occasion};
use super::{Engine, Of, To, Told, names};
use crate::condition::{Held, Verdict};
use crate::model::{InputState, Mode, Notification, Reason, RuleId, Timestamp};
use crate::mute::Why;
use crate::scanner::Hit;

impl Engine {
    /// Does what a condition's verdict asks for: at line time `time`, with a hit or by time alone.
    pub(super) fn judge(
        &mut self,
        (id, slot): (RuleId, Slot),
        verdict: Verdict,
        (time, hit): (Timestamp, Option<&Hit>),
        out: &mut Vec<Told>,
    ) {
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let Some(firing) = group.alert.as_mut() else {
            if let Some(held) = verdict.held().filter(|held| !group.past.covers(held.at)) {
                self.start((id, slot), hit, held, out);
            }
            return;
        };
        let with = match hit {
            Some(hit) => {
                firing.count_values(hit.top.iter().map(Option::as_deref), hit.times);
                With::Hit(hit.times)
            }
            None => With::Time,
        };
        let is_folded = firing.alert.is_folded;
        if let Some(reason) = self.take((id, slot), verdict, (time, with)) {
            self.say((id, slot), (reason, time), out);
        }
        if is_folded {
            self.fold_goes_on((id, slot), verdict, (time, hit), out);
        }
    }

    /// A group's running alert takes a verdict; gives why to tell of it now, if so.
    pub(super) fn take(
        &mut self,
        (id, slot): (RuleId, Slot),
        verdict: Verdict,
        (time, with): (Timestamp, With),
    ) -> Option<Reason> {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let alert = self.alert_mut(id, slot)?;
        let had_no_end = alert.held_until == Timestamp::MAX;
        let reason = alert.take(time, verdict, with, rule);
        if reason.is_some() {
            alert.pass(time, rule);
        }
        let held_until = alert.held_until;
        if had_no_end && held_until != Timestamp::MAX {
            self.wake_muted((id, slot), held_until.plus(rule.resolve_after));
        }
        reason
    }

    fn start(
        &mut self,
        (id, slot): (RuleId, Slot),
        hit: Option<&Hit>,
        held: Held,
        out: &mut Vec<Told>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let name = names::alert_id(
            &self.host,
            (&rule.name, rule.mode),
            group.identity(),
            held.at,
        );
        let alert = Alert::start(name, held, rule);
        group.alert = Some(Box::new(Firing::start(alert, held, group, hit, rule)));
        self.counts[id.0 as usize].alerts += 1;
        self.note_start(id, slot);
        self.fold_if_many((id, slot), hit, held, out);
        self.say((id, slot), (Reason::First, held.at), out);
    }

    /// Settles what is due for a group, one thing after the other; `reached` says whether a line
    /// time has come.
    pub(super) fn settle(
        &mut self,
        id: RuleId,
        slot: Slot,
        out: &mut Vec<Told>,
        reached: impl Fn(&Group, Timestamp, Of) -> bool,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        loop {
            let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
                return;
            };
            let alert = group.due(rule);
            let condition = group.condition.due();
            // Of two at one time the condition goes first: the alert may go on with it.
            let goes_first = |due: &Timestamp| alert.is_none_or(|(other, _)| *due <= other);
            let condition = condition.filter(goes_first);
            if let Some(due) = condition
                && reached(group, due, Of::Condition)
            {
                let verdict = group.condition.pass(due);
                self.mark(id, slot);
                self.judge((id, slot), verdict, (due, None), out);
                continue;
            }
            let of = condition.map_or(Of::Alert, |_| Of::AlertFirst);
            match alert {
                Some((due, what)) if reached(group, due, of) => {
                    self.do_what_is_due((id, slot), (due, what), out);
                }
                _ => return,
            }
        }
    }

    fn do_what_is_due(
        &mut self,
        (id, slot): (RuleId, Slot),
        (at, what): (Timestamp, Due),
        out: &mut Vec<Told>,
    ) {
        match what {
            Due::Digest => self.again((id, slot), (Reason::Digest, at), out),
            Due::Repeat => self.again((id, slot), (Reason::Repeat, at), out),
            Due::Escalate => self.escalate((id, slot), at, out),
            Due::Look => {
                let Some(alert) = self.alert_mut(id, slot) else {
                    return;
                };
                let Some(held_back) = alert.held_back else {
                    return;
                };
                match self.muted((id, slot), at) {
                    Some(muted) => {
                        if let Some(alert) = self.alert_mut(id, slot) {
                            alert.hold_back(held_back.reason, muted.until);
                        }
                        self.mark(id, slot);
                    }
                    None => self.say((id, slot), (held_back.reason, at), out),
                }
            }
            Due::LookAtEnd => self.look_at_end((id, slot), at, out),
            Due::End => self.end(id, slot, at, out),
        }
    }

    /// Nobody was at it in time: further people are told, or as soon as nothing is in the way if
    /// nobody is at it by then.
    fn escalate(&mut self, (id, slot): (RuleId, Slot), at: Timestamp, out: &mut Vec<Told>) {
        let Some(muted) = self.muted((id, slot), at) else {
            self.say((id, slot), (Reason::Escalated, at), out);
            return;
        };
        self.mark(id, slot);
        let Some(alert) = self.alert_mut(id, slot) else {
            return;
        };
        if alert.escalate_look_at.replace(muted.until).is_none() {
            self.count_held_back(id, muted.why);
        }
    }

    pub(super) fn alert_mut(&mut self, id: RuleId, slot: Slot) -> Option<&mut Alert> {
        let group = self.groups[id.0 as usize].get_mut(slot)?;
        group.alert.as_mut().map(|firing| &mut firing.alert)
    }

    /// Tells of an alert that goes on, without a hit.
    fn again(
        &mut self,
        (id, slot): (RuleId, Slot),
        (reason, at): (Reason, Timestamp),
        out: &mut Vec<Told>,
    ) {
        let rules = Arc::clone(&self.rules);
        if let Some(alert) = self.alert_mut(id, slot) {
            alert.pass(at, rules.get(id));
            self.say((id, slot), (reason, at), out);
        }
    }

    /// Ends a group's alert, if it has one, and says so at line time `at`.
    pub(super) fn end(&mut self, id: RuleId, slot: Slot, at: Timestamp, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let Some(alert) = self.alert_mut(id, slot) else {
            return;
        };
        if alert.seq > 0 && alert.wants_digest(rule) {
            self.again((id, slot), (Reason::Digest, at), out);
        }
        self.say((id, slot), (Reason::Resolved, at), out);
        self.note_end(id, slot);
        let counts = &mut self.counts[id.0 as usize];
        counts.resolved += 1;
        if let Some(group) = self.groups[id.0 as usize].get_mut(slot) {
            self.ended[id.0 as usize] = group.view(rule);
            if let Some(firing) = group.alert.take() {
                let alert = firing.alert;
                let ended_at = alert.held_until.min(at);
                let keep = if group.is_fold() || !rules.inhibit_rules().is_empty() {
                    Keep::Span
                } else {
                    Keep::Start
                };
                group
                    .past
                    .add((alert.started_at, ended_at), alert.acked, keep);
            }
        }
        self.mark(id, slot);
    }

    /// Says something of a group's alert, or keeps it back and counts why.
    pub(super) fn say(
        &mut self,
        (id, slot): (RuleId, Slot),
        (reason, at): (Reason, Timestamp),
        out: &mut Vec<Told>,
    ) {
        self.mark(id, slot);
        let muted = self.muted((id, slot), at);
        let Some(alert) = self.alert_mut(id, slot) else {
            return;
        };
        let ended_at = (reason == Reason::Resolved).then(|| alert.held_until.min(at));
        if ended_at.is_some() && alert.seq == 0 {
            // Nobody has heard of it.
            return;
        }
        // The end of what people were told of themselves is told so, too.
        let muted = muted.filter(|muted| muted.why != Why::Folded || ended_at.is_none());
        let suppressed = alert.untold();
        if let Some(muted) = muted
            && ended_at.is_none()
        {
            alert.hold_back(reason, muted.until);
            self.count_held_back(id, muted.why);
            return;
        }
        let reason = alert.say(reason, at);
        let escalated = alert.escalated;
        let occasion = Occasion {
            reason,
            at,
            ended_at,
            suppressed,
        };
        let Some(notification) = self.notification((id, slot), occasion) else {
            return;
        };
        if let Some(muted) = muted {
            self.count_held_back(id, muted.why);
            if let Some(group) = self.groups[id.0 as usize].get_mut(slot) {
                group.owed = Some(Box::new(Owed {
                    notification,
                    look_at: muted.until,
                    escalated,
                }));
            }
            return;
        }
        let to = match (escalated, reason) {
            (false, _) => To::Notify,
            (true, Reason::Escalated) => To::Escalation,
            (true, _) => To::Both,
        };
        self.give(id, notification, to, out);
    }

    fn give(&mut self, id: RuleId, notification: Notification, to: To, out: &mut Vec<Told>) {
        let counts = &mut self.counts[id.0 as usize];
        counts.notifications += 1;
        if notification.mode == Mode::Shadow {
            counts.held_back.shadow += 1;
        }
        out.push(Told {
            rule: id,
            notification,
            to,
        });
    }

    /// The end of an alert that people were told of is told when nothing is in the way any more.
    fn look_at_end(&mut self, (id, slot): (RuleId, Slot), at: Timestamp, out: &mut Vec<Told>) {
        let muted = self.muted((id, slot), at);
        self.mark(id, slot);
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let Some(mut owed) = group.owed.take() else {
            return;
        };
        if let Some(muted) = muted {
            owed.look_at = muted.until;
            group.owed = Some(owed);
            return;
        }
        owed.notification.sent_at = at;
        let to = if owed.escalated { To::Both } else { To::Notify };
        self.give(id, owed.notification, to, out);
    }

    /// What there is to say of a group's alert.
    pub(super) fn notification(
        &self,
        (id, slot): (RuleId, Slot),
        occasion: Occasion,
    ) -> Option<Notification> {
        let rule = self.rules.get(id);
        let (_, group) = self.groups[id.0 as usize].get(slot)?;
        let names = telling::Names {
            host: &self.host,
            input: self.input_name(group.input),
            input_state: match occasion.ended_at {
                None => self.input_state(rule, occasion.at),
                // Lines have ended it.
                Some(_) => self.input_state(rule, occasion.at).map(|_| InputState::Ok),
            },
        };
        let firing = group.alert.as_ref()?;
        Some(telling::notification(rule, group, firing, occasion, names))
    }
}
