//! A stream of syslog → messages, whole, in the order they came. Pure: it reads nothing and knows
//! no time.
//!
//! Each frame says by its first byte what it is: one that begins with 1 to 9 bears a count of its
//! bytes (RFC 6587, octet counting), any other ends at LF. A number that is followed by neither a
//! digit nor a space is no count but how a text begins (`2026-11-21 …`), and ends at LF as well.
//! However the bytes are cut into reads, the same messages come out. Of a message under way no more
//! than the limit is held.

use memchr::memchr;

use crate::inputs::framer::Framed;

/// A count has at most so many digits: a gigabyte, less one byte.
const MOST_DIGITS: u64 = 9;
/// A buffer for the message under way keeps its memory up to here: idle connections must stay small.
const KEEP_BYTES: usize = 4 * 1024;

/// A count that no frame can have: nobody knows where the next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Splits one stream into messages.
#[derive(Debug)]
pub struct Frames {
    /// The most that a message may have.
    max: usize,
    state: State,
    /// The first bytes of the message under way, at most `max + 1`: the one more may be a CR.
    held: Vec<u8>,
    /// How many bytes of it there were.
    length: u64,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next byte is the first one of a frame.
    Between,
    /// In a count, whose digits stand in `held`.
    Count(u64),
    /// In a frame that ends at LF.
    Line,
    /// In a frame of which so many bytes are to come.
    Counted(u64),
}

impl Frames {
    /// Messages longer than `max_bytes`, at least 1, are cut.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max: max_bytes,
            state: State::Between,
            held: Vec::new(),
            length: 0,
            messages: 0,
        }
    }

    /// From the next message on another limit holds.
    pub fn set_max(&mut self, max_bytes: usize) {
        self.max = max_bytes;
    }

    /// Whether part of a frame has come.
    pub fn is_within(&self) -> bool {
        self.state != State::Between
    }

    /// Messages that came out since this was last asked.
    pub fn take_messages(&mut self) -> u64 {
        std::mem::take(&mut self.messages)
    }

    /// Appends the messages that are complete with `bytes` to `out`. O(bytes).
    ///
    /// # Errors
    ///
    /// When a count has more than 9 digits; what came before is in `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Framed) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            rest = match self.state {
                State::Between if first.is_ascii_digit() && first != b'0' => {
                    self.state = State::Count(0);
                    rest
                }
                State::Between => self.take_lines(rest, out),
                State::Count(count) => self.take_count(count, rest)?,
                State::Line => self.take_line(rest, out),
                State::Counted(left) => self.take_counted(left, rest, out),
            };
        }
        Ok(())
    }

    /// The stream has ended: a message without its LF counts, and so does what there is of one that
    /// bore a count.
    pub fn finish(&mut self, out: &mut Framed) {
        match self.state {
            State::Between => {}
            State::Line => self.complete(self.length, out),
            // What is missing is missing: as if it had been cut.
            State::Counted(left) => self.complete(self.length + left, out),
            State::Count(_) => self.complete(self.held.len() as u64, out),
        }
        self.state = State::Between;
    }

    /// Whole lines at once, as far as they are frames that need no more than to be copied.
    fn take_lines<'a>(&mut self, rest: &'a [u8], out: &mut Framed) -> &'a [u8] {
        let mut end = 0;
        loop {
            let behind = rest.get(end..).unwrap_or_default();
            let begins_count = behind
                .first()
                .is_some_and(|byte| matches!(byte, b'1'..=b'9'));
            if begins_count || behind.is_empty() {
                break;
            }
            let Some(lf) = memchr(b'\n', behind) else {
                self.state = State::Line;
                break;
            };
            // Empty, or with something behind it that is no part of it.
            let last = behind.get(..lf).and_then(<[u8]>::last);
            let is_plain = last.is_some_and(|byte| !matches!(byte, b'\r' | b'\0'));
            if !is_plain || lf > self.max {
                break;
            }
            self.messages += 1;
            end += lf + 1;
        }
        let (lines, behind) = rest.split_at(end);
        out.bytes.extend_from_slice(lines);
        let begins_count = behind
            .first()
            .is_some_and(|byte| matches!(byte, b'1'..=b'9'));
        if !behind.is_empty() && !begins_count {
            // One that is not plain, too long or not complete.
            self.state = State::Line;
        }
        behind
    }

    fn take_count<'a>(&mut self, count: u64, rest: &'a [u8]) -> Result<&'a [u8], TooLong> {
        let Some((&byte, behind)) = rest.split_first() else {
            return Ok(rest);
        };
        match byte {
            b'0'..=b'9' if self.held.len() as u64 >= MOST_DIGITS => Err(TooLong),
            b'0'..=b'9' => {
                self.held.push(byte);
                self.state = State::Count(count * 10 + u64::from(byte - b'0'));
                Ok(behind)
            }
            b' ' => {
                self.held.clear();
                self.length = 0;
                self.state = State::Counted(count);
                Ok(behind)
            }
            _ => {
                self.length = self.held.len() as u64;
                self.held.truncate(self.max + 1);
                self.state = State::Line;
                Ok(rest)
            }
        }
    }

    fn take_line<'a>(&mut self, rest: &'a [u8], out: &mut Framed) -> &'a [u8] {
        let Some(lf) = memchr(b'\n', rest) else {
            self.hold(rest);
            return &[];
        };
        let (text, behind) = rest.split_at(lf);
        self.hold(text);
        self.complete(self.length, out);
        self.state = State::Between;
        behind.get(1..).unwrap_or_default()
    }

    fn take_counted<'a>(&mut self, left: u64, rest: &'a [u8], out: &mut Framed) -> &'a [u8] {
        let here = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let (text, behind) = rest.split_at(here);
        let left = left - here as u64;
        if left > 0 {
            self.hold(text);
            self.state = State::Counted(left);
            return behind;
        }
        if self.held.is_empty() {
            self.length = 0;
            self.messages += u64::from(append(text, text.len() as u64, self.max, out));
        } else {
            self.hold(text);
            self.complete(self.length, out);
        }
        self.state = State::Between;
        behind
    }

    fn hold(&mut self, text: &[u8]) {
        let room = (self.max + 1).saturating_sub(self.held.len());
        self.held.extend(text.iter().take(room));
        self.length += text.len() as u64;
    }

    /// The message under way is over; it had `length` bytes.
    fn complete(&mut self, length: u64, out: &mut Framed) {
        self.messages += u64::from(append(&self.held, length, self.max, out));
        self.held.clear();
        if self.held.capacity() > KEEP_BYTES {
            self.held = Vec::new();
        }
        self.length = 0;
    }
}

