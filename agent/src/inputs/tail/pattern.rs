//! Which paths an input means: globs, and globs of what it does not mean. Pure but for
//! [`Pattern::walk`], which lists only folders that the pattern can reach.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::identity::FileId;
use crate::packing::unpacked_name;

/// Why a glob cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Relative to what, nobody could say here.
    #[error("`{0}` is not an absolute path")]
    Relative(String),
    /// A brace around a slash.
    #[error("`{0}` has a `/` inside of braces or brackets; write one path for each")]
    Slash(String),
    /// Anything else.
    #[error("`{0}` is not a glob: {1}")]
    Syntax(String, globset::ErrorKind),
}

/// An absolute glob: `*`, `?`, `[…]`, `{…}` within a name, `**` for any number of folders.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Name(OsString),
    Glob(GlobMatcher),
    AnyFolders,
}

/// What a file must not be to be meant.
#[derive(Clone, Debug)]
pub struct Exclude {
    glob: GlobMatcher,
    /// Matched against the file's name, for it has no slash.
    by_name: bool,
}

/// Deeper folders are not walked: a bound, whatever links and mounts do.
const MAX_DEPTH: usize = 64;

fn glob(text: &str, whole: &str) -> Result<GlobMatcher, PatternError> {
    let built = GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    match built {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(PatternError::Syntax(whole.to_owned(), error.kind().clone())),
    }
}

impl Pattern {
    /// Reads a glob. `.` and empty parts are dropped, `..` is taken as it stands.
    ///
    /// # Errors
    ///
    /// When it is relative, has a slash inside of braces, or is no glob.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err(PatternError::Relative(text.to_owned()));
        };
        let mut parts = Vec::new();
        for part in relative
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
        {
            if part == "**" {
                if !matches!(parts.last(), Some(Part::AnyFolders)) {
                    parts.push(Part::AnyFolders);
                }
            } else if part.contains(['*', '?', '[', ']', '{', '}', '\\']) {
                let open = |open, close| part.matches(open).count() != part.matches(close).count();
                if text.contains(['{', '[']) && (open('{', '}') || open('[', ']')) {
                    return Err(PatternError::Slash(text.to_owned()));
                }
                parts.push(Part::Glob(glob(part, text)?));
            } else {
                parts.push(Part::Name(part.into()));
            }
        }
        Ok(Self { parts })
    }

    /// Means this one path, whatever characters are in it.
    ///
    /// # Errors
    ///
    /// When it is relative.
    pub fn exactly(path: &Path) -> Result<Self, PatternError> {
        if !path.is_absolute() {
            return Err(PatternError::Relative(path.display().to_string()));
        }
        Ok(Self {
            parts: names(path)
                .map(|name| Part::Name(name.to_owned()))
                .collect(),
        })
    }

    /// Whether it means `path`.
    pub fn matches(&self, path: &Path) -> bool {
        let names: Vec<&OsStr> = names(path).collect();
        matches(&self.parts, &names, Reach::Whole)
    }

    /// Whether it could mean something below the folder `path`, or that folder's place.
    pub fn reaches(&self, path: &Path) -> bool {
        let names: Vec<&OsStr> = names(path).collect();
        matches(&self.parts, &names, Reach::Prefix)
    }

    /// Finds what exists, following links to files and folders, but not in circles.
    pub fn walk(&self, found: &mut Walked) {
        let mut walk = Walk {
            found,
            above: Vec::new(),
        };
        walk.folder(Path::new("/"), &self.parts);
    }
}

impl Exclude {
    /// Reads a glob: without a slash it is for names, with one for absolute paths.
    ///
    /// # Errors
    ///
    /// When it is no glob.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Ok(Self {
            glob: glob(text, text)?,
            by_name: !text.contains('/'),
        })
    }

    /// Whether `path` is kept out.
    pub fn matches(&self, path: &Path) -> bool {
        let what = if self.by_name {
            path.file_name()
        } else {
            Some(path.as_os_str())
        };
        what.is_some_and(|what| self.glob.is_match(what))
    }
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All names are used up by all parts.
    Whole,
    /// The names may end before the parts.
    Prefix,
}

