//! What follows a message where a service wants it in calls of its own: threads, edits and pictures. Each
//! test reads the calls in the order in which the service gets them.

use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::{Attachment, Notification, Status};
use serde_json::{Value, json};

use super::super::sender::Tried;
use super::{
    Kind, Outgoing, Palette, Reply, Secret, Sender, Server, TOKEN, Verdict, Way, answer,
    notification,
};

fn said(body: &str) -> Reply {
    Reply::Text(answer("200 OK", "", body))
}

fn sender(kind: Kind) -> Sender {
    Sender::new(kind, Duration::from_secs(5), Palette::Plain, Arc::default())
}

async fn send(sender: &mut Sender, change: impl FnOnce(&mut Notification)) -> Tried {
    let mut notification = notification();
    notification.attach = vec![];
    change(&mut notification);
    let outgoing = Outgoing::one(Arc::new(notification), Way::default());
    sender.send(1, &outgoing).await
}

fn with_graph(notification: &mut Notification) {
    notification.attach = vec![Attachment::Graph];
}

fn over(notification: &mut Notification) {
    notification.status = Status::Resolved;
    notification.seq = 2;
}

/// The method that the next call is of, and its body.
async fn call(server: &mut Server) -> (String, String) {
    let request = server.request().await;
    let path = request.head.split(' ').nth(1).unwrap();
    let method = path.rsplit('/').next().unwrap().to_owned();
    (method, request.text())
}

fn bot(address: &str) -> Kind {
    Kind::SlackBot {
        api_url: Secret::new(format!("http://{address}/api")),
        token: Secret::new(TOKEN),
        channel: "#ops".to_owned(),
    }
}

#[tokio::test]
async fn slack_has_an_alert_in_one_thread_and_its_first_message_edited_at_the_end() {
    let posted = said(r#"{"ok":true,"channel":"C1","ts":"1.5"}"#);
    let mut server = Server::start(vec![posted]).await;
    let mut sender = sender(bot(&server.address));
    for change in [
        |_: &mut Notification| {},
        |one: &mut Notification| one.seq = 2,
        over,
    ] {
        assert_eq!(send(&mut sender, change).await.verdict, Verdict::Delivered);
    }
    let mut calls = Vec::new();
    for _ in 0..4 {
        let (method, body) = call(&mut server).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        calls.push((method, body["thread_ts"].clone(), body["ts"].clone()));
    }
    let (none, first) = (Value::Null, json!("1.5"));
    let post = "chat.postMessage".to_owned();
    assert_eq!(
        calls,
        [
            (post.clone(), none.clone(), none.clone()),
            (post.clone(), first.clone(), none.clone()),
            (post, first.clone(), none.clone()),
            ("chat.update".to_owned(), none, first),
        ]
    );
}

#[tokio::test]
async fn slack_gets_a_picture_in_three_calls_into_the_thread() {
    let mut store = Server::start(vec![said("OK")]).await;
    let place = format!(
        r#"{{"ok":true,"upload_url":"http://{}/put","file_id":"F7"}}"#,
        store.address
    );
    let replies = vec![
        said(r#"{"ok":true,"channel":"C1","ts":"1.5"}"#),
        said(&place),
        said(r#"{"ok":true}"#),
    ];
    let mut server = Server::start(replies).await;
    let mut sender = sender(bot(&server.address));
    send(&mut sender, with_graph).await;
    assert_eq!(call(&mut server).await.0, "chat.postMessage");
    let (method, form) = call(&mut server).await;
    assert_eq!(method, "files.getUploadURLExternal");
    let png = store.request().await.body;
    assert!(png.starts_with(b"\x89PNG"));
    assert_eq!(form, format!("filename=rate.png&length={}", png.len()));
    let (method, body) = call(&mut server).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(method, "files.completeUploadExternal");
    assert_eq!(
        (
            &body["files"][0]["id"],
            &body["channel_id"],
            &body["thread_ts"]
        ),
        (&json!("F7"), &json!("C1"), &json!("1.5"))
    );
}

fn telegram(address: &str) -> Kind {
    Kind::Telegram {
        api_url: Secret::new(format!("http://{address}")),
        token: Secret::new(TOKEN),
        chat_id: "-100".to_owned(),
    }
}

#[tokio::test]
async fn telegram_gets_a_picture_as_an_answer_and_it_counts_against_the_rate() {
    let mut server = Server::start(vec![
        said(r#"{"ok":true,"result":{"message_id":77}}"#),
        said(r#"{"ok":true}"#),
    ])
    .await;
    let tried = send(&mut sender(telegram(&server.address)), with_graph).await;
    assert_eq!((tried.verdict, tried.messages), (Verdict::Delivered, 2));
    assert_eq!(call(&mut server).await.0, "sendMessage");
    let (method, form) = call(&mut server).await;
    assert_eq!(method, "sendPhoto");
    assert!(form.contains(r#"{"message_id":77}"#) && form.contains("-100"));
}

#[tokio::test]
async fn a_message_whose_picture_is_refused_has_still_arrived() {
    let refused = answer("413 Payload Too Large", "", r#"{"ok":false}"#);
    let mut server = Server::start(vec![
        said(r#"{"ok":true,"result":{"message_id":77}}"#),
        Reply::Text(refused),
    ])
    .await;
    let tried = send(&mut sender(telegram(&server.address)), with_graph).await;
    assert_eq!(tried.verdict, Verdict::Delivered);
    call(&mut server).await;
    call(&mut server).await;
    let without = send(&mut sender(telegram(&server.address)), |_| {}).await;
    assert_eq!(without.messages, 1, "no picture where none is asked for");
}
