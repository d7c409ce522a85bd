//! Lines that the agent itself wrote and that come back through a log: what it prints goes into the
//! journal, and rsyslog puts that into a file that is tailed. Each alert about them would cause the next.
//!
//! Only hits are looked at: a line that no rule wants costs nothing.

use std::sync::Arc;

use lapwing_rules::scanner::Hit;

use crate::inputs::syslog::Own;

/// Knows them.
pub(super) struct OwnLines {
    own: Own,
    hosts: [String; 2],
    is_said: bool,
}

impl OwnLines {
    /// `host`: what the agent calls its host; what the system calls it is known.
    pub(super) fn new(host: &Arc<str>) -> Self {
        let node = rustix::system::uname();
        Self {
            own: Own::of_any(),
            hosts: [
                host.to_string(),
                node.nodename().to_string_lossy().into_owned(),
            ],
            is_said: false,
        }
    }

    /// Whether the agent wrote it. The first time it says so.
    pub(super) fn has(&mut self, hit: &Hit, input: &str) -> bool {
        let line = hit.sample.line.as_bytes();
        if !self.own.may_be_own(line) {
            return false;
        }
        let hosts = self.hosts.each_ref().map(String::as_str);
        let is_own = self.own.is_own(line, &hosts);
        if is_own && !std::mem::replace(&mut self.is_said, true) {
            tracing::info!(%input, "this agent's own messages are in its logs: no rule takes them, for each alert about them would cause the next");
        }
        is_own
    }
}
