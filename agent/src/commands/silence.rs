//! `lapwing silence`: mutes alerts for a while, shows what is muted, ends it.

use std::process::ExitCode;
use std::time::Duration;

use lapwing_rules::language::quantity;
use lapwing_rules::model::Timestamp;
use lapwing_rules::mute;
use serde_json::Value;

use super::asking::{ask, on_behalf_of, read};
use super::terminal::{Terminal, print, say};
use crate::cli::{Silence, SilenceAdd, SilenceWhat};
use crate::clock;
use crate::error::AgentError;
use crate::operate::protocol::Request;
use crate::outputs::render::{moment, span};
use crate::outputs::safe;

/// Exit code 1 when it could not be done.
pub(super) fn run(args: &Silence, _terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (agent, request, json, shows_ended) = match &args.what {
        SilenceWhat::Add(add) => (&add.agent, add_request(add)?, add.json, true),
        SilenceWhat::List(list) => (&list.agent, Request::SilenceList {}, list.json, list.all),
        SilenceWhat::Expire(expire) => {
            let id = expire.id.clone();
            (
                &expire.agent,
                Request::SilenceExpire { id },
                expire.json,
                true,
            )
        }
    };
    for row in ask(agent, &request)? {
        if !shows_ended && row.get("state").and_then(Value::as_str) == Some("expired") {
            continue;
        }
        if row.get("rules") == Some(&Value::from(0)) {
            say(
                "lapwing: no alert of any rule can be matched by this: `lapwing status` names the rules\n",
            );
        }
        if json {
            print(&format!("{row}\n"))?;
        } else {
            print(&draw(&read(row)?, clock::now()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add_request(args: &SilenceAdd) -> Result<Request, AgentError> {
    for text in &args.matchers {
        mute::parse_one(text).map_err(|error| AgentError::Usage(error.to_string()))?;
    }
    Ok(Request::SilenceAdd {
        matchers: args.matchers.clone(),
        for_ms: u64::try_from(length(args, clock::now())?.as_millis()).unwrap_or(u64::MAX),
        note: args.note.text.clone(),
        on_behalf_of: on_behalf_of(),
    })
}

fn length(args: &SilenceAdd, now: Timestamp) -> Result<Duration, AgentError> {
    let (text, length) = match (&args.span, &args.until) {
        (Some(text), _) => (text, quantity::duration(text)),
        (None, Some(text)) => (text, text.parse().ok().map(|end: Timestamp| end.since(now))),
        (None, None) => return Err(AgentError::Usage("say --for how long".to_owned())),
    };
    let length = length.filter(|length| !length.is_zero());
    length.ok_or_else(|| {
        let how = "write --for 2h, or --until 2026-11-21T09:00:00Z";
        AgentError::Usage(format!("`{text}` is no time in the future: {how}"))
    })
}

fn draw(silence: &mute::Silence, now: Timestamp) -> String {
    let left = silence.ends_at.since(now);
    let left = if left.is_zero() {
        format!("ended {}", moment(silence.ends_at))
    } else {
        let left = Duration::from_secs(left.as_secs());
        format!("until {} ({} left)", moment(silence.ends_at), span(left))
    };
    let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let note = match silence.note.as_str() {
        "" => String::new(),
        note => format!(": {}", safe::short(note, 200)),
    };
    format!(
        "{}  {}  {left}  {}{note}\n",
        safe::visible(&silence.id),
        safe::short(&matchers.join(", "), 300),
        safe::visible(&silence.author)
    )
}
