//! How each rule is found: decided from what it needs and what is rare in a sample of logs. Plain
//! data, so that `lapwing explain` can say why a rule is cheap or dear.

use std::cmp::Reverse;

use super::automaton::Automaton;
use super::frequency::Frequencies;
use super::index::{Index, IndexBuilder};
use super::kernel::Kernel;
use super::kernel::classes::Classes;
use super::need::{ByteSet, Need, Run};
use super::runs::{RunId, RunsBuilder};
use super::scan::Search;
use super::shown::shown;
use super::weak::{self, Part, Pass};
use super::windows::{self, Chooser, Offers};
use super::{Setup, Spread, Task, Wanted, need};
use crate::language::pattern::Pattern;
use crate::language::rule::Match;
use crate::model::RuleId;

/// How the rules of a matcher are found.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One for each rule, ascending by rule.
    pub rules: Vec<RulePlan>,
}

/// How one rule is found.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePlan {
    /// The rule.
    pub rule: RuleId,
    /// When it is asked about a line.
    pub tier: Tier,
}

/// When a rule is asked about a line, the cheapest first.
#[derive(Clone, Debug, PartialEq)]
pub enum Tier {
    /// Never, because it can match no line.
    Never,
    /// Where one of these texts stands; found by seven bytes of it, in one pass for all rules.
    Window {
        /// What is searched for.
        texts: Texts,
        /// Places that are looked at more closely, in a million bytes of the sample.
        looks: f64,
    },
    /// Where one of these texts stands; too short or too common for a window, they are looked for
    /// at every byte, eight in a pass.
    Classes {
        /// What is searched for.
        texts: Texts,
        /// Places that are looked at more closely, in a million bytes of the sample.
        looks: f64,
    },
    /// Where the automaton of all such rules, which sees every line, finds one of its patterns.
    Automaton(Why),
    /// On every line.
    EveryLine(Why),
}

/// What is searched for on behalf of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// Some of them, to be shown.
    pub some: Vec<Sought>,
    /// How many there are.
    pub count: usize,
}

/// A text that is searched for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sought {
    /// The whole run, as a pattern.
    pub run: String,
    /// The part of it that is searched for.
    pub part: String,
}

/// Why a rule is asked on every line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `match` is empty: every line is a hit.
    NothingAsked,
    /// No key of it needs a text that could be searched for.
    NoText,
    /// The pattern with this index in `regex` needs no text.
    NoLiteral {
        /// Index into `regex`.
        pattern: usize,
    },
    /// The texts that it needs stand in most lines.
    TooCommon,
    /// There are too many rules of its kind for more passes.
    TooMany,
    /// Its patterns are too large to be asked together with others.
    TooLarge,
}

/// From where on a rule falls to the next tier. Any of them gives the same results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Windows whose grams begin more often in [`Frequencies::OF_BYTES`] of text are not worth it.
    pub(super) hot: u64,
    /// Parts that begin more often in [`Frequencies::OF_BYTES`] of text are in most lines.
    pub(super) common: u64,
    /// More passes are dearer than the automaton.
    pub(super) passes: usize,
}

impl Limits {
    pub(super) fn of(kernel: Kernel) -> Self {
        Self {
            hot: Frequencies::OF_BYTES / 64,
            common: Frequencies::OF_BYTES / 96,
            passes: match kernel {
                Kernel::Avx512 => 16,
                Kernel::Avx2 => 8,
                Kernel::Scalar => 1,
            },
        }
    }
}

