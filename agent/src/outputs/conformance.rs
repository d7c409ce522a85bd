//! What every HTTP output must stand: each kind of answer, and none, from a server that does as
//! it is scripted. Then whole workers with a store: order, restarts, one dead output beside a
//! living one, the stop.

mod pipeline;
mod server;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use server::{Reply, Server, answer};

use super::http::Http;
use super::retry::Verdict;
use super::sample::notification;
use super::{Kind, Spec, WebhookFormat, slack, webhook};
use crate::config::secret::Secret;

/// Stands in every URL and as the signing key; must stand nowhere else.
const TOKEN: &str = "t0ken-that-nobody-may-see";

/// Every output that speaks HTTP, aimed at `address`.
fn outputs(address: &str) -> Vec<Spec> {
    let url = || Secret::new(format!("http://{address}/services/{TOKEN}?key={TOKEN}"));
    let webhook = |format| Kind::Webhook {
        url: url(),
        format,
        secret: Some(Secret::new(TOKEN)),
    };
    let mut specs = vec![
        Spec::new("lapwing", webhook(WebhookFormat::Lapwing)),
        Spec::new("papertrail", webhook(WebhookFormat::Papertrail)),
        Spec::new("slack", Kind::Slack { webhook_url: url() }),
    ];
    for spec in &mut specs {
        spec.timeout = Duration::from_secs(5);
    }
    specs
}

async fn try_once(http: &Http, spec: &Spec) -> Verdict {
    match &spec.kind {
        Kind::Webhook {
            url,
            format,
            secret,
        } => webhook::deliver(http, spec, (url, *format, secret.as_ref()), &notification()).await,
        Kind::Slack { webhook_url } => {
            slack::deliver(http, spec, webhook_url, &notification()).await
        }
        Kind::Console | Kind::File { .. } => panic!("no HTTP output"),
    }
}

