//! A stream of syslog → messages, whole, in the order they came. Pure: it reads nothing and knows
//! no time.
//!
//! Each frame says by its first byte what it is: one that begins with 1 to 9 bears a count of its
//! bytes (RFC 6587, octet counting), any other ends at LF. Texts begin with numbers, too (`10 rows
//! affected`), so a number is a count only
//!
//! - with a space behind it: `2026-11-21 …` is a line;
//! - and with a priority behind that (`<13>`), where the frame before was a line: who sends lines goes on
//!   with lines, and who counts frames that bear no priority counts the first one already;
//! - and, of the first frame of a stream without a priority, when no LF comes before so many bytes are
//!   over.
//!
//! A longer number than 9 digits (a time in milliseconds) begins a line, too. Where only a count may
//! stand, or a priority stands behind it, it ends the stream: nobody knows where the next frame begins.
//!
//! However the bytes are cut into reads, the same messages come out. Of a message under way no more
//! than the limit is held, and the number before it.

use memchr::memchr;

use crate::inputs::framer::Framed;

/// A count has at most so many digits: a gigabyte, less one byte.
const MOST_DIGITS: usize = 9;
/// A line may begin with a longer number, a time in nanoseconds or 64 bits of anything.
const MOST_DIGITS_OF_A_LINE: usize = 20;
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
    before: Before,
    /// The first bytes of the message under way, at most `max + 1`: the one more may be a CR.
    held: Vec<u8>,
    /// How many bytes of it there were.
    length: u64,
    messages: u64,
}

