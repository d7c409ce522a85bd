//! A server that answers each request as it is told, and keeps what it was asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the next connection gets.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// This, then the end of the connection.
    Text(String),
    /// Nothing at all.
    Silence,
    /// A byte now and then, never a whole head.
    Trickle,
    /// This status, and a body without end.
    Endless(&'static str),
}

/// A whole answer.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What came.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The body as text, unpacked where it is packed; a picture in it is none.
    pub(super) fn text(&self) -> String {
        if self.header("content-encoding").as_deref() != Some("gzip") {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&self.body[..]), &mut text)
            .unwrap();
        text
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .next()
    }
}

/// Stops when it is dropped.
pub(super) struct Server {
    pub(super) address: String,
    requests: mpsc::UnboundedReceiver<Request>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers the n-th connection with the n-th reply; the last one serves for all that follow.
    pub(super) async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (send, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut script = script.into_iter().peekable();
            let mut last = None;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                last = script.next().or(last);
                tokio::spawn(serve(stream, last.clone().unwrap(), send.clone()));
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// The next request; fails when none comes.
    pub(super) async fn request(&mut self) -> Request {
        let next = tokio::time::timeout(Duration::from_secs(20), self.requests.recv());
        next.await.expect("no request came").unwrap()
    }

    pub(super) fn none_came(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, send: mpsc::UnboundedSender<Request>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    // The test may have seen enough.
    send.send(request).unwrap_or_default();
    match reply {
        Reply::Text(text) => {
            stream.write_all(text.as_bytes()).await.unwrap_or_default();
            stream.shutdown().await.unwrap_or_default();
        }
        Reply::Silence => std::future::pending().await,
        Reply::Trickle => {
            for byte in "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyy"
                .bytes()
                .cycle()
            {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Reply::Endless(status) => {
            let head = format!("HTTP/1.1 {status}\r\n\r\n");
            let mut piece = head.into_bytes();
            while stream.write_all(&piece).await.is_ok() {
                piece = vec![b'x'; 1000];
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut request = Request {
        head,
        body: bytes.split_off(end),
    };
    let length: usize = request.header("content-length")?.parse().ok()?;
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
