//! `lapwing watch`: no configuration; tails files and shows alerts in the terminal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::Format;
use lapwing_rules::language::check::Defaults;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::scanner::{Detector, Listening};
use tracing::level_filters::LevelFilter;

use super::logs::{Log, Way};
use super::rules_of;
use super::run::{Asked, Signals, block_on};
use super::terminal::{Terminal, counted, say};
use crate::app::{self, Happening, Kept};
use crate::cli::Watch;
use crate::config::{self, Config, Input, InputKind, MAX_CLOCK_SKEW, MAX_LINE_BYTES};
use crate::error::AgentError;
use crate::inputs::framer::Framing;
use crate::inputs::tail::{Pattern, StartAt};
use crate::outputs::{Kind, Spec, safe};
use crate::scratch::Scratch;
use crate::telemetry;

/// Whoever presses Ctrl-C wants their terminal back.
const GRACE: Duration = Duration::from_millis(500);

/// Exit code 0 after Ctrl-C.
pub(super) fn run(args: &Watch, terminal: Terminal) -> Result<ExitCode, AgentError> {
    telemetry::start(LevelFilter::WARN);
    let rules = rules_of(&args.rules, terminal)?;
    for path in &args.files {
        let format = look(path)?;
        say(&format!(
            "watching {} ({format}) with {}\n",
            safe::visible(&path.to_string_lossy()),
            counted(rules.len() as u64, "rule")
        ));
    }
    let state = Scratch::new("watch")?;
    let config = configuration(args, state.path())?;
    let code = block_on(serve(config, rules, terminal));
    drop(state);
    code
}

async fn serve(
    config: Config,
    rules: Arc<RuleSet>,
    terminal: Terminal,
) -> Result<ExitCode, AgentError> {
    let mut signals = Signals::new()?;
    let mut app = app::start(&config, &rules, terminal.out, &mut Kept::default())?;
    loop {
        tokio::select! {
            asked = signals.next() => if asked == Asked::Stop {
                app.stop(GRACE).await;
                return Ok(ExitCode::SUCCESS);
            },
            happening = app.next() => match happening {
                Happening::Ready => say("ready; Ctrl-C ends it\n"),
                // Of the second nothing comes but the third.
                Happening::AllEnded | Happening::StateDamaged => {}
                Happening::Died(what) => {
                    app.stop(GRACE).await;
                    return Err(AgentError::Dead(what));
                }
            },
        }
    }
}

/// What a file's lines look like; an unreadable file is an error before anything starts.
fn look(path: &Path) -> Result<String, AgentError> {
    let batch = Log::open(path, &Way::default(), &Arc::default())?.next_batch()?;
    let format = match &batch {
        Some(batch) => Detector::new(None).format_of(batch.text()),
        None => Arc::new(Format::Plain),
    };
    Ok(format.name().to_owned())
}

fn configuration(args: &Watch, state_dir: &Path) -> Result<Config, AgentError> {
    let mut paths = Vec::new();
    for path in &args.files {
        let absolute = std::path::absolute(path)
            .map_err(AgentError::io(format!("cannot read {}", path.display())))?;
        paths.push(
            Pattern::exactly(&absolute).map_err(|error| AgentError::Usage(error.to_string()))?,
        );
    }
    let start_at = if args.from_start {
        StartAt::Beginning
    } else {
        StartAt::End
    };
    Ok(Config {
        host: config::host_name(),
        state_dir: PathBuf::from(state_dir),
        rules: Vec::new(),
        max_clock_skew: MAX_CLOCK_SKEW,
        inputs: vec![Input {
            name: "watch".into(),
            format: None,
            framing: Framing::lines(MAX_LINE_BYTES),
            kind: InputKind::File {
                paths,
                exclude: Vec::new(),
                start_at,
            },
        }],
        outputs: vec![Spec::new("terminal", Kind::Console)],
        defaults: Defaults::default(),
        control: None,
        http: None,
        heartbeat: None,
        // Without a configuration, the names of inputs mean nothing.
        listening: Listening::ToEverything,
    })
}