/// Plans and builds the search for `wanted`, ascending by rule.
pub(super) fn build(
    wanted: &[Wanted],
    setup: &Setup<'_>,
    limits: Limits,
    spread: Spread<'_>,
) -> (Plan, Search) {
    let frequencies = Frequencies::of(setup.sample);
    let needs = Needs::new(wanted, setup, &frequencies, spread);
    let mut chooser = Chooser::new();
    // The dearest ones choose first: those behind them can then take what is looked for anyway.
    let mut order: Vec<(Reverse<Option<u64>>, u32)> = (0..)
        .zip(0..wanted.len())
        .map(|(index, _)| {
            needs.of(index, |need, offers| {
                chooser.know(need);
                let cost = chooser.cheapest(need, offers).map(|choice| choice.cost);
                (Reverse(cost), index)
            })
        })
        .collect();
    order.sort_unstable();
    rehearse(&order, &needs, &mut chooser);
    let mut builder = Builder::new(setup.kernel, limits, &frequencies);
    let mut tiers = vec![Tier::Never; wanted.len()];
    for (_, index) in order {
        let place = index as usize;
        if let (Some(wanted), Some(tier)) = (wanted.get(place), tiers.get_mut(place)) {
            *tier = needs.of(index, |need, offers| {
                let window = chooser.take_cheapest(need, offers);
                builder.tier(index, wanted, need, window)
            });
        }
    }
    let (search, tiers) = builder.finish(wanted, tiers, &|index| needs.make(index));
    let rules = wanted.iter().zip(tiers);
    let plan = Plan {
        rules: rules
            .map(|(wanted, tier)| RulePlan {
                rule: wanted.rule,
                tier,
            })
            .collect(),
    };
    (plan, search)
}

/// Lets rules choose their windows in vain: so that those that choose first then know what those
/// behind them would share with them. Without it a tenth more grams are looked for.
fn rehearse(order: &[(Reverse<Option<u64>>, u32)], needs: &Needs<'_>, chooser: &mut Chooser) {
    // Of very many rules those whose needs are at hand: enough to know what is popular.
    for (_, index) in order {
        if let Some((need, offers)) = needs.kept(*index) {
            chooser.take_cheapest(need, offers);
        }
    }
    chooser.begin_anew();
}

/// What the rules need, and the windows in it: asked for three times. It takes some kilobytes a rule:
/// of very many rules only some are kept, the others are made anew.
struct Needs<'w> {
    wanted: &'w [Wanted],
    setup: &'w Setup<'w>,
    frequencies: &'w Frequencies,
    /// Those of so many rules each.
    kept: Vec<Vec<Option<Asked>>>,
}

/// A need, and the windows in it.
type Asked = (Need, Offers);

impl<'w> Needs<'w> {
    /// So much is kept.
    const MOST_SIZE: usize = 16 * 1024 * 1024;
    /// Rules that are looked at in one go.
    const TASK: usize = 128;

    fn new(
        wanted: &'w [Wanted],
        setup: &'w Setup<'w>,
        frequencies: &'w Frequencies,
        spread: Spread<'_>,
    ) -> Self {
        let tasks = wanted.len().div_ceil(Self::TASK);
        let most = Self::MOST_SIZE / tasks.max(1);
        let mut kept: Vec<Vec<Option<Asked>>> = Vec::new();
        kept.resize_with(tasks, Vec::new);
        let parts = wanted.chunks(Self::TASK).zip(&mut kept);
        let tasks = parts.map(|(wanted, kept)| -> Task<'_> {
            Box::new(move || *kept = asked_of(wanted, setup, frequencies, most))
        });
        spread(tasks.collect());
        Self {
            wanted,
            setup,
            frequencies,
            kept,
        }
    }

    fn kept(&self, index: u32) -> Option<&Asked> {
        let index = index as usize;
        let of_task = self.kept.get(index / Self::TASK)?;
        of_task.get(index % Self::TASK)?.as_ref()
    }

    /// What `ask` says of the rule's need.
    fn of<T>(&self, index: u32, ask: impl FnOnce(&Need, &Offers) -> T) -> T {
        if let Some((need, offers)) = self.kept(index) {
            return ask(need, offers);
        }
        let need = self.make(index);
        ask(&need, &Offers::new(&need, self.frequencies))
    }

    fn make(&self, index: u32) -> Need {
        let wanted = self.wanted.get(index as usize);
        wanted.map_or_else(Need::nothing, |wanted| need_of(wanted, self.setup))
    }
}

