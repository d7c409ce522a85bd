//! Made-up notifications: for drills, for trying an output, for showing what each is sent. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use lapwing_rules::language::rule::Rule;
use lapwing_rules::model::{
    Attachment, History, Mode, Notification, Number, Rate, Reason, Sample, Severity, Status,
    Timestamp,
};

use super::collect;

/// How an alert of `rule` would arrive if it fired at `now`, marked as a drill.
pub fn drill(rule: &Rule, host: &str, now: Timestamp) -> Notification {
    let id = collect::id_of(&[
        rule.name.as_bytes(),
        host.as_bytes(),
        &now.as_nanos().to_be_bytes(),
    ]);
    let id: String = id.chars().take(16).collect();
    let mut drill = Notification {
        id: format!("{}-{id}", rule.name),
        reason: Reason::Drill,
        rule: rule.name.clone(),
        rule_type: rule.condition.name().to_owned(),
        severity: rule.severity,
        mode: rule.mode,
        input: rule.inputs.first().cloned().unwrap_or_default(),
        group: rule
            .group_by
            .iter()
            .map(|name| (name.clone(), "drill".to_owned()))
            .collect(),
        labels: rule.labels.clone(),
        timeframe_s: rule
            .condition
            .timeframe()
            .map(|span| Number(span.as_secs_f64())),
        attach: rule.attach.clone(),
        top: BTreeMap::new(),
        history: History::default(),
        runbook_url: None,
        dashboard_url: None,
        ..alert(host, now)
    };
    if let Some(sample) = drill.samples.last_mut() {
        "this line was made up by `lapwing drill`".clone_into(&mut sample.line);
        "drill".clone_into(&mut sample.source);
    }
    drill.samples.drain(..drill.samples.len().saturating_sub(1));
    let fields = BTreeMap::new();
    let fill = |template: &lapwing_rules::language::template::Template, about: &Notification| {
        template.render(about, &fields).ok()
    };
    drill.description = fill(&rule.description, &drill).unwrap_or_default();
    drill.runbook_url = rule.runbook_url.as_ref().and_then(|url| fill(url, &drill));
    drill.dashboard_url = rule
        .dashboard_url
        .as_ref()
        .and_then(|url| fill(url, &drill));
    let summary = fill(&rule.summary, &drill).unwrap_or_else(|| rule.name.clone());
    drill.summary = format!("[DRILL] {summary}");
    drill
}

/// The end of `drill`: for those that keep an incident open until they are told.
pub fn end_of(drill: &Notification, now: Timestamp) -> Notification {
    Notification {
        seq: drill.seq + 1,
        status: Status::Resolved,
        ended_at: Some(now),
        sent_at: now,
        ..drill.clone()
    }
}

/// To try one output with.
pub fn trial(output: &str, host: &str, now: Timestamp) -> Notification {
    let id = collect::id_of(&[output.as_bytes(), &now.as_nanos().to_be_bytes()]);
    let id: String = id.chars().take(16).collect();
    Notification {
        id: format!("lapwing-test-{id}"),
        reason: Reason::Drill,
        rule: "lapwing-test".to_owned(),
        summary: format!("[DRILL] lapwing on {host} can reach {output}"),
        description: "Somebody tries whether messages arrive here.".to_owned(),
        ..alert(host, now)
    }
}

/// A burst of bad gateways that fired at `now`.
#[expect(clippy::too_many_lines, reason = "one struct")]
pub fn alert(host: &str, now: Timestamp) -> Notification {
    let line = |ago: u64, path: &str| Sample {
        at: now.minus(Duration::from_secs(ago)),
        line: format!(
            r#"203.0.113.{} - - "GET {path} HTTP/1.1" 502 157 "-" "curl/8" upstream=10.2.0.7:8080"#,
            40 + ago
        ),
        source: "/var/log/nginx/access.log".to_owned(),
        offset: 81_230 - 100 * ago,
        times: 1,
        cut: false,
        before: Vec::new(),
        after: Vec::new(),
    };
    let top = [
        ("/shop/checkout".to_owned(), 6),
        ("/shop/cart".to_owned(), 4),
    ];
    Notification {
        version: 1,
        id: "nginx-502-burst-7f3a9c2e51b04d68".to_owned(),
        seq: 1,
        status: Status::Firing,
        reason: Reason::First,
        rule: "nginx-502-burst".to_owned(),
        rule_type: "frequency".to_owned(),
        severity: Severity::Critical,
        mode: Mode::Live,
        host: host.to_owned(),
        input: "nginx-access".to_owned(),
        group: BTreeMap::from([("upstream".to_owned(), "10.2.0.7:8080".to_owned())]),
        pattern: None,
        input_state: None,
        summary: format!("10 bad gateways in 1m on {host}"),
        description: "The upstream refuses connections or dies mid-answer.".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        count: 10,
        suppressed: 0,
        timeframe_s: Some(Number(60.0)),
        value: Number(10.0),
        threshold: Number(10.0),
        started_at: now,
        first_hit_at: now.minus(Duration::from_secs(45)),
        ended_at: None,
        sent_at: now,
        samples: vec![
            line(7, "/shop/cart"),
            line(3, "/shop/checkout"),
            line(0, "/shop/cart"),
        ],
        top: BTreeMap::from([("path".to_owned(), top.to_vec())]),
        history: History {
            fired_30d: 3,
            last_started_at: Some(now.minus(Duration::from_hours(76))),
            last_duration_s: Some(240),
            last_ack: None,
            per_day: Vec::new(),
        },
        rate: Rate {
            step_s: Number(5.0),
            counts: vec![0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 2, 1, 3, 3],
        },
        runbook_url: Some("https://wiki.example.com/runbooks/nginx-502".to_owned()),
        dashboard_url: Some("https://grafana.example.com/d/ngx".to_owned()),
        late_s: None,
        attach: Attachment::all(),
        folded_groups: None,
        acked: None,
    }
}
