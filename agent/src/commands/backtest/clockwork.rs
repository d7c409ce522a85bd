//! The engine of a run: hits in, notifications out, oldest first. Here line time is the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use lapwing_rules::engine::{Engine, Told};
use lapwing_rules::model::{InputId, Notification, Timestamp};
use lapwing_rules::mute::Silence;
use lapwing_rules::scanner::{Hit, Span};

use super::replay::Audience;
use crate::error::AgentError;

/// Lines of a log may stand so much behind later ones: what would have come by a time is taken for
/// missing when lines have gone so far past it. So a line that comes late counts as it does where the
/// agent catches up, whatever other rules there are.
pub(super) const LATENESS: Duration = Duration::from_mins(1);
/// Notifications that wait for older ones; with more, they go as they come.
const MOST_WAITING: usize = 1_000;

/// The engine, and what it has to say.
pub(super) struct Clockwork {
    engine: Engine,
    told: Vec<Told>,
    /// By the line time at which each was said, and its number.
    waiting: BTreeMap<(Timestamp, u64), Notification>,
    number: u64,
}

impl Clockwork {
    /// Around an engine that has seen nothing; `silences` hold all the time.
    pub(super) fn new(mut engine: Engine, silences: Vec<Silence>) -> Self {
        engine.set_silences(silences, Timestamp::MIN);
        Self {
            engine,
            told: Vec::new(),
            waiting: BTreeMap::new(),
            number: 0,
        }
    }

    /// Takes the next hit.
    ///
    /// # Errors
    ///
    /// When the audience has enough.
    pub(super) fn observe(
        &mut self,
        hit: &Hit,
        audience: &mut Audience<'_>,
    ) -> Result<(), AgentError> {
        let now = hit.time.minus(LATENESS);
        self.engine.heard(hit.input, &hit.heard);
        self.engine.advance_before(now, &mut self.told);
        self.engine.observe(hit, &mut self.told);
        (audience.hit)(hit.rule, hit.time);
        self.tell_until(now, audience)
    }

    /// Takes the hits that `scan` gives, and gives what it says in the end.
    ///
    /// # Errors
    ///
    /// When the audience has enough.
    pub(super) fn observe_each<T>(
        &mut self,
        audience: &mut Audience<'_>,
        scan: impl FnOnce(&mut dyn FnMut(&Hit)) -> T,
    ) -> Result<T, AgentError> {
        let mut outcome = Ok(());
        let said = scan(&mut |hit| {
            if outcome.is_ok() {
                outcome = self.observe(hit, audience);
            }
        });
        outcome.map(|()| said)
    }

    /// The logs end here: the clock runs on to `end`, where there is one, and everything is told.
    ///
    /// # Errors
    ///
    /// When the audience has enough.
    pub(super) fn finish<'s>(
        &mut self,
        heard: impl Iterator<Item = &'s [Span]>,
        end: Option<Timestamp>,
        audience: &mut Audience<'_>,
    ) -> Result<&Engine, AgentError> {
        for spans in heard {
            self.engine.heard(InputId(0), spans);
        }
        if let Some(end) = end {
            self.engine.advance(end, &mut self.told);
        }
        self.tell_until(Timestamp::MAX, audience)?;
        Ok(&self.engine)
    }

    /// Tells what was said before `until`: nothing older can come any more.
    fn tell_until(
        &mut self,
        until: Timestamp,
        audience: &mut Audience<'_>,
    ) -> Result<(), AgentError> {
        for told in self.told.drain(..) {
            self.number += 1;
            let at = told.notification.sent_at;
            self.waiting.insert((at, self.number), told.notification);
        }
        while let Some(next) = self.waiting.first_entry() {
            if next.key().0 >= until && self.waiting.len() <= MOST_WAITING {
                break;
            }
            if let Some((_, notification)) = self.waiting.pop_first()
                && let Err(error) = (audience.told)(notification)
            {
                self.waiting.clear();
                return Err(error);
            }
        }
        Ok(())
    }
}