/// What each of `wanted` needs, as far as it takes no more than `most` bytes.
fn asked_of(
    wanted: &[Wanted],
    setup: &Setup<'_>,
    frequencies: &Frequencies,
    most: usize,
) -> Vec<Option<Asked>> {
    let mut size = 0;
    let asked = wanted.iter().map(|wanted| {
        if size >= most {
            return None;
        }
        let need = need_of(wanted, setup);
        let offers = Offers::new(&need, frequencies);
        size += need.sets() * size_of::<ByteSet>() + offers.size();
        Some((need, offers))
    });
    asked.collect()
}

fn need_of(wanted: &Wanted, setup: &Setup<'_>) -> Need {
    let matching = &wanted.matching;
    let is_group = |name: &str| {
        let mut names = matching.regex.iter().flat_map(Pattern::names);
        names.any(|group| group == name)
    };
    let condition = match (&matching.condition, setup.format) {
        (Some(condition), Some(format)) => {
            need::of_condition(condition, format, &is_group, &need::of_pattern)
        }
        _ => Need::nothing(),
    };
    need::of_match(matching, condition)
}

struct Builder<'f> {
    kernel: Kernel,
    limits: Limits,
    frequencies: &'f Frequencies,
    runs: RunsBuilder,
    index: IndexBuilder,
    parts: Vec<(u32, Part<Run>)>,
}

impl<'f> Builder<'f> {
    fn new(kernel: Kernel, limits: Limits, frequencies: &'f Frequencies) -> Self {
        Self {
            kernel,
            limits,
            frequencies,
            runs: RunsBuilder::default(),
            index: IndexBuilder::default(),
            parts: Vec::new(),
        }
    }

    fn tier(
        &mut self,
        index: u32,
        wanted: &Wanted,
        need: &Need,
        window: Option<windows::Choice<'_>>,
    ) -> Tier {
        if *need == Need::impossible() {
            return Tier::Never;
        }
        let limits = self.limits;
        let is_cool = |choice: &windows::Choice<'_>| choice.hits <= limits.hot;
        if let Some(choice) = window.filter(is_cool) {
            return self.by_windows(index, wanted, &choice);
        }
        let room = (limits.passes * Classes::RUNS).saturating_sub(self.parts.len());
        if room == 0 && weak::has_parts(need) {
            return last_tier(&wanted.matching, Why::TooMany);
        }
        let Some(choice) = weak::choose(need, self.frequencies, room) else {
            return last_tier(&wanted.matching, why_no_text(&wanted.matching));
        };
        if choice.parts.len() > room {
            return last_tier(&wanted.matching, Why::TooMany);
        }
        if choice.count > limits.common {
            return last_tier(&wanted.matching, Why::TooCommon);
        }
        let sought = |part: &Part<&Run>| Sought {
            run: shown(&part.run.sets),
            part: shown(part.sets()),
        };
        let tier = Tier::Classes {
            texts: shown_of(choice.parts.iter().map(sought)),
            looks: in_a_million(choice.count),
        };
        self.parts
            .extend(choice.parts.iter().map(|part| (index, part.cloned())));
        tier
    }

