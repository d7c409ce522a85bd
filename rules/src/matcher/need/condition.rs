//! What a line must hold for a rule's `where` to be able to hold.
//!
//! The condition is walked down to its comparisons; `place` knows where each format writes a field,
//! `spelling` how it writes a text there, `number` how a number. Fields that can only have a few
//! values (`status` in access logs, nginx's `level`) are asked about each of them, so that any
//! condition over them is exact, `not` and patterns too. All else under `not` needs nothing.
//!
//! Every run's meaning is `Possible`.

mod number;
mod place;
mod spelling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use regex_syntax::hir::{Capture, Hir, HirKind, Look};

use self::place::Place;
use super::{ByteSet, Meaning, Need, Run};
use crate::fields::{Fields, Format};
use crate::language::expression::{Expression, Part, Shape, Value};

/// A list of more values is not spelt out: that the field is there has to do.
const MOST_VALUES: usize = 64;

/// What a line of `format` must hold for `condition` to be able to hold.
///
/// `is_group`: whether a field's name is one of a named group of the rule's own patterns, which
/// hides the format's field. `of_pattern`: what a line must hold for a pattern to match in it.
pub(in crate::matcher) fn of_condition(
    condition: &Expression,
    format: &Format,
    is_group: &dyn Fn(&str) -> bool,
    of_pattern: &dyn Fn(&Hir) -> Need,
) -> Need {
    let reading = Reading {
        format,
        is_group,
        of_pattern,
    };
    reading.of_part(condition.whole())
}

/// How the lines are read.
struct Reading<'a> {
    format: &'a Format,
    is_group: &'a dyn Fn(&str) -> bool,
    of_pattern: &'a dyn Fn(&Hir) -> Need,
}

