//! What operators ask of the running engine: silences and acknowledgements. They come through the
//! inbox, in order with the lines, and are answered when they are durable.

use std::time::Duration;

use lapwing_rules::engine::To;
use lapwing_rules::language::rule::Rule;
use lapwing_rules::model::{Ack, Notification, Timestamp};
use lapwing_rules::mute::{Matcher, Silence};
use sha2::{Digest as _, Sha256};

use super::Pump;
use crate::clock;

/// The name of the record that silences are kept under.
pub const SILENCES: &str = "silences";
/// A silence that has ended is shown for so long.
const SHOWN: Duration = Duration::from_hours(5 * 24);

/// What is to be done.
#[derive(Debug)]
pub enum Order {
    /// Mute what these match.
    Silence {
        /// All must match.
        matchers: Vec<Matcher>,
        /// From now on.
        span: Duration,
        /// Who asks.
        author: String,
        /// Why.
        note: String,
    },
    /// End a silence now.
    Expire {
        /// Its id.
        id: String,
    },
    /// Somebody is at an alert.
    Acknowledge {
        /// The alert's id.
        id: String,
        /// Who, when and what they note.
        ack: Ack,
    },
}

/// What was done.
#[derive(Clone, Debug)]
pub enum Done {
    /// A silence begins or ends.
    Silence(Silence),
    /// An alert is acknowledged.
    Acknowledged(Box<Notification>),
}

/// What became of an order: done and durable, or why not.
pub(super) type Outcome = Result<Done, String>;

/// An order and who waits for what becomes of it. Must not block.
pub struct Command {
    order: Order,
    reply: Box<dyn FnOnce(Outcome) + Send>,
}

impl Command {
    /// `reply` is called once.
    pub fn new(order: Order, reply: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self {
            order,
            reply: Box::new(reply),
        }
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&self.order).finish()
    }
}

/// Who waits for a commit.
pub(super) struct Answer {
    done: Done,
    reply: Box<dyn FnOnce(Outcome) + Send>,
}

impl Answer {
    /// The commit is durable, or `trouble` says why it is not.
    pub(super) fn give(self, trouble: Option<&str>) {
        (self.reply)(match trouble {
            None => Ok(self.done),
            Some(why) => Err(format!("it holds, and is lost with a restart: {why}")),
        });
    }
}

/// The outputs that are told: as for `notify`.
pub(super) fn audience(rule: &Rule, to: To) -> Option<Vec<String>> {
    let further = rule.escalate.as_ref().map(|escalation| &escalation.notify);
    let further = further.into_iter().flatten().cloned();
    match to {
        To::Notify => rule.notify.clone(),
        To::Escalation => Some(further.collect()),
        To::Both => rule
            .notify
            .clone()
            .map(|notify| notify.into_iter().chain(further).collect()),
    }
}

impl Pump {
    pub(super) fn obey(&mut self, command: Command) {
        let now = clock::now();
        let Command { order, reply } = command;
        let done = match order {
            Order::Silence {
                matchers,
                span,
                author,
                note,
            } => self.silence((matchers, span), (author, note), now),
            Order::Expire { id } => self.expire(&id, now),
            Order::Acknowledge { id, ack } => self
                .setup
                .engine
                .acknowledge(&id, ack)
                .map(|alert| Done::Acknowledged(Box::new(alert)))
                .map_err(|error| error.to_string()),
        };
        match done {
            Ok(done) => {
                self.pending.answers.push(Answer { done, reply });
                self.pending.is_urgent = true;
                self.pending.touch();
            }
            Err(why) => reply(Err(why)),
        }
    }

    fn silence(
        &mut self,
        (matchers, span): (Vec<Matcher>, Duration),
        (author, note): (String, String),
        now: Timestamp,
    ) -> Outcome {
        let mut silences = self.setup.engine.silences().to_vec();
        silences.retain(|silence| silence.ends_at.plus(SHOWN) > now);
        if silences.len() >= Silence::MOST {
            let ended = silences.iter().position(|silence| silence.ends_at <= now);
            let Some(ended) = ended else {
                return Err(format!("there are {} silences already", Silence::MOST));
            };
            silences.remove(ended);
        }
        let silence = Silence {
            id: silence_id(&matchers, &author, now),
            matchers,
            author,
            note,
            starts_at: now,
            ends_at: now.plus(span),
        };
        silences.push(silence.clone());
        self.set_silences(silences, now);
        Ok(Done::Silence(silence))
    }

    fn expire(&mut self, id: &str, now: Timestamp) -> Outcome {
        let mut silences = self.setup.engine.silences().to_vec();
        let Some(silence) = silences.iter_mut().find(|silence| silence.id == id) else {
            return Err(format!("there is no silence `{id}`"));
        };
        if silence.ends_at <= now {
            return Err(format!("silence `{id}` has ended at {}", silence.ends_at));
        }
        silence.ends_at = now;
        let silence = silence.clone();
        self.set_silences(silences, now);
        Ok(Done::Silence(silence))
    }

    fn set_silences(&mut self, silences: Vec<Silence>, now: Timestamp) {
        // Plain values into memory: this cannot fail.
        let json = serde_json::to_vec(&silences).unwrap_or_default();
        self.pending.notes.insert(SILENCES.to_owned(), json);
        self.setup.engine.set_silences(silences, now);
    }
}

/// Eight hexadecimal digits.
fn silence_id(matchers: &[Matcher], author: &str, now: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(now.as_nanos().to_be_bytes());
    hash.update(author);
    for matcher in matchers {
        hash.update(matcher.to_string());
    }
    let digits = hash.finalize();
    let first = digits.iter().take(4);
    first.fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
