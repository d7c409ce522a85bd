//! Whole workers with a real store on disk.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::tempdir;

use super::server::{Reply, Request, Server, answer};
use super::{TOKEN, outputs};
use crate::clock;
use crate::outputs::sample::notification;
use crate::outputs::{Handle, Kind, Outputs, Palette, Spec, start};
use crate::store::{self, Commit, Done, Outcome, Reader, Routed, Store, StoreError, StoreMessage};

pub(super) fn ok() -> Reply {
    Reply::Text(answer("200 OK", "", "ok"))
}

fn no() -> Reply {
    Reply::Text(answer("503 Service Unavailable", "", "not now"))
}

/// The webhook among the outputs, under another name.
pub(super) fn hook(name: &str, address: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        ..outputs(address).remove(0)
    }
}

/// A store's thread and the outputs before it, as the agent has them.
pub(super) struct Agent {
    send: mpsc::Sender<StoreMessage>,
    reader: Reader,
    outputs: Option<Outputs>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    pub(super) fn start(dir: &Path, specs: Vec<Spec>) -> Self {
        let (store, _) = Store::open(dir).unwrap();
        let reader = store.reader();
        let (send, inbox) = mpsc::channel();
        let outputs = start(specs, &reader, &send, Palette::Plain);
        let handle = outputs.handle();
        let thread = std::thread::Builder::new()
            .spawn(move || store::run(store, &inbox, |report| handle.committed(report)).unwrap())
            .unwrap();
        Self {
            send,
            reader,
            outputs: Some(outputs),
            thread: Some(thread),
        }
    }

    pub(super) fn handle(&self) -> Handle {
        self.outputs.as_ref().unwrap().handle()
    }

    /// Makes notifications with these sequence numbers durable, for `outputs`.
    pub(super) async fn tell(&self, seqs: impl IntoIterator<Item = u32>, outputs: &[&str]) {
        let (told, done) = tokio::sync::oneshot::channel();
        let notifications = seqs.into_iter().map(|seq| {
            let mut notification = notification();
            notification.seq = seq;
            Routed {
                notification,
                outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
            }
        });
        let commit = Commit {
            notifications: notifications.collect(),
            ..Commit::default()
        };
        let reply = Box::new(move |result: Result<Done, _>| told.send(result.is_ok()).unwrap());
        self.send
            .send(StoreMessage::Commit(Arc::new(commit), reply))
            .unwrap();
        assert!(done.await.unwrap());
    }

    pub(super) async fn stop(mut self, grace: Duration) {
        self.outputs.take().unwrap().shutdown(grace).await;
        self.send.send(StoreMessage::Stop).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }

    /// Waits until nothing waits for `output`.
    async fn settled(&self, output: &str) {
        within("everything is settled", || {
            self.reader.queue(output).unwrap().rows == 0
        })
        .await;
    }
}

