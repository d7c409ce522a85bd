//! What happens between an alert and its messages: fallbacks, storms, drills, what is sent again,
//! what goes to collectors.

use serde_json::json;

use crate::host::{EACH_WORD, Host, json_lines, wait_until};
use crate::receiver::{Answer, DeadAddress, Received, Receiver};

fn is_firing(request: &Received) -> bool {
    request.json["status"] == "firing"
}

#[test]
fn what_cannot_be_delivered_goes_to_the_fallback_and_is_not_sent_late() {
    let (receiver, second) = (Receiver::start(), Receiver::start());
    // The fourth try comes after 5.6 to 8.4 s: after the first message has gone elsewhere, before the second
    // would.
    receiver.answer_next([
        Answer::status(503),
        Answer::status(503),
        Answer::status(503),
    ]);
    let host = Host::telling_each_word(&format!(
        "  first: {{type: webhook, url: '{}', send_resolved: false, fallback: {{to: second, after: 5s}}}}\n  \
           second: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/"),
        second.url("/")
    ));
    host.write(
        "rules.yaml",
        EACH_WORD.replace("realert: 0s", "realert: 0s, notify: [first]"),
    );
    let agent = host.run();
    host.append("app.log", "word=one\n");
    let fallen = second.wait_for(1, is_firing).remove(0);
    assert_eq!(fallen.json["summary"], "could not reach first: saw one");
    let tries = receiver.received().len();
    host.append("app.log", "word=two\n");
    let later = receiver.wait_for(tries + 1, is_firing);
    assert_eq!(later[tries].json["summary"], "saw two");
    agent.stop();
    let late = receiver.received().into_iter().skip(tries);
    assert!(
        late.into_iter()
            .all(|request| request.json["summary"] == "saw two")
    );
    assert_eq!(second.received().len(), 1);
}

#[test]
fn a_storm_is_one_message_in_a_chat_and_each_its_own_at_a_webhook() {
    let (chat, hook) = (Receiver::start(), Receiver::start());
    let host = Host::telling_each_word(&format!(
        "  chat: {{type: mattermost, webhook_url: '{}', rate_limit: 1/2s, send_resolved: false}}\n  \
           hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        chat.url("/"),
        hook.url("/")
    ));
    let agent = host.run();
    let words: Vec<String> = (0..100).map(|n| format!("word=w{n}\n")).collect();
    host.append("app.log", words.concat());
    hook.wait_for(100, is_firing);
    let text = |request: &Received| request.json["text"].as_str().unwrap_or_default().to_owned();
    wait_until("all are told of", || {
        let all: String = chat.received().iter().map(text).collect();
        all.contains("messages in one")
    });
    agent.stop();
    let said = chat.received();
    assert!(said.len() <= 4, "{} messages", said.len());
    let most = said
        .iter()
        .map(text)
        .find(|text| text.contains("messages in one"))
        .unwrap();
    assert!(most.contains("milder ones are not named here"), "{most}");
}

/// A service answers its first requests, which are about `first`, with `answers`; more waits behind. It is
/// asked to take `expected`, in this order.
fn check_order(answers: Vec<Answer>, first: &str, expected: &[&str]) {
    let receiver = Receiver::start();
    receiver.answer_next(answers);
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", format!("word={first}\n"));
    receiver.wait_for(1, is_firing);
    host.append("app.log", "word=fine\nword=well\n");
    let all = receiver.wait_for(expected.len(), is_firing);
    agent.stop();
    let summary = |request: &Received| request.json["summary"].as_str().unwrap().to_owned();
    assert_eq!(all.iter().map(summary).collect::<Vec<_>>(), expected);
}

#[test]
fn a_message_that_a_service_fails_at_does_not_keep_the_others_from_it() {
    let poison = "saw poison";
    check_order(
        vec![Answer::status(500); 3],
        "poison",
        &[poison, poison, poison, "saw fine", "saw well", poison],
    );
}

