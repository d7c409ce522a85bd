//! What the tailer could not do as promised, and what it holds, as numbers that anyone may read at
//! any time. It counts; it decides nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapwing_rules::model::Timestamp;

use crate::inputs::count::Count;

use super::losses::{InputFigures, Ledger, Loss, LossKind, Unread, Unreadable};

/// Numbers of one tail thread, over all its inputs. All but `folders_unseen`,
/// `files_open` and `files_known` only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Files that were found shorter than what was read of them, or with other content before
    /// the place where reading had stopped, and were read again from their beginning.
    pub truncations: Count,
    /// Of these, those whose unread rest was found in a copy beside them.
    pub copies_found: Count,
    /// Compressed files in which reading of a rotated log went on.
    pub archives_found: Count,
    /// Positions from an earlier run whose file was found nowhere: what it held unread is lost.
    pub files_lost: Count,
    /// Lines that were cut at `max_line_bytes`.
    pub lines_cut: Count,
    /// Bytes dropped from the ends of cut lines.
    pub bytes_dropped: Count,
    /// NUL bytes skipped at the start of a truncated file: the hole that a writer leaves that
    /// does not append.
    pub hole_bytes: Count,
    /// Reads, opens and listings that failed.
    pub read_errors: Count,
    /// Times that the system dropped notices of changes, and everything was looked at instead.
    pub overflows: Count,
    /// Folders from which no notices of changes come now.
    pub folders_unseen: Count,
    /// Files whose descriptor is open now.
    pub files_open: Count,
    /// Files that are followed now, open or not.
    pub files_known: Count,
    /// By file and by input.
    pub(super) ledger: Ledger,
}

impl Counters {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What could not be read, by file and reason, the latest first. At most 1,000 rows have a path;
    /// one more for each input and kind sums up the others. Since these counters were made: a reload keeps
    /// them.
    pub fn losses(&self) -> Vec<Loss> {
        self.ledger.losses()
    }

    /// Something of an input that is no file input was lost, at `now`, wall clock.
    pub fn lose(&self, input: &Arc<str>, what: &Path, kind: LossKind, now: Timestamp) {
        self.ledger.lose(input, what, kind, None, now);
    }

    /// What an input that is no file input reads cannot be read, and why; or can be again.
    pub fn set_unreadable(
        &self,
        input: &Arc<str>,
        unreadable: Option<(PathBuf, String)>,
        now: Timestamp,
    ) {
        let unreadable = unreadable.map(|(path, error)| Unreadable {
            path,
            why: Unread::Failing,
            error,
            since: now,
        });
        self.ledger.set_other(input, unreadable);
    }

    /// Other threads begin to read those inputs that are no file inputs, or none does any more: what they
    /// cannot read they will say.
    pub fn forget_unreadable(&self) {
        self.ledger.forget_others();
    }

    /// What an input that is no file input would read is not read, for a good reason.
    pub fn set_passed_over(&self, input: &Arc<str>, path: PathBuf, reason: String, now: Timestamp) {
        let unreadable = Unreadable {
            path,
            why: Unread::PassedOver,
            error: reason,
            since: now,
        };
        self.ledger.set_other(input, Some(unreadable));
    }

    /// What each file input holds, in the order of the configuration, and what of others cannot be read.
    /// A second old at most; while lines wait for the inbox, as old as their waiting.
    pub fn inputs(&self) -> Vec<InputFigures> {
        self.ledger.inputs()
    }
}
