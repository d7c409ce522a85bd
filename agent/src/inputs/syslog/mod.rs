//! What others send: syslog over UDP, TCP, TLS, RELP and sockets in the file system.
//!
//! One thread serves all of it, [`Network`], and outlives reloads: sockets and connections stay open
//! while the agent behind them is replaced. It waits for nothing but a full inbox. While that is full
//! nothing is read: senders over streams wait, and datagrams gather in the kernel, which drops what
//! finds no room there and counts it.
//!
//! | file | owns |
//! | --- | --- |
//! | `address` | `udp://127.0.0.1:5514` as a value (pure) |
//! | `frame` | a stream → messages (pure) |
//! | `relp` | a stream → numbered frames (pure) |
//! | `own` | the agent's own messages that come back (pure) |
//! | `network` | the thread; who listens where |
//! | `shared` | what all tasks share, and their turns |
//! | `listen` | opening sockets |
//! | `datagrams` | reading datagrams, many at once |
//! | `seats` | who may have a connection (pure) |
//! | `streams` | accepting connections, reading streams of frames |
//! | `session` | one RELP connection |
//! | `kernel` | what the kernel dropped |
//! | `tls`, `counters` | certificates; figures |

pub mod address;
pub mod counters;
mod datagrams;
pub mod frame;
mod kernel;
mod listen;
mod network;
mod own;
pub mod relp;
mod seats;
mod session;
mod shared;
mod streams;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::InputId;

pub use address::Address;
pub use counters::Counters;
pub use listen::try_listening;
pub use network::{Network, Setup};
pub use own::Own;
pub use shared::{Closed, Hand};

/// One input of type `syslog`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub input: Arc<str>,
    /// Its index, as in batches.
    pub id: InputId,
    /// Where and how it listens.
    pub spec: Spec,
    /// Longer messages are cut.
    pub max_line_bytes: usize,
    /// What the agent calls its host: its own messages bear that name.
    pub host: Arc<str>,
}

/// Where and how an input listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Each once.
    pub listen: Vec<Address>,
    /// For those that are encrypted.
    pub tls: Option<tls::Files>,
    /// Connections that may be open at once.
    pub max_connections: u64,
    /// A connection on which nothing came for so long is closed.
    pub idle_timeout: Duration,
}

impl Spec {
    /// Connections where the file says nothing of them.
    pub const MAX_CONNECTIONS: u64 = 1_000;
    /// A sender that has nothing to say keeps its connection: over plain TCP it would lose the first
    /// message after a close.
    pub const IDLE_TIMEOUT: Duration = Duration::from_hours(24);
}
