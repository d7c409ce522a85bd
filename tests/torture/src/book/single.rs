//! Every single line: the rule `each` counts the lines of one block and one `d3` by a field of which no two
//! of them have the same value (`lines::named`), so what it tells names each line and how often it was seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Accounts, Kept};
use crate::lines;

impl Kept {
    /// How often each line of the writer was seen.
    fn singly_seen(&self, writer: u32) -> BTreeMap<u64, u64> {
        let mut seen = BTreeMap::new();
        let of_rule = self.alerts.iter().filter(|((rule, _), _)| rule == "each");
        for ((_, group), ids) in of_rule {
            let values: BTreeMap<&str, u64> = group
                .split(' ')
                .filter_map(|pair| pair.split_once('='))
                .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
                .collect();
            let value = |name: &str| values.get(name).copied();
            let (Some(b), Some(d3)) = (value("b"), value("d3")) else {
                continue;
            };
            if value("w") != Some(u64::from(writer)) {
                continue;
            }
            let tops = ids.values().flat_map(|alert| &alert.top);
            for (name, counts) in tops {
                for (value, times) in counts {
                    let value = value.parse().ok();
                    let n = value.and_then(|value| lines::named(b, d3, name, value));
                    // What is no line is one that nobody wrote.
                    *seen.entry(n.unwrap_or(u64::MAX)).or_default() += times;
                }
            }
        }
        seen
    }

    /// Holds every line of the writer against what was seen; gives how many were, repeats included.
    pub(super) fn judge_singly(
        &self,
        writer: u32,
        lines: u64,
        destroyed: &BTreeSet<u64>,
        accounts: &mut Accounts,
    ) -> u64 {
        let seen = self.singly_seen(writer);
        let kept = (0..lines).filter(|n| !destroyed.contains(n));
        accounts.singly_lost += kept.filter(|n| !seen.contains_key(n)).count() as u64;
        for (n, times) in &seen {
            accounts.singly_repeated += if *n < lines { times - 1 } else { *times };
        }
        seen.values().sum()
    }
}
