//! A notification for the tests of this room.

use std::collections::BTreeMap;

use lapwing_rules::model::{
    Attachment, History, Mode, Notification, Number, Rate, Reason, Sample, Severity, Status,
    Timestamp,
};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn line(second: u8, path: &str) -> Sample {
    Sample {
        at: at(&format!("2026-11-21T09:00:{second:02}Z")),
        line: format!(
            r#"10.0.0.9 - - [21/Nov/2026:09:00:{second:02} +0000] "GET {path} HTTP/1.1" 502 173"#
        ),
        source: "/var/log/nginx/access.log".to_owned(),
        offset: 8123 + u64::from(second),
        cut: false,
        times: 1,
        before: Vec::new(),
        after: Vec::new(),
    }
}

/// Ten bad gateways in a minute, for the fifth time.
pub(crate) fn notification() -> Notification {
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
        host: "web-1".to_owned(),
        input: "nginx-access".to_owned(),
        group: BTreeMap::from([("upstream".to_owned(), "10.2.0.7:8080".to_owned())]),
        pattern: None,
        input_state: None,
        summary: "10 bad gateways in 1m on web-1".to_owned(),
        description: "The upstream refuses connections or dies mid-answer.".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        count: 10,
        suppressed: 0,
        timeframe_s: Some(Number(60.0)),
        value: Number(10.0),
        threshold: Number(10.0),
        started_at: at("2026-11-21T09:00:45Z"),
        first_hit_at: at("2026-11-21T09:00:00Z"),
        ended_at: None,
        sent_at: at("2026-11-21T09:00:45Z"),
        samples: vec![line(40, "/a"), line(45, "/b")],
        top: BTreeMap::from([(
            "path".to_owned(),
            vec![("/a".to_owned(), 9), ("/b".to_owned(), 1)],
        )]),
        folded_groups: None,
        acked: None,
        history: History {
            fired_30d: 4,
            last_started_at: Some(at("2026-11-18T08:00:00Z")),
            last_duration_s: Some(240),
            last_ack: None,
            per_day: Vec::new(),
        },
        attach: Attachment::all(),
        rate: Rate {
            step_s: Number(5.0),
            counts: vec![0, 0, 1, 1, 2, 1, 2, 3],
        },
        runbook_url: Some("https://wiki.example.com/runbooks/nginx-502".to_owned()),
        dashboard_url: Some("https://grafana.example.com/d/ngx?from=1795251645000".to_owned()),
        late_s: None,
    }
}

/// The same with `text` wherever a log or whoever writes it may put something.
pub(crate) fn hostile(text: &str) -> Notification {
    let mut alert = notification();
    text.clone_into(&mut alert.summary);
    text.clone_into(&mut alert.description);
    text.clone_into(&mut alert.host);
    text.clone_into(&mut alert.input);
    alert.pattern = Some(text.to_owned());
    alert.group = (0..6)
        .map(|n| (format!("{text}{n}"), text.to_owned()))
        .collect();
    alert.labels = BTreeMap::from([(text.to_owned(), text.to_owned())]);
    alert.top = (0..9)
        .map(|n| (format!("{n}{text}"), vec![(text.to_owned(), 3); 5]))
        .collect();
    for sample in &mut alert.samples {
        text.clone_into(&mut sample.line);
        text.clone_into(&mut sample.source);
    }
    alert.samples = alert.samples.iter().cycle().take(8).cloned().collect();
    alert.runbook_url = Some(format!("https://wiki.example.com/{text}"));
    alert.dashboard_url = Some(text.to_owned());
    alert
}
