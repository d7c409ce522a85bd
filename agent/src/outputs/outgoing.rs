//! What is about to be delivered: one notification, or many that became one message.

use std::sync::Arc;

use lapwing_rules::model::Notification;

use super::message::{Message, Way};
use super::picture;
use super::render;

/// At least one notification, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    latest: Arc<Notification>,
    earlier: Vec<Arc<Notification>>,
    way: Way,
}

impl Outgoing {
    /// One.
    pub(super) fn one(notification: Arc<Notification>, way: Way) -> Self {
        Self {
            latest: notification,
            earlier: Vec::new(),
            way,
        }
    }

    /// Many, oldest first; `None`: there are none.
    pub(super) fn many(mut notifications: Vec<Arc<Notification>>, way: Way) -> Option<Self> {
        let latest = notifications.pop()?;
        Some(Self {
            latest,
            earlier: notifications,
            way,
        })
    }

    /// The latest of them.
    pub(super) fn latest(&self) -> &Notification {
        &self.latest
    }

    /// The same, shared.
    pub(super) fn shared(&self) -> Arc<Notification> {
        Arc::clone(&self.latest)
    }

    /// Whether it is many in one.
    pub(super) fn is_digest(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// The same for every try.
    pub(super) fn key(&self) -> String {
        render::key(&self.latest)
    }

    /// For people.
    pub(super) fn message(&self) -> Message {
        if self.earlier.is_empty() {
            return Message::of(&self.latest, &self.way);
        }
        let all = self.earlier.iter().chain([&self.latest]);
        let all: Vec<&Notification> = all.map(|one| &**one).collect();
        Message::digest(&all, &self.way)
    }

    /// A PNG of the rate, where the rule wants one.
    pub(super) fn picture(&self) -> Option<Vec<u8>> {
        (!self.is_digest() && picture::is_wanted(&self.latest))
            .then(|| picture::png(&self.latest))
            .flatten()
    }
}
