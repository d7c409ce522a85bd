//! Whole-agent tests: the built binary as a child process, real files, real sockets, a real nginx.
//!
//! A file for each phenomenon. What they share: `host` (a folder with a configuration, its logs
//! and its state, and the agent that runs on it), `receiver` (an HTTP server that keeps what it is
//! sent), `strace` (system calls that fail or kill) and `random` (numbers that are the same in every
//! run).

#[cfg(test)]
mod host;
#[cfg(test)]
mod http;
#[cfg(test)]
mod random;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod strace;

#[cfg(test)]
mod backtests;
#[cfg(test)]
mod check;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod commit_kills;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod docs;
mod doctor;
#[cfg(test)]
mod doctor_outputs;
#[cfg(test)]
mod files;
#[cfg(test)]
mod hostile_senders;
#[cfg(test)]
mod irc_accounts;
mod journal;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod mutes;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod operate;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod real_servers;
#[cfg(test)]
mod records;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod rule_types;
#[cfg(test)]
mod same_everywhere;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod self_watch;
#[cfg(test)]
mod service;
#[cfg(test)]
mod storms;
#[cfg(test)]
mod suggest;
#[cfg(test)]
mod syslog;
#[cfg(test)]
mod syslog_daemons;
#[cfg(test)]
mod tap;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tls_senders;
#[cfg(test)]
mod torture;
#[cfg(test)]
mod vendors;
