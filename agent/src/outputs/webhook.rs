//! `type: webhook`: what is sent for one notification, as section 6 of the contract has it.
//! Pure.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use lapwing_rules::model::{Notification, Timestamp};
use sha2::Sha256;

use super::{WebhookFormat, paging, papertrail};
use crate::config::secret::Secret;

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
        WebhookFormat::Alertmanager => Ok((
            "application/json",
            serde_json::to_vec(&paging::alertmanager_webhook(notification))?,
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
            super::super::render::key(&notification()),
            "nginx-502-burst-7f3a9c2e51b04d68/1"
        );
    }
}
