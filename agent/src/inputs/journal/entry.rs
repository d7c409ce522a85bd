//! An entry of the journal, as `journalctl -o json` writes it → a line of syslog, as rsyslog would
//! have written it to a file. Pure.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The fields that are asked for; `__CURSOR` and `__REALTIME_TIMESTAMP` come by themselves.
pub(super) const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_FACILITY,SYSLOG_IDENTIFIER,SYSLOG_PID,\
                                 _PID,_COMM,_HOSTNAME,_SOURCE_REALTIME_TIMESTAMP";
/// A longer tag would not be read as one.
const MOST_TAG_BYTES: usize = 128;
/// `user`, `notice`: what logger(1) takes where nobody says.
const PRIORITY: (u64, u64) = (1, 5);

/// One entry.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "__CURSOR")]
    pub(super) cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    written: Value,
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP", default)]
    sent: Value,
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "PRIORITY", default)]
    priority: Value,
    #[serde(rename = "SYSLOG_FACILITY", default)]
    facility: Value,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Value,
    #[serde(rename = "_COMM", default)]
    command: Value,
    #[serde(rename = "SYSLOG_PID", default)]
    syslog_pid: Value,
    #[serde(rename = "_PID", default)]
    pid: Value,
    #[serde(rename = "_HOSTNAME", default)]
    host: Value,
}

impl Entry {
    /// Whether the process `pid` wrote it.
    pub(super) fn is_of(&self, pid: u32) -> bool {
        number(&self.pid) == Some(u64::from(pid))
    }

    /// When the journal took it, wall clock.
    pub(super) fn written_at(&self) -> lapwing_rules::model::Timestamp {
        let micros = number(&self.written).and_then(|it| i64::try_from(it).ok());
        let nanos = micros.unwrap_or(0).saturating_mul(1_000);
        lapwing_rules::model::Timestamp::from_nanos(nanos)
    }

    /// Appends the line, without LF: `<30>2026-11-21T09:00:00.123456Z web-1 nginx[77]: text`. The text
    /// may be of several lines, and any bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let facility = number(&self.facility).filter(|it| *it < 24);
        let severity = number(&self.priority).filter(|it| *it < 8);
        let pri = facility.unwrap_or(PRIORITY.0) * 8 + severity.unwrap_or(PRIORITY.1);
        let micros = number(&self.sent).or_else(|| number(&self.written));
        let micros = micros.and_then(|it| i64::try_from(it).ok()).unwrap_or(0);
        let stamp = Timestamp::from_microsecond(micros).unwrap_or_default();
        let host = word(&self.host);
        let tag = match word(&self.identifier) {
            tag if tag == "-" => word(&self.command),
            tag => tag,
        };
        let pid = number(&self.syslog_pid).or_else(|| number(&self.pid));
        let pid = pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
        out.extend_from_slice(format!("<{pri}>{stamp:.6} {host} {tag}{pid}: ").as_bytes());
        out.extend_from_slice(&bytes(&self.message));
    }
}

/// A field's value: text; an array of numbers where it is no UTF-8; an array of values where there
/// are several, of which the first counts; `null` where it was too large to be shown.
fn bytes(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::String(text) => text.as_bytes().into(),
        Value::Number(number) => number.to_string().into_bytes().into(),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => {
                let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
                items.iter().filter_map(byte).collect::<Vec<u8>>().into()
            }
            Some(first) => bytes(first),
            None => Cow::default(),
        },
        Value::Null | Value::Bool(_) | Value::Object(_) => Cow::default(),
    }
}

fn number(value: &Value) -> Option<u64> {
    std::str::from_utf8(&bytes(value)).ok()?.trim().parse().ok()
}

/// One word, `-` where there is none. What would be read as the end of a tag is `_`.
fn word(value: &Value) -> String {
    let text = bytes(value);
    let text = String::from_utf8_lossy(&text);
    let fine = |c: char| {
        if c.is_control() || c.is_whitespace() || "[]:\"'<>={},;".contains(c) {
            '_'
        } else {
            c
        }
    };
    let mut word: String = text.chars().map(fine).collect();
    word.truncate(word.floor_char_boundary(MOST_TAG_BYTES));
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use lapwing_rules::fields::{Fields, Format};

    use super::*;

    fn line(json: &str) -> Vec<u8> {
        let entry: Entry = serde_json::from_str(json).unwrap();
        let mut line = Vec::new();
        entry.write(&mut line);
        line
    }

    fn check(json: &str, expected: &str, fields: &[(&str, &str)]) {
        let line = line(json);
        assert_eq!(line.escape_ascii().to_string(), expected);
        let mut read = Fields::default();
        Format::Syslog.read(&line, &mut read);
        for (name, value) in fields {
            let got = read
                .get(name)
                .unwrap_or_default()
                .escape_ascii()
                .to_string();
            assert_eq!(got, *value, "{name} of {expected}");
        }
    }

    #[test]
    fn an_entry_is_read_as_a_line_of_syslog() {
        check(
            r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795248000000001","_SOURCE_REALTIME_TIMESTAMP":"1795248000123456",
               "_HOSTNAME":"web-1","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_PID":"77","PRIORITY":"6","SYSLOG_FACILITY":"4",
               "MESSAGE":"Failed password for root from 203.0.113.9 port 22 ssh2"}"#,
            "<38>2026-11-21T08:00:00.123456Z web-1 sshd[77]: Failed password for root from 203.0.113.9 port 22 ssh2",
            &[
                ("facility", "auth"),
                ("severity", "info"),
                ("hostname", "web-1"),
                ("appname", "sshd"),
                ("procid", "77"),
                (
                    "message",
                    "Failed password for root from 203.0.113.9 port 22 ssh2",
                ),
            ],
        );
    }

    #[test]
    fn what_is_missing_or_odd_is_no_obstacle() {
        let start = r#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1795248000000000""#;
        check(
            &format!(
                r#"{start},"MESSAGE":"kernel text","PRIORITY":"3","SYSLOG_FACILITY":"0","SYSLOG_IDENTIFIER":"kernel"}}"#
            ),
            "<3>2026-11-21T08:00:00.000000Z - kernel: kernel text",
            &[
                ("facility", "kern"),
                ("severity", "err"),
                ("hostname", ""),
                ("message", "kernel text"),
            ],
        );
        check(
            &format!(r#"{start},"MESSAGE":[255,10,97],"_COMM":"my app: [x]","_PID":"5"}}"#),
            r"<13>2026-11-21T08:00:00.000000Z - my_app___x_[5]: \xff\na",
            &[
                ("appname", "my_app___x_"),
                ("procid", "5"),
                ("message", r"\xff\na"),
            ],
        );
        check(
            &format!(r#"{start},"MESSAGE":["first","second"],"PRIORITY":"99"}}"#),
            "<13>2026-11-21T08:00:00.000000Z - -: first",
            &[("message", "first")],
        );
        check(
            &format!(r#"{start},"MESSAGE":null}}"#),
            "<13>2026-11-21T08:00:00.000000Z - -: ",
            &[],
        );
    }
}
