//! Lines on their way in: a batch of bytes from one source, and where each byte came from.

use std::ops::Range;
use std::sync::Arc;

use super::Timestamp;

/// The index of a rule in its `RuleSet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// The index of an input in the list that the scanner was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputId(pub u32);

/// One place that lines come from: an opened file, a peer, standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The input that it belongs to.
    pub input: InputId,
    /// What a person calls it: the path that was opened, `syslog://peer`, `stdin`. Valid UTF-8,
    /// made so where the path was not.
    pub name: Arc<str>,
}

impl Source {
    /// Who sent the lines, where they came by syslog: an address, or the path of a socket. Such lines
    /// were written just now and know nothing of each other.
    pub fn peer(&self) -> Option<&str> {
        self.name.strip_prefix("syslog://")
    }
}

/// Whole lines of one source, in the order they were written.
///
/// Every line but the last of the batch ends with LF; the last may lack it only when no more of
/// it can come. No record is longer than the input's `max_line_bytes`, its terminator not counted.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where the lines come from.
    pub source: Arc<Source>,
    /// The lines, any bytes.
    pub bytes: Vec<u8>,
    /// How `bytes` lies in the source: ascending by `at`, the first one at 0 unless `bytes` is
    /// empty. Empty stands for one segment `{at: 0, offset: 0}`.
    pub segments: Vec<Segment>,
    /// Starts in `bytes` of the records that were cut at `max_line_bytes`, ascending.
    pub cut: Vec<usize>,
    /// Lines that form one record, each from its first byte to behind its last terminator: at least
    /// two lines, ascending, none over another. Every other line is a record of its own, and nearly
    /// always this is empty.
    pub records: Vec<Range<usize>>,
    /// When the lines arrived: wall clock; for a file, the time of its last modification, so
    /// that a backlog is not taken for something that happened just now.
    pub arrival: Timestamp,
}

/// `bytes[at..]`, up to the next segment, stood in the source at `offset` and on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index into the batch's bytes.
    pub at: usize,
    /// Byte offset in the source.
    pub offset: u64,
}

impl Batch {
    /// The place in the source of the byte at `at`.
    pub fn offset_of(&self, at: usize) -> u64 {
        let after = self.segments.partition_point(|segment| segment.at <= at);
        match after.checked_sub(1).and_then(|i| self.segments.get(i)) {
            Some(segment) => segment.offset + (at - segment.at) as u64,
            None => at as u64,
        }
    }

    /// Whether the record that starts at `start` lost its end to `max_line_bytes`.
    pub fn is_cut(&self, start: usize) -> bool {
        self.cut.binary_search(&start).is_ok()
    }

    /// Its records.
    pub fn text(&self) -> Text<'_> {
        Text {
            bytes: &self.bytes,
            records: &self.records,
        }
    }
}

/// Lines, and which of them form records: as in a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Whole lines.
    pub bytes: &'a [u8],
    /// As [`Batch::records`].
    pub records: &'a [Range<usize>],
}

impl<'a> From<&'a [u8]> for Text<'a> {
    /// Each line is a record.
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            records: &[],
        }
    }
}

impl Text<'_> {
    /// The record about the byte at `at`, without its terminator (LF, or CR LF). `at` must be at most
    /// `bytes.len()`; the terminator belongs to the record that it ends. O(record).
    pub fn about(self, at: usize) -> Range<usize> {
        match self.joined_at(at) {
            Some(record) => record.start..without_terminator(self.bytes, record),
            None => line_about(self.bytes, at),
        }
    }

    /// Where the record behind the one that `at` is in begins; the length of the text where there is
    /// none. O(rest of the record).
    pub fn behind(self, at: usize) -> usize {
        if let Some(record) = self.joined_at(at) {
            return record.end;
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(self.bytes.len(), |lf| at + lf + 1)
    }

    /// Whether the byte at `at` is in a record of several lines.
    pub fn is_joined_at(self, at: usize) -> bool {
        self.joined_at(at).is_some()
    }

    /// The lines of the record that `at` is in, if it has several.
    fn joined_at(&self, at: usize) -> Option<&Range<usize>> {
        let index = self.records.partition_point(|record| record.end <= at);
        let record = self.records.get(index)?;
        record.contains(&at).then_some(record)
    }
}

/// Where the text of `record` ends.
fn without_terminator(bytes: &[u8], record: &Range<usize>) -> usize {
    match bytes.get(record.clone()) {
        Some([.., b'\r', b'\n']) => record.end - 2,
        Some([.., b'\n']) => record.end - 1,
        _ => record.end,
    }
}

/// The line about the byte at `at`, without its terminator (LF, or CR LF).
///
/// `at` must be at most `bytes.len()`; the terminator belongs to the line that it ends. O(line).
pub fn line_about(bytes: &[u8], at: usize) -> Range<usize> {
    let (before, behind) = bytes.split_at(at);
    let start = memchr::memrchr(b'\n', before).map_or(0, |lf| lf + 1);
    let end = memchr::memchr(b'\n', behind).map_or(bytes.len(), |lf| at + lf);
    let has_lf = end < bytes.len();
    if has_lf && end > start && bytes.get(end - 1) == Some(&b'\r') {
        start..end - 1
    } else {
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminator_is_no_part_of_its_line() {
        let bytes = b"one\r\n\ntwo\rx\nlast\r";
        for (at, line) in [
            (0, "one"),
            (3, "one"),
            (4, "one"),
            (5, ""),
            (6, "two\rx"),
            (17, "last\r"),
        ] {
            assert_eq!(&bytes[line_about(bytes, at)], line.as_bytes(), "at {at}");
            assert_eq!(Text::from(&bytes[..]).about(at), line_about(bytes, at));
        }
    }

    #[test]
    fn a_record_of_many_lines_is_one_from_wherever_it_is_seen() {
        let bytes = b"one\ntwo\n at\r\n\r\nthree\nfour\n at";
        let records = [4..15, 21..29];
        let text = Text {
            bytes,
            records: &records,
        };
        let mut at = 0;
        let mut found = Vec::new();
        while at < bytes.len() {
            let record = text.about(at);
            let behind = text.behind(at);
            for place in at..behind {
                assert_eq!(text.about(place), record, "at {place}");
                assert_eq!(text.behind(place), behind, "at {place}");
            }
            found.push(bytes[record].escape_ascii().to_string());
            at = behind;
        }
        assert_eq!(found, ["one", r"two\n at\r\n", "three", r"four\n at"]);
    }
}
