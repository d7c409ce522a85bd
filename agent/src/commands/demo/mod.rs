//! `lapwing demo`: a whole agent in a temporary folder. Made-up nginx traffic is written to a real
//! log, a burst of 502 comes, the real agent finds it, shows it and posts it to a local receiver,
//! and tells when it is over.

mod receiver;
mod traffic;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::Status;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::level_filters::LevelFilter;

use super::problems;
use super::run::{Asked, Signals, block_on};
use super::terminal::{Terminal, print};
use crate::app::{self, App, Happening, Kept};
use crate::cli::Demo;
use crate::config::{self, Config};
use crate::error::AgentError;
use crate::outputs::console::DIM;
use crate::scratch::Scratch;
use crate::telemetry;
use receiver::{Delivery, Receiver};
use traffic::Traffic;

/// The demo ends by itself within this, whatever happens.
const AT_MOST: Duration = Duration::from_secs(20);
/// Pause between two bursts with `--serve`.
const BETWEEN_BURSTS: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(1);

/// Exit code 0 when the alert came, was delivered and was resolved; 1 when it did not in time.
pub(super) fn run(args: &Demo, terminal: Terminal) -> Result<ExitCode, AgentError> {
    telemetry::start(LevelFilter::WARN);
    let folder = Scratch::new("demo")?;
    let code = block_on(show(args, terminal, folder.path()));
    drop(folder);
    code
}

async fn show(args: &Demo, terminal: Terminal, folder: &Path) -> Result<ExitCode, AgentError> {
    let mut signals = Signals::new()?;
    let secret = format!("demo-{}", std::process::id());
    let mut receiver = Receiver::start(secret.clone()).await?;
    let (config, rules) = prepare(folder, &receiver.url(), &secret, terminal)?;
    let mut traffic = Traffic::new(&folder.join("access.log"))?;
    let note = |text: &str| print(&format!("{}\n", terminal.out.paint(DIM, text)));
    note(&format!(
        "An agent tails {}/access.log; alerts go to this screen and to {}.",
        folder.display(),
        receiver.url()
    ))?;
    let mut app = app::start(&config, &rules, terminal.out, &mut Kept::default())?;
    ready(&mut app).await?;
    note("Ordinary traffic is being written. A burst of 502 comes in a moment.")?;
    let began = Instant::now();
    let mut burst = began + Duration::from_millis(1_500);
    let mut resolved = 0u32;
    let code = loop {
        tokio::select! {
            asked = signals.next() => if asked == Asked::Stop { break ExitCode::SUCCESS },
            happening = app.next() => if let Happening::Died(what) = happening {
                app.stop(GRACE).await;
                return Err(AgentError::Dead(what));
            },
            () = traffic.pause() => traffic.ordinary()?,
            () = sleep_until(burst) => {
                note("The upstream 10.2.0.7:8080 dies: 12 requests in a row get 502.")?;
                traffic.burst()?;
                burst += BETWEEN_BURSTS;
            }
            delivery = receiver.next() => {
                // The screen's own worker may be a moment behind the webhook's.
                tokio::time::sleep(Duration::from_millis(50)).await;
                note(&describe(&delivery))?;
                if delivery.status == Status::Resolved {
                    resolved += 1;
                    if !args.serve {
                        note("That was the whole way: log line, window, alert, durable commit, delivery, end.")?;
                        break ExitCode::SUCCESS;
                    }
                }
            }
            () = sleep_until(began + AT_MOST), if !args.serve && resolved == 0 => {
                print("The demo did not come to its end in time.\n")?;
                break ExitCode::from(super::FOUND);
            }
        }
    };
    app.stop(GRACE).await;
    Ok(code)
}

/// Writes the demo's files and reads them as `run` would.
fn prepare(
    folder: &Path,
    url: &str,
    secret: &str,
    terminal: Terminal,
) -> Result<(Config, Arc<RuleSet>), AgentError> {
    let failed = || AgentError::io(format!("cannot write to {}", folder.display()));
    std::fs::write(folder.join("lapwing.yaml"), include_str!("lapwing.yaml")).map_err(failed())?;
    std::fs::write(folder.join("rules.yaml"), include_str!("rules.yaml")).map_err(failed())?;
    let environment = |name: &str| match name {
        "RECEIVER" => Some(url.to_owned()),
        "SIGNING_SECRET" => Some(secret.to_owned()),
        _ => None,
    };
    let (config, findings) = config::load(&folder.join("lapwing.yaml"), &environment)?;
    problems::print(&findings, terminal);
    let config = config
        .ok_or_else(|| AgentError::Configuration("the demo's configuration is wrong".to_owned()))?;
    Ok((config, findings.into_rule_set()))
}

async fn ready(app: &mut App) -> Result<(), AgentError> {
    match timeout(AT_MOST, app.next()).await {
        Ok(Happening::Ready) => Ok(()),
        Ok(other) => Err(AgentError::Dead(format!("{other:?}"))),
        Err(_) => Err(AgentError::Dead(
            "the agent did not become ready".to_owned(),
        )),
    }
}

fn describe(delivery: &Delivery) -> String {
    let what = match delivery.status {
        Status::Firing => "firing",
        Status::Resolved => "resolved",
    };
    let signed = if delivery.is_signed {
        "its signature is right"
    } else {
        "ITS SIGNATURE IS WRONG"
    };
    format!(
        "The receiver got `{what}`, {} bytes, {}; {signed}.\n",
        delivery.bytes, delivery.key
    )
}
