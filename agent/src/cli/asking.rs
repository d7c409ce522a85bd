//! Commands that talk to a running agent: their words. Which agent is meant is the same for all of
//! them; what is asked of it and how is in `commands/asking.rs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use crate::pump::tap::{MOST_RATE, RATE};

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `alerts`
#[derive(Debug, Args)]
pub struct Alerts {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// One JSON object an alert
    #[arg(long)]
    pub json: bool,
}

/// `drill`
#[derive(Debug, Args)]
pub struct Drill {
    /// The rule
    #[arg(value_name = "RULE")]
    pub rule: String,
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// One JSON object an output
    #[arg(long)]
    pub json: bool,
}

/// `history`
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// What shadow rules would have told
    #[arg(long)]
    pub shadow: bool,
    /// Only what some output does not have
    #[arg(long)]
    pub undelivered: bool,
    /// Only from this time on: RFC 3339, or an age such as 36h
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only the newest so many
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
    /// One JSON object a notification
    #[arg(long)]
    pub json: bool,
}

/// What an operator adds for others.
#[derive(Debug, Args)]
pub struct Note {
    /// Why, and what others should know
    #[arg(
        short = 'm',
        long = "note",
        value_name = "NOTE",
        default_value = "",
        hide_default_value = true
    )]
    pub text: String,
}

/// `ack`
#[derive(Debug, Args)]
pub struct Ack {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// The alert's id, or the end of it
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    /// Why.
    pub note: Note,
    /// One JSON object: the alert
    #[arg(long)]
    pub json: bool,
}

/// `silence`
#[derive(Debug, Args)]
pub struct Silence {
    /// What to do
    #[command(subcommand)]
    pub what: SilenceWhat,
}

/// What to do with silences.
#[derive(Debug, Subcommand)]
pub enum SilenceWhat {
    /// Mute what all matchers match
    Add(SilenceAdd),
    /// Show what is muted
    List(SilenceList),
    /// End a silence
    Expire(SilenceExpire),
}

/// `silence add`
#[derive(Debug, Args)]
pub struct SilenceAdd {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// On rule, type, severity, host, labels and group fields: `rule=x`, `host=~web.*`, `!=`, `!~`
    #[arg(required = true, value_name = "MATCHER")]
    pub matchers: Vec<String>,
    /// For how long, such as 2h
    #[arg(
        long = "for",
        value_name = "DURATION",
        required_unless_present = "until"
    )]
    pub span: Option<String>,
    /// Until when, RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "span")]
    pub until: Option<String>,
    #[command(flatten)]
    /// Why.
    pub note: Note,
    /// One JSON object: the silence
    #[arg(long)]
    pub json: bool,
}

/// `silence list`
#[derive(Debug, Args)]
pub struct SilenceList {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// Ended ones, too
    #[arg(long)]
    pub all: bool,
    /// One JSON object a silence
    #[arg(long)]
    pub json: bool,
}

/// `silence expire`
#[derive(Debug, Args)]
pub struct SilenceExpire {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// The silence's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// One JSON object: the silence
    #[arg(long)]
    pub json: bool,
}

/// `tap`
#[derive(Debug, Args)]
pub struct Tap {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
    /// Only hits of this rule
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Only what comes from this input
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
    /// Lines as they are read, whether or not a rule accepts them
    #[arg(long, conflicts_with = "rule")]
    pub lines: bool,
    /// Only lines that hold this text
    #[arg(long, value_name = "TEXT")]
    pub contains: Option<String>,
    /// Show no more than this a second; the others are counted
    #[arg(long, value_name = "N", default_value_t = RATE, value_parser = value_parser!(u32).range(1..=i64::from(MOST_RATE)))]
    pub rate: u32,
    /// End after so many
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub number: Option<u64>,
    /// One JSON object a hit or line, or for those that are not shown
    #[arg(long)]
    pub json: bool,
}

/// `top`
#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    /// Which agent.
    pub agent: Agent,
}

/// Which running agent is meant, as all commands that talk to one have it.
#[derive(Debug, Args)]
pub struct Agent {
    /// The agent's configuration, which may say where it listens [default: /etc/lapwing/lapwing.yaml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "control")]
    pub config: Option<PathBuf>,
    /// The agent's control socket
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}
