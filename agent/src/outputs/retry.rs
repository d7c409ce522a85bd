//! What an answer means, and how long to wait after it. Pure: status codes, header texts, the
//! time and a random number in; a verdict or a time span out.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use lapwing_rules::model::Timestamp;

/// The first wait.
const SHORTEST: Duration = Duration::from_secs(1);
/// Where doubling stops, and the pace for an output that refuses.
const LONGEST: Duration = Duration::from_mins(5);
/// No `Retry-After` is followed for longer.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// What one try came to. The texts are harmless and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The other side has it.
    Delivered,
    /// Not now: again later.
    Retry {
        /// What went wrong.
        why: String,
        /// How long the other side asked to wait.
        after: Option<Duration>,
    },
    /// The other side does not let us: someone must mend the configuration. Kept, said loudly
    /// and tried again slowly.
    Refused {
        /// What it answered.
        why: String,
    },
    /// The other side will never take this one.
    Rejected {
        /// What it answered.
        why: String,
    },
}

impl Verdict {
    /// What went wrong; `None`: nothing.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Retry { why, .. } | Self::Refused { why } | Self::Rejected { why } => Some(why),
        }
    }

    /// The same with its reason changed.
    pub(super) fn map_why(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Delivered => Self::Delivered,
            Self::Retry { why, after } => Self::Retry {
                why: change(why),
                after,
            },
            Self::Refused { why } => Self::Refused { why: change(why) },
            Self::Rejected { why } => Self::Rejected { why: change(why) },
        }
    }
}

/// What an HTTP status says about a delivery. `detail`: what the answer's body said, made
/// harmless, may be empty. `retry_after`: the header's text. `now`: wall clock.
pub fn judge(status: u16, retry_after: Option<&str>, detail: &str, now: Timestamp) -> Verdict {
    let why = if detail.is_empty() {
        format!("HTTP {status}")
    } else {
        format!("HTTP {status}: {detail}")
    };
    match status {
        200..=299 => Verdict::Delivered,
        300..=399 => Verdict::Refused {
            why: format!("HTTP {status}: a redirect, which is not followed"),
        },
        401 | 403 | 404 => Verdict::Refused { why },
        408 | 429 | 500..=599 => {
            let after = retry_after.and_then(|text| asked_wait(text, now));
            Verdict::Retry { why, after }
        }
        _ => Verdict::Rejected { why },
    }
}

/// `Retry-After`: seconds or an HTTP date. At most an hour, `None` for anything else.
pub fn asked_wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is very long.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(
        Timestamp::from_secs(date.as_second())
            .since(now)
            .min(LONGEST_ASKED),
    )
}

/// What a service asks for in an answer's body, in seconds. At most an hour, `None` for what is no
/// span.
pub fn asked_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .map(|asked| asked.min(LONGEST_ASKED))
}

/// How long to wait after the `failures`-th failure in a row (from 1). `luck` in 0..1 spreads
/// many agents: by a fifth to both sides, but never earlier than the other side asked for.
pub fn wait(verdict: &Verdict, failures: u32, luck: f64) -> Duration {
    let luck = luck.clamp(0.0, 1.0);
    let spread = |span: Duration| span.mul_f64(0.8 + 0.4 * luck).min(LONGEST);
    match verdict {
        Verdict::Retry {
            after: Some(after), ..
        } if !after.is_zero() => after.mul_f64(1.0 + 0.1 * luck),
        Verdict::Refused { .. } => spread(LONGEST),
        _ => {
            let doublings = failures.saturating_sub(1).min(16);
            spread(SHORTEST.saturating_mul(1 << doublings).min(LONGEST))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn class(status: u16) -> &'static str {
        match judge(status, None, "", Timestamp::default()) {
            Verdict::Delivered => "delivered",
            Verdict::Retry { .. } => "retry",
            Verdict::Refused { .. } => "refused",
            Verdict::Rejected { .. } => "rejected",
        }
    }

    #[test]
    fn each_status_has_its_class() {
        for (class_of, statuses) in [
            ("delivered", &[200, 201, 202, 204, 299][..]),
            ("retry", &[408, 429, 500, 502, 503, 504, 599]),
            ("refused", &[301, 302, 307, 308, 401, 403, 404]),
            ("rejected", &[400, 405, 410, 413, 422, 100, 600]),
        ] {
            for status in statuses {
                assert_eq!(class(*status), class_of, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_years() {
        let now = at("2026-11-21T09:00:00Z");
        for (text, wait) in [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("315360000", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sat, 21 Nov 2026 09:00:45 GMT", Some(45)),
            ("Sat, 21 Nov 2026 08:00:00 GMT", Some(0)),
            ("Fri, 21 Nov 2036 09:00:00 GMT", Some(3600)),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(
                asked_wait(text, now),
                wait.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    #[test]
    fn waits_double_to_five_minutes() {
        let failed = Verdict::Retry {
            why: String::new(),
            after: None,
        };
        let waits: Vec<u64> = (1..=11)
            .map(|failures| wait(&failed, failures, 0.5).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait(&failed, u32::MAX, 1.0), LONGEST);
        assert_eq!(wait(&failed, 1, 0.0), Duration::from_millis(800));
        assert_eq!(wait(&failed, 1, 1.0), Duration::from_millis(1200));
    }

    #[test]
    fn what_was_asked_for_is_never_undercut() {
        let asked = Verdict::Retry {
            why: String::new(),
            after: Some(Duration::from_secs(30)),
        };
        for luck in [0.0, 0.5, 1.0] {
            let wait = wait(&asked, 1, luck);
            assert!(
                wait >= Duration::from_secs(30) && wait <= Duration::from_secs(33),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_retried_slowly_from_the_start() {
        let refused = Verdict::Refused { why: String::new() };
        assert_eq!(wait(&refused, 1, 0.5), LONGEST);
    }
}