#[test]
fn a_message_that_a_firewall_refuses_does_not_keep_the_others_from_arriving() {
    // It will be tried again in minutes.
    let expected = ["saw evil", "saw fine", "saw well"];
    check_order(vec![Answer::status(403)], "evil", &expected);
}

#[test]
fn an_output_at_its_limit_falls_back_in_time() {
    let (dead, second) = (DeadAddress::new(), Receiver::start());
    let host = Host::telling_each_word(&format!(
        "  first: {{type: webhook, url: 'http://{}/', rate_limit: 1/10m, send_resolved: false, fallback: {{to: second, after: 3s}}}}\n  \
           second: {{type: webhook, url: '{}', send_resolved: false}}\n",
        dead.address,
        second.url("/")
    ));
    host.write(
        "rules.yaml",
        EACH_WORD.replace("realert: 0s", "realert: 0s, notify: [first]"),
    );
    let agent = host.run();
    host.append("app.log", "word=one\n");
    let fallen = second.wait_for(1, is_firing).remove(0);
    assert_eq!(fallen.json["summary"], "could not reach first: saw one");
    agent.stop();
}

#[test]
fn what_was_filled_into_a_programs_arguments_is_not_said_by_what_it_says() {
    let host = Host::telling_each_word(
        "  page: {type: exec, command: [/bin/sh, -c, 'echo \"bad token $0\" >&2; exit 1', 'key-${file:token}']}\n",
    );
    host.write("token", "sesame-open\n");
    let agent = host.run();
    host.append("app.log", "word=one\n");
    agent.stderr.wait_for("bad token key-[secret]");
    let history = host.command(&["history", "--undelivered", "-c", "lapwing.yaml", "--json"]);
    assert!(!history.stdout.contains("sesame"), "{}", history.stdout);
    assert!(!agent.stop().contains("sesame"));
}

#[test]
fn a_drill_goes_the_real_way_and_says_what_each_output_answered() {
    let receiver = Receiver::start();
    let dead = DeadAddress::new();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}'}}\n  dead: {{type: webhook, url: 'http://{}/'}}\n  \
           pager: {{type: pagerduty, routing_key: KEY, api_url: '{}'}}\n",
        receiver.url("/hook"),
        dead.address,
        receiver.url("")
    ));
    let agent = host.run();
    let done = host.command(&["drill", "each", "-c", "lapwing.yaml", "--json"]);
    assert_eq!(done.code, 1, "{done:?}");
    let rows = json_lines(&done.stdout);
    let outcome =
        |name: &str| rows.iter().find(|row| row["output"] == name).unwrap()["outcome"].clone();
    assert_eq!(
        (outcome("hook"), outcome("dead"), outcome("pager")),
        (json!("delivered"), json!("waiting"), json!("delivered"))
    );
    let drill = receiver
        .wait_for(1, |request| request.path == "/hook")
        .remove(0);
    assert_eq!(drill.json["reason"], "drill");
    assert!(
        drill.json["summary"]
            .as_str()
            .unwrap()
            .starts_with("[DRILL] ")
    );
    let events = receiver.wait_for(2, |request| request.path == "/v2/enqueue");
    assert_eq!(
        (
            &events[0].json["event_action"],
            &events[1].json["event_action"]
        ),
        (&json!("trigger"), &json!("resolve"))
    );
    assert_eq!(events[0].json["dedup_key"], events[1].json["dedup_key"]);
    let unknown = host.command(&["drill", "nothing", "-c", "lapwing.yaml"]);
    assert!(
        unknown.code != 0 && unknown.stderr.contains("no rule `nothing`"),
        "{unknown:?}"
    );
    agent.stop();
}

#[test]
fn what_was_given_up_is_sent_again_when_somebody_asks_for_it() {
    let receiver = Receiver::start();
    receiver.answer_next([Answer::status(400)]);
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url("/")
    ));
    let agent = host.run();
    host.append("app.log", "word=one\n");
    receiver.wait_for(1, is_firing);
    agent.stderr.wait_for("rejected for good");
    wait_until("it is queued again", || {
        host.command(&["notify", "resend", "-c", "lapwing.yaml"])
            .stdout
            == "1 notification queued again\n"
    });
    let both = receiver.wait_for(2, is_firing);
    assert_eq!(both[0].key(), both[1].key());
    agent.stop();
}