/// The class of a verdict and the wait that was asked for; no verdict's text may show a secret.
fn class(spec: &Spec, verdict: &Verdict) -> (&'static str, Option<u64>) {
    let shown = format!("{verdict:?} {spec:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
    match verdict {
        Verdict::Delivered => ("delivered", None),
        Verdict::Retry { after, .. } => ("retry", after.map(|after| after.as_secs())),
        Verdict::Refused { .. } => ("refused", None),
        Verdict::Rejected { .. } => ("rejected", None),
    }
}

/// Every output gets `reply` to its one try and must take it for `expected`.
async fn check(http: &Http, reply: Reply, expected: (&'static str, Option<u64>)) {
    let mut server = Server::start(vec![reply.clone(); 3]).await;
    for mut spec in outputs(&server.address) {
        if matches!(reply, Reply::Silence | Reply::Trickle) {
            spec.timeout = Duration::from_millis(200);
        }
        let verdict = try_once(http, &spec).await;
        assert_eq!(
            class(&spec, &verdict),
            expected,
            "{}: {reply:?}: {verdict:?}",
            spec.name
        );
        let request = server.request().await;
        assert!(
            request.head.starts_with("POST /services/"),
            "{}",
            request.head
        );
    }
}

#[tokio::test]
async fn each_answer_has_its_class() {
    let http = Http::default();
    for (status, headers, expected) in [
        ("200 OK", "", ("delivered", None)),
        ("202 Accepted", "", ("delivered", None)),
        ("408 Request Timeout", "", ("retry", None)),
        (
            "429 Too Many Requests",
            "Retry-After: 30\r\n",
            ("retry", Some(30)),
        ),
        (
            "429 Too Many Requests",
            "Retry-After: 315360000\r\n",
            ("retry", Some(3600)),
        ),
        (
            "429 Too Many Requests",
            "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
            ("retry", Some(3600)),
        ),
        (
            "429 Too Many Requests",
            "Retry-After: after lunch\r\n",
            ("retry", None),
        ),
        ("500 Internal Server Error", "", ("retry", None)),
        (
            "503 Service Unavailable",
            "Retry-After: 7\r\n",
            ("retry", Some(7)),
        ),
        ("401 Unauthorized", "", ("refused", None)),
        ("403 Forbidden", "", ("refused", None)),
        ("404 Not Found", "", ("refused", None)),
        ("400 Bad Request", "", ("rejected", None)),
        ("413 Content Too Large", "", ("rejected", None)),
    ] {
        let body = if status.starts_with('2') {
            "ok".to_owned()
        } else {
            format!("no, {TOKEN} is wrong")
        };
        check(&http, Reply::Text(answer(status, headers, &body)), expected).await;
    }
}

#[tokio::test]
async fn no_answer_is_tried_again() {
    let http = Http::default();
    check(&http, Reply::Silence, ("retry", None)).await;
    check(&http, Reply::Text(String::new()), ("retry", None)).await;
    check(
        &http,
        Reply::Text("HTTP/1.1 20".to_owned()),
        ("retry", None),
    )
    .await;
    check(
        &http,
        Reply::Text("SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
        ("retry", None),
    )
    .await;
    check(&http, Reply::Trickle, ("retry", None)).await;
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let http = Http::default();
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for spec in outputs(&address) {
        let verdict = try_once(&http, &spec).await;
        assert_eq!(class(&spec, &verdict), ("retry", None));
        let Verdict::Retry { why, .. } = verdict else {
            panic!("{verdict:?}")
        };
        assert!(why.contains("refused"), "the reason is named: {why}");
    }
}

#[tokio::test]
async fn an_endless_body_ends_with_the_part_that_is_read() {
    let http = Http::default();
    let server = Server::start(vec![
        Reply::Endless("500 Internal Server Error"),
        Reply::Endless("200 OK"),
    ])
    .await;
    let specs = outputs(&server.address);
    assert_eq!(
        class(&specs[0], &try_once(&http, &specs[0]).await),
        ("retry", None)
    );
    assert_eq!(
        class(&specs[0], &try_once(&http, &specs[0]).await),
        ("delivered", None)
    );
}

#[tokio::test]
async fn success_counts_although_the_connection_breaks_after_it() {
    let http = Http::default();
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nok".to_owned();
    let server = Server::start(vec![Reply::Text(cut); 2]).await;
    let specs = outputs(&server.address);
    assert_eq!(
        class(&specs[0], &try_once(&http, &specs[0]).await),
        ("delivered", None)
    );
    // A body that begins with "ok" is what Slack sends.
    assert_eq!(
        class(&specs[2], &try_once(&http, &specs[2]).await),
        ("delivered", None)
    );
}

#[tokio::test]
async fn a_page_for_people_is_not_slack_and_an_empty_answer_may_be() {
    let http = Http::default();
    let page = answer("200 OK", "", "<html>please log in</html>");
    let replies = vec![Reply::Text(page), Reply::Text(answer("200 OK", "", ""))];
    let server = Server::start(replies).await;
    let spec = &outputs(&server.address)[2];
    let verdict = try_once(&http, spec).await;
    assert_eq!(class(spec, &verdict), ("retry", None));
    assert!(format!("{verdict:?}").contains("please log in"));
    assert_eq!(
        class(spec, &try_once(&http, spec).await),
        ("delivered", None)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let http = Http::default();
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let mut elsewhere = Server::start(vec![Reply::Text(answer("200 OK", "", "ok")); 3]).await;
        let location = format!("Location: http://{}/{TOKEN}\r\n", elsewhere.address);
        check(
            &http,
            Reply::Text(answer(status, &location, "")),
            ("refused", None),
        )
        .await;
        assert!(elsewhere.none_came(), "{status}");
    }
}

#[tokio::test]
async fn what_is_sent_has_the_contracts_headers() {
    let http = Http::default();
    let mut server = Server::start(vec![Reply::Text(answer("200 OK", "", "ok")); 3]).await;
    for spec in outputs(&server.address) {
        try_once(&http, &spec).await;
        let request = server.request().await;
        if spec.name == "slack" {
            assert_eq!(request.header("content-type").unwrap(), "application/json");
            continue;
        }
        assert_eq!(
            request.header("idempotency-key").unwrap(),
            "nginx-502-burst-7f3a9c2e51b04d68/1"
        );
        let signed = request.header("x-lapwing-signature").unwrap();
        let t: i64 = signed
            .strip_prefix("t=")
            .unwrap()
            .split_once(',')
            .unwrap()
            .0
            .parse()
            .unwrap();
        let again = webhook::signature(
            &Secret::new(TOKEN),
            lapwing_rules::model::Timestamp::from_secs(t),
            &request.body,
        );
        assert_eq!(signed, again);
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_said_without_showing_it() {
    let http = Http::default();
    for url in [
        TOKEN.to_owned(),
        format!("ftp://example.com/{TOKEN}"),
        format!("http://[{TOKEN}/"),
    ] {
        let spec = Spec::new(
            "hook",
            Kind::Slack {
                webhook_url: Secret::new(url),
            },
        );
        assert_eq!(
            class(&spec, &try_once(&http, &spec).await),
            ("refused", None)
        );
    }
}

#[tokio::test]
async fn https_speaks_tls_and_a_server_that_does_not_is_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let first = stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        first
    });
    let url = Secret::new(format!("https://{address}/{TOKEN}"));
    let spec = Spec::new("hook", Kind::Slack { webhook_url: url });
    assert_eq!(
        class(&spec, &try_once(&Http::default(), &spec).await),
        ("retry", None)
    );
    assert_eq!(
        server.await.unwrap(),
        0x16,
        "the first byte of a TLS handshake"
    );
}
