use lapwing_rules::model::{Number, Reason};
use proptest::prelude::*;

use super::*;
use crate::outputs::sample::{at, notification};

#[test]
fn an_alert_without_colours() {
    insta::assert_snapshot!(render(&notification(), Palette::Plain), @r#"
    ● firing critical  nginx-502-burst  web-1  2026-11-21 09:00:45Z
      10 bad gateways in 1m on web-1
      10 hits in 1m, fires at 10  ▁▁▄▄▆▄▆█
      group      upstream=10.2.0.7:8080
      path       /a 9 · /b 1
      from       /var/log/nginx/access.log
      09:00:40   10.0.0.9 - - [21/Nov/2026:09:00:40 +0000] "GET /a HTTP/1.1" 502 173
      09:00:45   10.0.0.9 - - [21/Nov/2026:09:00:45 +0000] "GET /b HTTP/1.1" 502 173
      history    5th time in 30 days, last 3 days ago for 4 min
      runbook    https://wiki.example.com/runbooks/nginx-502
      dashboard  https://grafana.example.com/d/ngx?from=1795251645000
    "#);
}

#[test]
fn an_alert_with_colours() {
    let text = render(&notification(), Palette::Colour).replace('\x1b', "^");
    insta::assert_snapshot!(text, @r#"
    ^[1;31m● firing critical^[0m  ^[1mnginx-502-burst^[0m  ^[2mweb-1  2026-11-21 09:00:45Z^[0m
      ^[1m10 bad gateways in 1m on web-1^[0m
      10 hits in 1m, fires at 10  ▁▁▄▄▆▄▆█
      ^[2mgroup    ^[0m  upstream=10.2.0.7:8080
      ^[2mpath     ^[0m  /a 9 · /b 1
      ^[2mfrom     ^[0m  /var/log/nginx/access.log
      ^[2m09:00:40 ^[0m  10.0.0.9 - - [21/Nov/2026:09:00:40 +0000] "GET /a HTTP/1.1" 502 173
      ^[2m09:00:45 ^[0m  10.0.0.9 - - [21/Nov/2026:09:00:45 +0000] "GET /b HTTP/1.1" 502 173
      ^[2mhistory  ^[0m  5th time in 30 days, last 3 days ago for 4 min
      ^[2mrunbook  ^[0m  https://wiki.example.com/runbooks/nginx-502
      ^[2mdashboard^[0m  https://grafana.example.com/d/ngx?from=1795251645000
    "#);
}

#[test]
fn the_end_of_an_alert() {
    let mut over = notification();
    over.status = Status::Resolved;
    over.reason = Reason::Resolved;
    over.count = 57;
    over.suppressed = 47;
    over.value = Number(3.0);
    over.ended_at = Some(at("2026-11-21T09:05:45Z"));
    over.samples.clear();
    over.rate.counts.clear();
    insta::assert_snapshot!(render(&over, Palette::Plain), @r#"
    ✔ resolved critical  nginx-502-burst  web-1  2026-11-21 09:05:45Z
      10 bad gateways in 1m on web-1
      over after 5m, 47 hits since the last message; 57 hits in all
      group      upstream=10.2.0.7:8080
      path       /a 9 · /b 1
      history    5th time in 30 days, last 3 days ago for 4 min
      runbook    https://wiki.example.com/runbooks/nginx-502
      dashboard  https://grafana.example.com/d/ngx?from=1795251645000
    "#);
}

#[test]
fn an_alert_that_has_little_to_say() {
    let mut bare = notification();
    bare.rule_type = "any".to_owned();
    bare.count = 1;
    bare.severity = Severity::Info;
    bare.late_s = Some(10_800);
    bare.group.clear();
    bare.top.clear();
    bare.rate.counts.clear();
    bare.history = lapwing_rules::model::History::default();
    bare.runbook_url = None;
    bare.dashboard_url = None;
    bare.samples.truncate(1);
    bare.samples[0].before = vec!["the line before".to_owned()];
    bare.samples[0].line = "\x1b[2J evil \u{202e}\r\nline".to_owned();
    bare.samples[0].cut = true;
    insta::assert_snapshot!(render(&bare, Palette::Plain), @r#"
    ● firing info  nginx-502-burst  web-1  2026-11-21 09:00:45Z  found 3 h late
      10 bad gateways in 1m on web-1
      1 hit
      from      /var/log/nginx/access.log
                the line before
      09:00:40  \x1b[2J evil \u{202e}\r\nline … (cut)
    "#);
}

proptest! {
    #[test]
    fn no_control_byte_reaches_a_terminal(text in "[\\x00-\\x{10ffff}]{0,40}") {
        let mut alert = notification();
        alert.summary = text.clone();
        alert.rule.clone_from(&text);
        alert.host.clone_from(&text);
        alert.samples[0].line.clone_from(&text);
        alert.samples[0].before.push(text.clone());
        alert.samples[0].source.clone_from(&text);
        alert.group.insert(text.clone(), text.clone());
        alert.top.insert(text.clone(), vec![(text.clone(), 1)]);
        alert.dashboard_url = Some(text);
        let page = render(&alert, Palette::Plain);
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
        prop_assert_eq!(page.lines().count(), 13 + usize::from(alert.samples[0].source != alert.samples[1].source));
    }
}
