//! `lapwing notify`: tries one output, shows what each is sent, queues again what was given up.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use lapwing_rules::model::{Notification, Timestamp};

use super::asking::ask;
use super::run::block_on;
use super::terminal::{Terminal, counted, print};
use super::{FOUND, problems};
use crate::cli::{self, NotifyWhat};
use crate::clock;
use crate::config::secret::Secret;
use crate::config::{self, Config};
use crate::error::AgentError;
use crate::operate::protocol::Request;
use crate::outputs::kind::{Chat, Collector, Email, Irc, Meter, Syslog, SyslogTransport, Tls};
use crate::outputs::retry::Verdict;
use crate::outputs::{self, Kind, Spec, WebhookFormat, example};

/// Exit code 1 when the output did not take the message.
pub(super) fn run(args: &cli::Notify, terminal: Terminal) -> Result<ExitCode, AgentError> {
    match &args.what {
        NotifyWhat::Test { output, config } => test(output, config, terminal),
        NotifyWhat::Render {
            output,
            config,
            rule,
            gallery,
            picture,
        } => {
            if let Some(path) = picture {
                write_picture(path)?;
            }
            if *gallery {
                print(&gallery_page())?;
                return Ok(ExitCode::SUCCESS);
            }
            render(output.as_deref(), config, rule.as_deref(), terminal)
        }
        NotifyWhat::Resend { output, id, agent } => {
            let request = Request::Resend {
                output: output.clone(),
                id: id.clone(),
            };
            for row in ask(agent, &request)? {
                let queued = row["queued"].as_u64().unwrap_or_default();
                print(&format!(
                    "{} queued again\n",
                    counted(queued, "notification")
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(path: &Path, terminal: Terminal) -> Result<(Config, config::Findings), AgentError> {
    let (config, findings) = config::load(path, &|name| std::env::var(name).ok())?;
    problems::print(&findings, terminal);
    match config {
        Some(config) if !findings.has_errors() => Ok((config, findings)),
        _ => Err(AgentError::Configuration(format!(
            "{} cannot be used",
            path.display()
        ))),
    }
}

fn find<'c>(config: &'c Config, name: &str) -> Result<&'c Spec, AgentError> {
    let spec = config.outputs.iter().find(|spec| spec.name == name);
    spec.ok_or_else(|| AgentError::Usage(format!("there is no output `{name}`")))
}

fn test(name: &str, path: &Path, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (config, _) = load(path, terminal)?;
    let spec = find(&config, name)?;
    let trial = example::trial(name, &config.host, clock::now());
    let verdict = block_on(async { Ok(outputs::try_once(spec, trial, terminal.out).await) })?;
    let (style, text, code) = match verdict {
        Verdict::Delivered => ("32", "delivered".to_owned(), ExitCode::SUCCESS),
        Verdict::Retry { why, .. } => ("31", format!("not now: {why}"), ExitCode::from(FOUND)),
        Verdict::Refused { why } => ("31", format!("refused: {why}"), ExitCode::from(FOUND)),
        Verdict::Rejected { why } => ("31", format!("rejected: {why}"), ExitCode::from(FOUND)),
    };
    print(&format!(
        "{} ({}): {}\n",
        name,
        spec.kind.name(),
        terminal.out.paint(style, &text)
    ))?;
    Ok(code)
}

fn render(
    output: Option<&str>,
    path: &Path,
    rule: Option<&str>,
    terminal: Terminal,
) -> Result<ExitCode, AgentError> {
    let (config, findings) = load(path, terminal)?;
    let now = clock::now();
    let notification = match rule {
        None => example::alert(&config.host, now),
        Some(name) => {
            let rules = findings.into_rule_set();
            let Some((_, rule)) = rules.by_name(name) else {
                return Err(AgentError::Usage(format!("there is no rule `{name}`")));
            };
            example::drill(rule, &config.host, now)
        }
    };
    let specs: Vec<&Spec> = match output {
        Some(name) => vec![find(&config, name)?],
        None => config.outputs.iter().collect(),
    };
    for spec in specs {
        let head = format!("── {} ({})", spec.name, spec.kind.name());
        let shown = outputs::show(&spec.kind, &notification, now);
        print(&format!("{}\n{shown}\n", terminal.out.paint("1", &head)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_picture(path: &Path) -> Result<(), AgentError> {
    let png = outputs::picture_of(&gallery_alert()).unwrap_or_default();
    std::fs::write(path, png).map_err(AgentError::io(format!("cannot write {}", path.display())))
}

/// The same every time, so that the page is.
fn gallery_alert() -> Notification {
    let at: Timestamp = Timestamp::from_secs(1_795_251_645);
    example::alert("web-1", at)
}

fn gallery_page() -> String {
    let alert = gallery_alert();
    let mut page = "# What each output is sent\n\n\
        The same alert everywhere. This page is made by `lapwing notify render --gallery`; a test holds the two\n\
        together.\n\n\
        ![the picture that goes with it where `attach: [graph]` asks for it](gallery-rate.png)\n"
        .to_owned();
    for (heading, kind) in gallery_kinds() {
        let language = match kind {
            Kind::Console | Kind::Irc(_) | Kind::Email(_) | Kind::Syslog(_) => "text",
            _ => "json",
        };
        let shown = outputs::show(&kind, &alert, alert.sent_at);
        // A fence in the text must not end ours.
        write!(page, "\n## {heading}\n\n````{language}\n{shown}````\n")
            .expect("writing to a String cannot fail");
    }
    page
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn gallery_kinds() -> Vec<(&'static str, Kind)> {
    let url = || Secret::new("https://example.com/hook");
    let token = || Secret::new("token");
    let room = |chat| Kind::Room {
        chat,
        webhook_url: url(),
    };
    let collector = |collector| Kind::Collector {
        collector,
        url: url(),
    };
    let webhook = |format| Kind::Webhook {
        url: url(),
        format,
        secret: None,
    };
    vec![
        ("console", Kind::Console),
        ("slack", Kind::Slack { webhook_url: url() }),
        ("discord", room(Chat::Discord)),
        ("teams", room(Chat::Teams)),
        ("mattermost", room(Chat::Mattermost)),
        ("googlechat", room(Chat::GoogleChat)),
        (
            "telegram",
            Kind::Telegram {
                api_url: url(),
                token: token(),
                chat_id: "-100123".to_owned(),
            },
        ),
        (
            "matrix",
            Kind::Matrix {
                url: url(),
                token: token(),
                room: "!ops:example.com".to_owned(),
            },
        ),
        (
            "irc",
            Kind::Irc(Irc {
                host: "irc.example.com".to_owned(),
                port: 6697,
                tls: Tls::Yes,
                nick: "lapwing".to_owned(),
                channel: "#ops".to_owned(),
                sasl: None,
            }),
        ),
        (
            "email",
            Kind::Email(Email {
                smtp_url: Secret::new("smtp://localhost"),
                from: "lapwing@example.com".to_owned(),
                to: vec!["ops@example.com".to_owned()],
            }),
        ),
        (
            "pagerduty",
            Kind::PagerDuty {
                api_url: url(),
                routing_key: token(),
            },
        ),
        (
            "opsgenie",
            Kind::Opsgenie {
                api_url: url(),
                api_key: token(),
            },
        ),
        ("alertmanager", Kind::Alertmanager { url: url() }),
        (
            "webhook, `format: lapwing` (and file, exec)",
            webhook(WebhookFormat::Lapwing),
        ),
        (
            "webhook, `format: alertmanager`",
            webhook(WebhookFormat::Alertmanager),
        ),
        ("loki", collector(Collector::Loki)),
        ("otlp", collector(Collector::Otlp)),
        (
            "elasticsearch",
            collector(Collector::Elasticsearch {
                index: "lapwing".to_owned(),
            }),
        ),
        (
            "syslog",
            Kind::Syslog(Syslog {
                transport: SyslogTransport::Tls,
                host: "logs.example.com".to_owned(),
                port: 6514,
                token: None,
            }),
        ),
        (
            "statsd",
            Kind::Statsd(Meter {
                address: "127.0.0.1:8125".to_owned(),
                prefix: "lapwing".to_owned(),
            }),
        ),
    ]
}
