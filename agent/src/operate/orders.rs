//! What operators ask about alerts, and ask to be done: through the engine's inbox, in order with
//! the lines. An order is answered when it is durable.

use std::time::Duration;

use lapwing_rules::engine::Running;
use lapwing_rules::language::check;
use lapwing_rules::model::{Ack, Timestamp};
use lapwing_rules::mute::{self, Matcher, Silence};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::protocol::HistoryQuery;
use super::{Sight, told};
use crate::clock;
use crate::pump::{self, Command, Order, OrderDone};

/// Running alerts that are shown; there may be as many as groups.
const MOST_ALERTS: usize = 2_000;
/// The longest that anything can be muted for.
const LONGEST: Duration = Duration::from_hours(366 * 24);
/// A disk that takes longer to make an order durable is failing.
const PATIENCE: Duration = Duration::from_secs(8);

type Rows = Result<Vec<Value>, String>;

/// Plain values into memory: this cannot fail.
fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn alert_row(running: Running) -> Value {
    let acked = value(&running.notification.acked);
    let mut row = value(running.notification);
    if let Some(row) = row.as_object_mut() {
        row.insert("acked".to_owned(), acked);
        row.insert(
            "muted".to_owned(),
            value(running.muted.map(mute::Why::name)),
        );
    }
    row
}

fn silence_row(silence: &Silence, now: Timestamp) -> Value {
    let state = if silence.ends_at > now {
        "active"
    } else {
        "expired"
    };
    let mut row = value(silence);
    if let Some(row) = row.as_object_mut() {
        row.insert("state".to_owned(), state.into());
    }
    row
}

impl Sight {
    /// The running alerts.
    pub(super) async fn alerts(&self) -> Rows {
        let look = |pump: &pump::Pump| pump.engine().running(MOST_ALERTS);
        let running = self.ask(look).await?;
        Ok(running.into_iter().map(alert_row).collect())
    }

    /// All silences, ended ones included that are still remembered.
    pub(super) async fn silences(&self) -> Rows {
        let look = |pump: &pump::Pump| pump.engine().silences().to_vec();
        let silences = self.ask(look).await?;
        let now = clock::now();
        Ok(silences
            .iter()
            .map(|silence| silence_row(silence, now))
            .collect())
    }

    /// What was told.
    pub(super) async fn history(&self, query: HistoryQuery) -> Rows {
        let reader = self.outputs.reader();
        let read = move || told::rows(&reader, &query);
        match tokio::task::spawn_blocking(read).await {
            Ok(rows) => rows.map_err(|error| error.to_string()),
            Err(_) => Err("reading it failed".to_owned()),
        }
    }

    /// Somebody is at an alert.
    pub(super) async fn acknowledge(&self, id: String, by: String, note: String) -> Rows {
        if note.len() > Ack::MOST_NOTE {
            return Err(format!("a note has at most {} bytes", Ack::MOST_NOTE));
        }
        let at = clock::now();
        let ack = Ack { by, at, note };
        self.order(Order::Acknowledge { id, ack }).await
    }

    /// Mutes what these match; says of how many rules there may be such alerts.
    pub(super) async fn silence(
        &self,
        matchers: &[String],
        span: Duration,
        (author, note): (String, String),
    ) -> Rows {
        let matchers: Result<Vec<Matcher>, _> =
            matchers.iter().map(|text| mute::parse_one(text)).collect();
        let matchers = matchers.map_err(|error| error.to_string())?;
        if matchers.iter().all(Matcher::takes_nothing) {
            return Err("this would mute everything: name a rule, a host or a label".to_owned());
        }
        if matchers.len() > Silence::MOST_MATCHERS || note.len() > Silence::MOST_NOTE {
            return Err(format!(
                "a silence has at most {} matchers and a note of {} bytes",
                Silence::MOST_MATCHERS,
                Silence::MOST_NOTE
            ));
        }
        if span.is_zero() || span > LONGEST {
            return Err("a silence lasts for a year at the most".to_owned());
        }
        let may_match = |rule| check::may_all_match(matchers.iter(), rule);
        let of_rules = self.rules.iter().filter(|(_, rule)| may_match(rule));
        let rules = of_rules.count() + usize::from(pump::may_mean_own_alert(&matchers));
        let order = Order::Silence {
            matchers,
            span,
            author,
            note,
        };
        let mut rows = self.order(order).await?;
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.insert("rules".to_owned(), rules.into());
        }
        Ok(rows)
    }

    /// Ends a silence.
    pub(super) async fn expire(&self, id: String) -> Rows {
        self.order(Order::Expire { id }).await
    }

    async fn order(&self, order: Order) -> Rows {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have given up.
        let command = Command::new(order, move |outcome| {
            reply.send(outcome).ok();
        });
        let done = async {
            self.send(pump::Input::Do(command)).await?;
            answer.await.map_err(|_| "the engine has ended")
        };
        let outcome = tokio::time::timeout(PATIENCE, done)
            .await
            .unwrap_or(Err("it was asked, and nobody knows whether it is durable"));
        Ok(vec![match outcome?? {
            OrderDone::Silence(silence) => silence_row(&silence, clock::now()),
            OrderDone::Acknowledged(alert) => {
                let acked = value(&alert.acked);
                let Value::Object(mut row) = json!(alert) else {
                    return Ok(Vec::new());
                };
                row.insert("acked".to_owned(), acked);
                Value::Object(row)
            }
        }])
    }
}
