//! What could not be read, by file, and what each input holds: kept where anyone may read it at any
//! time. The tail thread writes, and never waits for a reader for longer than a copy of the table
//! takes. It logs nothing and decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapwing_rules::model::Timestamp;

/// Rows with a path of their own; what comes later is summed up in one row for each kind.
const MOST_ROWS: usize = 1_000;
/// Unreadable paths that are listed for an input.
const MOST_UNREADABLE: usize = 100;

/// Why bytes of a file were not matched, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossKind {
    /// Emptied or replaced before all of it had been read, and no copy was found.
    Truncated,
    /// Gone before all of it had been read, and found nowhere.
    Vanished,
    /// The system refused to open or to read it. Nothing is lost if it can be read later.
    Unreadable,
    /// The ends of lines longer than `max_line_bytes`.
    Cut,
    /// NULs at the start of a truncated file, left by a writer that does not append.
    Hole,
    /// The rest of a compressed file that is damaged, cut off, or of a kind that is not unpacked.
    Archive,
    /// An entry of the journal that is many times longer than `max_line_bytes`.
    Oversize,
}

impl LossKind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Vanished => "vanished",
            Self::Unreadable => "unreadable",
            Self::Cut => "cut",
            Self::Hole => "hole",
            Self::Archive => "archive",
            Self::Oversize => "oversize",
        }
    }

    /// What happened, to follow the file's name.
    pub fn says(self) -> &'static str {
        match self {
            Self::Truncated => "was truncated before all of it had been read",
            Self::Vanished => "was gone before all of it had been read",
            Self::Unreadable => "could not be read",
            Self::Cut => "has lines longer than `max_line_bytes`: their ends were not matched",
            Self::Hole => "began with a hole, which was stepped over",
            Self::Archive => "is a compressed file that could not be read to its end",
            Self::Oversize => {
                "had an entry many times longer than `max_line_bytes`, which was not matched"
            }
        }
    }
}

/// One row: what of one file was not read for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The input's name.
    pub input: Arc<str>,
    /// As it was called then; `None` sums up all files that found no row of their own.
    pub path: Option<PathBuf>,
    /// Why.
    pub kind: LossKind,
    /// How many bytes, as far as that is known; `None` where it never was.
    pub bytes: Option<u64>,
    /// How often.
    pub times: u64,
    /// When it happened last, wall clock.
    pub last_at: Timestamp,
}

/// Why a path is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It ought to be, and that fails.
    Failing,
    /// It is nothing to be read, such as a pipe or what the agent writes itself: nobody misses anything.
    PassedOver,
}

/// A path that is not read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// A file, or a folder that cannot be listed.
    pub path: PathBuf,
    /// Whether it ought to be read.
    pub why: Unread,
    /// What the system says.
    pub error: String,
    /// Since when, wall clock.
    pub since: Timestamp,
}

/// What one file input holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFigures {
    /// The input's name.
    pub input: Arc<str>,
    /// Files that are followed now.
    pub files: u64,
    /// Bytes read so far, unpacked.
    pub bytes_read: u64,
    /// Bytes that stood in its files when they were last looked at and were not read yet; of
    /// compressed files, compressed bytes.
    pub lag_bytes: u64,
    /// What is not read now, those first found first; 100 at most.
    pub unreadable: Vec<Unreadable>,
    /// How many there are.
    pub unreadable_total: u64,
    /// How many of these are passed over.
    pub passed_over: u64,
}

impl InputFigures {
    /// How many paths ought to be read and cannot be.
    pub fn failing(&self) -> u64 {
        self.unreadable_total.saturating_sub(self.passed_over)
    }
}

/// Both tables.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    rows: HashMap<(Arc<str>, Option<PathBuf>, LossKind), Row>,
    inputs: Vec<InputFigures>,
    /// Those of other threads that cannot be read now.
    others: BTreeMap<Arc<str>, InputFigures>,
    /// What the tail thread before this one could not read, and since when.
    before: HashMap<(Arc<str>, PathBuf), Timestamp>,
}

