//! The other side of the demo's webhook: a small HTTP server that checks what it gets.

use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lapwing_rules::model::{Notification, Status};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver as Inbox, Sender, channel};

use crate::error::AgentError;

/// What came.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) status: Status,
    /// Its `Idempotency-Key`.
    pub(super) key: String,
    pub(super) bytes: usize,
    pub(super) is_signed: bool,
}

/// A server on a free port of the loopback.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    inbox: Inbox<Delivery>,
}

#[derive(Clone, Debug)]
struct Shared {
    secret: String,
    inbox: Sender<Delivery>,
}

impl Receiver {
    /// Starts it as a task of this runtime.
    pub(super) async fn start(secret: String) -> Result<Self, AgentError> {
        let failed = || AgentError::io("cannot listen on the loopback");
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (sender, inbox) = channel(16);
        let router = Router::new()
            .route("/alerts", post(take))
            .with_state(Shared {
                secret,
                inbox: sender,
            });
        tokio::spawn(async move { axum::serve(listener, router).await.ok() });
        Ok(Self { address, inbox })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// The next delivery; pending until then.
    pub(super) async fn next(&mut self) -> Delivery {
        match self.inbox.recv().await {
            Some(delivery) => delivery,
            None => std::future::pending().await,
        }
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(notification) = serde_json::from_slice::<Notification>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let delivery = Delivery {
        status: notification.status,
        key: header("idempotency-key").to_owned(),
        bytes: body.len(),
        is_signed: is_signed(header("x-lapwing-signature"), &shared.secret, &body),
    };
    shared.inbox.send(delivery).await.ok();
    StatusCode::OK
}

/// Checks `t=<seconds>,v1=<hex of HMAC-SHA-256 over "<t>.<body>">`.
fn is_signed(signature: &str, secret: &str, body: &[u8]) -> bool {
    let Some((time, hex)) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
    else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut expected = String::new();
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        write!(expected, "{byte:02x}").ok();
    }
    expected == hex
}
