use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn counts() -> BTreeMap<String, u64> {
    BTreeMap::from([("a".to_owned(), 3), ("b-c".to_owned(), 1)])
}

#[tokio::test]
async fn statsd_gets_a_datagram_of_counters() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let meter = Meter {
        address: server.local_addr().unwrap().to_string(),
        prefix: "web".to_owned(),
    };
    assert_eq!(statsd(&meter, &counts(), LONG).await, Verdict::Delivered);
    let mut bytes = [0; 2000];
    let read = server.recv(&mut bytes).await.unwrap();
    assert_eq!(
        &bytes[..read],
        b"web.rule.a.hits:3|c\nweb.rule.b-c.hits:1|c"
    );
}

#[tokio::test]
async fn graphite_gets_a_line_each_and_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let meter = Meter {
        address: listener.local_addr().unwrap().to_string(),
        prefix: String::new(),
    };
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    });
    let at = Timestamp::from_secs(7);
    assert_eq!(
        graphite(&meter, &counts(), at, LONG).await,
        Verdict::Delivered
    );
    assert_eq!(
        server.await.unwrap(),
        "rule.a.hits 3 7\nrule.b-c.hits 1 7\n"
    );
}

#[tokio::test]
async fn a_collector_that_resets_has_not_read_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let meter = Meter {
        address: listener.local_addr().unwrap().to_string(),
        prefix: String::new(),
    };
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_zero_linger().unwrap();
    });
    let verdict = graphite(&meter, &counts(), Timestamp::default(), LONG).await;
    assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
    server.await.unwrap();
}

#[test]
fn an_address_is_a_host_and_a_port() {
    for (text, parts) in [
        ("127.0.0.1:8125", Some(("127.0.0.1", 8125))),
        ("[::1]:25", Some(("::1", 25))),
        ("host", None),
        ("host:0", None),
        (":1", None),
    ] {
        let parts = parts.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(host_and_port(text), parts, "{text}");
    }
}
