//! A line → its time and its fields, only for lines that a rule may match.
//!
//! [`Format`] says how an input's lines are written; one file of this room reads each format. A
//! line comes without its terminator and holds any bytes: none of them makes a reader panic, and
//! one that is not of the format gives no fields and no time, but for syslog, where it is a message.

use crate::language::pattern::Pattern;
use crate::model::Timestamp;

mod access;
mod detect;
mod escape;
mod json;
mod logfmt;
mod named;
mod nginx_error;
mod syslog;
mod table;
mod timestamp;

pub use table::{Fields, Mark};
pub use timestamp::{Assume, Zone, check_time_format};

/// A line of any format gives so many fields at the most; the first ones count.
pub const MAX_FIELDS: usize = 1000;

/// A JSON or logfmt key that is longer is passed over, or a nested line of 256 KiB could give
/// names of many times its size.
const MAX_NAME_BYTES: usize = 256;

/// Where JSON and logfmt lines have their time, the likeliest first.
const TIME_NAMES: [&str; 4] = ["time", "timestamp", "@timestamp", "ts"];

/// How the lines of an input are written.
#[derive(Debug)]
pub enum Format {
    /// nginx's `combined`, with any `key=value` after it.
    Nginx,
    /// nginx's error log.
    NginxError,
    /// Apache's common and combined, with any `key=value` after it.
    Apache,
    /// One JSON object a line.
    Json {
        /// The key that holds the time; `None`: `time timestamp @timestamp ts`.
        time_field: Option<String>,
    },
    /// `key=value key="quoted value"`.
    Logfmt {
        /// The key that holds the time; `None`: `time timestamp @timestamp ts`.
        time_field: Option<String>,
    },
    /// RFC 5424, RFC 3164 and what is taken for them.
    Syslog,
    /// No fields, no time.
    Plain,
    /// The named groups of a pattern.
    Pattern {
        /// Matched against each line.
        pattern: Box<Pattern>,
        /// strftime-like, for the group `time`; `None`: the shapes that JSON's time may have.
        time_format: Option<String>,
    },
}

impl Format {
    /// The words after `format:`, without `auto`.
    pub const NAMES: &[&str] = &[
        "nginx",
        "nginx_error",
        "apache",
        "json",
        "logfmt",
        "syslog",
        "plain",
        "pattern",
    ];

    /// The format that goes by `name`, with no `time_field`; `None` for `pattern`, which needs
    /// one, and for what is no format.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "nginx" => Self::Nginx,
            "nginx_error" => Self::NginxError,
            "apache" => Self::Apache,
            "json" => Self::Json { time_field: None },
            "logfmt" => Self::Logfmt { time_field: None },
            "syslog" => Self::Syslog,
            "plain" => Self::Plain,
            _ => return None,
        })
    }

    /// The word after `format:`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxError => "nginx_error",
            Self::Apache => "apache",
            Self::Json { .. } => "json",
            Self::Logfmt { .. } => "logfmt",
            Self::Syslog => "syslog",
            Self::Plain => "plain",
            Self::Pattern { .. } => "pattern",
        }
    }

    /// Whether its lines bear a time.
    pub fn has_time(&self) -> bool {
        match self {
            Self::Plain => false,
            Self::Pattern { pattern, .. } => pattern.names().iter().any(|name| name == named::TIME),
            _ => true,
        }
    }

    /// The time that `line` itself bears, in UTC where it names no zone; a time without a year is
    /// none. Cheap: reads no other field.
    pub fn time(&self, line: &[u8]) -> Option<Timestamp> {
        self.time_assuming(line, Assume::default())
    }

    /// The time that `line` itself bears, with `assume` for what it leaves out.
    pub fn time_assuming(&self, line: &[u8], assume: Assume) -> Option<Timestamp> {
        match self {
            Self::Nginx | Self::Apache => access::time(line),
            Self::NginxError => nginx_error::time(line, assume.zone),
            Self::Json { time_field } => json::time(line, time_field.as_deref(), assume),
            Self::Logfmt { time_field } => logfmt::time(line, time_field.as_deref(), assume),
            Self::Syslog => syslog::time(line, assume),
            Self::Plain => None,
            Self::Pattern {
                pattern,
                time_format,
            } => named::time(pattern, time_format.as_deref(), line, assume),
        }
    }

    /// The time of a record of one line or several: that of the whole (JSON may be spread over all of
    /// them), or else of its first line that has one.
    pub fn time_of_record(&self, record: &[u8], assume: Assume) -> Option<Timestamp> {
        let own = self.time_assuming(record, assume);
        if own.is_some() || memchr::memchr(b'\n', record).is_none() {
            return own;
        }
        let mut lines = record.split(|&byte| byte == b'\n');
        lines.find_map(|line| self.time_assuming(line, assume))
    }

    /// Appends the line's fields to `out`, never clears it. A line that is not of this format
    /// gives none; of syslog it is a message without a header. O(line length).
    pub fn read(&self, line: &[u8], out: &mut Fields) {
        match self {
            Self::Nginx | Self::Apache => access::read(line, out),
            Self::NginxError => nginx_error::read(line, out),
            Self::Json { .. } => json::read(line, out),
            Self::Logfmt { .. } => logfmt::read(line, out),
            Self::Syslog => syslog::read(line, out),
            Self::Plain => {}
            Self::Pattern { pattern, .. } => named::read(pattern, line, out),
        }
    }

    /// The format that `line` is written in, by looking; `Plain` when it is none of the others.
    /// What nginx and Apache write alike is said to be nginx's.
    pub fn detect(line: &[u8]) -> Self {
        detect::detect(line)
    }
}

/// Where to look for the time: `time_field`, or all the usual keys.
fn time_names<'a>(time_field: Option<&'a &'a str>) -> &'a [&'a str] {
    time_field.map_or(&TIME_NAMES, std::slice::from_ref)
}

#[cfg(test)]
mod tests;
