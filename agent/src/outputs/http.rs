//! The one HTTP client. Made at the first request: an agent that has nothing to say pays neither
//! for TLS roots nor for connections. Knows no output and no message format.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::safe;
use crate::config::secret::Secret;

/// So much of an answer is read: enough for its reason, and for what each of a thousand items came to.
const BODY_BYTES: usize = 256 * 1024;
/// Once the status of a success is known, its body is waited for no longer than this.
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// So much of an answer's text is shown.
const DETAIL_CHARS: usize = 200;
/// A connection that nobody used for so long is closed; servers close theirs after about a minute.
const IDLE: Duration = Duration::from_secs(30);
/// Longer than any output should take to connect within its own time-out.
const CONNECT: Duration = Duration::from_secs(10);

/// Shared by all outputs of a process.
#[derive(Debug, Default)]
pub(super) struct Http {
    client: OnceCell<Client>,
}

/// One request.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Secret,
    pub(super) content_type: Cow<'static, str>,
    /// Header names and values; a value that cannot stand in a header is left out.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Call {
    /// A POST of JSON.
    pub(super) fn json(url: Secret, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            url,
            content_type: Cow::Borrowed("application/json"),
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the other side said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// Seconds until the service lets us in again, where it says that this was the last time.
    pub(super) exhausted_for: Option<f64>,
    /// The beginning of the body, as text.
    pub(super) body: String,
    /// `body` is all there was.
    pub(super) whole: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The URL is none: no retry will help until someone mends it.
    BadUrl(String),
    /// Everything that may pass. Harmless text, no URL in it.
    NoAnswer(String),
}

impl Http {
    /// Sends `call` once. `timeout`: from the first packet to the end of the answer.
    ///
    /// # Errors
    ///
    /// No status line came back within the time-out.
    pub(super) async fn send(&self, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        let deadline = Instant::now() + timeout;
        let url = parse(&call.url)?;
        let client = self.client().await?;
        let mut request = client
            .request(call.method, url)
            .header("Content-Type", call.content_type.as_ref());
        for (name, value) in call.headers {
            if let Ok(value) = reqwest::header::HeaderValue::try_from(value) {
                request = request.header(name, value);
            }
        }
        let request = request.body(call.body);
        let mut response = send(request, deadline, timeout).await?;
        let status = response.status().as_u16();
        let retry_after = header(&response, "retry-after");
        let is_last = header(&response, "x-ratelimit-remaining").is_some_and(|left| left == "0");
        let again = header(&response, "x-ratelimit-reset-after");
        let exhausted_for = again
            .filter(|_| is_last)
            .and_then(|after| after.parse().ok());
        let patience = deadline.min(Instant::now() + BODY_PATIENCE);
        let (body, whole) = read_body(&mut response, patience).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer {
            status,
            retry_after,
            exhausted_for,
            body,
            whole,
        })
    }

    async fn client(&self) -> Result<&Client, Failure> {
        self.client.get_or_try_init(|| async { build() }).await
    }
}

impl Answer {
    /// The body as JSON; `Null` where it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether the status is one of success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as a reason for our log: harmless, short, and without `secrets`.
    pub(super) fn detail(&self, secrets: &[&Secret]) -> String {
        let mut text = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in secrets {
            text = secret.scrub(&text);
        }
        safe::short(&text, DETAIL_CHARS).into_owned()
    }
}

/// The host of a URL, and nothing of it that may be secret.
pub(super) fn place(url: &Secret) -> String {
    let url = Url::parse(url.expose()).ok();
    url.and_then(|url| Some(format!("{}://{}/…", url.scheme(), url.host_str()?)))
        .unwrap_or_default()
}

fn parse(url: &Secret) -> Result<Url, Failure> {
    let url = Url::parse(url.expose())
        .map_err(|error| Failure::BadUrl(format!("its URL cannot be used: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(Failure::BadUrl(
            "its URL cannot be used: not http:// or https://".to_owned(),
        )),
    }
}

fn build() -> Result<Client, Failure> {
    super::tls::install_provider();
    Client::builder()
        .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
        // A redirect may lead to another host, and the URL, the signature and the log lines with it.
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(2)
        .tcp_nodelay(true)
        // HTTP does not care, but some receivers do.
        .http1_title_case_headers()
        .build()
        .map_err(|error| Failure::NoAnswer(describe(error)))
}

async fn send(
    request: RequestBuilder,
    deadline: Instant,
    timeout: Duration,
) -> Result<Response, Failure> {
    match timeout_at(deadline, request.send()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Failure::NoAnswer(describe(error))),
        Err(_) => Err(Failure::NoAnswer(format!(
            "no answer within {}",
            super::render::span(timeout)
        ))),
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// The beginning of the body, and whether that is all of it.
async fn read_body(response: &mut Response, deadline: Instant) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = BODY_BYTES - body.len();
                if chunk.len() > room {
                    body.extend_from_slice(chunk.get(..room).unwrap_or_default());
                    return (body, false);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Ok(None)) => return (body, true),
            Ok(Err(_)) | Err(_) => return (body, false),
        }
    }
}

/// The causes of an error, outermost first, without the URL. hyper's own words say little, the
/// system's at the end say all.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    safe::short(&text, DETAIL_CHARS).into_owned()
}
