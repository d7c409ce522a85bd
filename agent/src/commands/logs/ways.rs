//! How each log that a command names is to be read: as the configuration says of the input that it
//! belongs to, or, without one, line by line in a format that is named or found by looking.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::Format;
use lapwing_rules::language::reader::meant;
use lapwing_rules::model::InputId;
use lapwing_rules::scanner::{InputSpec, Listening};

use crate::cli;
use crate::config::{self, Config, Input, InputKind, MAX_CLOCK_SKEW, MAX_LINE_BYTES};
use crate::error::AgentError;
use crate::inputs::framer::Framing;
use crate::inputs::tail;

/// How one log is read.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Way {
    /// Its place in [`Ways::inputs`].
    pub(in crate::commands) input: InputId,
    /// Which lines belong together.
    pub(in crate::commands) framing: Framing,
}

impl Default for Way {
    /// That of the only input, line by line.
    fn default() -> Self {
        Self {
            input: InputId(0),
            framing: Framing::lines(MAX_LINE_BYTES),
        }
    }
}

/// The inputs that logs may be of.
#[derive(Debug)]
pub(in crate::commands) struct Ways {
    config: Option<Config>,
    /// What `--format` says, for all.
    format: Option<Arc<Format>>,
    /// What `--input` says.
    named: Option<usize>,
    /// The name of the only input, without a configuration.
    name: Arc<str>,
}

impl Ways {
    /// As these arguments say; without a configuration there is one input, called `name`.
    ///
    /// # Errors
    ///
    /// When they name a format or an input that is not there.
    pub(in crate::commands) fn new(
        args: &cli::Logs,
        config: Option<Config>,
        name: &str,
    ) -> Result<Self, AgentError> {
        let inputs = config.as_ref().map(|config| config.inputs.as_slice());
        let find = |name: &str| {
            let inputs = inputs.unwrap_or_default();
            let names = || inputs.iter().map(|input| &*input.name);
            names().position(|known| known == name).ok_or_else(|| {
                let help = meant(name, names()).map(|help| format!(": {help}"));
                let help = help.unwrap_or_default();
                AgentError::Usage(format!("there is no input `{name}`{help}"))
            })
        };
        Ok(Self {
            format: format(args.format.as_deref())?,
            named: args.input.as_deref().map(find).transpose()?,
            config,
            name: name.into(),
        })
    }

    /// How the log at `path` is read; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is a configuration and no input of it means the log.
    pub(in crate::commands) fn of(&self, path: &Path) -> Result<Way, AgentError> {
        let Some(config) = &self.config else {
            return Ok(Way::default());
        };
        let meaning = || config.inputs.iter().position(|input| means(input, path));
        let index = self.named.or_else(meaning).ok_or_else(|| {
            AgentError::Usage(format!(
                "no input of the configuration means {}: say which with `--input NAME`",
                path.display()
            ))
        })?;
        let framing = config.inputs.get(index).map(|input| input.framing.clone());
        Ok(Way {
            input: InputId(u32::try_from(index).unwrap_or(u32::MAX)),
            framing: framing.unwrap_or_else(|| Way::default().framing),
        })
    }

    /// How lines read in this way are written; `None`: found by looking.
    pub(in crate::commands) fn format(&self, way: &Way) -> Option<&Arc<Format>> {
        let index = usize::try_from(way.input.0).ok()?;
        let input = self
            .config
            .as_ref()
            .and_then(|config| config.inputs.get(index));
        let own = input.and_then(|input| input.format.as_ref());
        self.format.as_ref().or(own)
    }

    /// All inputs, by id.
    pub(in crate::commands) fn inputs(&self) -> Vec<InputSpec> {
        let spec = |name: &Arc<str>, format: Option<&Arc<Format>>| InputSpec {
            name: Arc::clone(name),
            format: self.format.as_ref().or(format).map(Arc::clone),
        };
        match &self.config {
            Some(config) => {
                let inputs = config.inputs.iter();
                inputs
                    .map(|input| spec(&input.name, input.format.as_ref()))
                    .collect()
            }
            None => vec![spec(&self.name, None)],
        }
    }

    /// Without a configuration, the names of inputs mean nothing.
    pub(in crate::commands) fn listening(&self) -> Listening {
        let config = self.config.as_ref();
        config.map_or(Listening::ToEverything, |config| config.listening)
    }

    /// What the host is called.
    pub(in crate::commands) fn host(&self) -> Arc<str> {
        let config = self.config.as_ref();
        config.map_or_else(config::host_name, |config| Arc::clone(&config.host))
    }

    /// How far in the future a line's time is believed.
    pub(in crate::commands) fn max_clock_skew(&self) -> Duration {
        let config = self.config.as_ref();
        config.map_or(MAX_CLOCK_SKEW, |config| config.max_clock_skew)
    }
}

/// Whether a log is of this input: by its own name, or by one that it had before it was rotated or
/// packed.
fn means(input: &Input, path: &Path) -> bool {
    let InputKind::File { paths, exclude, .. } = &input.kind else {
        return path == Path::new("-");
    };
    let means = |path: &Path| {
        let is_meant = |pattern: &tail::Pattern| pattern.matches(path);
        paths.iter().any(is_meant) && !exclude.iter().any(|exclude| exclude.matches(path))
    };
    let ways = [std::path::absolute(path), path.canonicalize()];
    ways.into_iter().flatten().any(|path| {
        let bases = path.file_name().map(tail::bases).unwrap_or_default();
        means(&path) || bases.iter().any(|base| means(&path.with_file_name(base)))
    })
}

/// The format that `--format` names.
///
/// # Errors
///
/// When there is none of that name, or it needs more than a name.
fn format(name: Option<&str>) -> Result<Option<Arc<Format>>, AgentError> {
    match name {
        None | Some("auto") => Ok(None),
        Some(name) => {
            if let Some(format) = Format::named(name) {
                Ok(Some(Arc::new(format)))
            } else {
                let named = Format::NAMES
                    .iter()
                    .filter(|name| **name != "pattern")
                    .copied();
                let names: Vec<&str> = named.collect();
                Err(AgentError::Usage(format!(
                    "there is no format `{name}`: one of auto, {}",
                    names.join(", ")
                )))
            }
        }
    }
}