impl Reading<'_> {
    fn of_part(&self, part: Part<'_>) -> Need {
        if let Some(finite) = self.finite(part) {
            return finite.need(&|fields| part.holds(fields));
        }
        match part.shape() {
            Shape::And(parts) => {
                let needs = self.of_parts(&parts, &|parts, fields| {
                    parts.iter().all(|part| part.holds(fields))
                });
                all(needs)
            }
            Shape::Or(parts) => {
                let needs = self.of_parts(&parts, &|parts, fields| {
                    parts.iter().any(|part| part.holds(fields))
                });
                any(needs)
            }
            Shape::Not => Need::nothing(),
            Shape::Present(name) => self.at(name, |place| place.present.clone()),
            Shape::Equals(name, values) => self.at(name, |place| equals(place, values)),
            Shape::Above(name, value) => self.at(name, |place| {
                let above = value.number().map(|number| number::above(place, number));
                all(vec![
                    place.present.clone(),
                    above.unwrap_or_else(Need::nothing),
                ])
            }),
            Shape::Matches(name, pattern) => self.at(name, |place| {
                let in_value = (self.of_pattern)(&without_looks(pattern.hir(), &|_| true));
                all(vec![
                    place.present.clone(),
                    place.holding(possible(in_value)),
                ])
            }),
        }
    }

    /// The needs of `parts`: one for all that ask for the same field of few values, and one for
    /// each of the others.
    fn of_parts(
        &self,
        parts: &[Part<'_>],
        hold: &dyn Fn(&[Part<'_>], &Fields) -> bool,
    ) -> Vec<Need> {
        let (finite, others): (Vec<Part<'_>>, Vec<Part<'_>>) =
            parts.iter().partition(|part| self.finite(**part).is_some());
        let mut needs: Vec<Need> = others.into_iter().map(|part| self.of_part(part)).collect();
        // A format has one such field.
        if let Some(field) = finite.first().and_then(|part| self.finite(*part)) {
            needs.push(field.need(&|fields| hold(&finite, fields)));
        }
        needs
    }

    /// The field of few values that `part` asks for, and for no other.
    fn finite(&self, part: Part<'_>) -> Option<Finite> {
        let name = part.only_field()?;
        if (self.is_group)(name) {
            return None;
        }
        match (self.format, name) {
            (Format::Nginx | Format::Apache, "status") => Some(Finite::status()),
            (Format::NginxError, "level") => Some(Finite::level()),
            _ => None,
        }
    }

    fn at(&self, name: &str, need: impl FnOnce(&Place) -> Need) -> Need {
        if (self.is_group)(name) {
            return Need::nothing();
        }
        match Place::of(self.format, name, self.of_pattern) {
            // The value is not written in the line as it is.
            Some(place) if place.spots.is_empty() => place.present,
            Some(place) => need(&place),
            // No line has the field, and a comparison with a missing field is false.
            None => Need::impossible(),
        }
    }
}

fn equals(place: &Place, values: &[Value]) -> Need {
    if values.len() > MOST_VALUES {
        return place.present.clone();
    }
    any(values
        .iter()
        .map(|value| match value.number() {
            Some(number) => number::equal(place, number),
            None => place.text(value.text()),
        })
        .collect())
}

/// A field that has one of a few values, or is missing.
struct Finite {
    name: &'static str,
    texts: Vec<Vec<u8>>,
    /// What stands right before it.
    before: &'static [u8],
    /// One of these is right behind it.
    after: ByteSet,
}

impl Finite {
    /// In access logs: one to three digits or `-`, behind the request and a space, and a space
    /// behind it unless the line ends there.
    fn status() -> Self {
        let width = |width: usize, end: u32| (0..end).map(move |code| format!("{code:0width$}"));
        let codes = width(1, 10).chain(width(2, 100)).chain(width(3, 1000));
        Self {
            name: "status",
            texts: codes
                .map(String::into_bytes)
                .chain([b"-".to_vec()])
                .collect(),
            before: b"\" ",
            after: place::set(b" \r\n"),
        }
    }

    /// In nginx's error log.
    fn level() -> Self {
        let levels = [
            "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg",
        ];
        Self {
            name: "level",
            texts: levels
                .iter()
                .map(|level| level.as_bytes().to_vec())
                .collect(),
            before: b" [",
            after: place::set(b"]"),
        }
    }

    /// `holds` looks at no other field.
    fn need(&self, holds: &dyn Fn(&Fields) -> bool) -> Need {
        let mut fields = Fields::default();
        if holds(&fields) {
            return Need::nothing();
        }
        let mut accepted: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for text in &self.texts {
            fields.clear();
            fields.push(self.name, text);
            if holds(&fields) {
                accepted.entry(text.len()).or_default().push(text);
            }
        }
        let runs = accepted.values().flat_map(|texts| cover(texts));
        any(runs
            .map(|middle| {
                let mut sets = place::sets(self.before);
                sets.extend(middle);
                sets.push(self.after);
                run(sets, 0)
            })
            .collect())
    }
}

/// Runs that match exactly `texts`, which are of one length; one coarser run when they are many.
fn cover(texts: &[&[u8]]) -> Vec<Vec<ByteSet>> {
    const MOST: usize = 16;
    let runs = exact_cover(texts);
    if runs.len() <= MOST {
        return runs;
    }
    let mut coarse = runs.first().cloned().unwrap_or_default();
    for run in &runs {
        for (set, other) in coarse.iter_mut().zip(run) {
            *set = set.union(*other);
        }
    }
    vec![coarse]
}

fn exact_cover(texts: &[&[u8]]) -> Vec<Vec<ByteSet>> {
    let mut by_first: BTreeMap<u8, Vec<&[u8]>> = BTreeMap::new();
    for text in texts {
        let Some((first, rest)) = text.split_first() else {
            return vec![Vec::new()];
        };
        by_first.entry(*first).or_default().push(rest);
    }
    // Texts that go on alike can share their first set.
    let mut shared: Vec<(ByteSet, Vec<Vec<ByteSet>>)> = Vec::new();
    for (first, rests) in by_first {
        let rests = exact_cover(&rests);
        match shared.iter_mut().find(|(_, known)| *known == rests) {
            Some((set, _)) => set.insert(first),
            None => shared.push((ByteSet::of(first), rests)),
        }
    }
    let mut runs = Vec::new();
    for (first, rests) in shared {
        for rest in rests {
            runs.push(std::iter::once(first).chain(rest).collect());
        }
    }
    runs
}

/// The same pattern without those of its assertions that are `dropped`: it matches wherever `hir`
/// does, and elsewhere, too. (Without all of them where they are about a value's ends, not the line's.)
pub(in crate::matcher) fn without_looks(hir: &Hir, dropped: &dyn Fn(Look) -> bool) -> Hir {
    let each = |subs: &[Hir]| subs.iter().map(|sub| without_looks(sub, dropped)).collect();
    match hir.kind() {
        HirKind::Look(look) if dropped(*look) => Hir::empty(),
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Repetition(repetition) => {
            let mut repetition = repetition.clone();
            repetition.sub = Box::new(without_looks(&repetition.sub, dropped));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => Hir::capture(Capture {
            index: capture.index,
            name: capture.name.clone(),
            sub: Box::new(without_looks(&capture.sub, dropped)),
        }),
        HirKind::Concat(subs) => Hir::concat(each(subs)),
        HirKind::Alternation(subs) => Hir::alternation(each(subs)),
    }
}

/// The same need, found where it means less.
fn possible(need: Need) -> Need {
    match need {
        Need::All(needs) => all(needs.into_iter().map(possible).collect()),
        Need::Any(needs) => any(needs.into_iter().map(possible).collect()),
        Need::Run(run) => Need::Run(Run {
            meaning: Meaning::Possible,
            ..run
        }),
    }
}

/// `sets` is not empty.
fn run(sets: Vec<ByteSet>, inside: usize) -> Need {
    Need::Run(Run {
        sets,
        inside,
        meaning: Meaning::Possible,
    })
}

/// All of these, without what says nothing.
fn all(needs: Vec<Need>) -> Need {
    let mut kept = Vec::new();
    for need in needs {
        match need {
            Need::All(more) => kept.extend(more),
            need if need == Need::impossible() => return need,
            need => kept.push(need),
        }
    }
    kept.dedup();
    match kept.pop() {
        Some(only) if kept.is_empty() => only,
        Some(last) => {
            kept.push(last);
            Need::All(kept)
        }
        None => Need::nothing(),
    }
}

/// One of these; nothing, when one of them is nothing.
fn any(needs: Vec<Need>) -> Need {
    let mut kept: Vec<Need> = Vec::new();
    for need in needs {
        let more = match need {
            Need::Any(more) => more,
            need if need == Need::nothing() => return need,
            need => vec![need],
        };
        for need in more {
            if need == Need::nothing() {
                return need;
            }
            if !kept.contains(&need) {
                kept.push(need);
            }
        }
    }
    match kept.pop() {
        Some(only) if kept.is_empty() => only,
        Some(last) => {
            kept.push(last);
            Need::Any(kept)
        }
        None => Need::impossible(),
    }
}
