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
//! | `sight` | where the figures are found |
//! | `http` | the status page and metrics |
//! | `systemd` | what the service manager is told |
//! | `status` | the figures, as `lapwing status --json` prints them |

pub mod client;
pub mod control;
pub mod http;
pub mod protocol;
mod sight;
pub mod status;
pub mod systemd;

pub use sight::{LastReload, Sight};
