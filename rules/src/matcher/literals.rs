//! A pattern → texts of which one must stand in every line that it accepts.
//!
//! The pattern's tree is walked once. What a part matches is either known text for text, or its
//! beginnings and ends are; runs of known neighbours are multiplied out as far as the product stays
//! small, and of all runs the rarest is taken. Assertions count as empty, which only makes the
//! answer coarser. Everything is ASCII lower case, because the search is: a class holds all cases
//! of its letters (`(?i)k` the Kelvin sign, too), so folding the ASCII ones loses nothing.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::rarity;

/// Texts, sorted, each once.
pub(super) type Literals = Vec<Vec<u8>>;

/// So many texts may come of multiplying out a run.
const MAX_PRODUCT: usize = 64;
/// So many texts may come of the branches of an alternation.
const MAX_BRANCHES: usize = 8192;
/// Classes with more members are not spelt out.
const MAX_CLASS: usize = 16;
/// A product's texts are no longer than this. A single text may be.
const MAX_RUN_BYTES: usize = 64;

/// In a run of many neighbours only so many starts are tried: planning stays quick, and rare texts
/// are near the beginning of whatever people write.
const MAX_STARTS: usize = 128;

/// What is known of a part of a pattern.
#[derive(Clone, Debug)]
enum Part {
    /// It matches exactly these texts.
    Exact {
        /// They.
        texts: Literals,
        /// A cheaper list of which one is in it, where there is one: a part of it may be as rare
        /// with fewer texts.
        inner: Option<Literals>,
    },
    /// More than can be listed.
    Open {
        /// It begins with one of these.
        prefix: Literals,
        /// It ends with one of these.
        suffix: Literals,
        /// One of these is in it.
        inner: Option<Literals>,
    },
}

/// One of the given texts (ASCII lower case, none empty) must stand in every line that `hir`
/// matches in, when the line's ASCII letters are folded. `None`: it needs none. An empty list: it
/// matches nowhere.
pub(super) fn required(hir: &Hir) -> Option<Literals> {
    best_of(&walk(hir))
}

/// `text` as it is searched for.
pub(super) fn folded(text: &[u8]) -> Vec<u8> {
    text.to_ascii_lowercase()
}

/// Sorts, and leaves out what says nothing new: every text that holds another one of the list.
pub(super) fn minimal(mut literals: Literals) -> Literals {
    /// Above, comparing all with all costs more than it saves.
    const FEW: usize = 128;
    literals.sort_unstable();
    literals.dedup();
    if literals.len() > FEW {
        return literals;
    }
    let holds_another = |text: &Vec<u8>| {
        literals
            .iter()
            .any(|other| other.len() < text.len() && memchr::memmem::find(text, other).is_some())
    };
    literals
        .iter()
        .filter(|text| !holds_another(text))
        .cloned()
        .collect()
}

fn walk(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::exact(nothing()),
        HirKind::Literal(literal) => Part::exact(vec![folded(&literal.0)]),
        HirKind::Class(class) => members(class).map_or_else(Part::unknown, Part::exact),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Concat(subs) => in_a_row(subs.iter().map(walk)),
        HirKind::Alternation(subs) => one_of(subs.iter().map(walk)),
    }
}

impl Part {
    fn exact(texts: Literals) -> Self {
        Self::Exact { texts, inner: None }
    }

    fn unknown() -> Self {
        Self::Open {
            prefix: nothing(),
            suffix: nothing(),
            inner: None,
        }
    }

    fn prefix(&self) -> &Literals {
        match self {
            Self::Exact { texts, .. } => texts,
            Self::Open { prefix, .. } => prefix,
        }
    }

    fn suffix(&self) -> &Literals {
        match self {
            Self::Exact { texts, .. } => texts,
            Self::Open { suffix, .. } => suffix,
        }
    }
}

/// The empty text, which is in every line.
fn nothing() -> Literals {
    vec![Vec::new()]
}

