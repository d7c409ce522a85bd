//! Rules → the compiled hot loop that finds, in a whole batch of lines, those that a rule accepts.
//!
//! `need` knows what a rule needs of a line, `frequency` what is rare in logs; [`plan`] chooses by
//! them what each rule is searched for by. `scan` finds the lines that a rule may accept, `confirm`
//! asks it. What a hit then means is not known here.
//!
//! The search goes through tiers, each looking at much less than the one before it:
//!
//! | step | sees | file |
//! | --- | --- | --- |
//! | the sieve | every byte | `kernel` |
//! | a gram and what stands around it | what the sieve lets through | `index` |
//! | short runs of byte sets, for rules without a window | every byte | `kernel`, `weak` |
//! | the run, byte for byte | places | `runs` |
//! | the automaton, for rules without a run | every line, if there are such rules | `automaton` |
//! | `match` as it is written | lines | `confirm` |

mod automaton;
mod candidates;
mod confirm;
mod frequency;
mod index;
mod kernel;
mod need;
pub mod plan;
mod runs;
mod scan;
mod shown;
#[cfg(test)]
mod tests;
mod weak;
mod windows;
mod wording;

use std::ops::Range;
use std::sync::Arc;

use crate::fields::{Fields, Format};
use crate::language::rule::{Match, RuleSet};
use crate::model::{Mode, RuleId, Text};

use candidates::Candidate;
use confirm::Confirm;
use plan::{Limits, Plan};
use scan::Search;

pub use confirm::FieldUse;
pub use kernel::Kernel;
pub use scan::Scratch;
pub use wording::Cost;

/// What is searched for on one input: the rules that listen to it, compiled together.
#[derive(Debug)]
pub struct Matcher {
    plan: Plan,
    search: Search,
    /// One for each rule of the plan.
    confirms: Vec<Confirm>,
}

/// What a plan is made for. It decides how fast a scan is, never what it finds.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// One that this processor supports.
    pub kernel: Kernel,
    /// How the lines are written, where that is known: so `where` can be searched for. The matcher
    /// is for lines of this format only, then.
    pub format: Option<&'a Format>,
    /// What passes on this host, some 100 KiB or more of whole lines; empty: not known.
    pub sample: &'a [u8],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            kernel: Kernel::best(),
            format: None,
            sample: &[],
        }
    }
}

/// Some work.
pub type Task<'t> = Box<dyn FnOnce() + Send + 't>;

/// Does all tasks, in any order, or several at once: the matcher has no threads of its own.
pub type Spread<'s> = &'s dyn Fn(Vec<Task<'_>>);

/// One after the other.
pub fn in_turn(tasks: Vec<Task<'_>>) {
    for task in tasks {
        task();
    }
}

/// One thing to look for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What [`Found::rule`] will say. Each once.
    pub rule: RuleId,
    /// Which lines.
    pub matching: Arc<Match>,
    /// Whether [`Found::fields`] is wanted.
    pub fields: FieldUse,
}

/// A line that a rule accepts.
#[derive(Debug)]
pub struct Found<'a> {
    /// The rule.
    pub rule: RuleId,
    /// The line in the batch, or the record, without its terminator.
    pub line: Range<usize>,
    /// The format's fields and the rule's named groups, where the rule needs any
    /// ([`Wanted::fields`], or a `where`); else empty.
    pub fields: &'a Fields,
}

/// The (rule, record) pairs that a search found, to be told later: by whom the fields are wanted
/// need not be who searches.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Records ascending, rules ascending within a record.
    found: Vec<Candidate>,
    /// There were more than are held.
    is_over: bool,
}

impl Pairs {
    /// So many are held: some megabytes, and many times what a batch of ordinary lines gives.
    pub(crate) const MOST: usize = 64 * 1024;
}

impl Matcher {
    /// Plans for the rules `ids` of `rules`. Rules with mode off are left out.
    /// `needs_fields(id)`: `Found::fields` is wanted for that rule.
    ///
    /// # Panics
    ///
    /// When one of `ids` is not of `rules`.
    pub fn new(
        rules: &RuleSet,
        ids: &[RuleId],
        needs_fields: &dyn Fn(RuleId) -> bool,
        setup: &Setup<'_>,
    ) -> Self {
        let live = ids.iter().filter(|id| rules.get(**id).mode != Mode::Off);
        let wanted = live.map(|&rule| Wanted {
            rule,
            matching: Arc::clone(&rules.get(rule).matching),
            fields: if needs_fields(rule) {
                FieldUse::Wanted
            } else {
                FieldUse::Unwanted
            },
        });
        Self::with(wanted.collect(), setup)
    }