/// Appends one message with LF to `out`: the first `max` bytes of it. `text` is all of its `length`
/// bytes, or more than `max` of them, or what there is of one that was broken off. What senders leave
/// behind a message (NUL, CR, LF) is no part of it; of an empty one nothing comes. Gives whether
/// anything came.
pub fn append(text: &[u8], length: u64, max: usize, out: &mut Framed) -> bool {
    // No more than is held of a message that comes in pieces: however it came, it is cut alike.
    let text = text.get(..=max).unwrap_or(text);
    let is_whole = text.len() as u64 == length;
    let mut kept = text;
    if is_whole {
        while let [before @ .., b'\0' | b'\r' | b'\n'] = kept {
            kept = before;
        }
    }
    if kept.is_empty() {
        return false;
    }
    let start = out.bytes.len();
    let text_bytes = if is_whole { kept.len() as u64 } else { length };
    kept = kept.get(..max).unwrap_or(kept);
    if (kept.len() as u64) < text_bytes {
        out.cut.push(start);
        out.dropped += text_bytes - kept.len() as u64;
    }
    out.bytes.extend_from_slice(kept);
    // A CR that stood inside the message must not be taken for a part of the terminator.
    let end: &[u8] = if kept.last() == Some(&b'\r') {
        b"\r\n"
    } else {
        b"\n"
    };
    out.bytes.extend_from_slice(end);
    if memchr(b'\n', kept).is_some() {
        out.records.push(start..out.bytes.len());
    }
    true
}

#[cfg(test)]
mod tests;
