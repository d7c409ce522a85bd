//! The same questions to outputs that speak no HTTP: whom nobody answers, who is told nonsense, what a log
//! may hold.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Kind, Secret, Spec, TOKEN, Verdict, class, notification, try_once, try_with};
use crate::outputs::console;
use crate::outputs::kind::{Email, Irc, Meter, Syslog, SyslogTransport, Tls};
use crate::outputs::sample::hostile;
use crate::outputs::{Palette, wire};

/// What comes over a connection.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// Nothing, for ever.
    Silent,
    /// The end.
    Closes,
    /// This, then nothing.
    Says(String),
    /// A line without end.
    Endless,
}

/// The address of a server that treats everyone so; `came` counts them.
pub(super) async fn start(peer: Peer, came: Arc<Mutex<usize>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            *came.lock().unwrap() += 1;
            tokio::spawn(treat(stream, peer.clone()));
        }
    });
    address
}

async fn treat(mut stream: TcpStream, peer: Peer) {
    match peer {
        Peer::Closes => return,
        Peer::Silent => {}
        Peer::Says(text) => stream.write_all(text.as_bytes()).await.unwrap_or_default(),
        Peer::Endless => while stream.write_all(&[b'2'; 1000]).await.is_ok() {},
    }
    std::future::pending::<()>().await;
}

fn parts(address: &str) -> (String, u16) {
    wire::host_and_port(address).unwrap()
}

fn spec(name: &str, kind: Kind) -> Spec {
    Spec {
        timeout: Duration::from_millis(300),
        ..Spec::new(name, kind)
    }
}

pub(super) fn irc(address: &str, sasl: Option<(String, Secret)>) -> Spec {
    let (host, port) = parts(address);
    let irc = Irc {
        host,
        port,
        tls: Tls::No,
        nick: "lapwing".to_owned(),
        channel: "#ops".to_owned(),
        sasl,
    };
    spec("irc", Kind::Irc(irc))
}

pub(super) fn email(address: &str, user: &str) -> Spec {
    let email = Email {
        smtp_url: Secret::new(format!("smtp://{user}{address}")),
        from: "lapwing@example.com".to_owned(),
        to: vec!["ops@example.com".to_owned()],
    };
    spec("email", Kind::Email(email))
}

pub(super) fn syslog(address: &str, transport: SyslogTransport) -> Spec {
    let (host, port) = parts(address);
    let syslog = Syslog {
        transport,
        host,
        port,
        token: Some(Secret::new(TOKEN)),
    };
    spec("syslog", Kind::Syslog(syslog))
}

fn all(address: &str) -> Vec<Spec> {
    let account = Some(("me".to_owned(), Secret::new(TOKEN)));
    vec![
        irc(address, account),
        email(address, ""),
        email(address, &format!("me:{TOKEN}@")),
        syslog(address, SyslogTransport::Tls),
        syslog(address, SyslogTransport::Tcp),
    ]
}

#[tokio::test]
async fn whoever_refuses_is_asked_again_and_the_reason_is_named() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for spec in all(&address) {
        let verdict = try_once(&Arc::default(), &spec).await;
        assert_eq!(class(&spec, &verdict), ("retry", None), "{}", spec.name);
        assert!(verdict.why().unwrap().contains("refused"), "{verdict:?}");
    }
    let meter = Meter {
        address,
        prefix: String::new(),
    };
    let counts = std::collections::BTreeMap::from([("r".to_owned(), 1)]);
    let long = Duration::from_secs(20);
    let told = wire::graphite(&meter, &counts, notification().started_at, long).await;
    assert!(told.why().unwrap().contains("refused"), "{told:?}");
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_is_asked_again_in_time() {
    for peer in [Peer::Silent, Peer::Closes, Peer::Endless] {
        let address = start(peer.clone(), Arc::default()).await;
        // Over TCP alone, syslog expects no answer.
        for spec in all(&address).into_iter().take(4) {
            let http = Arc::default();
            let asked = try_once(&http, &spec);
            let verdict = tokio::time::timeout(Duration::from_mins(1), asked).await;
            let verdict = verdict.unwrap_or_else(|_| panic!("{} {peer:?}", spec.name));
            let of = format!("{} {peer:?}: {verdict:?}", spec.name);
            assert_eq!(class(&spec, &verdict), ("retry", None), "{of}");
        }
    }
}

