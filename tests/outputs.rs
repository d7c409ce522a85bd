//! Deliveries that do not go smoothly, and what each output is sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::host::{Host, json_lines, wait_until};
use crate::receiver::{Answer, DeadAddress, Received, Receiver};

fn is_firing(request: &Received) -> bool {
    request.json["status"] == "firing"
}

#[test]
fn a_dead_and_a_silent_output_delay_no_other() {
    let receiver = Receiver::start();
    let dead = DeadAddress::new();
    // Takes connections and never answers: nobody accepts them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::telling_each_word(&format!(
        "  dead: {{type: webhook, url: 'http://{}/'}}\n  \
           silent: {{type: webhook, url: 'http://{}/'}}\n  \
           missing: {{type: file, path: missing/alerts.jsonl}}\n  \
           hook: {{type: webhook, url: '{}'}}\n",
        dead.address,
        silent.local_addr().unwrap(),
        receiver.url("/")
    ));
    let agent = host.run();
    for n in 0..20 {
        host.append("app.log", format!("word={n}\n"));
        // Within one retry of the dead ones, so none of them was waited for.
        let count = n + 1;
        let began = lapwing::clock::monotonic();
        receiver.wait_for(count, is_firing);
        assert!(began.elapsed() < Duration::from_secs(5), "{n}");
    }
    agent.stop();
}

#[test]
fn what_a_webhook_answers_with_503_is_sent_again_under_the_same_key() {
    let receiver = Receiver::start();
    receiver.answer_next([Answer::status(503)]);
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", "word=one\n");
    let both = receiver.wait_for(2, |_| true);
    assert_eq!(both[0].key(), both[1].key());
    assert_eq!(both[0].body, both[1].body);
    let waited = both[1].at - both[0].at;
    assert!(
        (Duration::from_millis(700)..Duration::from_secs(10)).contains(&waited),
        "a second, more or less: {waited:?}"
    );
    host.append("app.log", "word=two\n");
    let all = receiver.wait_for(3, |_| true);
    assert_eq!(all[2].json["summary"], "saw two");
    agent.stop();
    assert_eq!(receiver.received().len(), 3);
}

#[test]
fn a_webhook_that_asks_for_time_gets_it() {
    let receiver = Receiver::start();
    receiver.answer_next([Answer {
        status: 429,
        retry_after: Some(3),
    }]);
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", "word=one\n");
    let both = receiver.wait_for(2, |_| true);
    assert_eq!(both[0].key(), both[1].key());
    let waited = both[1].at - both[0].at;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    agent.stop();
}

#[test]
fn what_can_never_be_delivered_holds_up_nothing_behind_it() {
    let receiver = Receiver::start();
    receiver.answer_next([Answer::status(400)]);
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", "word=one\nword=two\n");
    let both = receiver.wait_for(2, |_| true);
    assert_eq!(both[0].json["summary"], "saw one");
    assert_eq!(both[1].json["summary"], "saw two");
    let said = agent.stop();
    assert_eq!(receiver.received().len(), 2);
    assert!(said.contains("400"), "a loss is said: {said}");
}

/// Every text in a JSON value.
fn texts(json: &Value, into: &mut Vec<String>) {
    match json {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(entries) => entries.values().for_each(|item| texts(item, into)),
        _ => {}
    }
}

#[test]
fn a_log_cannot_ping_a_slack_channel() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  chat: {{type: slack, webhook_url: '{}'}}\n",
        receiver.url("/services/T0/B0/token")
    ));
    let agent = host.run();
    host.append("app.log", "word=<!channel> & *all* of <@U123>\n");
    let request = receiver.wait_for(1, |_| true).remove(0);
    agent.stop();
    assert_eq!(request.path, "/services/T0/B0/token");
    assert_eq!(request.header("content-type"), "application/json");
    let json: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(json["blocks"][0]["type"], "header");
    let mut all = Vec::new();
    texts(&json, &mut all);
    let with_line = all.iter().filter(|text| text.contains("channel"));
    assert!(with_line.count() >= 2, "summary and sample: {all:#?}");
    assert!(
        all.iter()
            .any(|text| text.contains("word=&lt;!channel&gt; &amp; *all* of &lt;@U123&gt;")),
        "{all:#?}"
    );
    for text in &all {
        assert!(
            !text.contains("<!channel>") && !text.contains("<@U123>"),
            "{text}"
        );
    }
    let mrkdwn = json.to_string().contains("\"mrkdwn\"");
    assert!(!mrkdwn, "stars and backticks of a log must not act");
}

#[test]
fn a_file_gets_one_object_a_line_and_the_console_no_control_bytes() {
    let host = Host::telling_each_word(
        "  archive: {type: file, path: alerts.jsonl}\n  screen: {type: console}\n",
    );
    let agent = host.run();
    host.append("app.log", "word=\u{1b}[31mred and \u{7}bell\nword=two\n");
    wait_until("four objects", || {
        host.path("alerts.jsonl").exists() && host.read("alerts.jsonl").lines().count() == 4
    });
    agent.stdout.wait_for("resolved");
    agent.stdout.wait_for("saw two");
    let stdout = agent.stdout.text();
    agent.stop();
    let objects = json_lines(&host.read("alerts.jsonl"));
    let about: Vec<(&Value, &Value)> = objects
        .iter()
        .map(|json| (&json["status"], &json["seq"]))
        .collect();
    assert_eq!(about[0], (&json!("firing"), &json!(1)));
    assert_eq!(about[3], (&json!("resolved"), &json!(2)));
    assert_eq!(
        objects[0]["samples"][0]["line"],
        "word=\u{1b}[31mred and \u{7}bell"
    );
    assert!(stdout.contains("critical"), "{stdout}");
    let is_harmless = |c: char| c == '\n' || !c.is_control();
    assert!(stdout.chars().all(is_harmless), "{stdout:?}");
}

#[test]
fn a_format_of_papertrail_is_a_form_with_a_payload() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', format: papertrail, send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", "word=one & more\n");
    let request = receiver.wait_for(1, |_| true).remove(0);
    agent.stop();
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let fields: Vec<_> = form_urlencoded::parse(request.body.as_bytes()).collect();
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].0, "payload");
    let json: Value = serde_json::from_str(&fields[0].1).unwrap();
    assert_eq!(json["events"][0]["message"], "word=one & more");
    assert_eq!(json["events"][0]["hostname"], "web-1");
    assert_eq!(json["saved_search"]["name"], "each");
    assert_eq!(request.key().split('/').nth(1), Some("1"));
}
