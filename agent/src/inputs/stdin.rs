//! Lines from a stream that cannot be read twice: standard input. It has no position to return
//! to, and its last line counts without LF. It does not open anything: it is given a reader.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use lapwing_rules::model::{Batch, InputId, Source};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::Event;
use super::framer::{Framed, Framer, Framing};
use crate::clock;

/// Bytes asked for in one read: what a Linux pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads until the end or an error, handing over lines as they come, and says
/// [`Event::Ready`] first and [`Event::Ended`] last. Blocks on the reader and on a full inbox.
/// Returns early when nobody holds the other end of the inbox. `has_more` says whether the reader has
/// something to say, its end included, and waits for that so long; it is asked while a record waits
/// for lines.
///
/// # Errors
///
/// That of the reader or of `has_more`, after all lines before it were handed over.
pub fn run<T: From<Event>>(
    input: InputId,
    framing: &Framing,
    mut reader: impl Read,
    mut has_more: impl FnMut(Duration) -> io::Result<bool>,
    inbox: &SyncSender<T>,
) -> io::Result<()> {
    let source = Arc::new(Source {
        input,
        name: "stdin".into(),
    });
    let mut framer = Framer::new(framing);
    let mut chunk = vec![0; CHUNK_BYTES];
    if inbox.send(Event::Ready(input).into()).is_err() {
        return Ok(());
    }
    let outcome = loop {
        let mut framed = Framed::default();
        if let Some(multiline) = framer.multiline().filter(|_| framer.holds_record()) {
            match has_more(multiline.timeout()) {
                Ok(true) => {}
                Ok(false) => framer.complete(&mut framed),
                Err(error) => break Err(error),
            }
            if !framed.bytes.is_empty() {
                if inbox.send(lines(&source, framed).into()).is_err() {
                    return Ok(());
                }
                continue;
            }
        }
        match reader.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(count) => framer.push(chunk.get(..count).unwrap_or_default(), &mut framed),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break Err(error),
        }
        // The next read blocks until there is more: nobody can tell whether there is.
        if !framed.bytes.is_empty() && inbox.send(lines(&source, framed).into()).is_err() {
            return Ok(());
        }
    };
    let mut framed = Framed::default();
    framer.finish(&mut framed);
    let last = (!framed.bytes.is_empty()).then(|| lines(&source, framed));
    for event in last.into_iter().chain([Event::Ended(input)]) {
        if inbox.send(event.into()).is_err() {
            break;
        }
    }
    outcome
}

/// Whether `file` can be read from without waiting, or has ended; waits for that for `span`.
///
/// # Errors
///
/// That of the system.
pub fn has_more(file: impl AsFd, span: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::new(&file, PollFlags::IN)];
    let span = Timespec::try_from(span).ok();
    match rustix::event::poll(&mut polled, span.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        // A read waits if need be.
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn lines(source: &Arc<Source>, framed: Framed) -> Event {
    let batch = Batch {
        source: Arc::clone(source),
        bytes: framed.bytes,
        segments: framed.segments,
        cut: framed.cut,
        records: framed.records,
        arrival: clock::now(),
    };
    Event::Lines {
        batch,
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn events_of(reader: impl Read) -> (Vec<Event>, io::Result<()>) {
        let (inbox, events) = sync_channel::<Event>(100);
        let outcome = run(InputId(3), &Framing::lines(8), reader, |_| Ok(true), &inbox);
        drop(inbox);
        (events.iter().collect(), outcome)
    }

    fn texts(events: &[Event]) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Lines {
                batch,
                position: None,
            } => {
                format!("{}{:?}", batch.bytes.escape_ascii(), batch.cut)
            }
            Event::Ready(InputId(3)) => "ready".to_owned(),
            Event::Ended(InputId(3)) => "ended".to_owned(),
            other => panic!("{other:?}"),
        };
        events.iter().map(text).collect()
    }

    /// Fails after its bytes.
    struct Broken(&'static [u8]);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("broken"));
            }
            self.0.read(buffer)
        }
    }

    #[test]
    fn the_last_line_counts_without_a_line_feed() {
        let (events, outcome) = events_of(&b"one\r\n123456789\ntwo"[..]);
        outcome.unwrap();
        let expected = ["ready", r"one\r\n12345678\n[5]", "two[]", "ended"];
        assert_eq!(texts(&events), expected);
    }

    #[test]
    fn nothing_at_all_is_an_end_too() {
        let (events, outcome) = events_of(&b""[..]);
        outcome.unwrap();
        assert_eq!(texts(&events), ["ready", "ended"]);
    }

    #[test]
    fn what_came_before_an_error_is_not_lost() {
        let (events, outcome) = events_of(Broken(b"one\ntwo"));
        assert_eq!(outcome.unwrap_err().to_string(), "broken");
        assert_eq!(texts(&events), ["ready", r"one\n[]", "two[]", "ended"]);
    }
}
