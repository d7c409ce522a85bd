//! `heartbeat`: tells someone else, at an interval, that this agent lives and works. When it stops,
//! they raise the alarm; when something is wrong, `/fail` below the URL says so at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use super::http::{Call, Failure, Http};
use super::quiet::{Cause, Quiet};
use super::{calls, retry, safe};
use crate::clock;
use crate::config::secret::Secret;

/// For one try.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whoever knows it can pretend to be this agent.
    pub url: Secret,
    /// Between two.
    pub every: Duration,
}

/// Beats for ever. `health`: `Err` says what is wrong. A beat that fails is not made up for: the
/// next one is what counts.
pub async fn beat<F: Future<Output = Result<(), String>>>(
    heartbeat: Heartbeat,
    health: impl Fn() -> F,
) {
    let http = Arc::new(Http::default());
    let mut quiet = Quiet::default();
    let mut ticks = tokio::time::interval(heartbeat.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (url, body) = match health().await {
            Ok(()) => (heartbeat.url.clone(), "ok".to_owned()),
            Err(why) => (
                calls::below(&heartbeat.url, "fail"),
                safe::short(&why, 500).into_owned(),
            ),
        };
        let call = Call {
            method: Method::POST,
            url,
            content_type: "text/plain; charset=utf-8".into(),
            headers: Vec::new(),
            body: body.into_bytes(),
        };
        let why = match http.send(call, TIMEOUT.min(heartbeat.every)).await {
            Ok(answer) => match retry::judge(
                answer.status,
                None,
                &answer.detail(&[&heartbeat.url]),
                clock::now(),
            ) {
                retry::Verdict::Delivered => continue,
                retry::Verdict::Retry { why, .. }
                | retry::Verdict::Refused { why }
                | retry::Verdict::Rejected { why } => why,
            },
            Err(Failure::BadUrl(why) | Failure::NoAnswer(why)) => why,
        };
        if quiet.may_speak(Cause::Retry, clock::monotonic()) {
            tracing::warn!("the heartbeat did not arrive: {why}");
        }
    }
}
