//! lapwing's shell: everything that touches the world. The pure core is `lapwing_rules`.
//!
//! ARCHITECTURE.md in the project's root says which room does what.

pub mod app;
pub mod canary;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod error;
pub mod inputs;
pub mod operate;
pub mod outputs;
pub mod packing;
pub mod pump;
pub mod resident;
pub mod scratch;
pub mod store;
pub mod telemetry;
pub mod threads;
