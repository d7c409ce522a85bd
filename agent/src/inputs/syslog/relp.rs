//! The frames of RELP, the Reliable Event Logging Protocol: `TXNR SP COMMAND SP LENGTH [SP DATA] LF`.
//! Pure: bytes in, frames out; what to answer is the session's to say.
//!
//! Its text: <https://github.com/rsyslog/librelp/blob/master/doc/relp.html>.

/// Digits of a transaction number and of a length.
const MOST_DIGITS: usize = 9;
/// Bytes of a command's name.
const MOST_COMMAND_BYTES: usize = 32;
/// What stands before the data at most.
const MOST_HEAD_BYTES: usize = MOST_DIGITS + 1 + MOST_COMMAND_BYTES + 1 + MOST_DIGITS;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The number under which it is answered.
    pub txnr: u32,
    /// What it wants.
    pub command: Command,
    /// Its first bytes, at most one more than the limit.
    pub data: &'a [u8],
    /// How many there were.
    pub length: u64,
}

/// What a frame wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begins a session; the data says what the other side can do.
    Open,
    /// The data is a message.
    Syslog,
    /// Ends the session.
    Close,
    /// Something that nobody defined.
    Unknown,
}

/// These bytes are no RELP, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRelp;

/// Splits a stream into frames. Holds one frame at the most, of it no more than the limit.
#[derive(Debug)]
pub struct Reader {
    max: usize,
    /// What came and is not taken: from the start of a frame, or of its data.
    held: Vec<u8>,
    /// The frame whose data is being collected.
    under_way: Option<Head>,
    /// Bytes of its data that are yet to come, and the LF.
    left: u64,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    txnr: u32,
    command: Command,
    length: u64,
}

/// What came of looking at the start of a frame.
enum Looked {
    /// It goes on.
    Incomplete,
    /// And so many bytes that it takes. A frame without data has had its LF.
    Whole(Head, usize),
}

impl Reader {
    /// Data beyond `max_bytes` is dropped.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max: max_bytes,
            held: Vec::new(),
            under_way: None,
            left: 0,
        }
    }

    /// From now on another limit holds.
    pub fn set_max(&mut self, max_bytes: usize) {
        self.max = max_bytes;
    }

    /// Whether part of a frame has come.
    pub fn is_within(&self) -> bool {
        self.under_way.is_some() || !self.held.is_empty()
    }

    /// Bytes of memory that the frame under way takes.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Calls `each` with every frame that is complete with `bytes`.
    ///
    /// # Errors
    ///
    /// When the stream is no RELP; `each` got what came before.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), NotRelp> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.under_way {
                Some(head) => self.take_data(head, rest, each)?,
                None => self.take_head(rest, each)?,
            };
        }
        Ok(())
    }

    fn take_head<'a>(
        &mut self,
        rest: &'a [u8],
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<&'a [u8], NotRelp> {
        let before = self.held.len();
        let text = if before == 0 {
            rest
        } else {
            self.held.extend(rest.iter().take(MOST_HEAD_BYTES + 2));
            &self.held
        };
        // Some send a line feed more.
        if before == 0 && text.first() == Some(&b'\n') {
            return Ok(rest.get(1..).unwrap_or_default());
        }
        let looked = look(text)?;
        match looked {
            Looked::Incomplete => {
                if before == 0 {
                    self.held.extend_from_slice(rest);
                }
                Ok(&[])
            }
            Looked::Whole(head, taken) => {
                self.held.clear();
                let behind = rest.get(taken.saturating_sub(before)..).unwrap_or_default();
                if head.length == 0 {
                    each(Frame {
                        txnr: head.txnr,
                        command: head.command,
                        data: &[],
                        length: 0,
                    });
                } else {
                    self.under_way = Some(head);
                    self.left = head.length + 1;
                }
                Ok(behind)
            }
        }
    }

    fn take_data<'a>(
        &mut self,
        head: Head,
        rest: &'a [u8],
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<&'a [u8], NotRelp> {
        let here = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
        let (data, behind) = rest.split_at(here);
        self.left -= here as u64;
        let is_over = self.left == 0;
        let data = match data.split_last() {
            Some((b'\n', data)) if is_over => data,
            Some(_) if is_over => return Err(NotRelp),
            _ => data,
        };
        let frame = |data| Frame {
            txnr: head.txnr,
            command: head.command,
            data,
            length: head.length,
        };
        if is_over && self.held.is_empty() {
            each(frame(data.get(..=self.max).unwrap_or(data)));
        } else {
            let room = (self.max + 1).saturating_sub(self.held.len());
            self.held.extend(data.iter().take(room));
            if is_over {
                each(frame(&self.held));
                self.held = Vec::new();
            }
        }
        if is_over {
            self.under_way = None;
        }
        Ok(behind)
    }
}

