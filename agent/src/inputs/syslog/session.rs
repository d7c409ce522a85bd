//! One RELP connection: each message is acknowledged once what it caused is durable.
//!
//! What is not acknowledged when the connection ends is sent again by the other side; so it ends when
//! nobody is left who could say that something is durable. Messages that
//! wait for their acknowledgement are bounded: with too many of them nothing more is read.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::Source;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Spec;
use super::frame::append;
use super::relp::{Command, Frame, Reader, answer};
use super::shared::{Closed, Current, Phase};
use super::streams::{FRAME, Peer, Stream, read_some};
use crate::inputs::framer::Framed;
use crate::inputs::{Receipt, Settled};

/// Messages that may wait for their acknowledgement; senders stop at 128 by themselves.
const MOST_WAITING: usize = 10_000;
/// Bytes of answers that may wait to be taken.
const MOST_ANSWERS: usize = 256 * 1024;
/// A buffer for answers keeps its memory up to here.
const KEEP_BYTES: usize = 4 * 1024;
/// Answers that nobody takes are given up after this.
const PATIENCE: Duration = Duration::from_mins(1);
/// At the end they get less.
const GOODBYE: Duration = Duration::from_millis(200);
/// What this side can do.
const OFFERS: &str = concat!(
    "200 OK\nrelp_version=0\nrelp_software=lapwing,",
    env!("CARGO_PKG_VERSION"),
    "\ncommands=syslog"
);

/// What came with one reading.
#[derive(Default)]
struct Came {
    framed: Framed,
    messages: u64,
    /// The numbers of its messages.
    numbers: Vec<u32>,
    answers: Vec<u8>,
}

/// Nobody will say whether a message is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost;

/// What the other side has said so far.
struct Intake {
    reader: Reader,
    is_open: bool,
    /// Number of the frame that ends the session: nothing behind it counts.
    closing: Option<u32>,
    /// Since when its first frame, or the end of one, is awaited.
    since: Option<Instant>,
}

/// What it gets.
struct Session {
    peer: Peer,
    source: Arc<Source>,
    /// By the number of their receipt.
    waiting: VecDeque<(u64, Vec<u32>)>,
    waiting_messages: usize,
    receipts: u64,
    back: UnboundedSender<Settled>,
    answers: Vec<u8>,
    /// Whether answers were written that a TLS stream may still hold.
    is_unflushed: bool,
}

/// How long a connection may go on as it is.
struct Limits {
    /// Within a frame, or before the first one.
    frame: Duration,
    /// Between frames.
    silence: Duration,
    /// With answers due to one that says nothing more: it may have closed its half only, and wait.
    gone: Duration,
}

/// Serves a connection to its end.
pub(super) async fn serve(peer: Peer, stream: Box<dyn Stream>) {
    let Some(current) = peer.shared.current(&peer.input) else {
        return;
    };
    let (back, settled) = unbounded_channel();
    let mut intake = Intake {
        reader: Reader::new(current.config.max_line_bytes),
        is_open: false,
        closing: None,
        since: Some(Instant::now()),
    };
    let mut session = Session {
        source: peer.source(&current),
        peer,
        waiting: VecDeque::new(),
        waiting_messages: 0,
        receipts: 0,
        back,
        answers: Vec::new(),
        is_unflushed: false,
    };
    drop(current);
    let (mut input, mut output) = tokio::io::split(stream);
    let ended = session
        .run(&mut intake, &mut input, &mut output, settled)
        .await;
    if let Err(why) = ended
        && let Some(current) = session.peer.shared.current(&session.peer.input)
    {
        current.counters.broken.add(1);
        session.peer.say_closed(why);
    }
    // The other side may be gone already.
    timeout(GOODBYE, output.shutdown()).await.ok();
}

