//! Lines about a sample. Those before it are kept over batches (and, blanked by every rule that asks
//! for any, over restarts); those after it are there as far as they were read with it.

use std::collections::VecDeque;

use super::Hit;
use super::fill::decode;
use crate::language::rule::{Context, Rule, RuleSet};
use crate::model::{Batch, RuleId};

/// Bytes of a line that are kept for the next batch: some are blanked before they are shown.
const KEPT_BYTES: usize = 4 * Context::LINE_BYTES;

/// The latest lines of a source, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    lines: VecDeque<Box<[u8]>>,
}

/// How many lines before a hit any of these rules asks for.
fn most_before(rules: &RuleSet, ids: &[RuleId]) -> usize {
    let asked = ids.iter().map(|id| rules.get(*id).context.before);
    asked.max().unwrap_or(0)
}

impl Latest {
    /// What was saved.
    pub(super) fn restored(saved: &[String]) -> Self {
        let line = |text: &String| text.as_bytes().into();
        let lines = saved.iter().take(Context::MOST);
        Self {
            lines: lines.map(line).collect(),
        }
    }

    /// To be saved: blanked by all rules of `ids` that ask for lines.
    fn save(&self, rules: &RuleSet, ids: &[RuleId]) -> Vec<String> {
        let asks = |id: &&RuleId| !rules.get(**id).context.is_none();
        let asking: Vec<&Rule> = ids.iter().filter(asks).map(|id| rules.get(*id)).collect();
        let clean = |line: &[u8]| {
            let mut line = line.to_vec();
            for rule in asking.iter().filter(|rule| !rule.redact.is_empty()) {
                let mut redacted = Vec::new();
                rule.redact.redact(&line, &mut redacted);
                line = redacted;
            }
            String::from_utf8_lossy(&line).into_owned()
        };
        self.lines.iter().map(|line| clean(line)).collect()
    }

    /// The batch has been scanned: its last records are the latest lines, as many as any of the
    /// rules `ids` asks for. Gives what is to be saved of them; `None`: as before.
    pub(super) fn push(
        &mut self,
        batch: &Batch,
        rules: &RuleSet,
        ids: &[RuleId],
    ) -> Option<Vec<String>> {
        let most = most_before(rules, ids);
        if most == 0 {
            return None;
        }
        let text = batch.text();
        let mut fresh = Vec::new();
        let mut end = batch.bytes.len();
        while end > 0 && fresh.len() < most {
            let line = text.about(end - 1);
            let bytes = batch.bytes.get(line.clone()).unwrap_or_default();
            fresh.push(bytes.get(..KEPT_BYTES).unwrap_or(bytes).into());
            end = line.start;
        }
        self.lines.extend(fresh.into_iter().rev());
        let too_many = self.lines.len().saturating_sub(most);
        self.lines.drain(..too_many);
        Some(self.save(rules, ids))
    }

    /// Fills in the lines about the sample of a hit, whose line begins at `start`.
    pub(super) fn fill(&self, hit: &mut Hit, start: usize, rule: &Rule, batch: &Batch) {
        let (before, after) = (&mut hit.sample.before, &mut hit.sample.after);
        before.clear();
        after.clear();
        if rule.context.is_none() {
            return;
        }
        let (
            text,
            Context {
                before: most_before,
                after: most_after,
            },
        ) = (batch.text(), rule.context);
        let mut at = start;
        while at > 0 && before.len() < most_before {
            let line = text.about(at - 1);
            before.push(clean(
                batch.bytes.get(line.clone()).unwrap_or_default(),
                rule,
            ));
            at = line.start;
        }
        let missing = most_before - before.len();
        let older = self.lines.iter().rev().take(missing);
        before.extend(older.map(|line| clean(line, rule)));
        before.reverse();
        let mut at = text.behind(start);
        while at < batch.bytes.len() && after.len() < most_after {
            after.push(clean(
                batch.bytes.get(text.about(at)).unwrap_or_default(),
                rule,
            ));
            at = text.behind(at);
        }
    }
}

fn clean(line: &[u8], rule: &Rule) -> String {
    let mut text = String::new();
    if rule.redact.is_empty() {
        decode(line, Context::LINE_BYTES, &mut text);
    } else {
        let mut redacted = Vec::new();
        rule.redact.redact(line, &mut redacted);
        decode(&redacted, Context::LINE_BYTES, &mut text);
    }
    text
}
