//! How the subcommands that talk to a running agent find it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{Agent, DEFAULT_CONFIG};
use crate::config::{self, CONTROL};
use crate::error::AgentError;
use crate::operate::client;
use crate::operate::protocol::Request;

/// The rows of the agent's answer.
///
/// # Errors
///
/// When no agent answers, or the configuration that names its socket cannot be read.
pub(super) fn ask(agent: &Agent, request: &Request) -> Result<Vec<Value>, AgentError> {
    Ok(client::ask(&socket(agent)?, request)?)
}

/// Where the agent listens. A configuration that was not asked for may be wrong or absent.
fn socket(agent: &Agent) -> Result<PathBuf, AgentError> {
    if let Some(path) = &agent.control {
        return Ok(path.clone());
    }
    let path = agent.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
    // Secrets are of no use here: a variable that is not set must not be in the way.
    let loaded = config::load(path, &|name| {
        Some(std::env::var(name).unwrap_or_else(|_| "unset".to_owned()))
    });
    let control = match loaded {
        Ok((Some(config), _)) => config.control,
        Ok((None, _)) if agent.config.is_some() => {
            let why = format!(
                "{} cannot be used: `lapwing check` says why",
                path.display()
            );
            return Err(AgentError::Configuration(why));
        }
        Err(error) if agent.config.is_some() => return Err(error.into()),
        Ok((None, _)) | Err(_) => None,
    };
    Ok(control.unwrap_or_else(|| PathBuf::from(CONTROL)))
}
