//! Which path shows what, and the headers that every answer bears.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, mpsc};

use super::overview::Overview;
use super::{Shown, is_our_name, metrics};
use crate::operate::sight::Sight;

/// How long a request waits for an agent that is about to begin.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two updates of a page.
const UPDATE_EVERY: Duration = Duration::from_secs(2);
/// Pages that are kept up to date at once; the others ask again later.
const MOST_LIVE: usize = 8;

/// Everything comes from here, nothing is written into the page, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const JSON: &str = "application/json";

pub(super) fn router(shown: Shown) -> Router {
    let live = Arc::new(Semaphore::new(MOST_LIVE));
    Router::new()
        .route(
            "/",
            get(|| async { text("text/html; charset=utf-8", include_str!("page/page.html")) }),
        )
        .route(
            "/page.css",
            get(|| async { text("text/css", include_str!("page/page.css")) }),
        )
        .route(
            "/page.js",
            get(|| async { text("text/javascript", include_str!("page/page.js")) }),
        )
        .route(
            "/icon.svg",
            get(|| async { text("image/svg+xml", include_str!("page/icon.svg")) }),
        )
        .route("/metrics", get(figures))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/status", get(status))
        .route("/api/overview", get(overview))
        .route(
            "/api/live",
            get(move |State(shown): State<Shown>| async move { live_updates(shown, live) }),
        )
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .layer(from_fn_with_state(shown.clone(), guard))
        .with_state(shown)
}

/// Turns away foreign names and everything that is not reading; adds the headers.
async fn guard(State(shown): State<Shown>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let is_ours = host.is_some_and(|host| is_our_name(host, &shown.hosts));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if !is_ours {
        let why = "this is not asked for under its own name: `http.hosts` in the configuration can name others\n";
        (StatusCode::MISDIRECTED_REQUEST, why).into_response()
    } else if reads {
        next.run(request).await
    } else {
        let why = "nothing can be changed here\n";
        (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, HEAD")],
            why,
        )
            .into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn text(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// The agent that runs now, or the one that is about to.
async fn sight(shown: &Shown) -> Result<Arc<Sight>, Response> {
    let mut sight = shown.sight.clone();
    let found = tokio::time::timeout(PATIENCE, sight.wait_for(Option::is_some)).await;
    let found = found
        .ok()
        .and_then(Result::ok)
        .and_then(|sight| sight.clone());
    found
        .ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "the agent is starting\n").into_response())
}

async fn figures(State(shown): State<Shown>) -> Result<Response, Response> {
    let status = sight(&shown).await?.status().await;
    Ok(text(
        "text/plain; version=0.0.4; charset=utf-8",
        metrics::text(&status),
    ))
}

async fn healthz(State(shown): State<Shown>) -> Result<&'static str, Response> {
    match sight(&shown).await?.ask_engine().await {
        Ok(_) => Ok("ok\n"),
        Err(why) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()),
    }
}

async fn readyz(State(shown): State<Shown>) -> Result<&'static str, Response> {
    if sight(&shown).await?.is_ready() {
        Ok("ready\n")
    } else {
        Err((StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n").into_response())
    }
}

async fn status(State(shown): State<Shown>) -> Result<Response, Response> {
    Ok(json(&sight(&shown).await?.status().await))
}

async fn overview(State(shown): State<Shown>) -> Result<Response, Response> {
    let sight = sight(&shown).await?;
    Ok(json(&Overview::of(&sight, &shown.rates).await))
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => text(JSON, body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Server-sent events, each an overview. They end with the connection.
fn live_updates(shown: Shown, live: Arc<Semaphore>) -> Response {
    let Ok(permit) = live.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response();
    };
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            if let Ok(sight) = sight(&shown).await {
                let overview = Overview::of(&sight, &shown.rates).await;
                let Ok(data) = serde_json::to_string(&overview) else {
                    break;
                };
                if send
                    .send(Bytes::from(format!("data: {data}\n\n")))
                    .await
                    .is_err()
                {
                    break;
                }
            }
            tokio::select! {
                () = send.closed() => break,
                () = tokio::time::sleep(UPDATE_EVERY) => {}
            }
        }
        drop(permit);
    });
    text("text/event-stream", Body::from_stream(Updates(receive)))
}

struct Updates(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Updates {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|item| item.map(Ok))
    }
}
