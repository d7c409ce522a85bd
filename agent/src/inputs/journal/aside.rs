//! Whether something else writes what the journal holds: rsyslog puts the same messages into files,
//! and whoever reads both counts everything twice.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lapwing_rules::model::Timestamp;

use crate::clock;

/// At the very first start a file that was written to so long ago is nobody's any more.
const FRESH: Duration = Duration::from_hours(24);
/// An entry that came after the last line of the files, and is not in them for so long, never will be.
pub(super) const MISSING: Duration = Duration::from_hours(1);
/// The times of files are coarser than those of entries.
const COARSE: Duration = Duration::from_millis(10);

/// When one of the files was written to last, `now` at most; `None` where there is none.
pub(super) fn last_written(files: &[PathBuf], now: Timestamp) -> Option<Timestamp> {
    let written = |file: &PathBuf| {
        Some(clock::from_system(
            fs::metadata(file).ok()?.modified().ok()?,
        ))
    };
    files.iter().filter_map(written).max().map(|at| at.min(now))
}

/// Whether a file that was written to at `at` is still written.
pub(super) fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at > now.minus(FRESH)
}

/// The time of the last entry that files hold that were written to at `until`.
pub(super) fn held_by(until: Timestamp) -> Timestamp {
    until.plus(COARSE)
}

/// What has `journalctl` show no entry that is younger than those that files hold that were written to
/// at `until`.
pub(super) fn up_to(until: Timestamp) -> String {
    let until = held_by(until);
    let micros = until.as_nanos().rem_euclid(1_000_000_000) / 1_000;
    format!("--until=@{}.{micros:06}", until.as_secs())
}

/// For people.
pub(super) fn names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    #[test]
    fn the_file_that_was_written_to_last_counts_and_none_is_of_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::now();
        let file = |name: &str, ahead: i64| {
            let path = folder.path().join(name);
            let file = File::create(&path).unwrap();
            let made = file.metadata().unwrap().modified().unwrap();
            let by = Duration::from_secs(ahead.unsigned_abs());
            let at = if ahead < 0 { made - by } else { made + by };
            file.set_times(FileTimes::new().set_modified(at)).unwrap();
            path
        };
        let missing = folder.path().join("missing");
        let (old, new, coming) = (
            file("old", -90_000),
            file("new", -60),
            file("coming", 90_000),
        );
        let written = |files: &[PathBuf]| last_written(files, now);
        assert_eq!(written(&[]), None);
        assert_eq!(written(std::slice::from_ref(&missing)), None);
        let old_at = written(&[missing, old.clone()]).unwrap();
        assert!(!is_fresh(old_at, now));
        let new_at = written(&[old, new.clone()]).unwrap();
        assert!(is_fresh(new_at, now) && new_at > old_at);
        assert_eq!(written(&[new, coming]), Some(now));
    }

    #[test]
    fn an_entry_in_the_same_tick_as_the_last_line_is_in_the_file() {
        let at = Timestamp::from_nanos(1_795_248_000_995_000_000);
        assert_eq!(up_to(at), "--until=@1795248001.005000");
    }
}