/// What the last frame was that was not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Line,
    Counted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next byte is the first one of a frame.
    Between,
    /// In a count, whose digits stand in `held`.
    Count(u64),
    /// Behind a number and a space, `head` bytes: they stand in `held`, and behind them how a priority
    /// begins. The next bytes say what they are.
    Space { head: usize, count: u64 },
    /// In the first frame, which has `left` bytes to come if no LF comes before. In `held` stands
    /// what came of it, with the number and the space, `head` bytes, before it.
    Perhaps { head: usize, left: u64 },
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
            before: Before::Nothing,
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

    /// Whether part of a line has come, which is nothing but text so far.
    pub fn is_within_line(&self) -> bool {
        self.state == State::Line
    }

    /// Bytes of memory that the message under way takes.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Messages that came out since this was last asked.
    pub fn take_messages(&mut self) -> u64 {
        std::mem::take(&mut self.messages)
    }

    /// Appends the messages that are complete with `bytes` to `out`. O(bytes).
    ///
    /// # Errors
    ///
    /// When a count has more than 9 digits, or anything begins with more than 20; what came before is
    /// in `out`.
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
                State::Space { head, count } => self.take_space(head, count, rest, out)?,
                State::Perhaps { head, left } => self.take_perhaps(head, left, rest, out),
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
            State::Line => self.complete_line(out),
            // Where it was a count nothing came behind it.
            State::Space { head, .. }
                if self.before == Before::Nothing
                    && self.held.len() == head
                    && head <= MOST_DIGITS + 1 =>
            {
                self.held.clear();
            }
            // What is missing is missing: as if it had been cut.
            State::Counted(left) => self.complete_counted(self.length + left, out),
            // With its number: nothing tells what it was.
            State::Count(_) | State::Space { .. } | State::Perhaps { .. } => {
                self.complete_as_line(out);
            }
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
            self.before = Before::Line;
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
            b'0'..=b'9' if self.held.len() >= self.most_digits() => Err(TooLong),
            b'0'..=b'9' => {
                self.held.push(byte);
                // Of one with too many digits the value is of no use.
                let count = count.saturating_mul(10);
                self.state = State::Count(count.saturating_add(u64::from(byte - b'0')));
                Ok(behind)
            }
            b' ' if self.before == Before::Counted => {
                self.held.clear();
                self.length = 0;
                self.state = State::Counted(count);
                Ok(behind)
            }
            b' ' => {
                self.held.push(byte);
                let head = self.held.len();
                self.state = State::Space { head, count };
                Ok(behind)
            }
            _ => {
                self.become_line();
                Ok(rest)
            }
        }
    }

    fn most_digits(&self) -> usize {
        match self.before {
            Before::Counted => MOST_DIGITS,
            Before::Nothing | Before::Line => MOST_DIGITS_OF_A_LINE,
        }
    }

    /// Behind a number and a space: a priority that ends within so many bytes makes them a count.
    fn take_space<'a>(
        &mut self,
        head: usize,
        count: u64,
        rest: &'a [u8],
        out: &mut Framed,
    ) -> Result<&'a [u8], TooLong> {
        let Some((&byte, behind)) = rest.split_first() else {
            return Ok(rest);
        };
        let is_long = head > MOST_DIGITS + 1;
        let before = self.held.len() - head;
        // At least 1: what fills it is not held here.
        let left = count.saturating_sub(before as u64);
        match (byte, before) {
            (b'>', 2..=4) if is_long => return Err(TooLong),
            (b'>', 2..=4) => {
                self.held.push(byte);
                self.held.drain(..head);
                self.length = self.held.len() as u64;
                self.state = State::Counted(left.saturating_sub(1));
                if left == 1 {
                    self.complete_counted(self.length, out);
                }
                return Ok(behind);
            }
            (b'<', 0) | (b'0'..=b'9', 1..=3) if left > 1 => {
                self.held.push(byte);
                return Ok(behind);
            }
            _ => {}
        }
        if self.before == Before::Nothing && !is_long {
            self.length = self.held.len() as u64;
            self.state = State::Perhaps { head, left };
        } else {
            self.become_line();
        }
        Ok(rest)
    }

    /// What was held for a number is how a line begins.
    fn become_line(&mut self) {
        self.length = self.held.len() as u64;
        self.held.truncate(self.max + 1);
        self.state = State::Line;
    }

    fn take_perhaps<'a>(
        &mut self,
        head: usize,
        left: u64,
        rest: &'a [u8],
        out: &mut Framed,
    ) -> &'a [u8] {
        let here = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let (text, behind) = rest.split_at(here);
        let left = left - here as u64;
        // Some count the LF that they leave behind a message.
        let inner = match text {
            [inner @ .., _] if left == 0 => inner,
            _ => text,
        };
        if memchr(b'\n', inner).is_some() {
            self.held.truncate(self.max + 1);
            self.state = State::Line;
            return rest;
        }
        self.hold_behind(head, text);
        if left > 0 {
            self.state = State::Perhaps { head, left };
        } else {
            self.held.drain(..head);
            self.complete_counted(self.length - head as u64, out);
        }
        behind
    }

    fn take_line<'a>(&mut self, rest: &'a [u8], out: &mut Framed) -> &'a [u8] {
        let Some(lf) = memchr(b'\n', rest) else {
            self.hold(rest);
            return &[];
        };
        let (text, behind) = rest.split_at(lf);
        self.hold(text);
        self.complete_line(out);
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
            (self.state, self.before) = (State::Between, Before::Counted);
        } else {
            self.hold(text);
            self.complete_counted(self.length, out);
        }
        behind
    }

    fn hold(&mut self, text: &[u8]) {
        self.hold_behind(0, text);
    }

    /// Where `head` bytes that may be no part of the message stand before it.
    fn hold_behind(&mut self, head: usize, text: &[u8]) {
        let room = (self.max + 1 + head).saturating_sub(self.held.len());
        self.held.extend(text.iter().take(room));
        self.length += text.len() as u64;
    }

    fn complete_counted(&mut self, length: u64, out: &mut Framed) {
        self.complete(length, out);
        (self.state, self.before) = (State::Between, Before::Counted);
    }

    fn complete_line(&mut self, out: &mut Framed) {
        if self.complete(self.length, out) {
            self.before = Before::Line;
        }
    }

    /// What is held begins with a number that was taken for a count so far.
    fn complete_as_line(&mut self, out: &mut Framed) {
        self.length = self.length.max(self.held.len() as u64);
        self.held.truncate(self.max + 1);
        self.complete_line(out);
    }

    /// The message under way is over; it had `length` bytes. Gives whether there was anything in it.
    fn complete(&mut self, length: u64, out: &mut Framed) -> bool {
        let is_any = append(&self.held, length, self.max, out);
        self.messages += u64::from(is_any);
        self.held.clear();
        if self.held.capacity() > KEEP_BYTES {
            self.held = Vec::new();
        }
        self.length = 0;
        is_any
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
