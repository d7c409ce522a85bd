//! The tail thread's books: what it could not read and what it holds, counted by file and input, and
//! said in the agent's own log, one line a second for a cause at most.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

use super::file::Place;
use super::losses::{LossKind, Unread, Unreadable};
use super::poller::Tailer;
use super::table::FileNo;
use super::voice::Cause;
use crate::clock;

impl Tailer<'_> {
    /// Books that `bytes` of a file were not read, and says so. `None`: nobody knows how many.
    pub(super) fn lose(&mut self, input: usize, path: &Path, kind: LossKind, bytes: Option<u64>) {
        let Some(name) = self.names.get(input) else {
            return;
        };
        let ledger = &self.counters.ledger;
        ledger.lose(name, path, kind, bytes, clock::now());
        let Some(others) = self.voice.may_say(Cause::Lost(kind), clock::monotonic()) else {
            return;
        };
        let (path, what, others) = (path.display(), kind.says(), Others(others));
        // Without a number where there is none.
        tracing::warn!(bytes, "{path} {what}{others}");
    }

    /// A path cannot be read now: said and listed once, until it can be again.
    pub(super) fn complain(&mut self, input: usize, path: &Path, error: &io::Error) {
        self.counters.read_errors.add(1);
        // A pipe in place of a file is no loss: it is listed, and that is all.
        let why = match error.kind() {
            io::ErrorKind::Unsupported => Unread::PassedOver,
            _ => Unread::Failing,
        };
        if !self.is_first_complaint(input, path, why) {
            return;
        }
        let unreadable = Unreadable {
            path: path.to_owned(),
            why,
            error: error.to_string(),
            since: clock::now(),
        };
        let is_news = self.counters.ledger.unreadable(input, unreadable);
        if why == Unread::Failing
            && is_news
            && let Some(name) = self.names.get(input)
        {
            let ledger = &self.counters.ledger;
            ledger.lose(name, path, LossKind::Unreadable, None, clock::now());
        }
        if let Some(others) = self.voice.may_say(Cause::Unreadable, clock::monotonic()) {
            let others = Others(others);
            tracing::warn!(
                path = %path.display(), %error,
                "cannot read this; trying again every 10 s{others}",
            );
        }
    }

    /// Notes that a path is not read; says whether that is news.
    pub(super) fn is_first_complaint(&mut self, input: usize, path: &Path, why: Unread) -> bool {
        match self.complained.entry((input, path.to_owned())) {
            Entry::Vacant(place) => {
                place.insert(why);
                true
            }
            Entry::Occupied(before) if *before.get() == why => false,
            Entry::Occupied(mut before) => {
                self.counters
                    .ledger
                    .readable(input, path, before.insert(why));
                true
            }
        }
    }

    /// A path can be read.
    pub(super) fn no_complaint(&mut self, input: usize, path: &Path) {
        // Nearly always there is none, and no copy of the path is needed to know that.
        if !self.complained.is_empty()
            && let Some(why) = self.complained.remove(&(input, path.to_owned()))
        {
            self.counters.ledger.readable(input, path, why);
        }
    }

    /// Drops complaints of paths that are not there any more; `there` holds those that are.
    pub(super) fn drop_complaints(&mut self, there: &HashSet<(usize, PathBuf)>) {
        if self.complained.is_empty() {
            return;
        }
        let failing: HashSet<(usize, &PathBuf)> = self
            .table
            .iter()
            .filter(|(_, file)| file.failing)
            .map(|(_, file)| (file.input, &file.path))
            .collect();
        let ledger = &self.counters.ledger;
        self.complained.retain(|at, why| {
            let stays = there.contains(at) || failing.contains(&(at.0, &at.1));
            if !stays {
                ledger.readable(at.0, &at.1, *why);
            }
            stays
        });
    }

    /// Books what was not read of a file that holds no more what was seen of it. What it was refilled with
    /// is not of it.
    pub(super) fn lose_rest(&mut self, no: FileNo) {
        let Some(file) = self.table.get(no) else {
            return;
        };
        let lost = file.whole_size.saturating_sub(file.read_position());
        let lost = Some(lost).filter(|lost| *lost > 0);
        // What came and went while nobody looked has no size.
        if lost.is_some() || self.attention.is_behind() {
            let (input, path) = (file.input, file.path.clone());
            self.lose(input, &path, LossKind::Truncated, lost);
        }
    }

    /// Brings the gauges up to date.
    pub(super) fn gauge(&mut self) {
        self.gauged_at = clock::monotonic();
        self.counters.files_open.set(self.table.open_count() as u64);
        self.counters.folders_unseen.set(self.folders.unseen());
        self.counters.files_known.set(self.table.len() as u64);
        let mut held = vec![(0, 0); self.configs.len()];
        for (_, file) in self.table.iter() {
            if let Some((files, lag)) = held.get_mut(file.input) {
                *files += 1;
                // What has no name any more and is closed can never be read.
                let can_be = file.place != Place::Gone || file.is_open();
                *lag += if can_be { file.unread() } else { 0 };
            }
        }
        for (input, (files, lag)) in held.into_iter().enumerate() {
            self.counters.ledger.figures(input, |figures| {
                (figures.files, figures.lag_bytes) = (files, lag);
            });
        }
    }
}

/// How many of a kind were not said.
struct Others(u64);

impl std::fmt::Display for Others {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(formatter, " (and {more} more since this was last said)"),
        }
    }
}
