//! `tap`: hits or lines as they come, to one who watches, until they go away. The engine is asked to
//! show them through its inbox, anew after each reload.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::Sample;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::control::lines;
use super::protocol::{Reply, Skipped};
use super::sight::Sight;
use crate::pump;
use crate::pump::tap::{Tap, TapQuery, TapWhat, Tapped};

/// Who may watch at once.
const MOST: usize = 4;
/// One who takes nothing for so long is not there any more.
const PATIENCE: Duration = Duration::from_secs(10);

static ROOM: Semaphore = Semaphore::const_new(MOST);

/// Shows what `query` asks for to whoever writes at `read` and reads at `write`.
///
/// # Errors
///
/// When they went away.
pub(super) async fn serve(
    query: TapQuery,
    read: impl AsyncRead + Unpin,
    mut write: OwnedWriteHalf,
    shown: watch::Receiver<Option<Arc<Sight>>>,
) -> io::Result<()> {
    let refused = match ROOM.try_acquire() {
        Err(_) => format!("{MOST} others are watching already"),
        Ok(_permit) => match show(query, read, &mut write, shown).await? {
            Some(why) => why,
            None => return write.write_all(&lines(&[Reply::End])?).await,
        },
    };
    write.write_all(&lines(&[Reply::Error(refused)])?).await
}

/// Until they go away, the agent ends, or there is a reason why they cannot be shown it.
async fn show(
    query: TapQuery,
    mut read: impl AsyncRead + Unpin,
    write: &mut OwnedWriteHalf,
    mut shown: watch::Receiver<Option<Arc<Sight>>>,
) -> io::Result<Option<String>> {
    let mut first = true;
    let what = query.what;
    loop {
        let Ok(sight) = shown.wait_for(Option::is_some).await.map(|it| it.clone()) else {
            return Ok(None);
        };
        let Some(sight) = sight else { continue };
        if let Some(why) = unknown(&query, &sight).filter(|_| first) {
            return Ok(Some(why));
        }
        first = false;
        let tap = Arc::new(Tap::new(query.clone()));
        if let Err(why) = sight.send(pump::Input::Tap(Arc::clone(&tap))).await {
            return Ok(Some(why.to_owned()));
        }
        loop {
            tokio::select! {
                // Nothing more is expected of them than their end.
                _ = read.read_u8() => return Ok(None),
                changed = shown.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return Ok(None),
                },
                (tapped, skipped) = tap.next() => {
                    let replies = rows(tapped, skipped, what, &sight.rules)?;
                    timeout(PATIENCE, write.write_all(&lines(&replies)?)).await??;
                }
            }
        }
    }
}

/// What is asked for and does not exist.
fn unknown(query: &TapQuery, sight: &Sight) -> Option<String> {
    let rule = query.rule.as_ref();
    let rule = rule.filter(|name| sight.rules.by_name(name).is_none());
    let input = query.input.as_ref();
    let input = input.filter(|name| sight.inputs.iter().all(|(input, _)| **input != ***name));
    rule.map(|name| format!("there is no rule `{name}`"))
        .or_else(|| input.map(|name| format!("there is no input `{name}`")))
}

fn rows(
    tapped: Vec<Tapped>,
    skipped: u64,
    what: TapWhat,
    rules: &RuleSet,
) -> serde_json::Result<Vec<Reply>> {
    let clean = |mut tapped: Tapped| {
        // A hit bears what its rule left of it.
        if what == TapWhat::Lines {
            tapped.line = redacted(tapped.line, rules);
        }
        serde_json::to_value(tapped)
    };
    let rows: serde_json::Result<Vec<Value>> = tapped.into_iter().map(clean).collect();
    let mut rows = rows?;
    if skipped > 0 {
        rows.push(serde_json::to_value(Skipped { skipped })?);
    }
    Ok(rows.into_iter().map(Reply::Row).collect())
}

/// Blanks what any rule wants blanked: nobody knows for which of them the line was written.
fn redacted(line: String, rules: &RuleSet) -> String {
    let mut line = line.into_bytes();
    for (_, rule) in rules.iter().filter(|(_, rule)| !rule.redact.is_empty()) {
        let mut clean = Vec::with_capacity(line.len());
        rule.redact.redact(&line, &mut clean);
        line = clean;
    }
    line.truncate(Sample::MAX_BYTES);
    String::from_utf8_lossy(&line).into_owned()
}