fn matches(parts: &[Part], names: &[&OsStr], reach: Reach) -> bool {
    let Some((part, parts_after)) = parts.split_first() else {
        return names.is_empty();
    };
    let Some((name, names_after)) = names.split_first() else {
        return reach == Reach::Prefix;
    };
    match part {
        Part::Name(wanted) => wanted == name && matches(parts_after, names_after, reach),
        Part::Glob(glob) => glob.is_match(name) && matches(parts_after, names_after, reach),
        // As the last part it stands for everything below.
        Part::AnyFolders if parts_after.is_empty() => true,
        Part::AnyFolders => {
            matches(parts_after, names, reach) || matches(parts, names_after, reach)
        }
    }
}

/// What a walk found. Several walks may fill one.
#[derive(Debug, Default)]
pub struct Walked {
    /// What the patterns mean and what is there, links followed, folders left out.
    pub files: Vec<(PathBuf, Metadata)>,
    /// Folders whose changes matter.
    pub folders: Vec<PathBuf>,
    /// Links that lead nowhere now: what appears at their ends changes no folder that is known.
    pub dangling: usize,
    /// What could not be listed or looked at, and is not just absent.
    pub troubles: Vec<(PathBuf, io::Error)>,
}

struct Walk<'a> {
    found: &'a mut Walked,
    /// The folders above, so that links lead into no circle.
    above: Vec<FileId>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, parts: &[Part]) {
        let Some((part, after)) = parts.split_first() else {
            return;
        };
        match part {
            Part::Name(name) => self.named(folder, &folder.join(name), after),
            Part::Glob(_) | Part::AnyFolders => self.listed(folder, parts),
        }
    }

    fn named(&mut self, folder: &Path, path: &Path, after: &[Part]) {
        match fs::metadata(path) {
            Ok(metadata) if after.is_empty() => {
                self.found.folders.push(folder.to_owned());
                self.file(path, metadata);
            }
            Ok(metadata) if metadata.is_dir() => self.enter(path, &metadata, after),
            Ok(_) => self.found.folders.push(folder.to_owned()),
            Err(error) => {
                // The nearest folder that is there shows when the rest appears.
                self.found.folders.push(folder.to_owned());
                self.trouble(path, error);
            }
        }
    }

    fn listed(&mut self, folder: &Path, parts: &[Part]) {
        let Some((part, after)) = parts.split_first() else {
            return;
        };
        self.found.folders.push(folder.to_owned());
        if matches!(part, Part::AnyFolders) && !after.is_empty() {
            self.folder(folder, after);
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.trouble(folder, error),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => return self.trouble(folder, error),
            };
            let (wanted, below) = match part {
                Part::Glob(glob) => (
                    path.file_name().is_some_and(|name| glob.is_match(name)),
                    after,
                ),
                Part::Name(_) | Part::AnyFolders => (true, parts),
            };
            if wanted {
                self.entry(&path, after, below);
            }
        }
    }

    fn entry(&mut self, path: &Path, after: &[Part], below: &[Part]) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.enter(path, &metadata, below),
            Ok(metadata) if after.is_empty() => self.file(path, metadata),
            Ok(_) => {}
            Err(error) => self.trouble(path, error),
        }
    }

    fn enter(&mut self, path: &Path, metadata: &Metadata, parts: &[Part]) {
        let id = FileId::of(metadata);
        if parts.is_empty() || self.above.len() >= MAX_DEPTH || self.above.contains(&id) {
            return;
        }
        self.above.push(id);
        self.folder(path, parts);
        self.above.pop();
    }

    fn file(&mut self, path: &Path, metadata: Metadata) {
        self.found.files.push((path.to_owned(), metadata));
    }

    fn trouble(&mut self, path: &Path, error: io::Error) {
        // Absent: not there yet, or a link that leads nowhere yet.
        if !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            self.found.troubles.push((path.to_owned(), error));
        } else if path.is_symlink() {
            self.found.dangling += 1;
        }
    }
}

