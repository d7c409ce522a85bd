//! What goes over the control socket: one request as a line of JSON, then replies, one a line, the
//! last of which is [`Reply::End`] or [`Reply::Error`]. Then the agent closes the connection.

use std::time::Duration;

use lapwing_rules::model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pump::tap::TapQuery;

/// A request is no longer than this, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;
/// A reply is no longer than this, in bytes: a client reads no further.
pub const MAX_REPLY: u64 = 64 << 20;

/// What can be asked: `{"ask":"status"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// One row: [`Status`](super::status::Status).
    Status {},
    /// A row for each running alert: a notification with `acked` and `muted`.
    Alerts {},
    /// A row for each notification, oldest first, with `deliveries`.
    History(HistoryQuery),
    /// Somebody is at an alert. One row: the alert. Only for those who may.
    Ack {
        /// The alert's id, or its end.
        id: String,
        /// What they note.
        note: String,
        /// Whom root speaks for.
        on_behalf_of: Option<String>,
    },
    /// Mute what all of these match. One row: the silence. Only for those who may.
    SilenceAdd {
        /// As in `inhibit_rules`.
        matchers: Vec<String>,
        /// From now on, in milliseconds.
        for_ms: u64,
        /// Why.
        note: String,
        /// Whom root speaks for.
        on_behalf_of: Option<String>,
    },
    /// A row for each silence.
    SilenceList {},
    /// End a silence now. One row: the silence. Only for those who may.
    SilenceExpire {
        /// Its id.
        id: String,
    },
    /// One row for each output that is told: [`Told`](super::drill::Told).
    Drill {
        /// The rule.
        rule: String,
    },
    /// One row: how many notifications are queued again.
    Resend {
        /// Only those of this output.
        output: Option<String>,
        /// Only this one: an alert's id.
        id: Option<String>,
    },
    /// A row for each hit or line that comes, [`Tapped`](crate::pump::tap::Tapped), or for how many were
    /// not shown, [`Skipped`], without an end. Only for those who may.
    Tap(TapQuery),
}

impl Request {
    /// How long an agent may take to answer; `None`: nobody knows when something is to be said.
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Self::Tap(_) => None,
            Self::Drill { .. } => Some(Duration::from_secs(28)),
            _ => Some(Duration::from_secs(10)),
        }
    }

    /// Whether it changes anything, or shows whatever stands in the logs: then it is for root, the agent's user and its group only.
    pub fn is_order(&self) -> bool {
        match self {
            Self::Status {} | Self::Alerts {} | Self::History(_) | Self::SilenceList {} => false,
            Self::Ack { .. }
            | Self::SilenceAdd { .. }
            | Self::SilenceExpire { .. }
            | Self::Drill { .. }
            | Self::Resend { .. }
            | Self::Tap(_) => true,
        }
    }
}

/// Hits or lines that came too fast to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// How many.
    pub skipped: u64,
}

/// Which notifications are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Those of shadow rules, and no others; else those of live rules.
    pub shadow: bool,
    /// Only those that some output does not have.
    pub undelivered: bool,
    /// Only those that became durable since then.
    pub since: Option<Timestamp>,
    /// The newest so many.
    pub limit: usize,
}

/// What is answered: `{"row":…}`, `{"error":"…"}`, `"not-permitted"` or `"end"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// A piece of the answer.
    Row(Value),
    /// Why there is no answer, or no more of it.
    Error(String),
    /// Whoever asks may not have it done.
    NotPermitted,
    /// That was all.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_are_lines_of_json() {
        let asked = serde_json::to_string(&Request::Status {}).unwrap();
        assert_eq!(asked, r#"{"ask":"status"}"#);
        let read: Request = serde_json::from_str(&asked).unwrap();
        assert_eq!(read, Request::Status {});
        for wrong in ["", "{}", r#"{"ask":"tea"}"#, r#"{"ask":"status","more":1}"#] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
        let end = serde_json::to_string(&Reply::End).unwrap();
        assert_eq!(end, r#""end""#);
    }
}