pub(super) async fn within(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock::monotonic() + Duration::from_secs(20);
    while !holds() {
        assert!(clock::monotonic() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn key(request: &Request) -> String {
    request.header("idempotency-key").unwrap()
}

pub(super) fn expected_key(seq: u32) -> String {
    format!("{}/{seq}", notification().id)
}

#[tokio::test]
async fn everything_arrives_once_and_in_order() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![ok()]).await;
    let agent = Agent::start(dir.path(), vec![hook("hook", &server.address)]);
    for first in (1..=100).step_by(10) {
        agent.tell(first..first + 10, &["hook"]).await;
    }
    for seq in 1..=100 {
        assert_eq!(key(&server.request().await), expected_key(seq));
    }
    agent.settled("hook").await;
    assert!(server.none_came());
    let snapshot = agent.handle().snapshot();
    assert_eq!(snapshot[0].counts.delivered, 100);
    assert_eq!(snapshot[0].queue.unwrap().rows, 0);
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_retry_has_the_same_key_and_the_same_body() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![no(), ok()]).await;
    let agent = Agent::start(dir.path(), vec![hook("hook", &server.address)]);
    agent.tell([1], &["hook"]).await;
    let first = server.request().await;
    let began = clock::monotonic();
    let second = server.request().await;
    assert!(
        began.elapsed() >= Duration::from_millis(750),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((key(&first), &first.body), (key(&second), &second.body));
    agent.settled("hook").await;
    let history = agent.reader.history(None, 1).unwrap();
    assert_eq!(history[0].deliveries[0].outcome, Outcome::Delivered);
    assert_eq!(history[0].deliveries[0].attempts, 2);
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_crash_between_the_answer_and_the_mark_repeats_the_same_key() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![ok()]).await;
    let specs = vec![hook("hook", &server.address)];
    let before = {
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let routed = Routed {
            notification: notification(),
            outputs: vec!["hook".to_owned()],
        };
        store
            .commit(
                &Commit {
                    notifications: vec![routed],
                    ..Commit::default()
                },
                clock::now(),
            )
            .unwrap();
        // Nobody serves this inbox: the mark never becomes durable.
        let (send, inbox) = mpsc::channel();
        let outputs = start(specs, &store.reader(), &send, Palette::Plain);
        let request = server.request().await;
        within("the outcome is known", || inbox.try_recv().is_ok()).await;
        outputs.shutdown(Duration::ZERO).await;
        drop(store);
        request
    };
    let agent = Agent::start(dir.path(), vec![hook("hook", &server.address)]);
    let after = server.request().await;
    assert_eq!((key(&before), &before.body), (key(&after), &after.body));
    agent.settled("hook").await;
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_dead_output_delays_no_other() {
    let dir = tempdir().unwrap();
    let silent = Server::start(vec![Reply::Silence]).await;
    let mut server = Server::start(vec![ok()]).await;
    let specs = vec![
        hook("dead", &silent.address),
        hook("alive", &server.address),
    ];
    let agent = Agent::start(dir.path(), specs);
    for seq in 1..=20 {
        agent.tell([seq], &["alive", "dead"]).await;
        assert_eq!(key(&server.request().await), expected_key(seq));
    }
    agent.settled("alive").await;
    assert_eq!(agent.reader.queue("dead").unwrap().rows, 20);
    let began = clock::monotonic();
    agent.stop(Duration::from_millis(100)).await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "a hanging output does not hold up the stop"
    );
    let agent = Agent::start(dir.path(), vec![hook("dead", &server.address)]);
    for seq in 1..=20 {
        assert_eq!(key(&server.request().await), expected_key(seq));
    }
    agent.settled("dead").await;
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_is_rejected_or_too_old_makes_way() {
    let dir = tempdir().unwrap();
    let bad = Reply::Text(answer("400 Bad Request", "", &format!("{TOKEN} is bad")));
    let mut server = Server::start(vec![bad, ok()]).await;
    let expired = Spec {
        max_age: Duration::ZERO,
        ..hook("expired", &server.address)
    };
    let agent = Agent::start(dir.path(), vec![hook("hook", &server.address), expired]);
    agent.tell(1..=2, &["hook"]).await;
    assert_eq!(key(&server.request().await), expected_key(1));
    assert_eq!(key(&server.request().await), expected_key(2));
    agent.tell(3..=600, &["expired"]).await;
    agent.settled("expired").await;
    agent.settled("hook").await;
    assert!(server.none_came());
    let history = agent.reader.history(None, 1000).unwrap();
    let rejected = &history.last().unwrap().deliveries[0];
    assert_eq!(rejected.outcome, Outcome::Rejected);
    assert_eq!(
        rejected.last_error.as_deref(),
        Some("HTTP 400: [secret] is bad")
    );
    assert!(
        history[..598]
            .iter()
            .all(|entry| entry.deliveries[0].outcome == Outcome::Expired)
    );
    let counts: Vec<_> = agent
        .handle()
        .snapshot()
        .into_iter()
        .map(|output| output.counts)
        .collect();
    assert_eq!(
        (counts[0].expired, counts[1].rejected, counts[1].delivered),
        (598, 1, 1)
    );
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_stop_lets_what_waits_go_out_first() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![ok()]).await;
    let agent = Agent::start(dir.path(), vec![hook("hook", &server.address)]);
    agent.tell(1..=10, &["hook"]).await;
    agent.stop(Duration::from_secs(20)).await;
    for seq in 1..=10 {
        assert_eq!(key(&server.request().await), expected_key(seq));
    }
}

