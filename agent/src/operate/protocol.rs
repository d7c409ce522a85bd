//! What goes over the control socket: one request as a line of JSON, then replies, one a line, the
//! last of which is [`Reply::End`] or [`Reply::Error`]. Then the agent closes the connection.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// What is answered: `{"row":…}`, `{"error":"…"}` or `"end"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// A piece of the answer.
    Row(Value),
    /// Why there is no answer, or no more of it.
    Error(String),
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
