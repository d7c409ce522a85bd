//! `type: webhook`: what is sent for one notification, as section 6 of the contract has it.
//! Pure but for [`deliver`].

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use lapwing_rules::model::{Notification, Timestamp};
use sha2::Sha256;

use super::http::{Answer, Failure, Http, Post};
use super::retry::{self, Verdict};
use super::{Spec, WebhookFormat, papertrail};
use crate::clock;
use crate::config::secret::Secret;

/// The same for every try, also after a restart.
pub(super) fn idempotency_key(notification: &Notification) -> String {
    format!("{}/{}", notification.id, notification.seq)
}

/// The JSON of `format: lapwing`, no LF in it.
///
/// # Errors
///
/// None in practice: the struct holds nothing that JSON lacks.
pub(super) fn lapwing_json(notification: &Notification) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(notification)
}

/// Content type and body.
pub(super) fn body(
    notification: &Notification,
    format: WebhookFormat,
) -> Result<(&'static str, Vec<u8>), serde_json::Error> {
    match format {
        WebhookFormat::Lapwing => Ok(("application/json", lapwing_json(notification)?)),
        WebhookFormat::Papertrail => Ok((
            "application/x-www-form-urlencoded",
            papertrail::form(notification)?,
        )),
    }
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`. `at`: the time of this try, so that
/// a receiver can refuse what was recorded long ago.
pub(super) fn signature(secret: &Secret, at: Timestamp, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    let t = at.as_secs().to_string();
    mac.update(t.as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = format!("t={t},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

/// One try.
pub(super) async fn deliver(
    http: &Http,
    spec: &Spec,
    target: (&Secret, WebhookFormat, Option<&Secret>),
    notification: &Notification,
) -> Verdict {
    let (url, format, secret) = target;
    let (content_type, body) = match body(notification, format) {
        Ok(body) => body,
        Err(error) => {
            return Verdict::Rejected {
                why: format!("it cannot be written as JSON: {error}"),
            };
        }
    };
    let mut headers = vec![("Idempotency-Key", idempotency_key(notification))];
    if let Some(secret) = secret {
        headers.push((
            "X-Lapwing-Signature",
            signature(secret, clock::now(), &body),
        ));
    }
    let answer = http
        .post(Post {
            url,
            content_type,
            headers,
            body,
            timeout: spec.timeout,
        })
        .await;
    let secrets: Vec<&Secret> = std::iter::once(url).chain(secret).collect();
    judge(answer, &secrets)
}

/// What came of a POST, for an output that goes by the status alone.
pub(super) fn judge(answer: Result<Answer, Failure>, secrets: &[&Secret]) -> Verdict {
    match answer {
        Ok(answer) => retry::judge(
            answer.status,
            answer.retry_after.as_deref(),
            &answer.detail(secrets),
            clock::now(),
        ),
        Err(Failure::BadUrl(why)) => Verdict::Refused { why },
        Err(Failure::NoAnswer(why)) => Verdict::Retry { why, after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::sample::{at, notification};

    #[test]
    fn the_signature_is_that_of_the_time_and_the_body() {
        // python3 -c 'import hmac; print(hmac.new(b"key", b"1795251645.{}", "sha256").hexdigest())'
        let signed = signature(&Secret::new("key"), at("2026-11-21T09:00:45Z"), b"{}");
        assert_eq!(
            signed,
            "t=1795251645,v1=b2ff8b773d3405c461c7820f2a74c11a53373532438e58d66c756ea17c457147"
        );
    }

    #[test]
    fn the_body_has_the_contracts_keys() {
        let (content_type, body) = body(&notification(), WebhookFormat::Lapwing).unwrap();
        assert_eq!(content_type, "application/json");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for key in [
            "version",
            "id",
            "seq",
            "status",
            "reason",
            "rule",
            "type",
            "severity",
            "mode",
            "host",
            "input",
            "group",
            "summary",
            "description",
            "labels",
            "count",
            "suppressed",
            "timeframe_s",
            "started_at",
            "ended_at",
            "sent_at",
            "samples",
            "top",
            "history",
            "runbook_url",
            "dashboard_url",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert!(json.get("late_s").is_none());
        assert_eq!(json["timeframe_s"].to_string(), "60");
        assert_eq!(
            json["top"]["path"],
            serde_json::json!([["/a", 9], ["/b", 1]])
        );
        assert!(!body.contains(&b'\n'));
        assert_eq!(
            idempotency_key(&notification()),
            "nginx-502-burst-7f3a9c2e51b04d68/1"
        );
    }
}
