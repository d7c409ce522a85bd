//! Lapwing's matcher beside others over the same bytes in the same run.
//!
//! Logs and rules are made up here, the same ones everywhere (`corpora`, `rule_sets`); `engines` is
//! who takes part, `contest` lets them run in turns, `process` and `building` compare whole
//! programs and what a start costs, `record` keeps the results. Speed is claimed only as a ratio of
//! two figures of one run: nothing absolute that stands here says anything about another machine.

pub mod building;
pub mod choices;
pub mod contest;
pub mod corpora;
pub mod engines;
pub mod examples;
pub mod machine;
pub mod process;
pub mod record;
pub mod rule_sets;
