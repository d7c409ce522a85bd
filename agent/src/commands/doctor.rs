//! `lapwing doctor`: can this configuration be read, followed, kept and delivered, and is the
//! running agent well? Looks only: it sends nothing to anybody and changes nothing.
//!
//! | file | looks at |
//! | --- | --- |
//! | `reading` | input files, folders, inotify, the clocks of logs, the journal |
//! | `listening` | ports and sockets that others send to |
//! | `keeping` | the state folder |
//! | `delivering` | names, ports and certificates of outputs, folders of files |
//! | `living` | what the running agent says of itself |

mod delivering;
mod keeping;
mod listening;
mod living;
mod reading;

use std::fs;
use std::process::ExitCode;

use rustix::process::geteuid;
use serde::Serialize;

use super::FOUND;
use super::problems;
use super::terminal::{Terminal, counted, print};
use crate::cli::Doctor;
use crate::config;
use crate::error::AgentError;
use crate::outputs::safe::visible;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// It works.
    Ok,
    /// It works, but somebody should know.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// `input nginx`, `output hook`, `state`, `agent` …
    about: String,
    message: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        level: Level,
        about: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Finding {
            level,
            about: about.into(),
            message: message.into(),
            fix: fix.into(),
        });
    }

    fn ok(&mut self, about: impl Into<String>, message: impl Into<String>) {
        self.add(Level::Ok, about, message, "");
    }
}

/// Exit code 0 when nothing is wrong, 1 when something is, 78 when the configuration itself is.
pub(super) fn run(args: &Doctor, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (config, problems) = config::load(&args.config, &|name| std::env::var(name).ok())?;
    problems::print(&problems, terminal);
    let Some(config) = config else {
        let path = args.config.display();
        return Err(AgentError::Configuration(format!("{path} cannot be used")));
    };
    let mut found = Findings::default();
    let rules = problems.rules.len();
    if problems.has_errors() {
        found.add(
            Level::Error,
            "rules",
            "some rules are wrong",
            "see above, or `lapwing check`",
        );
    } else {
        let message = format!("{}, nothing wrong", counted(rules as u64, "rule"));
        found.ok("rules", message);
    }
    if config.inputs.is_empty() {
        let fix = "add one under `inputs`, such as `app: {type: file, path: [/var/log/app/*.log]}`";
        found.add(Level::Warning, "inputs", "nothing is watched", fix);
    }
    reading::look(&config, &mut found);
    keeping::look(&config, &mut found);
    delivering::look(&config, &mut found)?;
    if living::look(&config, &mut found) == living::Agent::None {
        listening::look(&config, &mut found);
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        if geteuid().is_root() && has_service(&users) {
            let message = "all this was looked at as root, who may more than the service";
            let fix = "`sudo -u lapwing lapwing doctor` looks as its user; the service sees no /home, no /root and a /tmp of its own";
            found.add(Level::Warning, "user", message, fix);
        }
    }
    let is_well = found.0.iter().all(|finding| finding.level != Level::Error);
    for finding in &found.0 {
        if args.json {
            let text = serde_json::to_string(finding).unwrap_or_default();
            print(&format!("{text}\n"))?;
        } else {
            print(&draw(finding, terminal))?;
        }
    }
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    })
}

/// Whether the user that the package makes for its service is among these, as passwd(5) has them.
fn has_service(users: &str) -> bool {
    users.lines().any(|user| user.starts_with("lapwing:"))
}

fn draw(finding: &Finding, terminal: Terminal) -> String {
    let (style, word) = match finding.level {
        Level::Ok => ("32", "ok     "),
        Level::Warning => ("33", "warning"),
        Level::Error => ("31", "error  "),
    };
    let word = terminal.out.paint(style, word);
    let (about, message) = (visible(&finding.about), visible(&finding.message));
    let fix = match finding.fix.as_str() {
        "" => String::new(),
        fix => format!("         fix: {}\n", visible(fix)),
    };
    format!("{word}  {about}: {message}\n{fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_package_made_a_user_is_root_somebody_else() {
        let root = "root:x:0:0:root:/root:/bin/bash\n";
        let service = "lapwing:x:997:995::/:/usr/sbin/nologin\n";
        assert!(has_service(&format!("{root}{service}")));
        assert!(!has_service(root));
        assert!(!has_service("lapwing-test:x:1000:1000::/home/it:/bin/sh\n"));
    }
}
