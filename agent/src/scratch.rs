//! A temporary folder that goes away with its owner.

use std::path::{Path, PathBuf};

use crate::error::AgentError;

/// The folder; removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder for `purpose`, for this user only, below the system's temporary folder.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(purpose: &str) -> Result<Self, AgentError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let temp = std::env::temp_dir();
        let mut outcome = Err(std::io::ErrorKind::AlreadyExists.into());
        let mut path = temp.clone();
        // The name may be taken by what an earlier process of the same number left behind, or on
        // purpose: an existing folder is never used.
        for attempt in 0..100 {
            path = temp.join(format!(
                "lapwing-{purpose}-{}-{attempt}",
                std::process::id()
            ));
            outcome = std::fs::DirBuilder::new().mode(0o700).create(&path);
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map_err(AgentError::io(format!(
            "cannot make a folder in {}",
            temp.display()
        )))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary folder stays behind");
        }
    }
}