#[test]
fn one_output_can_be_tried_and_shown_without_an_agent() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', secret: sesame-open}}\n  \
           chat: {{type: telegram, token: 'sesame-open', chat_id: '1', api_url: '{}'}}\n",
        receiver.url("/hook"),
        receiver.url("")
    ));
    let done = host.command(&["notify", "test", "hook", "-c", "lapwing.yaml"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "hook (webhook): delivered\n")
    );
    receiver.answer_next([Answer::status(403)]);
    let done = host.command(&["notify", "test", "hook", "-c", "lapwing.yaml"]);
    assert_eq!(
        (
            done.code,
            done.stdout.starts_with("hook (webhook): refused: HTTP 403")
        ),
        (1, true),
        "{done:?}"
    );
    let sent = receiver.received().len();
    let done = host.command(&["notify", "render", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("10 bad gateways"), "{}", done.stdout);
    assert!(!done.stdout.contains("sesame-open"), "{}", done.stdout);
    assert_eq!(receiver.received().len(), sent, "nothing is sent");
}

#[test]
fn the_gallery_is_what_the_command_makes() {
    let host = Host::telling_each_word("  screen: {type: console}\n");
    let done = host.command(&["notify", "render", "--gallery"]);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/gallery.md");
    let told = "docs/gallery.md: lapwing notify render --gallery --picture docs/gallery-rate.png > docs/gallery.md";
    assert_eq!(
        done.stdout,
        std::fs::read_to_string(page).unwrap(),
        "{told}"
    );
}

#[test]
fn every_example_of_the_documentation_is_taken() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/outputs.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let example = text
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let host = Host::new();
    host.write("lapwing.yaml", example);
    let done = host.command(&["check", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn counts_and_lines_reach_those_that_want_them() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  loki: {{type: loki, url: '{}', send: lines}}\n  kept: {{type: file, path: lines.jsonl, send: lines}}\n  \
           hook: {{type: webhook, url: '{}', send_resolved: false}}\n",
        receiver.url(""),
        receiver.url("/hook")
    ));
    let agent = host.run();
    let words: Vec<String> = (0..50).map(|n| format!("word=w{n}\nno\n")).collect();
    host.append("app.log", words.concat());
    host.append("app.log", format!("word=long {}\n", "x".repeat(20_000)));
    wait_until("the file has all lines", || {
        host.path("lines.jsonl").exists() && host.read("lines.jsonl").lines().count() == 51
    });
    receiver.wait_for(1, |request| request.path == "/loki/api/v1/push");
    receiver.wait_for(51, |request| request.path == "/hook");
    agent.stop();
    let kept = json_lines(&host.read("lines.jsonl"));
    assert_eq!(
        (&kept[0]["line"], &kept[0]["rule"], &kept[0]["cut"]),
        (&json!("word=w0"), &json!("each"), &json!(null))
    );
    assert_eq!(kept[50]["cut"], true, "not all of a long line is sent");
    let pushed = receiver
        .received()
        .into_iter()
        .filter(|request| request.path == "/loki/api/v1/push");
    let pushed: String = pushed.map(|request| request.body).collect();
    assert!(pushed.contains("xxx … (cut)\""), "and a reader is told");
}

#[test]
fn somebody_else_hears_that_the_agent_lives() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word("  screen: {type: console}\n");
    let beat = format!(
        "heartbeat: {{url: '{}', every: 1s}}\n",
        receiver.url("/beat")
    );
    host.configure(&format!("{beat}inputs: {{app: {{type: file, path: app.log}}}}\noutputs: {{screen: {{type: console}}}}\n"));
    let agent = host.run();
    let beats = receiver.wait_for(2, |request| request.path == "/beat");
    assert_eq!(
        (beats[0].method.as_str(), beats[0].body.as_str()),
        ("POST", "ok")
    );
    agent.stop();
}