#[tokio::test]
async fn a_file_gets_a_line_for_each_and_its_folder_may_come_late() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("later/alerts.jsonl");
    let agent = Agent::start(
        &dir.path().join("state"),
        vec![Spec::new("archive", Kind::File { path: path.clone() })],
    );
    agent.tell(1..=3, &["archive"]).await;
    let handle = agent.handle();
    within("the failure is seen", || {
        handle.snapshot()[0].counts.failed > 0
    })
    .await;
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    agent.settled("archive").await;
    let text = std::fs::read_to_string(&path).unwrap();
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_the_store_could_not_mark_is_not_sent_again() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![ok()]).await;
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let reader = store.reader();
    let notifications = (1..=2).map(|seq| {
        let mut notification = notification();
        notification.seq = seq;
        Routed {
            notification,
            outputs: vec!["hook".to_owned()],
        }
    });
    let commit = Commit {
        notifications: notifications.collect(),
        ..Commit::default()
    };
    store.commit(&commit, clock::now()).unwrap();
    let (send, inbox) = mpsc::channel();
    let outputs = start(
        vec![hook("hook", &server.address)],
        &reader,
        &send,
        Palette::Plain,
    );
    let disk = std::thread::Builder::new().spawn(move || {
        let mut failures = 2;
        while let Ok(StoreMessage::Settle(settlements, reply)) = inbox.recv() {
            if failures > 0 {
                failures -= 1;
                reply(Err(Arc::new(StoreError::Damaged(
                    "the disk is full".to_owned(),
                ))));
            } else {
                reply(
                    store
                        .settle(&settlements, clock::now())
                        .map(|_| Done::Durable)
                        .map_err(Arc::new),
                );
            }
        }
        store
    });
    within("both are marked", || {
        reader.queue("hook").unwrap().rows == 0
    })
    .await;
    assert_eq!(key(&server.request().await), expected_key(1));
    assert_eq!(key(&server.request().await), expected_key(2));
    assert!(server.none_came(), "sent again");
    outputs.shutdown(Duration::from_secs(5)).await;
    send.send(StoreMessage::Stop).unwrap();
    drop(disk.unwrap().join().unwrap());
}

#[tokio::test]
async fn slack_goes_on_with_an_alerts_thread_after_a_restart() {
    let dir = tempdir().unwrap();
    let posted = r#"{"ok":true,"channel":"C1","ts":"1.5","upload_url":"","file_id":""}"#;
    let mut server = Server::start(vec![Reply::Text(answer("200 OK", "", posted))]).await;
    let bot = || {
        let is_bot = |spec: &Spec| matches!(spec.kind, Kind::SlackBot { .. });
        outputs(&server.address)
            .into_iter()
            .filter(is_bot)
            .collect::<Vec<_>>()
    };
    for seq in 1..=2 {
        let agent = Agent::start(dir.path(), bot());
        agent.tell([seq], &["slack-bot"]).await;
        agent.settled("slack-bot").await;
        agent.stop(Duration::from_secs(5)).await;
    }
    let mut threads = Vec::new();
    while threads.len() < 2 {
        let request = server.request().await;
        if request.head.contains("chat.postMessage") {
            let body: serde_json::Value = serde_json::from_str(&request.text()).unwrap();
            threads.push(body["thread_ts"].clone());
        }
    }
    assert_eq!(threads, [serde_json::Value::Null, "1.5".into()]);
}
