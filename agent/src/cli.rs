//! The command line: words → what is asked for. Nothing is done here. Commands that talk to a running
//! agent are in `asking`.

mod asking;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use asking::{
    Ack, Agent, Alerts, Drill, History, Note, Silence, SilenceAdd, SilenceExpire, SilenceList,
    SilenceWhat, Status, Tap, Top,
};

/// Where the service's configuration lies.
pub const DEFAULT_CONFIG: &str = "/etc/lapwing/lapwing.yaml";

/// Watches logs, matches every line against all rules at once, and tells people.
#[derive(Debug, Parser)]
#[command(name = "lapwing", version, max_term_width = 100)]
pub struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent until SIGTERM
    Run(Run),
    /// Tail files without any configuration and show alerts here
    Watch(Watch),
    /// Show the whole way of an alert with made-up nginx traffic
    Demo(Demo),
    /// Find all that is wrong with the configuration and the rules
    Check(Check),
    /// Run the rules' own tests, and test files
    Test(Test),
    /// Show the alerts that rules would have raised over old logs
    Backtest(Backtest),
    /// Print the lines that a rule accepts, as grep would
    Match(Match),
    /// Show how each rule is searched for, and what it costs
    Explain(Explain),
    /// Read logs and propose rules with thresholds, with what each would have done
    Suggest(Suggest),
    /// Show how the running agent is
    Status(Status),
    /// Show the alerts that are firing
    Alerts(Alerts),
    /// Show what was told, and what became of it at each output
    History(History),
    /// Say that you are at an alert
    Ack(Ack),
    /// Mute alerts for a while
    Silence(Silence),
    /// Send a made-up alert of a rule down the real way, and show what each output answered
    Drill(Drill),
    /// Try one output, show what each would be sent, or send again what was given up
    Notify(Notify),
    /// Find what keeps the agent from reading, keeping or delivering, each with its fix
    Doctor(Doctor),
    /// Print what makes a syslog daemon forward everything to this agent
    Setup(Setup),
    /// Show hits of rules, or lines, as they come
    Tap(Tap),
    /// Show the running agent on a screen, live
    Top(Top),
    /// Print completions for a shell
    Completion(Completion),
    /// Print a manual page, for `man -l -`
    Man(Man),
    /// Print the JSON Schema of rule files and of lapwing.yaml, for editors
    Schema(Schema),
}

/// `run`
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// `watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// Files to tail
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    /// Which rules.
    pub rules: Rules,
    /// Begin with what is in the files already
    #[arg(long)]
    pub from_start: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep it going until Ctrl-C
    #[arg(long)]
    pub serve: bool,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Rule files, test files, globs or pack:NAME; without any, the configuration
    #[arg(value_name = "RULES", conflicts_with = "config")]
    pub rules: Vec<String>,
    /// The configuration and all rules that it names [default: /etc/lapwing/lapwing.yaml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `test`
