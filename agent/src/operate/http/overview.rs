//! What the page is told: the status, what is firing with the words of its latest message, the latest
//! messages with their samples, and the rates. Values only; the browser draws them.

use std::collections::BTreeMap;

use lapwing_rules::engine::AlertView;
use lapwing_rules::model::{Notification, Reason, Severity, Status as Stage};
use serde::Serialize;

use super::rates::{Rates, STEP};
use crate::operate::sight::Sight;
use crate::operate::status::Status;
use crate::store::Recorded;

/// Messages that are shown.
const LATEST: usize = 30;
/// Sample lines of one message.
const SAMPLES: usize = 5;
/// A line of a sample is cut after so many characters.
const LONGEST_LINE: usize = 500;

/// Everything that the page draws.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    status: Status,
    /// Alerts that are firing, most severe first.
    firing: Vec<Alert>,
    /// The latest messages, newest first.
    recent: Vec<Alert>,
    /// By rule: hits of each step, oldest first.
    rates: BTreeMap<String, Vec<u32>>,
    /// Seconds of a step.
    step_s: u64,
}

/// An alert, or a message about one.
#[derive(Debug, Serialize)]
struct Alert {
    id: String,
    rule: String,
    severity: Option<Severity>,
    status: Stage,
    reason: Option<Reason>,
    summary: Option<String>,
    group: BTreeMap<String, String>,
    count: u64,
    /// RFC 3339.
    started_at: String,
    ended_at: Option<String>,
    sent_at: Option<String>,
    samples: Vec<String>,
    deliveries: BTreeMap<String, String>,
}

impl Overview {
    /// Looks at everything; the disk is read.
    pub(super) async fn of(sight: &Sight, rates: &Rates) -> Self {
        let status = sight.status().await;
        let outputs = sight.outputs.clone();
        let read = tokio::task::spawn_blocking(move || outputs.latest(LATEST));
        let recorded = read.await.ok().and_then(Result::ok).unwrap_or_default();
        let firing = match sight.ask_engine().await {
            Ok(said) => said.firing,
            Err(_) => Vec::new(),
        };
        let mut firing: Vec<Alert> = firing
            .iter()
            .map(|(rule, alert)| running(rule, alert, &recorded))
            .collect();
        firing.sort_by_key(|alert| match alert.severity {
            Some(Severity::Critical) => 0,
            Some(Severity::Warning) => 1,
            Some(Severity::Info) => 2,
            None => 3,
        });
        let steps = |rule: &String| (rule.clone(), rates.of(rule));
        let rates = status.rules.keys().map(steps);
        Self {
            firing,
            recent: recorded.iter().map(told).collect(),
            rates: rates.filter(|(_, steps)| !steps.is_empty()).collect(),
            step_s: STEP.as_secs(),
            status,
        }
    }
}

/// An alert that is firing, in the words of its latest message, where that is recent.
fn running(rule: &str, alert: &AlertView, recorded: &[Recorded]) -> Alert {
    let latest = recorded.iter().find(|it| it.notification.id == alert.id);
    let mut row = latest.map_or_else(
        || Alert {
            id: alert.id.clone(),
            rule: rule.to_owned(),
            severity: None,
            status: Stage::Firing,
            reason: None,
            summary: None,
            group: BTreeMap::new(),
            count: 0,
            started_at: String::new(),
            ended_at: None,
            sent_at: None,
            samples: Vec::new(),
            deliveries: BTreeMap::new(),
        },
        told,
    );
    row.status = Stage::Firing;
    row.count = alert.count;
    row.started_at = alert.started_at.to_string();
    row.group.clone_from(&alert.group);
    row
}

/// A message.
fn told(recorded: &Recorded) -> Alert {
    let Notification {
        id,
        rule,
        severity,
        status,
        reason,
        summary,
        group,
        count,
        started_at,
        ended_at,
        sent_at,
        samples,
        ..
    } = &recorded.notification;
    let samples = samples.iter().rev().take(SAMPLES).rev();
    let line = |line: &str| line.chars().take(LONGEST_LINE).collect::<String>();
    let deliveries = recorded.deliveries.iter();
    Alert {
        id: id.clone(),
        rule: rule.clone(),
        severity: Some(*severity),
        status: *status,
        reason: Some(*reason),
        summary: Some(summary.clone()),
        group: group.clone(),
        count: *count,
        started_at: started_at.to_string(),
        ended_at: ended_at.map(|at| at.to_string()),
        sent_at: Some(sent_at.to_string()),
        samples: samples.map(|sample| line(&sample.line)).collect(),
        deliveries: deliveries
            .map(|it| {
                (
                    it.output.clone(),
                    format!("{:?}", it.outcome).to_lowercase(),
                )
            })
            .collect(),
    }
}
