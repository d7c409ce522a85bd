//! What the receivers of one input count, for anyone to read at any time. It counts; it decides
//! nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::inputs::count::Count;

/// Numbers of one input, since the process began. All but `connections` only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages handed over.
    pub messages: Count,
    /// Their bytes, line ends included.
    pub bytes: Count,
    /// Streams that are open now.
    pub connections: Count,
    /// Streams that were opened.
    pub accepted: Count,
    /// Streams that were turned away because there were too many, or closed to make room for others.
    pub refused: Count,
    /// Streams that were closed because of what they sent.
    pub broken: Count,
    /// Streams that were closed because they took too long.
    pub timed_out: Count,
    /// TLS handshakes that failed.
    pub handshakes_failed: Count,
    /// Messages that were cut at `max_line_bytes`.
    pub cut: Count,
    /// Datagrams that the system dropped because its buffer was full.
    pub datagrams_dropped: Count,
    /// Messages of this very agent that came back, and were dropped.
    pub own: Count,
    /// Why an address cannot be listened at now, by address.
    deaf: Mutex<BTreeMap<String, String>>,
}

impl Counters {
    /// Addresses that cannot be listened at now, and why.
    pub fn deaf(&self) -> BTreeMap<String, String> {
        self.deaf
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_deaf(&self, address: &str, why: Option<String>) {
        let mut deaf = self.deaf.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => deaf.insert(address.to_owned(), why),
            None => deaf.remove(address),
        };
    }
}

/// The counters of all inputs, by name.
pub type All = Arc<Mutex<BTreeMap<Arc<str>, Arc<Counters>>>>;
