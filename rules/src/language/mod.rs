//! Text → checked rules, or every problem in it with its place.
//!
//! [`yaml`] reads the text into a tree in which every value knows its place; [`check`] walks that
//! tree against the known keys and gives [`rule::Rule`]s and [`diagnostic::Diagnostic`]s, never
//! stopping at the first problem. The language itself is described in `rules/LANGUAGE.md`.

pub mod check;
pub mod diagnostic;
pub mod expression;
pub mod mask;
pub mod packs;
pub mod pattern;
pub mod quantity;
pub mod reader;
pub mod redact;
pub mod rule;
pub mod schema;
pub mod template;
pub mod yaml;
