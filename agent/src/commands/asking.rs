//! How the subcommands that talk to a running agent find it.

use std::path::{Path, PathBuf};

use lapwing_rules::language::quantity;
use lapwing_rules::model::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::{Agent, DEFAULT_CONFIG};
use crate::config::{self, CONTROL};
use crate::error::AgentError;
use crate::operate::client::{self, AskError, Flow};
use crate::operate::protocol::Request;

/// The rows of the agent's answer.
///
/// # Errors
///
/// When no agent answers, or the configuration that names its socket cannot be read.
pub(super) fn ask(agent: &Agent, request: &Request) -> Result<Vec<Value>, AgentError> {
    Ok(client::ask(&socket(agent)?, request)?)
}

/// Shows `each` row of an answer without an end, until that breaks.
///
/// # Errors
///
/// As [`ask`].
pub(super) fn listen(
    agent: &Agent,
    request: &Request,
    each: &mut dyn FnMut(Value) -> Flow,
) -> Result<(), AgentError> {
    Ok(client::listen(&socket(agent)?, request, each)?)
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

/// A row as what it is.
///
/// # Errors
///
/// When the agent's version is another one.
pub(super) fn read<T: DeserializeOwned>(row: Value) -> Result<T, AgentError> {
    serde_json::from_value(row).map_err(|error| AgentError::Agent(AskError::Broken(error.into())))
}

/// Who asks; root speaks for whom `sudo` names.
pub(super) fn on_behalf_of() -> Option<String> {
    let mut names = ["SUDO_USER", "LOGNAME", "USER"].into_iter();
    names.find_map(|name| std::env::var(name).ok())
}

/// RFC 3339, or so long ago.
///
/// # Errors
///
/// When it is neither.
pub(super) fn moment(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, AgentError> {
    let Some(text) = text else { return Ok(None) };
    let age = quantity::duration(text).map(|age| now.minus(age));
    age.or_else(|| text.parse().ok()).map(Some).ok_or_else(|| {
        AgentError::Usage(format!(
            "`{text}` is no time: write 2026-11-21T09:00:00Z, or an age such as 36h"
        ))
    })
}
