//! How an operator looks at a running agent and speaks to it: the control socket.
//!
//! Takes what the other rooms count and say of themselves through a [`Sight`], which `app` makes;
//! decides nothing about lines, alerts or deliveries.
//!
//! | file | owns |
//! | --- | --- |
//! | `protocol` | what goes over the socket |
//! | `control` | the listening side: who may ask, how long, how many |
//! | `client` | the asking side, for the subcommands |
//! | `orders` | what is asked of the engine besides figures: alerts, silences, acknowledgements |
//! | `peer` | who asks, and what they may |
//! | `told` | what was told, and to whom: rows of `history` |
//! | `sight` | where the figures are found |
//! | `http` | the status page and metrics |
//! | `systemd` | what the service manager is told |
//! | `drill` | alerts that are made up, and notifications that are queued again |
//! | `watching` | `tap`: hits and lines as they come |
//! | `status` | the figures, as `lapwing status --json` prints them |

pub mod client;
pub mod control;
pub mod drill;
pub mod http;
mod orders;
mod peer;
pub mod protocol;
mod sight;
pub mod status;
pub mod systemd;
mod told;
mod watching;

pub use sight::{LastReload, Sight};
