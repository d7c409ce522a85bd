//! `type: any`: each hit is trouble by itself.

use super::verdict::{Cause, Held};
use crate::model::Timestamp;

/// What there is to say about a hit at `time`.
pub(super) fn held(time: Timestamp) -> Held {
    Held {
        at: time,
        until: time,
        first: time,
        count: 1,
        value: 1.0,
        threshold: 1.0,
        by: Cause::Hits,
    }
}
