//! Every output that speaks HTTP before a server that does as it is scripted.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Kind, Reply, Secret, Server, Spec, TOKEN, Verdict, answer, class, outputs, try_once, try_with,
    well,
};
use crate::outputs::http::Http;
use crate::outputs::sample::hostile;
use crate::outputs::webhook;

/// Every output gets `reply` to its one try and must take it for `expected`.
async fn check(
    http: &Arc<Http>,
    reply: impl Fn(&str) -> Reply,
    expected: (&'static str, Option<u64>),
) {
    for name in outputs("x").iter().map(|spec| spec.name.as_str()) {
        let reply = reply(name);
        let mut server = Server::start(vec![reply.clone()]).await;
        let mut specs = outputs(&server.address);
        let spec = specs.iter_mut().find(|spec| spec.name == name).unwrap();
        if matches!(reply, Reply::Silence | Reply::Trickle) {
            spec.timeout = Duration::from_millis(200);
        }
        let verdict = try_once(http, spec).await;
        assert_eq!(
            class(spec, &verdict),
            expected,
            "{name}: {reply:?}: {verdict:?}"
        );
        let request = server.request().await;
        let path = request.head.split(' ').nth(1).unwrap().to_owned();
        assert!(path.starts_with("/services/"), "{}", request.head);
    }
}

#[tokio::test]
async fn each_answer_has_its_class() {
    let http = Arc::default();
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
        let reply = |name: &str| {
            let body = if status.starts_with('2') {
                well(name).to_owned()
            } else {
                format!("no, {TOKEN} is wrong")
            };
            Reply::Text(answer(status, headers, &body))
        };
        check(&http, reply, expected).await;
    }
}

#[tokio::test]
async fn no_answer_is_tried_again() {
    let http = Arc::default();
    for reply in [
        Reply::Silence,
        Reply::Text(String::new()),
        Reply::Text("HTTP/1.1 20".to_owned()),
        Reply::Text("SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
        Reply::Trickle,
    ] {
        check(&http, |_| reply.clone(), ("retry", None)).await;
    }
}

#[tokio::test]
async fn no_log_text_makes_a_request_that_is_none() {
    let http = Arc::default();
    for evil in [
        "\r\nX-Evil: 1\r\n\r\n",
        "\"}]}\\",
        "\0\u{202e}<!channel>@everyone",
        "../../%2e?x=1#",
    ] {
        let mut server = Server::start(vec![Reply::Text(answer("500 no", "", ""))]).await;
        for spec in outputs(&server.address) {
            try_with(&http, &spec, hostile(&evil.repeat(200))).await;
            let request = server.request().await;
            assert!(
                request.header("x-evil").is_none(),
                "{}: {}",
                spec.name,
                request.head
            );
            let body = request.text();
            assert!(
                !body.contains('\u{202e}')
                    || spec.name == "lapwing"
                    || spec.name == "papertrail"
                    || ["loki", "otlp", "elasticsearch"].contains(&spec.name.as_str()),
                "{}",
                spec.name
            );
            if request
                .header("content-type")
                .unwrap()
                .starts_with("application/json")
            {
                serde_json::from_str::<serde_json::Value>(&body).unwrap();
            }
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a list")]
#[tokio::test]
async fn a_success_that_is_none_is_not_taken_for_one() {
    let http = Arc::default();
    for (name, body, expected) in [
        (
            "slack-bot",
            r#"{"ok":false,"error":"ratelimited"}"#,
            "retry",
        ),
        (
            "slack-bot",
            r#"{"ok":false,"error":"invalid_auth"}"#,
            "refused",
        ),
        (
            "slack-bot",
            r#"{"ok":false,"error":"channel_not_found"}"#,
            "refused",
        ),
        (
            "slack-bot",
            r#"{"ok":false,"error":"msg_blocks_too_long"}"#,
            "rejected",
        ),
        ("slack-bot", "<html>", "retry"),
        (
            "otlp",
            r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}"#,
            "rejected",
        ),
        ("otlp", r#"{"partialSuccess":{}}"#, "delivered"),
        (
            "elasticsearch",
            r#"{"errors":true,"items":[{"create":{"status":429}}]}"#,
            "retry",
        ),
        (
            "elasticsearch",
            r#"{"errors":true,"items":[{"create":{"status":503}},{"create":{"status":400}}]}"#,
            "retry",
        ),
        (
            "elasticsearch",
            r#"{"errors":true,"items":[{"create":{"status":400}}]}"#,
            "rejected",
        ),
        (
            "elasticsearch",
            r#"{"errors":true,"items":[{"create":{"status":409}}]}"#,
            "delivered",
        ),
        ("teams", "<html>please log in</html>", "retry"),
    ] {
        let server = Server::start(vec![Reply::Text(answer("200 OK", "", body))]).await;
        let specs = outputs(&server.address);
        let spec = specs.iter().find(|spec| spec.name == name).unwrap();
        let verdict = try_once(&http, spec).await;
        assert_eq!(
            class(spec, &verdict).0,
            expected,
            "{name} {body}: {verdict:?}"
        );
    }
}

#[tokio::test]
async fn what_a_service_asks_for_in_its_body_is_kept() {
    let http = Arc::default();
    for (name, body) in [
        ("discord", r#"{"retry_after": 9.2, "global": false}"#),
        (
            "telegram",
            r#"{"ok":false,"error_code":429,"parameters":{"retry_after":9}}"#,
        ),
        (
            "matrix",
            r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":9300}"#,
        ),
    ] {
        let reply = answer("429 Too Many Requests", "Retry-After: 2\r\n", body);
        let server = Server::start(vec![Reply::Text(reply)]).await;
        let specs = outputs(&server.address);
        let spec = specs.iter().find(|spec| spec.name == name).unwrap();
        assert_eq!(
            class(spec, &try_once(&http, spec).await),
            ("retry", Some(9)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let http = Arc::default();
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
    let http = Arc::default();
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
    let http = Arc::default();
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
    let http = Arc::default();
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
    let http = Arc::default();
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let mut elsewhere = Server::start(vec![Reply::Text(answer("200 OK", "", "ok"))]).await;
        let location = format!("Location: http://{}/{TOKEN}\r\n", elsewhere.address);
        check(
            &http,
            |_| Reply::Text(answer(status, &location, "")),
            ("refused", None),
        )
        .await;
        assert!(elsewhere.none_came(), "{status}");
    }
}

#[tokio::test]
async fn what_is_sent_has_the_contracts_headers() {
    let http = Arc::default();
    let mut server = Server::start(vec![Reply::Text(answer("200 OK", "", "ok"))]).await;
    for spec in outputs(&server.address) {
        try_once(&http, &spec).await;
        let request = server.request().await;
        if !matches!(spec.kind, Kind::Webhook { .. }) {
            assert_eq!(request.header("idempotency-key"), None, "{}", spec.name);
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
    let http = Arc::default();
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
        class(&spec, &try_once(&Arc::default(), &spec).await),
        ("retry", None)
    );
    assert_eq!(
        server.await.unwrap(),
        0x16,
        "the first byte of a TLS handshake"
    );
}