#[tokio::test]
async fn what_a_server_repeats_of_a_secret_is_not_said() {
    let login = format!("\0me\0{TOKEN}");
    let login = base64::engine::general_purpose::STANDARD.encode(login);
    let account = || Some(("me".to_owned(), Secret::new(TOKEN)));
    for (said, spec_of, expected) in [
        (
            format!(":s 904 me :no {login} {TOKEN}\r\n"),
            &(|address: &str| irc(address, account())) as &dyn Fn(&str) -> Spec,
            "refused",
        ),
        (
            format!("ERROR :no {login} {TOKEN}\r\n"),
            &|address| irc(address, account()),
            "retry",
        ),
        (
            format!("421 later, {TOKEN} {login}\r\n"),
            &|address| email(address, &format!("me:{TOKEN}@")),
            "retry",
        ),
        (
            format!("535 no, {TOKEN} {login}\r\n"),
            &|address| email(address, &format!("me:{TOKEN}@")),
            "refused",
        ),
    ] {
        let address = start(Peer::Says(said.clone()), Arc::default()).await;
        let spec = spec_of(&address);
        let verdict = try_once(&Arc::default(), &spec).await;
        assert_eq!(class(&spec, &verdict).0, expected, "{said}: {verdict:?}");
        let shown = format!("{verdict:?}");
        assert!(shown.contains("[secret]"), "{shown}");
        assert!(!shown.contains(login.get(8..40).unwrap()), "{shown}");
    }
}

/// A server that answers each line as `answer` says, and keeps them.
async fn converse(
    greeting: &'static str,
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(greeting.as_bytes()).await.unwrap();
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                let reply = answer(&text);
                lines.lock().unwrap().push(text);
                stream.write_all(reply.as_bytes()).await.unwrap_or_default();
            }
        }
    });
    (address, heard)
}

const EVIL: [&str; 3] = [
    "\r\nQUIT :bye\r\nJOIN #other\0\u{1}\u{3}04",
    "\r\n.\r\nMAIL FROM:<evil@example.com>\r\nBcc: evil@example.com\r\n\r\n",
    "\u{202e}<!channel>@everyone\x1b[2J",
];

#[tokio::test]
async fn no_log_text_becomes_a_command_in_a_channel_or_a_line_too_long() {
    let (address, heard) = converse("", |line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        match word {
            "USER" => ":s 001 lapwing :hello\r\n".to_owned(),
            "JOIN" => ":s 366 lapwing #ops :in\r\n".to_owned(),
            "PING" => line.replace("PING", ":s PONG s"),
            _ => String::new(),
        }
    })
    .await;
    let spec = Spec {
        timeout: Duration::from_secs(20),
        ..irc(&address, None)
    };
    for evil in EVIL {
        let told = try_with(&Arc::default(), &spec, hostile(&evil.repeat(200))).await;
        assert_eq!(told, Verdict::Delivered);
    }
    for line in heard.lock().unwrap().iter() {
        assert!(line.len() <= 512 && line.ends_with("\r\n"), "{line:?}");
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        let ours = [
            "NICK ",
            "USER ",
            "JOIN #ops\r",
            "PRIVMSG #ops :",
            "PING :lapwing",
            "QUIT :lapwing",
        ];
        assert!(ours.iter().any(|known| line.starts_with(known)), "{line:?}");
    }
}