    /// Plans for `wanted`, in any order; of several with the same rule the first one counts.
    pub fn of(wanted: Vec<Wanted>) -> Self {
        Self::with(wanted, &Setup::default())
    }

    /// The same, for what is said in `setup`.
    ///
    /// # Panics
    ///
    /// When the processor does not support the kernel.
    pub fn with(wanted: Vec<Wanted>, setup: &Setup<'_>) -> Self {
        Self::spread(wanted, setup, &in_turn)
    }

    /// The same, the greater part of the work done by `spread`. What comes of it is the same.
    ///
    /// # Panics
    ///
    /// When the processor does not support the kernel.
    pub fn spread(wanted: Vec<Wanted>, setup: &Setup<'_>, spread: Spread<'_>) -> Self {
        Self::within(wanted, setup, Limits::of(setup.kernel), spread)
    }

    fn within(
        mut wanted: Vec<Wanted>,
        setup: &Setup<'_>,
        limits: Limits,
        spread: Spread<'_>,
    ) -> Self {
        assert!(
            setup.kernel.is_supported(),
            "a kernel that this processor can run"
        );
        wanted.sort_by_key(|wanted| wanted.rule);
        wanted.dedup_by_key(|wanted| wanted.rule);
        let (plan, search) = plan::build(&wanted, setup, limits, spread);
        let confirms = wanted.into_iter().map(Confirm::new).collect();
        Self {
            plan,
            search,
            confirms,
        }
    }

    /// How the rules are found, for `lapwing explain`.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// As [`Matcher::scan_records`], where every line is a record.
    pub fn scan(
        &self,
        lines: &[u8],
        format: &Format,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(Found<'_>),
    ) {
        self.scan_records(lines.into(), format, scratch, each);
    }

    /// Calls `each` for every (rule, record) pair that matches, records ascending, rules ascending
    /// within a record. `text`: whole lines, the last one with or without LF; an LF at the very end
    /// starts no further line. In a record of several lines `^` and `$` are its ends, and a pattern
    /// stays within one of its lines.
    pub fn scan_records(
        &self,
        text: Text<'_>,
        format: &Format,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(Found<'_>),
    ) {
        let ask = &mut |candidate: Candidate, fields: &mut confirm::LineFields| {
            self.ask(text, &candidate, format, fields, each);
        };
        self.search.scan(text, self.confirms.len(), scratch, ask);
    }

    fn ask(
        &self,
        text: Text<'_>,
        candidate: &Candidate,
        format: &Format,
        fields: &mut confirm::LineFields,
        each: &mut dyn FnMut(Found<'_>),
    ) {
        let place = candidate.start..candidate.end;
        let line = text.bytes.get(place.clone()).unwrap_or_default();
        if let Some(confirm) = self.confirms.get(candidate.rule as usize)
            && let Some(fields) = confirm.ask(line, candidate, &self.search, format, fields)
        {
            each(Found {
                rule: confirm.rule,
                line: place,
                fields,
            });
        }
    }

    /// Finds what [`Matcher::scan_records`] tells, and tells nobody yet. What `pairs` held is
    /// forgotten.
    pub fn search(
        &self,
        text: Text<'_>,
        format: &Format,
        scratch: &mut Scratch,
        pairs: &mut Pairs,
    ) {
        let Pairs { found, is_over } = pairs;
        found.clear();
        *is_over = false;
        let ask = &mut |candidate: Candidate, fields: &mut confirm::LineFields| {
            if *is_over {
                return;
            }
            self.ask(text, &candidate, format, fields, &mut |_| {
                // More of them cost more to hold than to find again.
                *is_over = found.len() == Pairs::MOST;
                if !*is_over {
                    let is_possible = false;
                    found.push(Candidate {
                        is_possible,
                        ..candidate
                    });
                }
            });
        };
        self.search.scan(text, self.confirms.len(), scratch, ask);
    }

    /// Does what [`Matcher::scan_records`] does, with the `pairs` that [`Matcher::search`] found by
    /// this matcher in the same text: in little time where they are few.
    pub fn tell(
        &self,
        text: Text<'_>,
        pairs: &Pairs,
        format: &Format,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(Found<'_>),
    ) {
        if pairs.is_over {
            return self.scan_records(text, format, scratch, each);
        }
        let mut last = usize::MAX;
        let fields = scratch.fields();
        for candidate in &pairs.found {
            if candidate.start != last {
                last = candidate.start;
                fields.next_line();
            }
            self.ask(text, candidate, format, fields, each);
        }
    }
}
