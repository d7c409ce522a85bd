//! What was told, and what became of it at each output: the rows of `lapwing history`. Reads the
//! store a little at a time.

use lapwing_rules::model::Mode;
use serde_json::{Value, json};

use super::protocol::{HistoryQuery, MAX_REPLY};
use crate::outputs::render;
use crate::store::{Delivery, Outcome, Reader, Recorded, StoreError};

/// Notifications read in one go.
const AT_ONCE: usize = 200;

/// Oldest first.
pub(super) fn rows(reader: &Reader, query: &HistoryQuery) -> Result<Vec<Value>, StoreError> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut before = None;
    'pages: loop {
        let page = reader.history(before, AT_ONCE)?;
        let Some(last) = page.last() else { break };
        before = Some(last.key);
        for recorded in page {
            let is_over = query.since.is_some_and(|since| recorded.queued_at < since);
            if is_over || rows.len() >= query.limit || bytes > MAX_REPLY / 2 {
                break 'pages;
            }
            if is_asked_for(&recorded, query) {
                let row = row(recorded);
                bytes += row.to_string().len() as u64;
                rows.push(row);
            }
        }
    }
    rows.reverse();
    Ok(rows)
}

fn is_asked_for(recorded: &Recorded, query: &HistoryQuery) -> bool {
    let is_shadow = recorded.notification.mode == Mode::Shadow;
    let lacks = |delivery: &Delivery| delivery.outcome != Outcome::Delivered;
    is_shadow == query.shadow && (!query.undelivered || recorded.deliveries.iter().any(lacks))
}

fn row(recorded: Recorded) -> Value {
    let sent = render::for_sending(recorded.notification, recorded.queued_at, None);
    let deliveries: Vec<Value> = recorded.deliveries.iter().map(delivery).collect();
    // Plain values into memory: this cannot fail.
    let mut row = serde_json::to_value(sent).unwrap_or_default();
    if let Some(row) = row.as_object_mut() {
        row.insert("deliveries".to_owned(), deliveries.into());
    }
    row
}

fn delivery(delivery: &Delivery) -> Value {
    json!({
        "output": delivery.output,
        "outcome": word(delivery.outcome),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
    })
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Rejected => "rejected",
        Outcome::Expired => "expired",
        Outcome::Waiting => "waiting",
        Outcome::Fallback => "fallback",
    }
}