#[tokio::test]
async fn no_log_text_ends_a_mail_or_begins_another() {
    let is_data = Mutex::new(false);
    let (address, heard) = converse("220 mail\r\n", move |line| {
        let mut is_data = is_data.lock().unwrap();
        let reply = match line.trim_end() {
            "." => "250 taken",
            _ if *is_data => "",
            "DATA" => "354 go on",
            _ => "250 fine",
        };
        *is_data = line.trim_end() == "DATA" || *is_data && line != ".\r\n";
        if reply.is_empty() {
            String::new()
        } else {
            format!("{reply}\r\n")
        }
    })
    .await;
    let spec = Spec {
        timeout: Duration::from_secs(20),
        ..email(&address, "")
    };
    for evil in EVIL {
        let told = try_with(&Arc::default(), &spec, hostile(&evil.repeat(200))).await;
        assert_eq!(told, Verdict::Delivered);
    }
    let heard = heard.lock().unwrap();
    assert!(heard.iter().all(|line| line.len() <= 1000), "RFC 5321");
    let conversation = heard.concat();
    let mails: Vec<&str> = conversation.split("\r\n.\r\n").collect();
    assert_eq!(mails.len(), EVIL.len() + 1, "each ends once");
    for mail in mails.iter().take(EVIL.len()) {
        let (commands, mail) = mail.split_once("DATA\r\n").unwrap();
        assert_eq!(commands.matches("MAIL FROM:").count(), 1, "{commands}");
        assert!(commands.contains("RCPT TO:<ops@example.com>"), "{commands}");
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\nBcc"), "{head}");
    }
}

#[tokio::test]
async fn no_log_text_makes_a_second_frame_at_a_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let spec = Spec {
        timeout: Duration::from_secs(20),
        ..syslog(&address, SyslogTransport::Tcp)
    };
    for evil in EVIL {
        let read = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let http = Arc::default();
        let (bytes, told) = tokio::join!(read, try_with(&http, &spec, hostile(&evil.repeat(200))));
        assert_eq!(told, Verdict::Delivered);
        let text = String::from_utf8(bytes).unwrap();
        let (length, frame) = text.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(frame.len()), "one frame");
        assert!(!frame.contains(char::is_control), "{frame:?}");
        assert!(frame.contains(&format!(" [{TOKEN}][lapwing@")), "{frame}");
    }
}

#[tokio::test]
async fn no_log_text_makes_a_second_line_in_a_file_or_acts_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let told = dir.path().join("told");
    let command = [
        "/bin/sh",
        "-c",
        "cat >> $0; echo >> $0",
        told.to_str().unwrap(),
    ];
    let exec = Kind::Exec {
        command: command.map(str::to_owned).to_vec(),
        secrets: Vec::new(),
    };
    let long = |spec: Spec| Spec {
        timeout: Duration::from_secs(20),
        ..spec
    };
    let file = long(spec("file", Kind::File { path: path.clone() }));
    let exec = long(spec("exec", exec));
    for evil in EVIL {
        let alert = hostile(&evil.repeat(200));
        for spec in [&file, &exec] {
            let told = try_with(&Arc::default(), spec, alert.clone()).await;
            assert_eq!(told, Verdict::Delivered, "{}", spec.name);
        }
        let shown = console::render(&alert, Palette::Plain);
        assert!(
            !shown.contains(|c: char| c.is_control() && c != '\n'),
            "{shown:?}"
        );
        assert!(!shown.contains('\u{202e}'), "{shown:?}");
    }
    for path in [path, told] {
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), EVIL.len());
        for (line, evil) in text.lines().zip(EVIL) {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(json["summary"], evil.repeat(200), "whole, and as data");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_tried_again_and_the_reason_is_named() {
    let path = "/dev/full".into();
    let spec = spec("file", Kind::File { path });
    let verdict = try_once(&Arc::default(), &spec).await;
    assert_eq!(class(&spec, &verdict), ("retry", None));
    assert!(
        verdict.why().unwrap().contains("No space left"),
        "{verdict:?}"
    );
}
