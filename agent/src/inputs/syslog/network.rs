//! The thread that serves all senders: what it is told, and who listens where.
//!
//! It goes through phases: it reads while an agent stands behind it, pauses while that is replaced,
//! and at the end reads what is in the kernel already before it closes. All tasks run on this one
//! thread, so when an order has been taken none of them is in the middle of anything.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use super::counters::{All, Counters};
use super::listen::Place;
use super::shared::{Current, Hand, Phase, Shared};
use super::{Address, Config, datagrams, listen, streams, tls};
use crate::clock;
use crate::inputs::Event;
use crate::threads;

/// An address that is taken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// How often it is looked whether a socket still stands in its place.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// An input is called ready after this even where an address cannot be listened at.
const LONGEST_UNREADY: Duration = Duration::from_secs(10);
/// What is in the kernel at the end is read for at most this.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
/// What is acknowledged at the end goes out within this.
const GOODBYE: Duration = Duration::from_millis(300);

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

/// The thread's body.
async fn serve(mut orders: UnboundedReceiver<Order>, counters: All) {
    let shared = Rc::new(Shared::new(counters));
    let mut listeners = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Adopt(setup) => adopt(&shared, setup, &mut listeners),
            Order::Pause(done) => {
                shared.enter(Phase::Paused);
                done.send(()).ok();
            }
            Order::Drain(done) => {
                shared.enter(Phase::Draining);
                let began = clock::monotonic();
                while shared.is_any_live() && began.elapsed() < DRAIN {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done.send(()).ok();
            }
            Order::End(done) => {
                shared.enter(Phase::Ended);
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
struct Listener {
    task: JoinHandle<()>,
    place: Standing,
}

/// Where its socket stands in the file system, if it does.
type Standing = Rc<RefCell<Option<Place>>>;

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(place) = self.place.borrow().as_ref() {
            place.remove();
        }
    }
}

type Listeners = HashMap<(Arc<str>, Address), Listener>;

fn adopt(shared: &Rc<Shared>, setup: Setup, listeners: &mut Listeners) {
    shared.stand_behind(setup.hand, setup.guard);
    let mut inputs = HashMap::new();
    for config in setup.configs {
        let counters = shared.counters_of(&config.input);
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
    shared.configure(inputs);
    for current in all {
        let input = &current.config.input;
        for address in &current.config.spec.listen {
            let key = (Arc::clone(input), address.clone());
            if listeners.get(&key).is_some_and(|it| !it.task.is_finished()) {
                continue;
            }
            // Tried here for the first time: what works is there before the input is ready.
            let opened = open(address, &current);
            let place = Standing::default();
            let at = (address.clone(), Rc::clone(&place));
            let task = listen(Rc::clone(shared), Arc::clone(input), at, opened);
            let task = spawn_local(task);
            listeners.insert(key, Listener { task, place });
        }
        spawn_local(say_ready(Rc::clone(shared), current));
    }
    shared.enter(Phase::Reading);
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
    (address, place): (Address, Standing),
    mut opened: io::Result<OwnedFd>,
) {
    loop {
        let Some(current) = shared.current(&input) else {
            return;
        };
        match opened {
            Ok(socket) => {
                *place.borrow_mut() = Place::of(&address);
                let served = tokio::select! {
                    biased;
                    served = serve_at(&shared, &input, &address, socket) => served,
                    () = is_gone(&shared, &place) => Err(io::Error::other("its socket was taken away")),
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
        let why = now.as_ref().err().map(ToString::to_string);
        current.counters.set_deaf(&address.to_string(), why);
        if now.is_ok() {
            tracing::info!(%input, "listening at {address} now");
        }
        opened = now;
    }
}

async fn serve_at(
    shared: &Rc<Shared>,
    input: &Arc<str>,
    address: &Address,
    socket: OwnedFd,
) -> io::Result<()> {
    match address {
        Address::Udp(_) | Address::UnixDatagram(_) => {
            datagrams::serve(shared, input, address, socket).await
        }
        _ => streams::serve(shared, input, address, socket).await,
    }
}

/// Waits until something else stands where the socket stood, or nothing: then no new sender finds it.
async fn is_gone(shared: &Shared, place: &Standing) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let holds = place.borrow().as_ref().is_none_or(Place::holds);
        if !holds && shared.is_reading() {
            return;
        }
    }
}

/// The input is ready when all its sockets are there, or when one of them will not be soon.
async fn say_ready(shared: Rc<Shared>, current: Rc<Current>) {
    let began = clock::monotonic();
    let mut phase = shared.phase();
    // With another agent there is another task for what stands here then.
    let is_of_now = || {
        let now = shared.current(&current.config.input);
        now.is_some_and(|now| Rc::ptr_eq(&now, &current))
    };
    while is_of_now() && !current.counters.deaf().is_empty() && began.elapsed() < LONGEST_UNREADY {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let entered = phase.wait_for(|phase| *phase != Phase::Paused).await;
    if entered.is_ok() && is_of_now() {
        // The agent may be gone: then nobody waits for it to be ready.
        shared.hand_over(Event::Ready(current.config.id)).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lapwing_rules::model::InputId;

    use super::super::Spec;
    use super::*;

    fn current(id: u32) -> Rc<Current> {
        let config = Config {
            input: "net".into(),
            id: InputId(id),
            spec: Spec {
                listen: Vec::new(),
                tls: None,
                max_connections: 1,
                idle_timeout: Spec::IDLE_TIMEOUT,
            },
            max_line_bytes: 10,
            host: "here".into(),
        };
        Rc::new(Current {
            config,
            tls: None,
            counters: Arc::default(),
        })
    }

    #[tokio::test]
    async fn an_engine_hears_nothing_of_inputs_that_were_configured_before_it() {
        let shared = Rc::new(Shared::new(All::default()));
        let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
        let theirs = Arc::clone(&heard);
        let hand = move |event| {
            if let Event::Ready(InputId(id)) = event {
                theirs.lock().unwrap().push(id);
            }
            Ok(())
        };
        shared.stand_behind(Box::new(hand), Box::new(()));
        let (before, after) = (current(1), current(2));
        let configure = |current| shared.configure(HashMap::from([("net".into(), current)]));
        configure(Rc::clone(&before));
        // It would wait for this one.
        before.counters.set_deaf("tcp://a", Some("taken".into()));
        let test = async {
            let waiting = spawn_local(say_ready(Rc::clone(&shared), before));
            tokio::task::yield_now().await;
            configure(Rc::clone(&after));
            shared.enter(Phase::Reading);
            waiting.await.unwrap();
            say_ready(Rc::clone(&shared), after).await;
        };
        LocalSet::new().run_until(test).await;
        assert_eq!(*heard.lock().unwrap(), [2]);
    }
}