#[derive(Debug)]
struct Row {
    bytes: Option<u64>,
    times: u64,
    last_at: Timestamp,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tail thread begins, with these inputs in the order of the configuration. What was lost stays, and so
    /// does how much was read of the inputs that there were; what the new thread holds and cannot read it
    /// finds out by itself.
    pub(super) fn begin(&self, names: &[Arc<str>]) {
        let mut tables = self.lock();
        let before = std::mem::take(&mut tables.inputs);
        let figures = |name: &Arc<str>| InputFigures {
            input: Arc::clone(name),
            bytes_read: before
                .iter()
                .find(|figures| figures.input == *name)
                .map_or(0, |figures| figures.bytes_read),
            ..InputFigures::default()
        };
        tables.inputs = names.iter().map(figures).collect();
        let unread = before.into_iter().flat_map(|figures| {
            let listed = figures.unreadable.into_iter();
            listed.map(move |it| ((Arc::clone(&figures.input), it.path), it.since))
        });
        tables.before = unread.collect();
    }

    /// No other thread has said yet what it cannot read.
    pub(super) fn forget_others(&self) {
        self.lock().others.clear();
    }

    /// Adds to the row of this file and kind.
    pub(super) fn lose(
        &self,
        input: &Arc<str>,
        path: &Path,
        kind: LossKind,
        bytes: Option<u64>,
        now: Timestamp,
    ) {
        let mut tables = self.lock();
        let mut key = (Arc::clone(input), Some(path.to_owned()), kind);
        if tables.rows.len() >= MOST_ROWS && !tables.rows.contains_key(&key) {
            key.1 = None;
        }
        let row = tables.rows.entry(key).or_insert(Row {
            bytes: None,
            times: 0,
            last_at: now,
        });
        if let Some(bytes) = bytes {
            row.bytes = Some(row.bytes.unwrap_or(0).saturating_add(bytes));
        }
        row.times += 1;
        row.last_at = now;
    }

    /// Changes the figures of an input.
    pub(super) fn figures(&self, input: usize, change: impl FnOnce(&mut InputFigures)) {
        if let Some(figures) = self.lock().inputs.get_mut(input) {
            change(figures);
        }
    }

    /// A path cannot be read. Says whether that is news: the tail thread before this one may have said so.
    pub(super) fn unreadable(&self, input: usize, mut unreadable: Unreadable) -> bool {
        let mut tables = self.lock();
        let Tables { inputs, before, .. } = &mut *tables;
        let Some(figures) = inputs.get_mut(input) else {
            return false;
        };
        let key = (Arc::clone(&figures.input), unreadable.path.clone());
        let known = before.remove(&key);
        unreadable.since = known.unwrap_or(unreadable.since);
        figures.unreadable_total += 1;
        figures.passed_over += u64::from(unreadable.why == Unread::PassedOver);
        if figures.unreadable.len() < MOST_UNREADABLE {
            figures.unreadable.push(unreadable);
        }
        known.is_none()
    }

    /// It is, or is gone; `why` is why it was not.
    pub(super) fn readable(&self, input: usize, path: &Path, why: Unread) {
        self.figures(input, |figures| {
            let passed_over = u64::from(why == Unread::PassedOver);
            figures.unreadable_total = figures.unreadable_total.saturating_sub(1);
            figures.passed_over = figures.passed_over.saturating_sub(passed_over);
            figures.unreadable.retain(|other| other.path != path);
        });
    }

    /// The only thing that an input of another thread reads cannot be read, or can again.
    pub(super) fn set_other(&self, input: &Arc<str>, unreadable: Option<Unreadable>) {
        let mut tables = self.lock();
        let Some(mut unreadable) = unreadable else {
            tables.others.remove(input);
            return;
        };
        if let Some(before) = tables
            .others
            .get(input)
            .and_then(|it| it.unreadable.first())
        {
            unreadable.since = before.since;
        }
        let figures = InputFigures {
            input: Arc::clone(input),
            passed_over: u64::from(unreadable.why == Unread::PassedOver),
            unreadable: vec![unreadable],
            unreadable_total: 1,
            ..InputFigures::default()
        };
        tables.others.insert(Arc::clone(input), figures);
    }

    pub(super) fn losses(&self) -> Vec<Loss> {
        let row =
            |((input, path, kind), row): (&(Arc<str>, Option<PathBuf>, LossKind), &Row)| Loss {
                input: Arc::clone(input),
                path: path.clone(),
                kind: *kind,
                bytes: row.bytes,
                times: row.times,
                last_at: row.last_at,
            };
        let mut losses: Vec<Loss> = self.lock().rows.iter().map(row).collect();
        losses.sort_by(|one, other| {
            let by = |loss: &Loss| (loss.last_at, loss.kind);
            by(other)
                .cmp(&by(one))
                .then_with(|| one.path.cmp(&other.path))
        });
        losses
    }

