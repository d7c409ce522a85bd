//! What the vendors' own libraries, schemas and limits say of the messages that the agent sends, of a log
//! that tries everything. `vendors.py` asks them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::{Host, json_lines, wait_until};
use crate::receiver::{Received, Receiver};

/// The Python that has what `requirements.txt` names.
pub(crate) fn python() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/python/bin/python");
    assert!(
        python.exists(),
        "{}: tests/setup makes it",
        python.display()
    );
    python
}

/// Everything that is wrong with messages, each with the type of the output that it goes to.
fn wrong(messages: &[(String, Value)]) -> Vec<String> {
    let mut command = Command::new(python());
    command.args([
        "-I",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vendors.py"),
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = |(to, body): &(String, Value)| format!("{}\n", json!({"to": to, "body": body}));
    let lines = messages.iter().map(line).collect::<Vec<_>>().concat();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    let said = String::from_utf8(done.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// Outputs that each have a path of their own at `receiver`, by the path's first word.
fn outputs(receiver: &Receiver) -> String {
    let mut text = String::new();
    for (name, key, rest) in [
        ("slack", "webhook_url", ""),
        ("discord", "webhook_url", ""),
        ("teams", "webhook_url", ""),
        ("mattermost", "webhook_url", ""),
        ("googlechat", "webhook_url", ""),
        ("telegram", "api_url", ", token: TOKEN, chat_id: '1'"),
        ("pagerduty", "api_url", ", routing_key: KEY"),
        ("opsgenie", "api_url", ", api_key: KEY"),
        ("otlp", "url", ""),
    ] {
        let url = receiver.url(&format!("/{name}"));
        let line = format!("  {name}: {{type: {name}, {key}: '{url}', rate_limit: 20/1s{rest}}}\n");
        text.push_str(&line);
    }
    text
}

fn output_of(request: &Received) -> String {
    let mut words = request.path.split(['/', '?']);
    words.nth(1).unwrap_or_default().to_owned()
}

/// The JSON of a request, which may be a part of a form with a picture.
fn message_in(request: &Received) -> Value {
    if !request.json.is_null() {
        return request.json.clone();
    }
    let part = request.body.split("application/json\r\n\r\n").nth(1);
    let json = part.and_then(|part| part.split("\r\n--").next());
    serde_json::from_str(json.expect("a part is JSON")).unwrap()
}

/// Words that a chat, a page or a parser might take for something else.
fn hostile() -> Vec<String> {
    let mut words: Vec<String> = [
        "<!channel>",
        "@everyone",
        "<@U123>",
        "*b*_i_~s~`c`",
        "[x](https://example.com)",
        "<b>&amp;</b><script>",
        "</pre></code>",
        "```",
        "\u{202e}gnp.exe",
        "\u{1b}[31m",
        "{{7*7}}",
        "😀👩‍👩‍👧‍👦",
        "\u{0}\u{1}",
        "\\u0000\"\\",
    ]
    .map(str::to_owned)
    .into();
    words.extend(["x", "é", "<", "&", "😀", "_", "\u{202e}"].map(|one| one.repeat(8_000)));
    words
}

#[test]
fn the_vendors_own_readers_take_every_message_whatever_the_log_holds() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&outputs(&receiver));
    let agent = host.run();
    let words = hostile();
    let has_all = |count: usize| {
        receiver.wait_for(count, |request| {
            output_of(request) == "pagerduty" && request.json["event_action"] == "trigger"
        });
        wait_until("nothing waits", || {
            let status = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
            let outputs = json_lines(&status.stdout)[0]["outputs"].clone();
            let mut outputs = outputs.as_object().unwrap().values();
            outputs.all(|output| output["waiting"] == 0)
        });
    };
    // Some one by one, that each has a message of its own; then all at once, for a digest.
    for (before, word) in words.iter().enumerate() {
        host.append("app.log", format!("word={word}\n"));
        if before < 8 {
            has_all(before + 1);
        }
    }
    let again = words
        .iter()
        .map(|word| format!("word=2{word}\n"))
        .collect::<Vec<_>>()
        .concat();
    host.append("app.log", again);
    has_all(2 * words.len());
    agent.stop();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    let mut messages = Vec::new();
    for request in receiver.received() {
        *told.entry(output_of(&request)).or_default() += 1;
        // The end of an Opsgenie alert is a call about it, not an alert; a photo has no text.
        if request.path.contains("/close") || request.path.ends_with("/sendPhoto") {
            continue;
        }
        messages.push((output_of(&request), message_in(&request)));
    }
    assert!(
        told.len() == 9 && told.values().all(|count| *count > 5),
        "{told:?}"
    );
    let wrong = wrong(&messages);
    assert!(
        wrong.is_empty(),
        "of {} messages: {wrong:#?}",
        messages.len()
    );
}

#[test]
fn the_vendors_readers_refuse_what_is_wrong() {
    let long = "x".repeat(5_000);
    let card = |body: Value| json!({"attachments": [{"content": {"type": "AdaptiveCard", "version": "1.4", "body": body}}]});
    for (to, body) in [
        (
            "slack",
            json!({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": long}}]}),
        ),
        ("slack", json!({"blocks": [{"type": "no-such-block"}]})),
        (
            "discord",
            json!({"content": "", "embeds": [{"description": long}], "allowed_mentions": {"parse": []}}),
        ),
        ("teams", card(json!([{"type": "RichTextBlock"}]))),
        (
            "teams",
            card(json!([{"type": "TextBlock", "text": long.repeat(10)}])),
        ),
        (
            "otlp",
            json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severity": "high"}]}]}]}),
        ),
        (
            "pagerduty",
            json!({"event_action": "trigger", "dedup_key": "k", "payload": {"summary": long, "severity": "info", "source": "h"}}),
        ),
        ("opsgenie", json!({"message": long})),
        ("telegram", json!({"text": "<b>bold<i></b></i>"})),
        ("mattermost", json!({"text": long.repeat(4)})),
    ] {
        let said = wrong(&[(to.to_owned(), body.clone())]);
        assert!(!said.is_empty(), "{to}: nothing against {body}");
    }
}