impl Session {
    async fn run(
        &mut self,
        intake: &mut Intake,
        input: &mut ReadHalf<Box<dyn Stream>>,
        output: &mut WriteHalf<Box<dyn Stream>>,
        mut settled: UnboundedReceiver<Settled>,
    ) -> Result<(), &'static str> {
        let shared = Rc::clone(&self.peer.shared);
        let mut phase = shared.phase();
        let (mut gone_at, mut is_lost) = (None, false);
        loop {
            let now = *phase.borrow_and_update();
            let Some(current) = shared.current(&self.peer.input) else {
                return Ok(());
            };
            while let Ok(settled) = settled.try_recv() {
                is_lost |= self.settle(settled) == Err(Lost);
            }
            if self.is_over(now, &current, intake, gone_at) || is_lost {
                // What was acknowledged goes out, and it hears what must come again.
                let closing = intake
                    .closing
                    .filter(|_| self.waiting.is_empty() && !is_lost);
                self.say_goodbye(closing, output).await;
                return Ok(());
            }
            // Behind its last frame only its end can come.
            let may_read = now == Phase::Reading
                && gone_at.is_none()
                && self.waiting_messages < MOST_WAITING
                && self.answers.len() < MOST_ANSWERS;
            let now = Instant::now();
            let limits = self.limits(current.config.spec.idle_timeout);
            let until = intake.until(now, may_read, &limits);
            let max = current.config.max_line_bytes;
            self.peer.seat.hold(self.held_bytes(intake), max);
            let take = |bytes: &[u8]| intake.take(bytes, max);
            tokio::select! {
                biased;
                _ = phase.changed() => {}
                why = self.peer.seat.evicted() => {
                    self.peer.say_evicted(&current, why);
                    is_lost = true;
                }
                Some(settled) = settled.recv() => is_lost |= self.settle(settled) == Err(Lost),
                written = timeout_at(now + PATIENCE, self.write(output)), if self.has_answers() => {
                    let Ok(Ok(count)) = written else { return Ok(()) };
                    self.written(count);
                }
                () = sleep_until(gone_at.unwrap_or(now) + limits.gone), if gone_at.is_some() => return Ok(()),
                got = timeout_at(until, read_some(&shared, input, take)), if may_read => match got {
                    Ok(Ok((0, _))) => gone_at = Some(now),
                    Ok(Err(_)) => return Ok(()),
                    Ok(Ok((_, (came, outcome)))) => {
                        self.peer.seat.heard(now);
                        self.hand_over(&current, came);
                        outcome?;
                        tokio::task::yield_now().await;
                    }
                    Err(_) => {
                        current.counters.timed_out.add(1);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether nothing more can come of it.
    fn is_over(
        &mut self,
        now: Phase,
        current: &Current,
        intake: &Intake,
        gone_at: Option<Instant>,
    ) -> bool {
        if now == Phase::Draining {
            // Nothing more is read: nobody has to wait for it.
            self.peer.live = None;
        }
        let has_said_all = gone_at.is_some() || intake.closing.is_some();
        let is_done = has_said_all && self.waiting.is_empty();
        is_done || now == Phase::Ended || !self.peer.is_wanted(current)
    }

    /// Who waits for an answer of this side is not idle.
    fn limits(&self, idle_timeout: Duration) -> Limits {
        let silence = if self.waiting.is_empty() {
            idle_timeout
        } else {
            idle_timeout.max(Spec::IDLE_TIMEOUT)
        };
        Limits {
            frame: FRAME.min(idle_timeout),
            silence,
            gone: PATIENCE.min(idle_timeout),
        }
    }

    fn held_bytes(&self, intake: &Intake) -> usize {
        let waiting = self.waiting_messages * size_of::<u32>();
        intake.reader.held_bytes() + self.answers.capacity() + waiting
    }

    fn has_answers(&self) -> bool {
        self.is_unflushed || !self.answers.is_empty()
    }

    /// Writes some of the answers, or flushes where all are written: 0.
    async fn write(&self, output: &mut WriteHalf<Box<dyn Stream>>) -> io::Result<usize> {
        if self.answers.is_empty() {
            output.flush().await?;
            return Ok(0);
        }
        match output.write(&self.answers).await {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        }
    }

    fn written(&mut self, count: usize) {
        self.answers.drain(..count);
        self.is_unflushed = count > 0;
        if self.answers.is_empty() {
            self.answers.shrink_to(KEEP_BYTES);
        }
    }

    /// Where nobody takes it, it is not acknowledged either.
    fn hand_over(&mut self, current: &Current, came: Came) {
        self.answers.extend_from_slice(&came.answers);
        if came.numbers.is_empty() {
            return;
        }
        self.receipts += 1;
        let receipt = Receipt::new(self.receipts, self.back.clone());
        self.waiting_messages += came.numbers.len();
        self.waiting.push_back((self.receipts, came.numbers));
        let shared = &self.peer.shared;
        let handed = shared
            .hand_over_lines(current, &mut self.source, came.framed, came.messages)
            .and_then(|()| shared.await_commit(receipt));
        if handed == Err(Closed) {
            // The receipt is gone, too, which tells this session that it is over.
            shared.say("unacknowledged", || {
                tracing::debug!("messages came that nobody takes: they are not acknowledged");
            });
        }
    }

    /// Acknowledges what came with this receipt. They come in their order: one that was left out was
    /// lost, and its messages may be.
    fn settle(&mut self, settled: Settled) -> Result<(), Lost> {
        let Settled::Durable(number) = settled else {
            return Err(Lost);
        };
        let (receipt, numbers) = self.waiting.pop_front().ok_or(Lost)?;
        if receipt != number {
            return Err(Lost);
        }
        self.waiting_messages -= numbers.len();
        for txnr in numbers {
            answer(txnr, "200 OK", &mut self.answers);
        }
        Ok(())
    }

    async fn say_goodbye(&mut self, closing: Option<u32>, output: &mut WriteHalf<Box<dyn Stream>>) {
        if let Some(txnr) = closing {
            answer(txnr, "", &mut self.answers);
        }
        self.answers.extend_from_slice(b"0 serverclose 0\n");
        // Whoever takes it no more sends again what was not acknowledged.
        let said = async {
            output.write_all(&self.answers).await?;
            output.flush().await
        };
        timeout(GOODBYE, said).await.ok();
    }
}

impl Intake {
    /// When it is closed if nothing comes. Only the time counts in which it `may_read`.
    fn until(&mut self, now: Instant, may_read: bool, limits: &Limits) -> Instant {
        match &mut self.since {
            // Nothing more is awaited.
            _ if self.closing.is_some() => now + limits.silence,
            Some(since) => {
                if !may_read {
                    *since = now;
                }
                *since + limits.frame
            }
            None => now + limits.silence,
        }
    }

    fn take(&mut self, bytes: &[u8], max: usize) -> (Came, Result<(), &'static str>) {
        if self.closing.is_some() {
            return (Came::default(), Ok(()));
        }
        self.reader.set_max(max);
        let (mut came, mut has_ended) = (Came::default(), false);
        let mut outcome = Ok(());
        let (is_open, closing) = (&mut self.is_open, &mut self.closing);
        let mut each = |frame: Frame<'_>| {
            has_ended = true;
            if outcome.is_err() || closing.is_some() {
                return;
            }
            match frame.command {
                Command::Open | Command::Unknown if came.answers.len() >= MOST_ANSWERS => {
                    outcome = Err("it asks for more than it can be told");
                }
                Command::Open => {
                    *is_open = true;
                    answer(frame.txnr, OFFERS, &mut came.answers);
                }
                Command::Syslog if *is_open => {
                    came.numbers.push(frame.txnr);
                    let is_any = append(frame.data, frame.length, max, &mut came.framed);
                    came.messages += u64::from(is_any);
                }
                Command::Syslog => outcome = Err("it sent a message before it opened a session"),
                Command::Close => *closing = Some(frame.txnr),
                Command::Unknown => {
                    answer(frame.txnr, "500 unknown command", &mut came.answers);
                }
            }
        };
        let read = self.reader.push(bytes, &mut each);
        if outcome.is_ok() && self.closing.is_none() && read.is_err() {
            outcome = Err("what it sends is no RELP");
        }
        self.since = match self.since {
            since if !self.is_open => since,
            _ if !self.reader.is_within() => None,
            Some(since) if !has_ended => Some(since),
            _ => Some(Instant::now()),
        };
        (came, outcome)
    }
}

#[cfg(test)]
mod tests;
