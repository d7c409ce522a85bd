//! Collectors that take some of what they are handed and refuse others, all with a 200. Pure.

use serde_json::Value;

use crate::outputs::http::Answer;
use crate::outputs::kind::{Collector, Kind};
use crate::outputs::retry::Verdict;
use crate::outputs::safe;

/// What became of many entries that were handed over at once, where the answer tells them apart. The others
/// were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::outputs) struct Items {
    /// How many will never be taken.
    pub(in crate::outputs) rejected: u64,
    /// The places, ascending, of those that may be taken later.
    pub(in crate::outputs) again: Vec<usize>,
}

/// What `answer` says of each.
pub(in crate::outputs) fn of(kind: &Kind, answer: &Answer) -> Option<Items> {
    let Kind::Collector { collector, .. } = kind else {
        return None;
    };
    match collector {
        _ if !answer.is_success() => None,
        Collector::Loki => None,
        Collector::Otlp => otlp_rejected(&answer.json()).map(|rejected| Items {
            rejected,
            again: Vec::new(),
        }),
        Collector::Elasticsearch { .. } => elasticsearch_items(&answer.json()),
    }
}

/// What that says of all of them.
pub(super) fn otlp(answer: &Answer) -> Option<Verdict> {
    let json = answer.json();
    let count = otlp_rejected(&json)?;
    let why = json["partialSuccess"]["errorMessage"]
        .as_str()
        .unwrap_or_default();
    Some(Verdict::Rejected {
        why: safe::short(&format!("{count} records rejected: {why}"), 200).into_owned(),
    })
}

fn otlp_rejected(json: &Value) -> Option<u64> {
    let rejected = &json["partialSuccess"]["rejectedLogRecords"];
    let count = rejected
        .as_u64()
        .or_else(|| rejected.as_str()?.parse().ok())?;
    (count > 0).then_some(count)
}

/// What that says of all of them: again as long as one may be taken later.
pub(super) fn elasticsearch(answer: &Answer, detail: &str) -> Option<Verdict> {
    let json = answer.json();
    if json.is_null() {
        return Some(Verdict::Retry {
            why: format!(
                "HTTP {} with an answer that is no JSON: {detail}",
                answer.status
            ),
            after: None,
        });
    }
    let items = elasticsearch_items(&json)?;
    Some(if !items.again.is_empty() {
        Verdict::Retry {
            why: format!("{} items not taken now: {detail}", items.again.len()),
            after: None,
        }
    } else if items.rejected > 0 {
        Verdict::Rejected {
            why: format!("{} items rejected: {detail}", items.rejected),
        }
    } else {
        Verdict::Delivered
    })
}

/// Each has a status of its own, in the order of the request. One that is there already has been sent before.
fn elasticsearch_items(json: &Value) -> Option<Items> {
    if json["errors"] != Value::Bool(true) {
        return None;
    }
    let status = |item: &Value| item.as_object()?.values().next()?["status"].as_u64();
    let mut items = Items::default();
    for (place, item) in json["items"].as_array()?.iter().enumerate() {
        match status(item) {
            Some(200..=299 | 409) => {}
            Some(429 | 500..) | None => items.again.push(place),
            Some(_) => items.rejected += 1,
        }
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_a_fate_of_its_own() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mixed = r#"{"errors":true,"items":[
            {"create":{"status":201}}, {"create":{"status":400}}, {"create":{"status":429}},
            {"create":{"status":409}}, {"create":{"status":503}}, {"create":{}}]}"#;
        let items = elasticsearch_items(&json(mixed)).unwrap();
        assert_eq!((items.rejected, items.again), (1, vec![2, 4, 5]));
        assert_eq!(elasticsearch_items(&json(r#"{"errors":false}"#)), None);
        let partial = r#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#;
        assert_eq!(otlp_rejected(&json(partial)), Some(2));
        assert_eq!(otlp_rejected(&json(r#"{"partialSuccess":{}}"#)), None);
    }
}
