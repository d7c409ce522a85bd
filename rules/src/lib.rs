//! The pure core of lapwing: what a rule is, which lines it accepts, when that counts as
//! trouble, and what there is to say about it.
//!
//! Values in, values out. Nothing here reads a file, a socket or the clock, starts a thread or
//! logs: the live agent, `backtest`, `test` and the benches all drive the same [`engine::Engine`]
//! with the same results. Rooms, in the order that a line walks through them:
//!
//! | room | takes | gives |
//! | --- | --- | --- |
//! | [`model`] | | the nouns that all rooms share |
//! | [`language`] | YAML text | checked rules, or every problem with its place |
//! | [`fields`] | a line | its time and its fields |
//! | [`matcher`] | a batch of lines | the lines that a rule's `match` accepts |
//! | [`scanner`] | a batch of lines | hits: rule, group, time, redacted sample |
//! | [`condition`] | the times of a group's hits | whether it counts as trouble |
//! | [`mute`] | an alert's labels and a time | whether nothing is said of it, and why |
//! | [`engine`] | hits and the passing of time | notifications, and what changed |
//! | [`trial`] | a rule and its own tests | how they went |

pub mod condition;
pub mod engine;
pub mod fields;
pub mod language;
pub mod matcher;
pub mod model;
pub mod mute;
pub mod scanner;
pub mod trial;