/// The members of a small class, folded.
fn members(class: &Class) -> Option<Literals> {
    let mut members = Literals::new();
    match class {
        Class::Unicode(class) => {
            // Up to two cases of an ASCII letter become one.
            let count: usize = class
                .ranges()
                .iter()
                .map(regex_syntax::hir::ClassUnicodeRange::len)
                .sum();
            if count > 2 * MAX_CLASS {
                return None;
            }
            for char in class.iter().flat_map(|range| range.start()..=range.end()) {
                members.push(folded(char.encode_utf8(&mut [0; 4]).as_bytes()));
            }
        }
        Class::Bytes(class) => {
            let count: usize = class
                .ranges()
                .iter()
                .map(regex_syntax::hir::ClassBytesRange::len)
                .sum();
            if count > 2 * MAX_CLASS {
                return None;
            }
            for byte in class.iter().flat_map(|range| range.start()..=range.end()) {
                members.push(folded(&[byte]));
            }
        }
    }
    members.sort_unstable();
    members.dedup();
    (members.len() <= MAX_CLASS).then_some(members)
}

/// `left` followed by `right`, when that stays small.
fn product(left: &Literals, right: &Literals) -> Option<Literals> {
    let longest = |texts: &Literals| texts.iter().map(Vec::len).max().unwrap_or(0);
    let is_small = left.len().saturating_mul(right.len()) <= MAX_PRODUCT;
    // Nothing is made by putting the empty text at an end.
    if *left == nothing() {
        return Some(right.clone());
    }
    if *right == nothing() {
        return Some(left.clone());
    }
    if !is_small || longest(left) + longest(right) > MAX_RUN_BYTES {
        return None;
    }
    let mut texts: Literals = left
        .iter()
        .flat_map(|head| {
            right
                .iter()
                .map(move |tail| [head.as_slice(), tail].concat())
        })
        .collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

fn repeated(repetition: &Repetition) -> Part {
    let sub = walk(&repetition.sub);
    if repetition.min == 0 {
        return match (&sub, repetition.max) {
            (Part::Exact { texts, .. }, Some(1)) => {
                one_of([nothing(), texts.clone()].map(Part::exact).into_iter())
            }
            _ => Part::unknown(),
        };
    }
    // At least once: what is in it, and what it begins and ends with, stays true of the whole.
    let inner = best_of(&sub);
    let Part::Exact { texts: once, .. } = &sub else {
        let (prefix, suffix) = (sub.prefix().clone(), sub.suffix().clone());
        return Part::Open {
            prefix,
            suffix,
            inner,
        };
    };
    let (mut texts, mut copies) = (once.clone(), 1);
    while copies < repetition.min
        && let Some(more) = product(&texts, once)
        // `(?:)` and the like would be multiplied for ever.
        && more != texts
    {
        texts = more;
        copies += 1;
    }
    if repetition.max == Some(copies) && copies == repetition.min {
        Part::Exact { texts, inner }
    } else {
        Part::Open {
            prefix: texts.clone(),
            suffix: texts,
            inner,
        }
    }
}

fn one_of(parts: impl Iterator<Item = Part>) -> Part {
    let parts: Vec<Part> = parts.collect();
    let exact: Option<Vec<&Literals>> = parts
        .iter()
        .map(|part| match part {
            Part::Exact { texts, .. } => Some(texts),
            Part::Open { .. } => None,
        })
        .collect();
    let inner: Option<Vec<Literals>> = parts.iter().map(best_of).collect();
    let inner = inner.and_then(|inner| union(inner.iter()));
    if let Some(texts) = exact.and_then(|exact| union(exact.into_iter())) {
        return Part::Exact { texts, inner };
    }
    Part::Open {
        prefix: union(parts.iter().map(Part::prefix)).unwrap_or_else(nothing),
        suffix: union(parts.iter().map(Part::suffix)).unwrap_or_else(nothing),
        inner,
    }
}

fn union<'a>(sets: impl Iterator<Item = &'a Literals>) -> Option<Literals> {
    let mut all = Literals::new();
    for set in sets {
        all.extend_from_slice(set);
        if all.len() > 2 * MAX_BRANCHES {
            return None;
        }
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= MAX_BRANCHES).then_some(all)
}

