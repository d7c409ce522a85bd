//! `type: any`: each hit is trouble by itself.

use super::Held;
use crate::model::Timestamp;

/// What there is to say about a hit at `time`.
pub(super) fn held(time: Timestamp) -> Held {
    Held {
        at: time,
        until: time,
        first: time,
        count: 1,
    }
}
