//! An HTTP server that keeps what it is sent and answers as it is told.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use flate2::read::GzDecoder;
use lapwing::clock;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::host::SOON;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    headers: HeaderMap,
    /// Unpacked.
    pub(crate) body: String,
    /// The body, null where it is no JSON.
    pub(crate) json: Value,
    pub(crate) at: Instant,
}

impl Received {
    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The `Idempotency-Key`.
    pub(crate) fn key(&self) -> String {
        self.header("idempotency-key").to_owned()
    }

    /// Whether it is of this rule and status.
    pub(crate) fn is(&self, rule: &str, status: &str) -> bool {
        self.json["rule"] == rule && self.json["status"] == status
    }
}

/// What a request gets; without any, 200.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
        }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    came: Condvar,
    answers: Mutex<VecDeque<Answer>>,
    hook: Mutex<Option<Hook>>,
}

/// The server; gone when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens there; port 0 is a free one.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let serve = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        };
        let thread = Builder::new().name("receiver".to_owned()).spawn(serve);
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread.unwrap()),
        }
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the next requests get, one after the other; those after them get 200.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    /// Called once the next request has been taken, before it is answered.
    pub(crate) fn before_next_answer(&self, hook: impl FnOnce() + Send + 'static) {
        *self.shared.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Everything until now.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until `count` requests fulfil `wanted` and gives those that do.
    pub(crate) fn wait_for(
        &self,
        count: usize,
        wanted: impl Fn(&Received) -> bool,
    ) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap();
        let too_few = |received: &mut Vec<Received>| {
            received.iter().filter(|request| wanted(request)).count() < count
        };
        let (received, outcome) = self
            .shared
            .came
            .wait_timeout_while(received, SOON, too_few)
            .unwrap();
        if outcome.timed_out() {
            let bodies = received.iter().map(|request| request.body.as_str());
            let begin = |body: &str| body.chars().take(300).collect::<String>();
            let latest: Vec<String> = bodies.rev().take(5).map(begin).collect();
            let came = received.len();
            panic!(
                "waited {SOON:?} for {count} requests; of {came} the latest:\n{}",
                latest.join("\n")
            );
        }
        received
            .iter()
            .filter(|request| wanted(request))
            .cloned()
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test that has failed already needs no second panic.
            thread.join().ok();
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap();
    let is_packed = parts
        .headers
        .get("content-encoding")
        .is_some_and(|value| value == "gzip");
    let body = if is_packed {
        io::read_to_string(GzDecoder::new(&*body)).unwrap()
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    shared.received.lock().unwrap().push(Received {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        json: serde_json::from_str(&body).unwrap_or_default(),
        body,
        at: clock::monotonic(),
    });
    let hook = shared.hook.lock().unwrap().take();
    if let Some(hook) = hook {
        hook();
    }
    shared.came.notify_all();
    let answer = shared.answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or(Answer::status(200));
    let mut response = Response::builder().status(answer.status);
    if let Some(seconds) = answer.retry_after {
        response = response.header("Retry-After", seconds);
    }
    response.body(Body::empty()).unwrap()
}

/// An address that refuses every connection, and that nobody else can take meanwhile: a socket
/// that is bound and does not listen.
pub(crate) struct DeadAddress {
    _socket: TcpSocket,
    pub(crate) address: SocketAddr,
}

impl DeadAddress {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        Self {
            _socket: socket,
            address,
        }
    }

    /// Somebody listens from now on.
    pub(crate) fn comes_to_life(self) -> Receiver {
        let address = self.address;
        drop(self);
        Receiver::at(address)
    }
}
