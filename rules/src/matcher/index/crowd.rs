//! Many rules that share a run, `session .*closed` and thousands like it: asking all of them about
//! each line with the run would take longer than all else. By what else they need of a line they
//! are told apart at once.
//!
//! For each rule some grams are chosen of which its lines hold one, outside of the run. Where the
//! run stands, all grams of the line are looked up; rules whose grams are not there are not asked.

use std::collections::HashMap;

use super::super::frequency::Frequencies;
use super::super::kernel::sieve::Gram;
use super::super::need::{ByteSet, Need};
use super::super::runs::{RunId, Runs};
use super::super::windows::GRAM;

/// The rules that share one run.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Those that nothing more is known of: they want every line with the run.
    always: Box<[u32]>,
    /// A bit for the hash of each gram.
    filter: Box<[u64]>,
    /// The grams, ascending, and a rule that one of them wakes.
    woken: Box<[(Gram, u32)]>,
    shift: u32,
}

impl Crowd {
    /// Fewer rules than this are asked as they are.
    pub(super) const LEAST: usize = 12;

    /// `rules`: those that need `run`. `need_of`: what each of them needs in all.
    pub(super) fn new(
        rules: &[u32],
        run: (RunId, &Runs),
        frequencies: &Frequencies,
        need_of: &dyn Fn(u32) -> Need,
    ) -> Self {
        let mut chooser = Chooser {
            run,
            frequencies,
            popular: HashMap::new(),
        };
        for rule in rules {
            chooser.count(&need_of(*rule));
        }
        let (mut always, mut woken) = (Vec::new(), Vec::new());
        for rule in rules {
            match chooser.besides_run(&need_of(*rule)) {
                Some(choice) => woken.extend(choice.grams.iter().map(|gram| (*gram, *rule))),
                None => always.push(*rule),
            }
        }
        woken.sort_unstable();
        woken.dedup();
        /// Bits for a gram, so that few of a line's grams are looked up in vain.
        const BITS: usize = 16;
        let bits = (BITS * woken.len()).next_power_of_two().clamp(64, 1 << 20);
        let mut crowd = Self {
            always: always.into(),
            filter: vec![0; bits / 64].into(),
            woken: woken.into(),
            shift: 32 - bits.trailing_zeros(),
        };
        for index in 0..crowd.woken.len() {
            if let Some((gram, _)) = crowd.woken.get(index) {
                let (word, bit) = crowd.place(*gram);
                if let Some(word) = crowd.filter.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        crowd
    }

    /// Calls `each` with the rules that may accept `line`, which holds the run; with some more than
    /// once.
    pub(super) fn wake(&self, line: &[u8], each: &mut impl FnMut(u32)) {
        self.always.iter().copied().for_each(&mut *each);
        for bytes in line.array_windows::<GRAM>() {
            let gram = Gram::of(*bytes);
            let (word, bit) = self.place(gram);
            if self.filter.get(word).is_some_and(|word| word & bit != 0) {
                let from = self.woken.partition_point(|(other, _)| *other < gram);
                let woken = self.woken.get(from..).unwrap_or_default();
                let own = woken.iter().take_while(|(other, _)| *other == gram);
                own.for_each(|(_, rule)| each(*rule));
            }
        }
    }

    /// Of a gram: in which word of the filter, and which bit there.
    #[inline]
    fn place(&self, Gram(gram): Gram) -> (usize, u64) {
        let hash = gram.wrapping_mul(0x9E37_79B1) >> self.shift;
        (hash as usize / 64, 1 << (hash % 64))
    }
}

/// Finds what else is needed by rules that need a run.
struct Chooser<'a> {
    run: (RunId, &'a Runs),
    frequencies: &'a Frequencies,
    /// In how many places the rules have a gram: what all of them have tells none of them apart.
    popular: HashMap<Gram, u64>,
}

/// Every line that is meant holds one of `grams`.
#[derive(Debug, Default)]
struct Choice {
    grams: Vec<Gram>,
    /// How often they begin in [`Frequencies::OF_BYTES`] of text, and in the rules.
    count: u64,
}

impl Chooser<'_> {
    /// Takes note of the grams of `need`.
    fn count(&mut self, need: &Need) {
        match need {
            Need::Run(run) => {
                let places = run.sets.array_windows::<GRAM>();
                let choices: Vec<Choice> = places.filter_map(|sets| self.choice(sets)).collect();
                for gram in choices.iter().flat_map(|choice| &choice.grams) {
                    *self.popular.entry(*gram).or_default() += 1;
                }
            }
            Need::All(needs) | Need::Any(needs) => {
                for need in needs {
                    self.count(need);
                }
            }
        }
    }

    /// `need` is all that a rule needs.
    fn besides_run(&self, need: &Need) -> Option<Choice> {
        match need {
            Need::All(_) => self.rarest(need),
            // The run is all that is known.
            Need::Run(_) | Need::Any(_) => None,
        }
    }

    fn rarest(&self, need: &Need) -> Option<Choice> {
        /// Of more grams too many are in any line.
        const MOST_GRAMS: usize = 64;
        match need {
            Need::Run(run) => {
                let grams = run.sets.array_windows::<GRAM>();
                let choices = grams.filter_map(|sets| self.choice(sets));
                choices.min_by_key(|choice| choice.count)
            }
            Need::All(needs) => {
                let choices = needs.iter().filter_map(|need| self.rarest(need));
                choices.min_by_key(|choice| choice.count)
            }
            Need::Any(needs) => {
                let mut all = Choice::default();
                for need in needs {
                    let Choice { grams, count } = self.rarest(need)?;
                    all.grams.extend(grams);
                    all.count += count;
                    if all.grams.len() > MOST_GRAMS {
                        return None;
                    }
                }
                Some(all)
            }
        }
    }

    /// What bytes of `sets` may be; `None` where they may be outside of the line, are too many, or
    /// stand in the run itself.
    fn choice(&self, sets: &[ByteSet; GRAM]) -> Option<Choice> {
        const MOST_TEXTS: usize = 16;
        let is_inside = |set: &ByteSet| !set.contains(b'\n') && !set.contains(b'\r');
        let folded = sets.map(ByteSet::folded);
        let count = folded.iter().map(|set| set.len()).product::<usize>();
        if count > MOST_TEXTS || !sets.iter().all(is_inside) {
            return None;
        }
        let mut grams = vec![0];
        for (set, shift) in folded.iter().zip((0..).step_by(8)) {
            let longer = |gram: &u32| {
                let bytes = set.iter().map(u32::from);
                bytes.map(|byte| gram | byte << shift).collect::<Vec<_>>()
            };
            grams = grams.iter().flat_map(longer).collect();
        }
        let grams: Vec<Gram> = grams.into_iter().map(Gram).collect();
        let seen = |gram: &Gram| {
            self.frequencies.count(*gram) + self.popular.get(gram).copied().unwrap_or(0)
        };
        let count = grams.iter().map(seen).sum();
        let tells = !grams.iter().any(|gram| self.is_in_run(*gram));
        tells.then_some(Choice { grams, count })
    }

    fn is_in_run(&self, Gram(gram): Gram) -> bool {
        let (run, runs) = self.run;
        let has = |at: isize| {
            let mut bytes = gram.to_le_bytes().into_iter().zip(at..);
            bytes.all(|(byte, at)| runs.folded_byte(run, at) == Some(byte))
        };
        (0..runs.length(run)).any(has)
    }
}
