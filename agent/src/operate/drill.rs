//! Makes up an alert and sends it down the real way: through the store, the queues and the
//! workers. What each output answered is read from the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::{Mode, Notification};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Sight;
use crate::clock;
use crate::outputs::{self, example};
use crate::store::{Commit, Delivery, Outcome, Routed, StoreMessage};

/// Outputs are waited for no longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What came of it at one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub output: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `delivered`, `waiting`, `rejected`, `expired` or `fallback`.
    pub outcome: String,
    /// Tries so far.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The alert's id, the same for all.
    pub id: String,
}

/// What came of asking for a resend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// Notifications that are queued again.
    pub queued: u64,
}

/// The word for it.
pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Rejected => "rejected",
        Outcome::Expired => "expired",
        Outcome::Fallback => "fallback",
        Outcome::Waiting => "waiting",
    }
}

impl Sight {
    /// Sends a made-up alert of `rule` to all outputs that a real one would go to.
    ///
    /// # Errors
    ///
    /// There is no such rule, it tells nobody, or the store is gone.
    pub async fn drill(&self, rule: &str) -> Result<Vec<Told>, String> {
        let Some((_, rule)) = self.rules.by_name(rule) else {
            return Err(format!("there is no rule `{rule}`"));
        };
        if rule.mode != Mode::Live {
            return Err(format!(
                "the rule `{}` is not live: it tells nobody",
                rule.name
            ));
        }
        let drill = example::drill(rule, &self.host, clock::now());
        let names = outputs::route(&drill, rule.notify.as_deref(), &self.specs);
        if names.is_empty() {
            return Err(format!(
                "no output is told of alerts of the rule `{}`",
                rule.name
            ));
        }
        self.say(drill.clone(), names.clone()).await?;
        let told = self.wait_for(&drill, names.len()).await;
        let open: Vec<String> = self
            .specs
            .iter()
            .filter(|spec| spec.kind.keeps_incidents() && names.contains(&spec.name))
            .map(|spec| spec.name.clone())
            .collect();
        if !open.is_empty() {
            self.say(example::end_of(&drill, clock::now()), open)
                .await?;
        }
        let kinds: BTreeMap<_, _> = self
            .specs
            .iter()
            .map(|spec| (&spec.name, spec.kind.name()))
            .collect();
        let row = |delivery: Delivery| Told {
            kind: kinds
                .get(&delivery.output)
                .copied()
                .unwrap_or_default()
                .to_owned(),
            outcome: word(delivery.outcome).to_owned(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            id: drill.id.clone(),
            output: delivery.output,
        };
        Ok(told.into_iter().map(row).collect())
    }

    async fn say(&self, notification: Notification, outputs: Vec<String>) -> Result<(), String> {
        let commit = Commit {
            notifications: vec![Routed {
                notification,
                outputs,
            }],
            ..Commit::default()
        };
        let (tell, told) = oneshot::channel();
        let reply = Box::new(move |result: Result<_, _>| {
            let result: Result<crate::store::Done, Arc<crate::store::StoreError>> = result;
            // Whoever asked may have given up.
            tell.send(result.map(drop).map_err(|error| error.to_string()))
                .ok();
        });
        let gone = || "the store has ended".to_owned();
        self.store
            .send(StoreMessage::Commit(Arc::new(commit), reply))
            .map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    /// Until each output has been tried.
    async fn wait_for(&self, drill: &Notification, outputs: usize) -> Vec<Delivery> {
        let deadline = clock::monotonic() + PATIENCE;
        loop {
            let (reader, id) = (self.outputs.reader(), drill.id.clone());
            let look = move || {
                let recent = reader.history(None, 200).unwrap_or_default();
                recent
                    .into_iter()
                    .find(|recorded| recorded.notification.id == id)
                    .map(|recorded| recorded.deliveries)
                    .unwrap_or_default()
            };
            let deliveries = tokio::task::spawn_blocking(look).await.unwrap_or_default();
            let is_tried = |one: &Delivery| one.outcome != Outcome::Waiting || one.attempts > 0;
            let all = deliveries.len() >= outputs && deliveries.iter().all(is_tried);
            if all || clock::monotonic() >= deadline {
                return deliveries;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Queues again what was given up; see [`StoreMessage::Resend`].
    ///
    /// # Errors
    ///
    /// No output is called so, or the disk failed.
    pub async fn resend(&self, output: Option<&str>, id: Option<&str>) -> Result<Resent, String> {
        if let Some(output) = output
            && !self.specs.iter().any(|spec| spec.name == output)
        {
            return Err(format!("there is no output `{output}`"));
        }
        let (tell, told) = oneshot::channel();
        let message = StoreMessage::Resend {
            output: output.map(str::to_owned),
            id: id.map(str::to_owned),
            reply: Box::new(move |queued| {
                // Whoever asked may have given up.
                tell.send(queued.map_err(|error| error.to_string())).ok();
            }),
        };
        let gone = || "the store has ended".to_owned();
        self.store.send(message).map_err(|_| gone())?;
        let queued = told.await.map_err(|_| gone())??;
        Ok(Resent { queued })
    }
}