/// Whether `name` looks like a rotated `base`: the same with numbers and dates after it, or before
/// its extension (`access.log.1`, `access.log-20261121`, `access-2026-11-21.log`).
pub(super) fn is_rotation_of(name: &OsStr, base: &OsStr) -> bool {
    let (name, base) = (name.as_bytes(), base.as_bytes());
    let dated = |rest: &[u8]| {
        rest.iter().any(u8::is_ascii_digit)
            && rest
                .iter()
                .all(|byte| byte.is_ascii_digit() || b".-_:TZ+".contains(byte))
    };
    if name.strip_prefix(base).is_some_and(dated) {
        return true;
    }
    let Some(dot) = memchr::memrchr(b'.', base).filter(|&dot| dot > 0) else {
        return false;
    };
    let (stem, extension) = base.split_at(dot);
    let middle = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(extension));
    middle.is_some_and(dated)
}

/// Orders files of one family that were written to at the same instant, oldest first: `.3`, `.2`,
/// `.1`, then dates and live files.
pub(super) fn rotation_order(name: &OsStr) -> i32 {
    let name = unpacked_name(name).unwrap_or(name);
    let text = name.to_str().unwrap_or_default();
    let number = text
        .rsplit_once('.')
        .map(|(_, end)| end)
        .filter(|end| end.len() <= 4);
    match number.and_then(|end| end.parse::<u16>().ok()) {
        Some(number) => -i32::from(number),
        None if text.contains(|c: char| c.is_ascii_digit()) => 0,
        None => 1,
    }
}

/// Whether the rotation called `name` is known by its name to be older than `other`, of the same
/// family: a greater number, or an earlier date that begins with the year.
pub(super) fn is_older(name: &OsStr, other: &OsStr) -> bool {
    let (number, other_number) = (rotation_order(name), rotation_order(other));
    if number < 0 && other_number < 0 {
        return number < other_number;
    }
    match (date_in(name), date_in(other)) {
        (Some(date), Some(other)) => date.len() == other.len() && date < other,
        _ => false,
    }
}

/// The digits of a date (or of seconds since 1970) in a rotation's name.
fn date_in(name: &OsStr) -> Option<Vec<u8>> {
    let plain = unpacked_name(name).unwrap_or(name).as_bytes();
    let runs = plain.split(|byte| !byte.is_ascii_digit() && !b"-_T:.".contains(byte));
    let digits = runs.map(|run| -> Vec<u8> {
        let digits = run.iter().copied();
        digits.filter(u8::is_ascii_digit).collect()
    });
    let begins_with_year = |run: &Vec<u8>| {
        run.starts_with(b"19") || run.starts_with(b"20") || run.len() == 10 && run.starts_with(b"1")
    };
    let mut dates = digits.filter(|run| run.len() >= 8 && begins_with_year(run));
    dates.next_back()
}

/// The names of which `name` may be a copy or a rotation: what stands before one of its `.`, `-` and
/// `_`, with and without its own extension.
pub fn bases(name: &OsStr) -> Vec<OsString> {
    let bytes = name.as_bytes();
    let extension = memchr::memrchr(b'.', bytes)
        .and_then(|dot| bytes.get(dot..))
        .unwrap_or_default();
    let separators = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| b".-_".contains(byte));
    let mut bases = Vec::new();
    for (at, _) in separators.filter(|&(at, _)| at > 0) {
        let stem = bytes.get(..at).unwrap_or_default();
        bases.push(OsStr::from_bytes(stem).to_owned());
        let with_extension = [stem, extension].concat();
        if with_extension != bytes {
            bases.push(OsString::from_vec(with_extension));
        }
    }
    bases
}

#[cfg(test)]
mod tests;