    pub(super) fn inputs(&self) -> Vec<InputFigures> {
        let tables = self.lock();
        let all = tables.inputs.iter().chain(tables.others.values());
        all.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_sums_up_what_happened_to_one_file_for_one_reason() {
        let ledger = Ledger::default();
        let (input, path) = (Arc::from("logs"), Path::new("/a"));
        let lose =
            |bytes, at| ledger.lose(&input, path, LossKind::Cut, bytes, Timestamp::from_secs(at));
        lose(None, 1);
        lose(Some(3), 2);
        lose(Some(4), 3);
        ledger.lose(
            &input,
            path,
            LossKind::Vanished,
            None,
            Timestamp::from_secs(9),
        );
        let rows: Vec<_> = ledger
            .losses()
            .into_iter()
            .map(|loss| (loss.kind, loss.bytes, loss.times, loss.last_at))
            .collect();
        assert_eq!(
            rows,
            [
                (LossKind::Vanished, None, 1, Timestamp::from_secs(9)),
                (LossKind::Cut, Some(7), 3, Timestamp::from_secs(3)),
            ]
        );
    }

    #[test]
    fn a_hundred_thousand_lost_files_take_a_thousand_rows_and_none_is_uncounted() {
        let ledger = Ledger::default();
        let input = Arc::from("logs");
        for number in 0..100_000 {
            let path = PathBuf::from(format!("/{number}"));
            ledger.lose(
                &input,
                &path,
                LossKind::Truncated,
                Some(2),
                Timestamp::default(),
            );
        }
        let losses = ledger.losses();
        assert_eq!(losses.len(), MOST_ROWS + 1);
        assert_eq!(losses.iter().map(|loss| loss.times).sum::<u64>(), 100_000);
        let others: Vec<_> = losses.iter().filter(|loss| loss.path.is_none()).collect();
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].bytes, Some(2 * 99_000));
    }

    /// A reload forgot all that had been lost, and counted what it could not read once more.
    #[test]
    fn a_successor_keeps_what_was_lost_and_read_and_counts_nothing_twice() {
        let ledger = Ledger::default();
        let (kept, gone) = (Arc::from("kept"), Arc::from("gone"));
        let unreadable = |at| Unreadable {
            path: PathBuf::from("/a"),
            why: Unread::Failing,
            error: "no".to_owned(),
            since: Timestamp::from_secs(at),
        };
        ledger.begin(&[Arc::clone(&gone), Arc::clone(&kept)]);
        ledger.lose(
            &kept,
            Path::new("/b"),
            LossKind::Vanished,
            Some(3),
            Timestamp::default(),
        );
        ledger.figures(1, |figures| (figures.bytes_read, figures.files) = (7, 2));
        assert!(ledger.unreadable(1, unreadable(1)));
        ledger.begin(&[kept, Arc::from("new")]);
        assert_eq!(ledger.losses().len(), 1);
        assert!(!ledger.unreadable(0, unreadable(5)));
        assert!(ledger.unreadable(1, unreadable(5)), "of another input");
        let [kept, new] = &ledger.inputs()[..] else {
            panic!("two inputs");
        };
        assert_eq!((kept.bytes_read, kept.files), (7, 0));
        assert_eq!((new.bytes_read, new.files), (0, 0));
        assert_eq!(kept.unreadable, [unreadable(1)]);
        assert_eq!((kept.unreadable_total, new.unreadable_total), (1, 1));
    }

    #[test]
    fn what_can_be_read_again_is_listed_no_longer() {
        let ledger = Ledger::default();
        ledger.begin(&[Arc::from("logs")]);
        for number in 0..150 {
            let unreadable = Unreadable {
                path: PathBuf::from(format!("/{number}")),
                why: Unread::Failing,
                error: "no".to_owned(),
                since: Timestamp::default(),
            };
            assert!(ledger.unreadable(0, unreadable));
        }
        ledger.readable(0, Path::new("/7"), Unread::Failing);
        let figures = ledger.inputs().remove(0);
        assert_eq!(
            (figures.unreadable.len(), figures.unreadable_total),
            (99, 149)
        );
        assert!(
            figures
                .unreadable
                .iter()
                .all(|it| it.path != Path::new("/7"))
        );
    }
}
