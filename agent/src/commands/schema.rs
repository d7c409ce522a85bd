//! `lapwing schema`: the JSON Schema of what operators write, on standard output.

use std::process::ExitCode;

use super::terminal::print;
use crate::cli::{self, SchemaOf};
use crate::config;
use crate::error::AgentError;

pub(super) fn run(args: &cli::Schema) -> Result<ExitCode, AgentError> {
    let schema = config::schema(match args.of {
        Some(SchemaOf::Rules) => config::SchemaOf::Rules,
        Some(SchemaOf::Config) => config::SchemaOf::Config,
        None => config::SchemaOf::Both,
    });
    print(&format!("{schema:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}
