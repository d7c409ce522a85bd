//! The thread that serves all senders, and what its tasks share.
//!
//! It goes through phases: it reads while an agent stands behind it, pauses while that is replaced,
//! and at the end reads what is in the kernel already before it closes. All tasks run on this one
//! thread, so when an order has been taken none of them is in the middle of anything.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::{PoisonError, mpsc};
use std::time::{Duration, Instant};

use lapwing_rules::model::{Batch, Segment, Source};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use super::counters::{All, Counters};
use super::own::Own;
use super::{Address, Config, datagrams, listen, streams, tls};
use crate::clock;
use crate::inputs::framer::Framed;
use crate::inputs::{Event, Receipt};
use crate::threads;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// An address that is taken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// An input is called ready after this even where an address cannot be listened at.
const LONGEST_UNREADY: Duration = Duration::from_secs(10);
/// What is in the kernel at the end is read for at most this.
const DRAIN: Duration = Duration::from_secs(1);
/// What is acknowledged at the end goes out within this.
const GOODBYE: Duration = Duration::from_millis(300);
/// Between two lines of the agent's log about one kind of thing.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Nobody takes messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Gives an event to the agent; waits while its inbox is full.
pub type Hand = Box<dyn FnMut(Event) -> Result<(), Closed> + Send>;

/// The agent that stands behind.
pub struct Setup {
    /// All inputs of this kind.
    pub configs: Vec<Config>,
    /// Its inbox.
    pub hand: Hand,
    /// Dropped when the thread ends, however that is, or when another agent takes this one's place.
    pub guard: Box<dyn Send>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("configs", &self.configs)
            .finish_non_exhaustive()
    }
}

/// Serves senders until it is dropped.
#[derive(Debug)]
pub struct Network {
    orders: UnboundedSender<Order>,
    counters: All,
}

#[derive(Debug)]
enum Order {
    Adopt(Setup),
    Pause(mpsc::Sender<()>),
    Drain(mpsc::Sender<()>),
    End(mpsc::Sender<()>),
}

/// See the file's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Paused,
    Reading,
    Draining,
    Ended,
}

impl Network {
    /// Starts the thread. It listens nowhere yet.
    ///
    /// # Errors
    ///
    /// When the system has no room for it.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (orders, inbox) = unbounded_channel();
        let counters = All::default();
        let theirs = Arc::clone(&counters);
        allow_descriptors();
        threads::start("network", move || {
            LocalSet::new().block_on(&runtime, serve(inbox, theirs));
        })?;
        Ok(Self { orders, counters })
    }

    /// Reads for this agent from now on. Sockets that it has no use for are closed.
    pub fn adopt(&self, setup: Setup) {
        // The thread ends with its guard, which tells.
        self.orders.send(Order::Adopt(setup)).ok();
    }

    /// Nothing more is handed over once this returns; connections stay, and wait.
    pub fn pause(&self) {
        self.order(Order::Pause);
    }

    /// Hands over what has arrived on this host, and stops reading. Takes a second at most, but for a
    /// full inbox.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// Sends the acknowledgements that are due, and closes everything.
    pub fn end(&self) {
        self.order(Order::End);
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<()>) -> Order) {
        let (done, wait) = mpsc::channel();
        if self.orders.send(order(done)).is_ok() {
            // An error says that the thread is gone: then it does nothing either.
            wait.recv().ok();
        }
    }

    /// The figures of all inputs.
    pub fn counters(&self) -> All {
        Arc::clone(&self.counters)
    }
}

/// A connection takes a descriptor each: as many as the system lets this process have.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Then fewer connections are taken.
    setrlimit(Resource::Nofile, limit).ok();
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
        if !framed.cut.is_empty() {
            counters.cut.add(framed.cut.len() as u64);
            counters.bytes_dropped.add(framed.dropped);
        }
        let offset = counters.bytes.get();
        counters.messages.add(messages - own.min(messages));
        counters.bytes.add(framed.bytes.len() as u64);
        let batch = Batch {
            source: Arc::clone(source),
            bytes: framed.bytes,
            segments: vec![Segment { at: 0, offset }],
            cut: framed.cut,
            records: framed.records,
            arrival: clock::now(),
        };
        self.hand_over(Event::Lines {
            batch,
            position: None,
        })
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

/// The thread's body.
async fn serve(mut orders: UnboundedReceiver<Order>, counters: All) {
    let node = rustix::system::uname();
    let shared = Rc::new(Shared {
        phase: watch::Sender::new(Phase::Paused),
        inputs: RefCell::default(),
        agent: RefCell::default(),
        own: RefCell::new(Own::new(std::process::id())),
        node: node.nodename().to_string_lossy().into_owned(),
        chunk: RefCell::default(),
        live: Cell::new(0),
        said: RefCell::default(),
        counters,
    });
    let mut listeners = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Adopt(setup) => adopt(&shared, setup, &mut listeners),
            Order::Pause(done) => {
                shared.phase.send_replace(Phase::Paused);
                done.send(()).ok();
            }
            Order::Drain(done) => {
                shared.phase.send_replace(Phase::Draining);
                let began = clock::monotonic();
                while shared.live.get() > 0 && began.elapsed() < DRAIN {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done.send(()).ok();
            }
            Order::End(done) => {
                shared.phase.send_replace(Phase::Ended);
                tokio::time::sleep(Duration::from_millis(1)).await;
                let began = clock::monotonic();
                while Rc::strong_count(&shared) > 1 && began.elapsed() < GOODBYE {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done.send(()).ok();
                return;
            }
        }
    }
}

