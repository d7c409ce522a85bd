//! What all tasks of the thread `network` share: the agent behind them, the inputs as they are
//! configured now, and the phase that says whether anything may be read.
//!
//! Every task comes here for its turn ([`Shared::turn`]) and hands over here what it has read. It opens
//! no socket and reads none.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::model::{Batch, Segment, Source};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Config;
use super::counters::{All, Counters};
use super::own::Own;
use super::seats::Seats;
use crate::clock;
use crate::inputs::framer::Framed;
use crate::inputs::{Event, Receipt};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Between two lines of the agent's log about one kind of thing.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Nobody takes messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Gives an event to the agent; waits while its inbox is full.
pub type Hand = Box<dyn FnMut(Event) -> Result<(), Closed> + Send>;

/// See `network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Paused,
    Reading,
    Draining,
    Ended,
}

/// What all tasks share.
pub(super) struct Shared {
    phase: watch::Sender<Phase>,
    inputs: RefCell<HashMap<Arc<str>, Rc<Current>>>,
    agent: RefCell<Option<(Hand, Box<dyn Send>)>>,
    own: RefCell<Own>,
    node: String,
    /// What is read goes here first.
    pub(super) chunk: RefCell<Vec<u8>>,
    /// Tasks that may hand something over at the end.
    live: Cell<usize>,
    said: RefCell<HashMap<&'static str, Instant>>,
    /// Of all connections.
    pub(super) seats: Rc<Seats>,
    counters: All,
}

/// An input as it is configured now.
pub(super) struct Current {
    pub(super) config: Config,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) counters: Arc<Counters>,
}

/// Counts a task for as long as it lives.
pub(super) struct Live(Rc<Shared>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.set(self.0.live.get() - 1);
    }
}

impl Shared {
    /// Nobody stands behind it yet.
    pub(super) fn new(counters: All) -> Self {
        let node = rustix::system::uname();
        Self {
            phase: watch::Sender::new(Phase::Paused),
            inputs: RefCell::default(),
            agent: RefCell::default(),
            own: RefCell::new(Own::new(std::process::id())),
            node: node.nodename().to_string_lossy().into_owned(),
            chunk: RefCell::default(),
            live: Cell::new(0),
            said: RefCell::default(),
            seats: Rc::default(),
            counters,
        }
    }

    /// From now on lines go to this agent. `guard` is dropped when another takes its place.
    pub(super) fn stand_behind(&self, hand: Hand, guard: Box<dyn Send>) {
        *self.agent.borrow_mut() = Some((hand, guard));
    }

    /// These are all inputs.
    pub(super) fn configure(&self, inputs: HashMap<Arc<str>, Rc<Current>>) {
        if !inputs.is_empty() && self.chunk.borrow().is_empty() {
            *self.chunk.borrow_mut() = vec![0; CHUNK_BYTES];
        }
        *self.inputs.borrow_mut() = inputs;
    }

    /// The counters of an input, which outlive its configuration.
    pub(super) fn counters_of(&self, input: &Arc<str>) -> Arc<Counters> {
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(Arc::clone(input)).or_default())
    }

    /// All tasks hear of it.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) fn is_reading(&self) -> bool {
        *self.phase.borrow() == Phase::Reading
    }

    /// Whether a task may still hand something over at the end.
    pub(super) fn is_any_live(&self) -> bool {
        self.live.get() > 0
    }

    /// Waits while nothing may be read, then says for which phase and how the input is configured now.
    /// `None`: it is over, or the input is configured no more.
    pub(super) async fn turn(
        &self,
        phase: &mut watch::Receiver<Phase>,
        input: &str,
    ) -> Option<(Phase, Rc<Current>)> {
        loop {
            let now = *phase.borrow_and_update();
            let current = self.current(input)?;
            match now {
                Phase::Ended => return None,
                Phase::Reading | Phase::Draining => return Some((now, current)),
                // An error says that the thread ends, and with it this task.
                Phase::Paused => drop(phase.changed().await),
            }
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// `None`: it is configured no more.
    pub(super) fn current(&self, input: &str) -> Option<Rc<Current>> {
        self.inputs.borrow().get(input).map(Rc::clone)
    }

    pub(super) fn live(self: &Rc<Self>) -> Live {
        self.live.set(self.live.get() + 1);
        Live(Rc::clone(self))
    }

    /// Gives one event to the agent; waits while its inbox is full.
    pub(super) fn hand_over(&self, event: Event) -> Result<(), Closed> {
        let mut agent = self.agent.borrow_mut();
        let (hand, _) = agent.as_mut().ok_or(Closed)?;
        hand(event)
    }

    /// Makes a batch of `framed` and hands it over. `source` is made anew where the input has another
    /// number now.
    pub(super) fn hand_over_lines(
        &self,
        current: &Current,
        source: &mut Arc<Source>,
        mut framed: Framed,
        messages: u64,
    ) -> Result<(), Closed> {
        let counters = &current.counters;
        let hosts = [&*current.config.host, &*self.node];
        let own = self.own.borrow_mut().remove(&mut framed, &hosts);
        if own > 0 {
            counters.own.add(own);
            self.say("own", || {
                let (input, from) = (&current.config.input, &source.name);
                tracing::warn!(%input, %from, "this agent's own messages come back: they are dropped, for each alert about them would cause the next");
            });
        }
        if framed.bytes.is_empty() {
            return Ok(());
        }
        if source.input != current.config.id {
            *source = Arc::new(Source {
                input: current.config.id,
                name: Arc::clone(&source.name),
            });
        }
        let (cut, bytes) = (framed.cut.len() as u64, framed.bytes.len() as u64);
        let batch = Batch {
            source: Arc::clone(source),
            bytes: framed.bytes,
            segments: vec![Segment {
                at: 0,
                offset: counters.bytes.get(),
            }],
            cut: framed.cut,
            records: framed.records,
            arrival: clock::now(),
        };
        self.hand_over(Event::Lines {
            batch,
            position: None,
        })?;
        counters.cut.add(cut);
        counters.messages.add(messages - own.min(messages));
        counters.bytes.add(bytes);
        Ok(())
    }

    /// Asks to hear when everything that was handed over is durable.
    pub(super) fn await_commit(&self, receipt: Receipt) -> Result<(), Closed> {
        self.hand_over(Event::Awaited(receipt))
    }

    /// Says something of a kind of which there may be much: what comes soon after the one before is
    /// counted only.
    pub(super) fn say(&self, kind: &'static str, say: impl FnOnce()) {
        let now = clock::monotonic();
        let mut said = self.said.borrow_mut();
        if said.get(kind).is_none_or(|at| *at + SAY_EVERY <= now) {
            said.insert(kind, now);
            say();
        }
    }
}
