//! `type: file`: one JSON object a line, as section 6 of the contract has it. Opened anew for
//! each write, so that logrotate may take the file away at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Appends `line` (no LF in it) and its LF, and waits until the disk has it. A file that ends in
/// the middle of a line, after a crash or a full disk, gets that line ended first; a line that
/// could not be written whole is taken back.
///
/// # Errors
///
/// The folder is missing, the disk is full, permissions: all may pass.
pub(super) fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    let mut text = Vec::with_capacity(line.len() + 2);
    let length = file.metadata()?.len();
    if length > 0 && ends_in_mid_line(&mut file)? {
        text.push(b'\n');
    }
    text.extend_from_slice(line);
    text.push(b'\n');
    if let Err(error) = file.write_all(&text) {
        // Best effort: what matters is the error before it.
        drop(file.set_len(length));
        return Err(error);
    }
    match file.sync_data() {
        // A pipe or a device has nothing to sync.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

fn ends_in_mid_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_follow_each_other_through_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        append(&path, b"{\"seq\":1}").unwrap();
        append(&path, b"{\"seq\":2}").unwrap();
        std::fs::rename(&path, dir.path().join("alerts.jsonl.1")).unwrap();
        append(&path, b"{\"seq\":3}").unwrap();
        assert_eq!(
            std::fs::read(dir.path().join("alerts.jsonl.1")).unwrap(),
            b"{\"seq\":1}\n{\"seq\":2}\n"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"seq\":3}\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(
            mode & 0o137,
            0,
            "no one else reads, no one executes: {mode:o}"
        );
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        std::fs::write(&path, b"{\"seq\":1}\n{\"se").unwrap();
        append(&path, b"{\"seq\":2}").unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"{\"seq\":1}\n{\"se\n{\"seq\":2}\n"
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_and_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone/alerts.jsonl");
        assert_eq!(
            append(&path, b"{}").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(!path.parent().unwrap().exists());
    }
}