/// A concatenation: runs of known neighbours, broken where a part is not known to its end.
fn in_a_row(parts: impl Iterator<Item = Part>) -> Part {
    let mut runs: Vec<Vec<Literals>> = vec![Vec::new()];
    let mut inners = Vec::new();
    for part in parts {
        match part {
            Part::Exact { texts, inner } => {
                push(&mut runs, texts);
                inners.extend(inner);
            }
            Part::Open {
                prefix,
                suffix,
                inner,
            } => {
                push(&mut runs, prefix);
                runs.push(Vec::new());
                push(&mut runs, suffix);
                inners.extend(inner);
            }
        }
    }
    let inner = runs
        .iter()
        .filter_map(|run| best_of_run(run))
        .chain(inners)
        .reduce(cheaper);
    if let [run] = runs.as_slice()
        && let (texts, true) = multiplied(run.iter(), product)
    {
        return Part::Exact { texts, inner };
    }
    let ends = |run: Option<&Vec<Literals>>| run.cloned().unwrap_or_default();
    let (first, last) = (ends(runs.first()), ends(runs.last()));
    Part::Open {
        prefix: multiplied(first.iter(), product).0,
        suffix: multiplied(last.iter().rev(), |right, left| product(left, right)).0,
        inner,
    }
}

/// Adds to the last run; a single text is joined with a single one before it, which multiplies
/// nothing.
fn push(runs: &mut [Vec<Literals>], texts: Literals) {
    let Some(run) = runs.last_mut() else { return };
    if texts == nothing() {
        return;
    }
    if let (Some([last]), [text]) = (run.last_mut().map(Vec::as_mut_slice), texts.as_slice()) {
        last.extend_from_slice(text);
    } else {
        run.push(texts);
    }
}

/// As many of `sets` as can be multiplied; whether that is all of them.
fn multiplied<'a>(
    sets: impl Iterator<Item = &'a Literals>,
    join: impl Fn(&Literals, &Literals) -> Option<Literals>,
) -> (Literals, bool) {
    let mut texts = nothing();
    for set in sets {
        match join(&texts, set) {
            Some(more) => texts = more,
            None => return (texts, false),
        }
    }
    (texts, true)
}

/// The rarest product of neighbours, from every start (up to a bound) to every end that can be had.
fn best_of_run(run: &[Literals]) -> Option<Literals> {
    let mut best: Option<(f64, Literals)> = None;
    for start in 0..run.len().min(MAX_STARTS) {
        let mut texts = nothing();
        for set in run.iter().skip(start) {
            let Some(more) = product(&texts, set) else {
                break;
            };
            texts = more;
            let cost = rarity::cost(&texts);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, texts.clone()));
            }
        }
    }
    best.map(|(_, texts)| texts)
        .filter(|texts| texts.iter().all(|text| !text.is_empty()))
}

/// The rarest list of which one is in `part`.
fn best_of(part: &Part) -> Option<Literals> {
    let (ends, inner): (Vec<&Literals>, _) = match part {
        Part::Exact { texts, inner } => (vec![texts], inner.clone()),
        Part::Open {
            prefix,
            suffix,
            inner,
        } => (vec![prefix, suffix], inner.clone()),
    };
    let is_telling = |texts: &&&Literals| texts.iter().all(|text| !text.is_empty());
    ends.iter()
        .filter(is_telling)
        .map(|texts| (*texts).clone())
        .chain(inner)
        .reduce(cheaper)
}

/// The cheaper one.
fn cheaper(left: Literals, right: Literals) -> Literals {
    if rarity::cost(&right) < rarity::cost(&left) {
        right
    } else {
        left
    }
}