#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    /// What is tested.
    pub which: Check,
    /// Write the results for a CI server, too, as `JUnit` does
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `backtest`
#[derive(Debug, Args)]
pub struct Backtest {
    #[command(flatten)]
    /// Which rules.
    pub rules: Rules,
    #[command(flatten)]
    /// How the logs are read.
    pub logs: Logs,
    /// Only lines from this time on: RFC 3339, or an age such as 36h
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only lines before this time: RFC 3339, or an age such as 36h
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Hold the alerts against those of these other rules: which appear, vanish or move; may be
    /// given again
    #[arg(long, value_name = "OLD_RULES")]
    pub against: Vec<String>,
    /// Mute what all of these match, to see what that holds back: `rule=x, host=~web.*`; may be given
    /// again
    #[arg(long, value_name = "MATCHERS")]
    pub silence: Vec<String>,
    /// Write a page with the timeline and graphs, too
    #[arg(long, value_name = "PAGE")]
    pub html: Option<PathBuf>,
    /// One JSON object a line: every notification, what is different from --against, then a summary
    #[arg(long)]
    pub json: bool,
    /// Logs, plain, .gz or .zst; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `match`
#[derive(Debug, Args)]
pub struct Match {
    /// The rule
    #[arg(long, value_name = "NAME")]
    pub rule: String,
    #[command(flatten)]
    /// Where it stands.
    pub rules: Rules,
    #[command(flatten)]
    /// How the logs are read.
    pub logs: Logs,
    /// Logs, plain, .gz or .zst; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `explain`
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    /// Which rules.
    pub rules: Rules,
    /// Only this rule
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
}

/// `suggest`
#[derive(Debug, Args)]
pub struct Suggest {
    #[command(flatten)]
    /// How the logs are read.
    pub logs: Logs,
    /// Logs, plain, .gz or .zst
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `notify`
#[derive(Debug, Args)]
pub struct Notify {
    /// What of it.
    #[command(subcommand)]
    pub what: NotifyWhat,
}

/// What `notify` does.
#[derive(Debug, Subcommand)]
pub enum NotifyWhat {
    /// Send one message to an output, marked as a drill; no agent needs to run
    Test {
        /// The output
        #[arg(value_name = "OUTPUT")]
        output: String,
        /// The configuration
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Show what an output would be sent, without sending it
    Render {
        /// The output [default: all of them]
        #[arg(value_name = "OUTPUT")]
        output: Option<String>,
        /// The configuration
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// Show an alert of this rule, made up [default: a burst of bad gateways]
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
        /// Show every type of output there is, as a page of Markdown, instead of those configured
        #[arg(long, conflicts_with_all = ["output", "rule"])]
        gallery: bool,
        /// Write the picture of the rate to this file, too
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Queue again what outputs rejected, or what grew too old for them
    Resend {
        /// Only what went to this output
        #[arg(long, value_name = "OUTPUT")]
        output: Option<String>,
        /// Only this alert
        #[arg(value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        /// Which agent.
        agent: Agent,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// One JSON object a finding
    #[arg(long)]
    pub json: bool,
}

/// `setup`
#[derive(Debug, Args)]
pub struct Setup {
    /// The daemon
    #[arg(value_enum)]
    pub daemon: Daemon,
    /// How it sends
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    /// Where the agent listens [default: 127.0.0.1 and the transport's usual port]
    #[arg(long, value_name = "HOST:PORT")]
    pub to: Option<String>,
    /// For TLS: who signed the agent's certificate
    #[arg(long, value_name = "FILE", default_value = "/etc/lapwing/tls/ca.pem")]
    pub ca: PathBuf,
    /// For relp-tls: the certificate that the daemon shows; without one its library talks to no other
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/lapwing/tls/client.pem"
    )]
    pub cert: PathBuf,
    /// For relp-tls: the key of that certificate
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/lapwing/tls/client.key"
    )]
    pub key: PathBuf,
}

/// A syslog daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Daemon {
    /// Debian's own.
    Rsyslog,
    /// The other one.
    SyslogNg,
}

/// How messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Unencrypted; what was on its way is lost when a connection breaks
    #[default]
    Tcp,
    /// The same, encrypted
    Tls,
    /// Acknowledged: nothing is lost
    Relp,
    /// Acknowledged and encrypted
    RelpTls,
    /// Datagrams
    Udp,
}

/// `completion`
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `man`
#[derive(Debug, Args)]
pub struct Man {
    /// Which one
    #[arg(value_enum, default_value_t)]
    pub page: ManPage,
}

/// A manual page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ManPage {
    /// lapwing(1): the commands
    #[default]
    Lapwing,
    /// lapwing.yaml(5): the configuration
    #[value(name = "lapwing.yaml")]
    Configuration,
    /// lapwing-rules(5): the rules
    #[value(name = "lapwing-rules")]
    Rules,
}

/// `schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// Only of these files
    #[arg(value_enum)]
    pub of: Option<SchemaOf>,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Rule files and test files.
    Rules,
    /// lapwing.yaml.
    Config,
}

/// How old logs are read, as several commands have it.
#[derive(Debug, Args)]
pub struct Logs {
    /// Read each log as the input does whose `path` means it (format, multiline), against the
    /// configuration's own rules where no --rules are given
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The input that the logs are of [default: the one whose `path` means them]
    #[arg(long, value_name = "NAME", requires = "config")]
    pub input: Option<String>,
    /// How the lines are written [default: as the input says, or found by looking]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `--rules`, as several commands have it.
#[derive(Debug, Args)]
pub struct Rules {
    /// A rule file, a glob or pack:NAME; may be given again [default: the embedded packs]
    #[arg(id = "rule_files", long = "rules", value_name = "FILE")]
    pub rule_files: Vec<String>,
}
