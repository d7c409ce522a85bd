//! What can end a command, each with its exit code (SPEC section 5).

use std::process::ExitCode;

use crate::config::Unreadable;
use crate::config::rule_files::RuleFileError;
use crate::operate::client::AskError;
use crate::store::StoreError;

/// Why a command ends without having done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The files are wrong; what is wrong with them has been printed. Exit code 78.
    #[error("{0}")]
    Configuration(String),
    /// A named file cannot be read. Exit code 74.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A named rule file cannot be read (74) or does not exist as a pack (78).
    #[error(transparent)]
    RuleFile(#[from] RuleFileError),
    /// The call asks for something that is not there. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// There is no state folder and none can be made, or another agent has it (74, or 77 where it
    /// is not permitted), or a later version wrote it (78).
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The running agent cannot be talked to: 69, or 77 where that is not permitted, or 74; 1 where
    /// it could not do what was asked.
    #[error(transparent)]
    Agent(#[from] AskError),
    /// Reading or writing failed. Exit code 74.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A thread that the agent cannot live without has ended. Exit code 70: the service manager
    /// starts it again.
    #[error("{0}: the agent cannot go on")]
    Dead(String),
}

impl AgentError {
    /// Wraps an error of the system; for `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether standard output was closed by its reader, which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// As the contract has it.
    pub fn exit_code(&self) -> ExitCode {
        const FAILED: u8 = 1;
        const USAGE: u8 = 2;
        const NO_AGENT: u8 = 69;
        const SOFTWARE: u8 = 70;
        const IO: u8 = 74;
        const NOT_PERMITTED: u8 = 77;
        const CONFIGURATION: u8 = 78;
        ExitCode::from(match self {
            Self::Usage(_) => USAGE,
            Self::Configuration(_)
            | Self::Store(StoreError::Newer { .. })
            | Self::RuleFile(RuleFileError::NoPack { .. } | RuleFileError::BadGlob { .. }) => {
                CONFIGURATION
            }
            Self::Agent(AskError::NoAgent { .. }) => NO_AGENT,
            Self::Agent(AskError::NotPermitted { .. } | AskError::MayNot) => NOT_PERMITTED,
            Self::Agent(AskError::Refused(_)) => FAILED,
            Self::Store(StoreError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                NOT_PERMITTED
            }
            Self::Unreadable(_)
            | Self::RuleFile(RuleFileError::Unreadable(_) | RuleFileError::Nothing(_))
            | Self::Store(_)
            | Self::Agent(_)
            | Self::Io { .. } => IO,
            Self::Dead(_) => SOFTWARE,
        })
    }
}