    fn by_windows(&mut self, index: u32, wanted: &Wanted, choice: &windows::Choice<'_>) -> Tier {
        let has_room = choice
            .windows
            .iter()
            .all(|window| self.index.add(index, window, &mut self.runs));
        if !has_room {
            return last_tier(&wanted.matching, Why::TooMany);
        }
        let sought = |window: &windows::Window<'_>| {
            let sets = &window.run.sets;
            let start = usize::try_from(window.at).unwrap_or(0);
            let end = (start + windows::WINDOW).min(sets.len());
            Sought {
                run: shown(sets),
                part: shown(sets.get(start..end).unwrap_or(sets)),
            }
        };
        Tier::Window {
            texts: shown_of(choice.windows.iter().map(sought)),
            // One in four of a window's grams is looked at.
            looks: in_a_million(choice.hits / windows::STRIDE as u64),
        }
    }

    /// The search, and the tiers as they became: what has no room in one falls to the next.
    /// `need_of`: all that a rule needs.
    fn finish(
        mut self,
        wanted: &[Wanted],
        mut tiers: Vec<Tier>,
        need_of: &dyn Fn(u32) -> Need,
    ) -> (Search, Vec<Tier>) {
        let passes = weak::passes(self.kernel, &self.parts, &mut self.runs);
        if passes.is_none() {
            let has_no_room = |tier: &Tier| matches!(tier, Tier::Classes { .. });
            let without = tiers.iter_mut().zip(wanted);
            for (tier, wanted) in without.filter(|(tier, _)| has_no_room(tier)) {
                *tier = last_tier(&wanted.matching, Why::TooMany);
            }
        }
        let runs = self.runs.finish();
        let mut search = Search {
            index: self
                .index
                .finish(self.kernel, self.frequencies, &runs, need_of),
            passes: passes.unwrap_or_default(),
            runs,
            kernel: self.kernel,
            automaton: None,
            every_line: Vec::new(),
            owners: Box::default(),
        };
        let by_index = search.index.iter().flat_map(Index::owners);
        let mut owners: Vec<(u32, RunId)> = by_index
            .chain(search.passes.iter().flat_map(Pass::owners))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        search.owners = owners.into();
        let by_automaton = |tier: &Tier| matches!(tier, Tier::Automaton(_));
        let of_automaton: Vec<(u32, &Match)> = (0..)
            .zip(wanted.iter().zip(&tiers))
            .filter(|(_, (_, tier))| by_automaton(tier))
            .map(|(index, (wanted, _))| (index, &*wanted.matching))
            .collect();
        search.automaton = Automaton::new(&of_automaton);
        for (index, tier) in (0..).zip(&mut tiers) {
            let is_known = |automaton: &Automaton| automaton.knows(index);
            if by_automaton(tier) && !search.automaton.as_ref().is_some_and(is_known) {
                *tier = Tier::EveryLine(Why::TooLarge);
            }
            if matches!(tier, Tier::EveryLine(_)) {
                search.every_line.push(index);
            }
        }
        (search, tiers)
    }
}

fn last_tier(matching: &Match, why: Why) -> Tier {
    if matching.regex.is_empty() {
        Tier::EveryLine(why)
    } else {
        Tier::Automaton(why)
    }
}

fn why_no_text(matching: &Match) -> Why {
    let asks = matching.condition.is_some()
        || !matching.not_contains.is_empty()
        || !matching.not_regex.is_empty();
    if matching.contains.is_empty() && matching.regex.is_empty() {
        return if asks { Why::NoText } else { Why::NothingAsked };
    }
    let needs_nothing = |hir| need::of_pattern(hir) == Need::nothing();
    let pattern = matching
        .regex
        .iter()
        .position(|pattern| needs_nothing(pattern.hir()));
    pattern.map_or(Why::NoText, |pattern| Why::NoLiteral { pattern })
}

/// Plain texts first: they say most. There may be thousands in ten thousand rules, so few are kept.
fn shown_of(sought: impl Iterator<Item = Sought>) -> Texts {
    const SHOWN: usize = 4;
    let mut some: Vec<Sought> = sought.collect();
    some.sort_by_cached_key(|sought| (sought.run.contains("\\x"), sought.run.clone()));
    some.dedup();
    let count = some.len();
    some.truncate(SHOWN);
    some.shrink_to_fit();
    Texts { some, count }
}

#[expect(clippy::cast_precision_loss, reason = "a guess")]
fn in_a_million(count: u64) -> f64 {
    count as f64 * 1e6 / Frequencies::OF_BYTES as f64
}
