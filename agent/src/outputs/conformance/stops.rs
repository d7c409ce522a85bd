//! Whole workers that are stopped, and begin anew: in the midst of a try, at a rate, while a service asks for
//! time.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::tempdir;

use super::pipeline::{Agent, expected_key, hook, key, ok, within};
use super::streams::{self, Peer};
use super::{Kind, Reply, Server, Spec, answer, outputs};
use crate::clock;
use crate::outputs::kind::SyslogTransport;
use crate::outputs::{Fallback, RateLimit};

/// The agent is stopped while its try at `spec` hangs, which `is_trying` sees.
async fn check_stop(spec: Spec, is_trying: impl Fn() -> bool) {
    let dir = tempdir().unwrap();
    let spec = Spec {
        timeout: Duration::from_mins(1),
        ..spec
    };
    let name = spec.name.clone();
    let agent = Agent::start(dir.path(), vec![spec]);
    agent.tell([1], &[&name]).await;
    within("it is tried", is_trying).await;
    let began = clock::monotonic();
    agent.stop(Duration::from_millis(100)).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{name} holds up the stop"
    );
    let mut server = Server::start(vec![ok()]).await;
    let agent = Agent::start(dir.path(), vec![hook(&name, &server.address)]);
    assert_eq!(key(&server.request().await), expected_key(1));
    agent.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_try_that_hangs_does_not_hold_up_the_stop_and_its_message_stays() {
    for spec_of in [
        (|address| streams::irc(address, None)) as fn(&str) -> Spec,
        |address| streams::email(address, ""),
        |address| streams::syslog(address, SyslogTransport::Tls),
        |address| outputs(address).remove(0),
    ] {
        let came: Arc<Mutex<usize>> = Arc::default();
        let address = streams::start(Peer::Silent, Arc::clone(&came)).await;
        check_stop(spec_of(&address), || *came.lock().unwrap() > 0).await;
    }
}

#[tokio::test]
async fn a_program_that_runs_ends_with_the_agent_and_all_that_it_started() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let kind = Kind::Exec {
        command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
        secrets: Vec::new(),
    };
    check_stop(Spec::new("page", kind), || file.exists()).await;
    let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    within("what it started is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z"))
    })
    .await;
}

/// What `limited` is still to get after it has got `before`, is not sent by agents that begin anew, three
/// times: another output has got its own by then.
async fn check_kept(dir: &Path, limited: Spec, limited_server: &mut Server, before: u32) {
    let mut free = Server::start(vec![ok()]).await;
    let specs = vec![limited.clone(), hook("free", &free.address)];
    let agent = Agent::start(dir, specs.clone());
    agent.tell(1..=before + 2, &[&limited.name]).await;
    for _ in 0..before {
        limited_server.request().await;
    }
    agent.stop(Duration::ZERO).await;
    for round in 1..=3 {
        let agent = Agent::start(dir, specs.clone());
        let seq = 100 + round;
        agent.tell([seq], &["free", &limited.name]).await;
        assert_eq!(key(&free.request().await), expected_key(seq));
        agent.stop(Duration::from_millis(50)).await;
        assert!(limited_server.none_came(), "round {round}");
    }
}

#[tokio::test]
async fn a_rate_is_kept_by_agents_that_begin_anew() {
    let dir = tempdir().unwrap();
    let mut server = Server::start(vec![ok()]).await;
    let limited = Spec {
        rate_limit: Some(RateLimit {
            messages: 2,
            per: Duration::from_hours(1),
        }),
        ..hook("limited", &server.address)
    };
    check_kept(dir.path(), limited, &mut server, 2).await;
}

#[tokio::test]
async fn a_service_that_asked_for_time_gets_it_from_agents_that_begin_anew() {
    let dir = tempdir().unwrap();
    let later = answer("429 Too Many Requests", "Retry-After: 3000\r\n", "");
    let mut server = Server::start(vec![Reply::Text(later)]).await;
    let limited = hook("limited", &server.address);
    check_kept(dir.path(), limited, &mut server, 1).await;
}

#[tokio::test]
async fn the_fallback_of_a_service_that_asked_for_time_is_told_by_an_agent_that_begins_anew() {
    let dir = tempdir().unwrap();
    let later = answer("429 Too Many Requests", "Retry-After: 3000\r\n", "");
    let mut server = Server::start(vec![Reply::Text(later)]).await;
    let mut second = Server::start(vec![ok()]).await;
    let specs = |after| {
        let fallback = Some(Fallback {
            to: "second".to_owned(),
            after,
        });
        let first = Spec {
            fallback,
            ..hook("first", &server.address)
        };
        vec![first, hook("second", &second.address)]
    };
    let (early, due) = (
        specs(Duration::from_hours(1)),
        specs(Duration::from_millis(1)),
    );
    let agent = Agent::start(dir.path(), early);
    agent.tell([1], &["first"]).await;
    server.request().await;
    let handle = agent.handle();
    within("it has failed", || handle.snapshot()[0].counts.failed > 0).await;
    agent.stop(Duration::from_millis(50)).await;
    let agent = Agent::start(dir.path(), due);
    assert_eq!(key(&second.request().await), expected_key(1));
    assert!(server.none_came());
    agent.stop(Duration::from_secs(5)).await;
}
