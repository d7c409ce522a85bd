//! Input files: are they there, may they be read, can the system tell of their changes, and do
//! their times make sense? And the journal: can it be read?

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing_rules::fields::Assume;
use lapwing_rules::model::Timestamp;
use lapwing_rules::model::line::Text;
use lapwing_rules::scanner::Detector;

use super::{Findings, Level};
use crate::clock;
use crate::commands::terminal::counted;
use crate::config::{Config, Input, InputKind};
use crate::inputs::journal;
use crate::inputs::tail::Walked;
use crate::outputs::render::span;

/// Files that are opened, at most, for one input.
const MOST_FILES: usize = 1_000;
/// Of so many of them the last lines are read.
const MOST_CLOCKS: usize = 20;
/// So much of a file's end is read.
const END_BYTES: u64 = 64 * 1024;
/// A log whose last line is that much younger than its own last change has another clock or zone.
/// Lines are written within this after the time they bear.
const CLOCK_SLACK: Duration = Duration::from_mins(10);

pub(super) fn look(config: &Config, found: &mut Findings) {
    let mut folders = BTreeSet::new();
    for input in &config.inputs {
        if let InputKind::File { paths, exclude, .. } = &input.kind {
            let mut walked = Walked::default();
            for path in paths {
                path.walk(&mut walked);
            }
            folders.extend(walked.folders.iter().cloned());
            walked
                .files
                .retain(|(path, _)| !exclude.iter().any(|exclude| exclude.matches(path)));
            look_at_input(input, &walked, found);
        }
        if let InputKind::Journal(spec) = &input.kind {
            let about = format!("input {}", input.name);
            match journal::look(spec) {
                Ok(message) => found.ok(about, message),
                Err(error) => {
                    let fix = "is systemd's journalctl installed, and the agent's user in the group systemd-journal?";
                    found.add(
                        Level::Error,
                        about,
                        format!("the journal cannot be read: {error}"),
                        fix,
                    );
                }
            }
        }
    }
    if !folders.is_empty() {
        notices(folders.len(), found);
    }
}

fn look_at_input(input: &Input, walked: &Walked, found: &mut Findings) {
    let about = format!("input {}", input.name);
    for (path, error) in &walked.troubles {
        found.add(
            Level::Error,
            &about,
            format!("{}: {error}", path.display()),
            fix(path, error),
        );
    }
    if walked.files.is_empty() && walked.troubles.is_empty() {
        let message = "no file is there yet; it is followed from its beginning when it comes";
        found.add(
            Level::Warning,
            &about,
            message,
            "check `path` if you expected one",
        );
        return;
    }
    let mut readable: Vec<(&Path, File)> = Vec::new();
    let mut others = 0;
    for (path, metadata) in walked.files.iter().take(MOST_FILES) {
        if !metadata.is_file() {
            others += 1;
            continue;
        }
        match File::open(path) {
            Ok(file) => readable.push((path, file)),
            Err(error) => {
                let message = format!("{}: {error}", path.display());
                found.add(Level::Error, &about, message, fix(path, &error));
            }
        }
    }
    let count = readable.len();
    if count > 0 {
        let files = counted(count as u64, "file");
        found.ok(&about, format!("{files} can be read"));
    }
    if others > 0 {
        let message = format!("{others} of the names are no regular files: they are passed over");
        found.add(Level::Warning, &about, message, "name them in `exclude`");
    }
    for (path, file) in readable.iter_mut().take(MOST_CLOCKS) {
        clock(input, path, file, found);
    }
}

/// What lets this agent read what it may not.
fn fix(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let group = fs::metadata(path).map(|metadata| metadata.gid());
    let user = rustix::process::geteuid();
    if user.is_root() {
        return "even root may not: is it on a network file system?".to_owned();
    }
    match group.ok().filter(|&gid| gid != 0).and_then(group_name) {
        Some(group) => format!("usermod -aG {group} lapwing, then restart the agent"),
        None => format!("setfacl -R -m u:lapwing:rX {}", path.display()),
    }
}

fn group_name(gid: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let mut lines = groups.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

/// Compares the time of the last line with the file's last change.
fn clock(input: &Input, path: &Path, file: &mut File, found: &mut Findings) {
    let Ok((last, changed)) = last_time(input, file) else {
        return;
    };
    let about = format!("input {}", input.name);
    let Some(last) = last else { return };
    let (ahead, name) = (last.since(changed), path.display());
    if ahead > CLOCK_SLACK {
        let message = format!(
            "{name}: its last line is {} younger than the file",
            span(ahead)
        );
        let fix = "the program's clock or time zone differs from this host's: \
                   times in the future count as times of arrival";
        found.add(Level::Warning, about, message, fix);
    }
}

/// The time of the last line that bears one, and that of the file's last change.
fn last_time(input: &Input, file: &mut File) -> io::Result<(Option<Timestamp>, Timestamp)> {
    let metadata = file.metadata()?;
    let changed = Timestamp::from_secs(metadata.mtime());
    file.seek(SeekFrom::Start(metadata.size().saturating_sub(END_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(END_BYTES).read_to_end(&mut bytes)?;
    let format = Detector::new(input.format.clone()).format_of(Text::from(&*bytes));
    let assume = Assume {
        zone: clock::zone(changed),
        near: Some(changed),
    };
    let mut lines = bytes.rsplit(|&byte| byte == b'\n');
    let last = lines.find_map(|line| format.time_assuming(line, assume));
    Ok((last, changed))
}

/// What inotify has room for.
fn notices(folders: usize, found: &mut Findings) {
    let limit = |name: &str| -> Option<usize> {
        let path = PathBuf::from("/proc/sys/fs/inotify").join(name);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let Some(watches) = limit("max_user_watches") else {
        let message = "this system has no inotify: files are looked at four times a second";
        found.add(Level::Warning, "inotify", message, "");
        return;
    };
    if folders * 2 > watches {
        let message = format!(
            "{folders} folders want to be watched, and the user may have {watches} watches"
        );
        let fix = format!(
            "sysctl fs.inotify.max_user_watches={}",
            (folders * 4).max(65_536)
        );
        found.add(Level::Warning, "inotify", message, fix);
    } else {
        found.ok(
            "inotify",
            format!("{folders} of at most {watches} folders are watched"),
        );
    }
}