fn look(text: &[u8]) -> Result<Looked, NotRelp> {
    let mut at = 0;
    let Some(txnr) = number(text, &mut at, b" ")? else {
        return Ok(Looked::Incomplete);
    };
    let rest = text.get(at..).unwrap_or_default();
    let letters = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    if letters > MOST_COMMAND_BYTES {
        return Err(NotRelp);
    }
    match rest.get(letters) {
        None => return Ok(Looked::Incomplete),
        Some(b' ') if letters > 0 => {}
        Some(_) => return Err(NotRelp),
    }
    let command = match rest.get(..letters).unwrap_or_default() {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        _ => Command::Unknown,
    };
    at += letters + 1;
    let Some(length) = number(text, &mut at, b" \n")? else {
        return Ok(Looked::Incomplete);
    };
    let ends = text.get(at - 1) == Some(&b'\n');
    if ends && length > 0 {
        return Err(NotRelp);
    }
    if !ends && length == 0 {
        // `0 ` and the line feed behind the space.
        match text.get(at) {
            None => return Ok(Looked::Incomplete),
            Some(b'\n') => at += 1,
            Some(_) => return Err(NotRelp),
        }
    }
    let head = Head {
        txnr,
        command,
        length: u64::from(length),
    };
    Ok(Looked::Whole(head, at))
}

/// A number at `at` and one of `ends` behind it, which `at` then stands behind; `None` while it goes
/// on.
fn number(text: &[u8], at: &mut usize, ends: &[u8]) -> Result<Option<u32>, NotRelp> {
    let mut number = 0u32;
    let mut digits = 0;
    loop {
        match text.get(*at + digits) {
            None if digits <= MOST_DIGITS => return Ok(None),
            Some(byte) if byte.is_ascii_digit() && digits < MOST_DIGITS => {
                number = number * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            Some(byte) if digits > 0 && ends.contains(byte) => {
                *at += digits + 1;
                return Ok(Some(number));
            }
            _ => return Err(NotRelp),
        }
    }
}

/// Appends the answer to the frame `txnr`.
pub fn answer(txnr: u32, text: &str, out: &mut Vec<u8>) {
    let space = if text.is_empty() { "" } else { " " };
    let frame = format!("{txnr} rsp {}{space}{text}\n", text.len());
    out.extend_from_slice(frame.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(bytes: &[u8], max: usize, piece: usize) -> (Vec<String>, bool) {
        let mut reader = Reader::new(max);
        let mut shown = Vec::new();
        for part in bytes.chunks(piece.max(1)) {
            let mut each = |frame: Frame<'_>| {
                let data = frame.data.escape_ascii();
                let (txnr, command, length) = (frame.txnr, frame.command, frame.length);
                shown.push(format!("{txnr} {command:?} {length} {data}"));
            };
            if reader.push(part, &mut each).is_err() {
                return (shown, true);
            }
        }
        (shown, false)
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str], is_broken: bool) {
        for piece in 1..=stream.len() {
            let got = frames(stream.as_bytes(), 8, piece);
            assert_eq!(
                got,
                (
                    expected.iter().map(|it| (*it).to_owned()).collect(),
                    is_broken
                )
            );
        }
    }

    #[test]
    fn frames_cut_at_every_byte_are_the_same() {
        let open = "1 open 14 relp_version=0\n";
        check(open, &["1 Open 14 relp_vers"], false);
        check(
            "2 syslog 4 <1>a\n3 syslog 4 <1>b\n",
            &["2 Syslog 4 <1>a", "3 Syslog 4 <1>b"],
            false,
        );
        check("4 close 0\n", &["4 Close 0 "], false);
        check(
            "4 close 0 \n5 syslog 1 x\n",
            &["4 Close 0 ", "5 Syslog 1 x"],
            false,
        );
        check("6 syslog 3 a\nb\n", &[r"6 Syslog 3 a\nb"], false);
        check("7 dance 1 x\n", &["7 Unknown 1 x"], false);
        check(
            "8 syslog 12 0123456789ab\n9 syslog 1 x\n",
            &["8 Syslog 12 012345678", "9 Syslog 1 x"],
            false,
        );
    }

    #[test]
    fn what_is_no_relp_ends_the_session_and_what_came_before_it_is_kept() {
        check("<13>hello\n", &[], true);
        check(
            "1 syslog 1 x\n1234567890 syslog 1 x\n",
            &["1 Syslog 1 x"],
            true,
        );
        check("1 syslog 9999999999 x", &[], true);
        check("1 syslog 2 xyz\n", &[], true);
        check("1 syslog 3\n", &[], true);
        check("1  1 x\n", &[], true);
        check("1 syslog x\n", &[], true);
        check(
            "1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            &[],
            true,
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_cutting_changes_nothing(
            parts in prop::collection::vec(prop_oneof![
                Just("1 syslog 2 ab\n"), Just("2 "), Just("syslog "), Just("3 "), Just("\n"),
                Just("x"), Just("open 0\n"), Just("1 close 0\n"), Just("12345678901"),
            ], 0..20),
            piece in 1usize..9,
        ) {
            let stream = parts.concat();
            let whole = frames(stream.as_bytes(), 4, stream.len());
            prop_assert_eq!(frames(stream.as_bytes(), 4, piece), whole);
        }
    }
}
