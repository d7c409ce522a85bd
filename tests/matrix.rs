//! A room on a real Matrix server, a Synapse: what a person in it sees of an alert.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::{EACH_WORD, Host, SOON, wait_until};
use crate::real_servers::{Server, free_port};
use crate::vendors::python;

/// Somebody with an account, or nobody yet.
struct Client {
    port: u16,
    token: String,
}

impl Client {
    /// A new account.
    fn register(port: u16, name: &str) -> Self {
        let nobody = Self {
            port,
            token: String::new(),
        };
        let account = json!({"username": name, "password": "a long enough one", "auth": {"type": "m.login.dummy"}});
        let said = nobody.ask("POST", "v3/register", &account);
        Self {
            port,
            token: said["access_token"].as_str().unwrap().to_owned(),
        }
    }

    /// The body of the answer, as it came.
    fn fetch(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        write!(
            stream,
            "{method} /_matrix/client/{path} HTTP/1.0\r\nHost: localhost\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        answer.split_off(head.unwrap() + 4)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.fetch(method, path, &body.to_string());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["errcode"].is_null(), "{method} {path}: {answer}");
        answer
    }

    /// What was said in a room, oldest first.
    fn said(&self, room: &str) -> Vec<Value> {
        let path = format!("v3/rooms/{room}/messages?dir=b&limit=100");
        let mut events = self.ask("GET", &path, &json!({}))["chunk"].clone();
        let events = events.as_array_mut().unwrap();
        events.retain(|event| event["type"] == "m.room.message");
        events.reverse();
        events.clone()
    }
}

fn synapse(host: &Host, port: u16) -> Server {
    let dir = host.path("");
    let dir = dir.display();
    host.write(
        "synapse.yaml",
        format!(
            "server_name: localhost\nreport_stats: false\npid_file: {dir}/synapse.pid\n\
             listeners: [{{port: {port}, type: http, tls: false, bind_addresses: [127.0.0.1], resources: [{{names: [client, media]}}]}}]\n\
             database: {{name: sqlite3, args: {{database: '{dir}/synapse.db'}}}}\nmedia_store_path: {dir}/media\n\
             signing_key: ed25519 a_test {}\nmacaroon_secret_key: a-test\ntrusted_key_servers: []\n\
             enable_registration: true\nenable_registration_without_verification: true\n\
             rc_registration: {{per_second: 100, burst_count: 100}}\n",
            "A".repeat(43)
        ),
    );
    let mut command = Command::new(python());
    command
        .args(["-I", "-m", "synapse.app.homeserver", "-c"])
        .arg(host.path("synapse.yaml"))
        .stderr(Stdio::null());
    Server::start(&mut command, port)
}

#[test]
fn a_room_on_a_real_matrix_server_sees_the_alert_its_picture_and_its_end() {
    let port = free_port();
    let host = Host::new();
    let _server = synapse(&host, port);
    let (person, bot) = (
        Client::register(port, "person"),
        Client::register(port, "lapwing"),
    );
    let room = json!({"preset": "private_chat", "invite": ["@lapwing:localhost"]});
    let room = person.ask("POST", "v3/createRoom", &room)["room_id"].clone();
    let room = room.as_str().unwrap();
    bot.ask("POST", &format!("v3/rooms/{room}/join"), &json!({}));
    host.configure(&format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain}}}}\noutputs:\n  \
         chat: {{type: matrix, url: 'http://127.0.0.1:{port}', token: '{}', room: '{room}'}}\n",
        bot.token
    ));
    host.write("rules.yaml", EACH_WORD);
    let agent = host.run();
    host.append("app.log", "word=<b>@room</b>&\u{202e}\n");
    wait_until("the end is said", || {
        let said = person.said(room);
        let text = |event: &Value| event["content"]["body"].to_string();
        said.iter().any(|event| text(event).contains("resolved"))
    });
    agent.stop();
    let said = person.said(room);
    let first = &said[0]["content"];
    assert_eq!(said[0]["sender"], "@lapwing:localhost");
    assert_eq!(first["msgtype"], "m.notice");
    let body = first["body"].as_str().unwrap();
    assert!(body.contains("CRITICAL · web-1"), "{body}");
    let html = first["formatted_body"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;@room&lt;/b&gt;&amp;"), "{html}");
    assert!(!body.contains('\u{202e}') && !html.contains('\u{202e}'));
    assert_eq!(first["m.mentions"], json!({}), "nobody is called");
    let image = &said[1]["content"];
    assert_eq!(image["msgtype"], "m.image", "{said:#?}");
    let place = image["url"].as_str().unwrap().trim_start_matches("mxc://");
    let png = person.fetch("GET", &format!("v1/media/download/{place}"), "");
    assert!(png.starts_with(b"\x89PNG"), "{} bytes", png.len());
    assert_eq!(image["info"]["size"], png.len());
}