/// One socket's task; aborted when nobody wants it any more.
struct Listener(JoinHandle<()>, Address);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
        if let Some(path) = self.1.path() {
            // Somebody else may have taken it away already.
            std::fs::remove_file(path).ok();
        }
    }
}

type Listeners = HashMap<(Arc<str>, Address), Listener>;

fn adopt(shared: &Rc<Shared>, setup: Setup, listeners: &mut Listeners) {
    if shared.chunk.borrow().is_empty() {
        shared.chunk.borrow_mut().resize(CHUNK_BYTES, 0);
    }
    *shared.agent.borrow_mut() = Some((setup.hand, setup.guard));
    let mut inputs = HashMap::new();
    for config in setup.configs {
        let counters = counters_of(shared, &config.input);
        let tls = acceptor(&config, &counters);
        let input = Arc::clone(&config.input);
        let current = Current {
            config,
            tls,
            counters,
        };
        inputs.insert(input, Rc::new(current));
    }
    listeners.retain(|(input, address), _| {
        let current = inputs.get(input);
        current.is_some_and(|current| current.config.spec.listen.contains(address))
    });
    let all: Vec<Rc<Current>> = inputs.values().map(Rc::clone).collect();
    *shared.inputs.borrow_mut() = inputs;
    for current in all {
        let input = &current.config.input;
        for address in &current.config.spec.listen {
            let key = (Arc::clone(input), address.clone());
            if listeners.get(&key).is_some_and(|it| !it.0.is_finished()) {
                continue;
            }
            // Tried here for the first time: what works is there before the input is ready.
            let opened = open(address, &current);
            let task = listen(
                Rc::clone(shared),
                Arc::clone(input),
                address.clone(),
                opened,
            );
            listeners.insert(key, Listener(spawn_local(task), address.clone()));
        }
        spawn_local(say_ready(Rc::clone(shared), current));
    }
    shared.phase.send_replace(Phase::Reading);
}

fn counters_of(shared: &Shared, input: &Arc<str>) -> Arc<Counters> {
    let mut all = shared
        .counters
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(Arc::clone(input)).or_default())
}

fn acceptor(config: &Config, counters: &Counters) -> Option<TlsAcceptor> {
    let loaded = tls::load(config.spec.tls.as_ref()?);
    counters.set_deaf("tls", loaded.as_ref().err().map(ToString::to_string));
    match loaded {
        Ok(server) => Some(server.into()),
        Err(error) => {
            let input = &config.input;
            tracing::error!(%input, %error, "no TLS: encrypted connections are refused");
            None
        }
    }
}

fn open(address: &Address, current: &Current) -> io::Result<OwnedFd> {
    let opened = listen::open(address);
    let name = address.to_string();
    let why = opened.as_ref().err().map(ToString::to_string);
    current.counters.set_deaf(&name, why);
    let input = &current.config.input;
    match &opened {
        Ok(socket) => {
            let at = listen::bound(socket).map_or(name.clone(), |at| match address {
                Address::Udp(_) => Address::Udp(at).to_string(),
                Address::Tcp(_, security) => Address::Tcp(at, *security).to_string(),
                Address::Relp(_, security) => Address::Relp(at, *security).to_string(),
                _ => name.clone(),
            });
            tracing::info!(%input, "listening at {at}");
        }
        Err(error) => tracing::error!(%input, "cannot listen at {name}: {error}"),
    }
    opened
}

/// One address's task: it is tried until it can be listened at.
async fn listen(
    shared: Rc<Shared>,
    input: Arc<str>,
    address: Address,
    mut opened: io::Result<OwnedFd>,
) {
    loop {
        let Some(current) = shared.current(&input) else {
            return;
        };
        match opened {
            Ok(socket) => {
                let served = match &address {
                    Address::Udp(_) | Address::UnixDatagram(_) => {
                        datagrams::serve(&shared, &input, &address, socket).await
                    }
                    _ => streams::serve(&shared, &input, &address, socket).await,
                };
                let Err(error) = served else { return };
                tracing::error!(%input, "cannot listen at {address} any further: {error}");
                current
                    .counters
                    .set_deaf(&address.to_string(), Some(error.to_string()));
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
        let now = listen::open(&address);
        if now.is_ok() {
            current.counters.set_deaf(&address.to_string(), None);
            tracing::info!(%input, "listening at {address} now");
        }
        opened = now;
    }
}

/// The input is ready when all its sockets are there, or when one of them will not be soon.
async fn say_ready(shared: Rc<Shared>, current: Rc<Current>) {
    let began = clock::monotonic();
    let mut phase = shared.phase();
    while !current.counters.deaf().is_empty() && began.elapsed() < LONGEST_UNREADY {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if phase
        .wait_for(|phase| *phase != Phase::Paused)
        .await
        .is_ok()
    {
        // The agent may be gone: then nobody waits for it to be ready.
        shared.hand_over(Event::Ready(current.config.id)).ok();
    }
}
