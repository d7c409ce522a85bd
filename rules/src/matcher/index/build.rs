//! Windows that were chosen → the index.

use super::super::frequency::Frequencies;
use super::super::kernel::Kernel;
use super::super::kernel::sieve::{Gram, Sieve};
use super::super::need::{ByteSet, Need, Run};
use super::super::runs::{RunId, Runs, RunsBuilder};
use super::super::windows::{GRAM, Text, Window, grams};
use super::crowd::Crowd;
use super::groups::{GroupsBuilder, Item};
use super::{Bucket, Index, bucket_of, pair};

/// What an index is made of.
#[derive(Debug, Default)]
pub(in crate::matcher) struct IndexBuilder {
    windows: Vec<Spelt>,
    neighbours: Vec<Neighbours>,
    /// Who needs which run.
    owners: Vec<(RunId, u32)>,
}

/// One text that a window of a run may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spelt {
    pub(super) run: RunId,
    /// Index in the run of the window's first byte; -1 for one before the run.
    pub(super) at: i16,
    pub(super) text: Text,
}

/// Which pairs of bytes may stand behind a gram and before it: a bit for each hash of one.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    gram: Gram,
    behind: u32,
    before: u32,
}

impl IndexBuilder {
    /// The plan's rule `rule` needs one of some windows, and this is one of them. Gives whether
    /// there was room for it.
    pub(in crate::matcher) fn add(
        &mut self,
        rule: u32,
        window: &Window<'_>,
        runs: &mut RunsBuilder,
    ) -> bool {
        let Some((run, at)) = runs.add(window.run, window.at) else {
            return false;
        };
        let Ok(at) = i16::try_from(at) else {
            return false;
        };
        self.owners.push((run, rule));
        let from = self.windows.len();
        let is_small = window.texts(&mut |text| self.windows.push(Spelt { run, at, text }));
        let spelt = self.windows.get(from..).unwrap_or_default();
        for (gram, offset) in spelt
            .iter()
            .flat_map(|spelt| grams(spelt.text).into_iter().zip(0..))
        {
            let at = window.at + offset;
            self.neighbours.push(Neighbours {
                gram,
                behind: pairs(window.run, at + GRAM.cast_signed()),
                before: pairs(window.run, at - 2),
            });
        }
        is_small
    }

    /// `None` where there is nothing to find. `need_of`: all that a rule of the plan needs.
    pub(in crate::matcher) fn finish(
        mut self,
        kernel: Kernel,
        frequencies: &Frequencies,
        runs: &Runs,
        need_of: &dyn Fn(u32) -> Need,
    ) -> Option<Index> {
        if self.windows.is_empty() {
            return None;
        }
        let neighbours = self.neighbours_by_gram();
        let all: Vec<Gram> = neighbours.iter().map(|of| of.gram).collect();
        let index_bits = (2 * all.len())
            .next_power_of_two()
            .trailing_zeros()
            .clamp(4, 20);
        let shift = 32 - index_bits;
        let mut buckets = vec![Bucket::default(); 1 << index_bits];
        for of in neighbours {
            if let Some(bucket) = buckets.get_mut(bucket_of(of.gram, shift)) {
                let is_first = bucket.behind == 0;
                bucket.exact = if is_first { u32::MAX } else { 0 };
                bucket.gram = of.gram.0;
                bucket.behind |= of.behind;
                bucket.before |= of.before;
            }
        }
        let (first_rule, rules) = self.rules_by_run(runs.len());
        let crowds = crowds(&first_rule, &rules, &mut |run, rules| {
            Crowd::new(rules, (run, runs), frequencies, need_of)
        });
        self.windows.sort_unstable();
        self.windows.dedup();
        let mut items: Vec<Item> = Vec::with_capacity(4 * self.windows.len());
        for (spelt, index) in self.windows.iter().zip(0..) {
            for (gram, offset) in grams(spelt.text).into_iter().zip(0..) {
                items.push(Item {
                    bucket: narrow(bucket_of(gram, shift)),
                    spelt: index,
                    offset,
                });
            }
        }
        items.sort_unstable();
        let mut groups = GroupsBuilder::new(runs, &self.windows);
        let mut rest = items.as_slice();
        for bucket in 0..buckets.len() {
            let own = rest.partition_point(|item| item.bucket as usize == bucket);
            let (items, others) = rest.split_at(own);
            groups.add_bucket(items);
            rest = others;
        }
        Some(Index {
            sieve: Sieve::new(kernel, &all, frequencies.blocks()),
            buckets: buckets.into(),
            shift,
            groups: groups.finish(),
            first_rule,
            rules,
            crowds,
        })
    }

    /// Each gram once, ascending.
    fn neighbours_by_gram(&mut self) -> Vec<Neighbours> {
        let mut all = std::mem::take(&mut self.neighbours);
        all.sort_unstable_by_key(|of| of.gram);
        all.dedup_by(|next, kept| {
            let is_same = next.gram == kept.gram;
            if is_same {
                kept.behind |= next.behind;
                kept.before |= next.before;
            }
            is_same
        });
        all
    }

    fn rules_by_run(&mut self, runs: usize) -> (Box<[u32]>, Box<[u32]>) {
        let mut owners = std::mem::take(&mut self.owners);
        owners.sort_unstable();
        owners.dedup();
        let mut first_rule = Vec::with_capacity(runs + 1);
        let mut from = 0;
        for run in 0..=runs {
            let rest = owners.get(from..).unwrap_or_default();
            from += rest.partition_point(|(of, _)| of.index() < run);
            first_rule.push(narrow(from));
        }
        let rules = owners.into_iter().map(|(_, rule)| rule).collect();
        (first_rule.into(), rules)
    }
}

/// For each run that many rules need.
fn crowds(
    first_rule: &[u32],
    rules: &[u32],
    make: &mut dyn FnMut(RunId, &[u32]) -> Crowd,
) -> Box<[(RunId, Crowd)]> {
    let mut crowds = Vec::new();
    for ([first, end], run) in first_rule.array_windows().zip(0..) {
        let rules = rules.get(*first as usize..*end as usize);
        let rules = rules.unwrap_or_default();
        if rules.len() >= Crowd::LEAST {
            let run = RunId::of(run);
            crowds.push((run, make(run, rules)));
        }
    }
    crowds.into()
}

pub(super) fn narrow(count: usize) -> u32 {
    u32::try_from(count).expect("no memory holds more")
}

/// The hashes of the two bytes at `at` of a run, a bit each; all where nothing is known of them.
fn pairs(run: &Run, at: isize) -> u32 {
    const MOST: usize = 16;
    let set = |at: isize| -> Option<ByteSet> {
        let index = usize::try_from(at).ok()?;
        run.sets.get(index).map(|set| set.folded())
    };
    let (Some(first), Some(second)) = (set(at), set(at + 1)) else {
        return u32::MAX;
    };
    if first.len() * second.len() > MOST {
        return u32::MAX;
    }
    first.iter().fold(0, |bits, first| {
        second
            .iter()
            .fold(bits, |bits, second| bits | pair([first, second]))
    })
}
