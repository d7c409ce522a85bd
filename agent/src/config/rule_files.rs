//! Where rules stand: paths, globs and `pack:NAME` → texts.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use lapwing_rules::language::check::SourceFile;
use lapwing_rules::language::diagnostic::{Diagnostic, Level, Place};
use lapwing_rules::language::packs;
use lapwing_rules::language::reader::meant;

use super::{Unreadable, read as read_file};

/// Why a name gives no rules.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// The file, or its folder, cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// There is no such pack.
    #[error("there is no pack `{name}`{}", help.as_deref().map(|help| format!(": {help}")).unwrap_or_default())]
    NoPack {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        help: Option<String>,
    },
    /// The command line names a glob, and no file is like that.
    #[error("no file is named like `{0}`")]
    Nothing(String),
    /// It is no glob.
    #[error("bad glob `{pattern}`: {why}")]
    BadGlob {
        /// As it was written.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

impl RuleFileError {
    /// The same, as a problem in the file that named it.
    pub(super) fn at(&self, place: &Place) -> Diagnostic {
        let code = match self {
            Self::Unreadable(_) | Self::Nothing(_) => "unreadable",
            Self::NoPack { .. } => "unknown-name",
            Self::BadGlob { .. } => "bad-glob",
        };
        Diagnostic {
            code,
            level: Level::Error,
            place: place.clone(),
            message: self.to_string(),
            help: None,
        }
    }
}

/// The files that `pattern` names, in the order of their names. A glob may name none; a plain path
/// must exist.
///
/// # Errors
///
/// When a named file cannot be read.
pub fn read(pattern: &str) -> Result<Vec<SourceFile>, RuleFileError> {
    if let Some(name) = pattern.strip_prefix(packs::PREFIX) {
        return match packs::find(name) {
            Some(pack) => Ok(vec![pack]),
            None => Err(RuleFileError::NoPack {
                name: name.to_owned(),
                help: meant(name, packs::names()),
            }),
        };
    }
    let mut files = Vec::new();
    for path in expand(pattern)? {
        files.push(read_file(&path)?);
    }
    Ok(files)
}

/// The paths that a glob names, sorted; a path without wildcards names itself.
fn expand(pattern: &str) -> Result<Vec<PathBuf>, RuleFileError> {
    if !is_glob(pattern) || Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let mut found = vec![PathBuf::new()];
    for part in Path::new(pattern).components() {
        let text = part.as_os_str().to_string_lossy();
        if matches!(part, Component::Normal(_)) && is_glob(&text) {
            let glob = compile(&text).map_err(|why| RuleFileError::BadGlob {
                pattern: pattern.to_owned(),
                why,
            })?;
            found = found
                .iter()
                .flat_map(|folder| entries(folder, &glob))
                .collect();
        } else {
            for path in &mut found {
                path.push(part);
            }
        }
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

fn compile(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| error.kind().to_string())
}

fn entries(folder: &Path, glob: &GlobMatcher) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(listed) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    // As in a shell, a star does not mean hidden files: editors leave their copies there.
    let visible = names.filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    visible
        .filter(|name| glob.is_match(name))
        .map(|name| folder.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_names_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", ".a.yaml.swp", "c.txt"] {
            std::fs::write(folder.path().join(name), "rules: []").unwrap();
        }
        let pattern = format!("{}/*.yaml", folder.path().display());
        let names: Vec<String> = read(&pattern)
            .unwrap()
            .iter()
            .map(|file| file.name.to_string())
            .collect();
        assert!(
            names.len() == 2 && names[0].ends_with("/a.yaml") && names[1].ends_with("/b.yaml"),
            "{names:?}"
        );
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error_and_an_empty_glob_is_none() {
        assert!(read("/nonexistent/x.yaml").is_err());
        assert!(read("/nonexistent/*.yaml").unwrap().is_empty());
        assert!(read("pack:nginx").is_ok());
        assert_eq!(
            read("pack:ngnix").unwrap_err().to_string(),
            "there is no pack `ngnix`: did you mean `nginx`?"
        );
    }
}
