//! The nouns that both crates share. Depends on no other room.

pub mod line;
pub mod notification;
pub mod parts;
pub mod time;

pub use line::{Batch, InputId, RuleId, Segment, Source, Text};
pub use notification::{
    Ack, Attachment, History, InputState, Mode, Notification, Number, Rate, Reason, Sample,
    Severity, Status,
};
pub use parts::{Part, Parts};
pub use time::Timestamp;
