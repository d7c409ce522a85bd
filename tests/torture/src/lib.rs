//! Tortures the real agent: numbered lines, rotations, kills, full disks, and a receiver that counts.
//!
//! `scenario` says what happens, `rig` sets a host up for it, `writer` and `rotate` are the programs on
//! that host, `receiver` and `book` account for every line, `verdict` says what was proved. `peers` runs
//! the same beside other agents, `receiving` sends them syslog. Nothing here looks into the agent: it is a process with files and a
//! webhook.

pub mod agent;
pub mod book;
pub mod clock;
pub mod disk;
pub mod lines;
pub mod own_log;
pub mod peers;
pub mod process;
pub mod random;
pub mod receiver;
pub mod receiving;
pub mod record;
pub mod rig;
pub mod rotate;
pub mod scenario;
pub mod settings;
pub mod verdict;
pub mod writer;
