//! Whether something else writes what the journal holds: rsyslog puts the same messages into files,
//! and whoever reads both counts everything twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing_rules::model::Timestamp;

use crate::clock;

/// A file that was written to so long ago is nobody's any more: cron alone writes each hour.
const FRESH: Duration = Duration::from_hours(24);

/// When the file that was written to last was so; `None` where there is none.
pub(super) fn last_written(files: &[PathBuf]) -> Option<(&Path, Timestamp)> {
    let written = |file: &'_ PathBuf| {
        let at = fs::metadata(file).ok()?.modified().ok()?;
        Some(clock::from_system(at))
    };
    let found = files
        .iter()
        .filter_map(|file| Some((file.as_path(), written(file)?)));
    found.max_by_key(|(_, at)| *at)
}

/// The one of `files` that is being written to.
pub(super) fn fresh(files: &[PathBuf]) -> Option<&Path> {
    let (file, at) = last_written(files)?;
    let age = clock::now().as_nanos().saturating_sub(at.as_nanos());
    (i128::from(age) < FRESH.as_nanos().cast_signed()).then_some(file)
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    #[test]
    fn a_file_that_nobody_writes_to_any_more_does_not_keep_the_journal_from_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: Duration| {
            let path = folder.path().join(name);
            let file = File::create(&path).unwrap();
            let now = file.metadata().unwrap().modified().unwrap();
            let times = FileTimes::new().set_modified(now - age);
            file.set_times(times).unwrap();
            path
        };
        let missing = folder.path().join("missing");
        let old = file("old", FRESH + Duration::from_mins(1));
        let new = file("new", Duration::from_mins(1));
        assert_eq!(fresh(&[]), None);
        assert_eq!(fresh(std::slice::from_ref(&missing)), None);
        assert_eq!(fresh(&[missing.clone(), old.clone()]), None);
        let all = [missing, old.clone(), new.clone()];
        assert_eq!(fresh(&all), Some(new.as_path()));
        assert_eq!(last_written(std::slice::from_ref(&old)).unwrap().0, old);
    }
}
