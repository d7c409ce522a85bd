//! What can keep the store from doing its work, and how redb's errors are told apart.

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lock on the folder is held.
    #[error("another lapwing uses this state folder: {dir}")]
    Locked {
        /// The folder.
        dir: String,
    },
    /// The disk, or permissions.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// What is on disk makes no sense.
    #[error("the state file is damaged: {0}")]
    Damaged(String),
    /// A later version wrote it: nothing is touched.
    #[error(
        "{file} was written by a later version of lapwing (format {found}; this one knows {known}): \
         install that version again, or move the file away to begin anew"
    )]
    Newer {
        /// The database.
        file: String,
        /// Its format.
        found: u64,
        /// The latest format that can be read.
        known: u64,
    },
    /// Anything else that the database says.
    #[error("the state database: {0}")]
    Database(String),
}

impl StoreError {
    pub(super) fn from_database(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked {
                dir: "its database is open".to_owned(),
            },
            redb::Error::Io(source) => match source.kind() {
                // That is how a file that ends too early, or holds nonsense, shows itself.
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    Self::Damaged(source.to_string())
                }
                _ => Self::Io {
                    what: "the state file".to_owned(),
                    source,
                },
            },
            redb::Error::Corrupted(what) => Self::Damaged(what),
            error @ (redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Damaged(error.to_string()),
            other => Self::Database(other.to_string()),
        }
    }
}
