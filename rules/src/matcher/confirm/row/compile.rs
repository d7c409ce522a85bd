//! From a pattern to [`Rows`]: alternatives multiplied out, sets and repeats written once.
//!
//! Only what a line of ASCII can hold is kept: the other members of classes are left out, and so
//! are alternatives that need them. No code knows a byte beyond ASCII.

use std::sync::OnceLock;

use regex_syntax::hir::{self, Class, Hir, HirKind, Repetition};

use super::{Anchor, Code, Look, Needles, Repeat, Row, Rows, Set, Short};

/// Longer ones are for the automata. Within `u8`.
const MOST_PARTS: usize = 250;
const MOST_ROWS: usize = 8;
/// Of more copies than rows may have parts.
const MOST_UNROLLED: u32 = 250;
/// Longer repeats stay repeats.
const MOST_COPIES: u16 = 8;

/// One piece of a row.
#[derive(Clone, Copy, Debug)]
enum Part {
    One(Set),
    Repeat { set: Set, least: u16, most: u16 },
    Look(Look),
}

type Parts = Vec<Part>;

/// As [`Rows::of`].
pub(super) fn rows(hir: &Hir) -> Option<Rows> {
    let mut all = append(hir, vec![Parts::new()])?;
    all.retain(|row| row.iter().all(|part| !part.is_impossible()));
    // What matches everywhere is nothing to search for.
    if all.iter().any(Vec::is_empty) {
        return None;
    }
    let mut writer = Writer::default();
    let rows: Option<Vec<Row>> = all.iter().map(|parts| writer.row(parts)).collect();
    Some(Rows {
        alternatives: Short::of(rows?),
        codes: Short::of(writer.codes),
        sets: Short::of(writer.sets),
        repeats: Short::of(writer.repeats),
        placed: OnceLock::new(),
    })
}

/// `rows`, each followed by what `hir` matches.
fn append(hir: &Hir, mut rows: Vec<Parts>) -> Option<Vec<Parts>> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            for byte in &literal.0 {
                push(&mut rows, Part::One(Set::of(*byte)))?;
            }
        }
        HirKind::Class(class) => push(&mut rows, Part::One(Set::of_class(class)))?,
        HirKind::Look(look) => push(&mut rows, Part::Look(Look::of(*look)?))?,
        HirKind::Capture(capture) => return append(&capture.sub, rows),
        HirKind::Concat(subs) => {
            for sub in subs {
                rows = append(sub, rows)?;
            }
        }
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            for sub in subs {
                all.extend(append(sub, rows.clone())?);
                if all.len() > MOST_ROWS {
                    return None;
                }
            }
            return Some(all);
        }
        HirKind::Repetition(repetition) => return append_repeated(repetition, rows),
    }
    Some(rows)
}

fn append_repeated(repetition: &Repetition, mut rows: Vec<Parts>) -> Option<Vec<Parts>> {
    if let Some((set, least, most)) = repeat_of_set(repetition) {
        match (least, most) {
            _ if least == most && most <= MOST_COPIES => {
                for _ in 0..most {
                    push(&mut rows, Part::One(set))?;
                }
            }
            // Of bytes that no line of ASCII has there can only be none.
            (0, _) if set == Set::NONE => {}
            _ => push(&mut rows, Part::Repeat { set, least, most })?,
        }
        return Some(rows);
    }
    if repetition.min > MOST_UNROLLED {
        return None;
    }
    for _ in 0..repetition.min {
        rows = append(&repetition.sub, rows)?;
    }
    let mut all = rows.clone();
    // An unbounded one has no such rows.
    for _ in repetition.min..repetition.max? {
        rows = append(&repetition.sub, rows)?;
        all.extend(rows.iter().cloned());
        if all.len() > MOST_ROWS {
            return None;
        }
    }
    Some(all)
}

/// A set and how often, where `repetition` is of a single set: `least`, `most`.
fn repeat_of_set(repetition: &Repetition) -> Option<(Set, u16, u16)> {
    let outer_least = bounded(repetition.min)?;
    let outer_most = match repetition.max {
        None => Repeat::UNBOUNDED,
        Some(max) => bounded(max)?,
    };
    let (set, least, most) = set_of(&repetition.sub)?;
    // Every number in between can be made, and no other.
    if least > 1 && outer_least != outer_most {
        return None;
    }
    let most = match (outer_most, most) {
        (0, _) | (_, 0) => 0,
        (Repeat::UNBOUNDED, _) | (_, Repeat::UNBOUNDED) => Repeat::UNBOUNDED,
        (outer, inner) => bounded(u32::from(outer) * u32::from(inner))?,
    };
    let least = bounded(u32::from(outer_least) * u32::from(least))?;
    Some((set, least, most))
}

fn bounded(count: u32) -> Option<u16> {
    let count = u16::try_from(count).ok()?;
    (count != Repeat::UNBOUNDED).then_some(count)
}

/// `hir` as a set and how often, where it is no more than that.
fn set_of(hir: &Hir) -> Option<(Set, u16, u16)> {
    match hir.kind() {
        HirKind::Class(class) => Some((Set::of_class(class), 1, 1)),
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => Some((Set::of(byte), 1, 1)),
            _ => None,
        },
        HirKind::Capture(capture) => set_of(&capture.sub),
        HirKind::Repetition(repetition) => repeat_of_set(repetition),
        HirKind::Empty | HirKind::Look(_) | HirKind::Concat(_) | HirKind::Alternation(_) => None,
    }
}

/// `part` behind each of `rows`.
fn push(rows: &mut [Parts], part: Part) -> Option<()> {
    for row in rows {
        if row.len() == MOST_PARTS {
            return None;
        }
        row.push(part);
    }
    Some(())
}

/// What is written so far.
#[derive(Default)]
struct Writer {
    codes: Vec<u8>,
    sets: Vec<Set>,
    repeats: Vec<Repeat>,
}

impl Writer {
    fn row(&mut self, parts: &[Part]) -> Option<Row> {
        let start = u16::try_from(self.codes.len()).ok()?;
        for part in parts {
            let code = self.code(*part)?;
            self.codes.push(code);
        }
        let end = u16::try_from(self.codes.len()).ok()?;
        Some(Row {
            start,
            end,
            anchor: anchor_of(parts),
        })
    }

    fn code(&mut self, part: Part) -> Option<u8> {
        match part {
            Part::One(set) => match Needles::of(set) {
                Some(Needles::One(byte)) => Some(byte),
                _ => numbered(Code::SETS, self.set(set)?, Code::REPEATS),
            },
            Part::Repeat { set, least, most } => {
                let set = self.set(set)?;
                let repeat = Repeat { set, least, most };
                let index = index_in(&mut self.repeats, repeat)?;
                numbered(Code::REPEATS, index, Code::LOOKS)
            }
            Part::Look(look) => Some(
                Code::LOOKS
                    + match look {
                        Look::Start => 0,
                        Look::End => 1,
                        Look::Word => 2,
                        Look::NotWord => 3,
                    },
            ),
        }
    }

    fn set(&mut self, set: Set) -> Option<u8> {
        index_in(&mut self.sets, set)
    }
}

/// The code number `index` of those from `first` to before `end`.
fn numbered(first: u8, index: u8, end: u8) -> Option<u8> {
    first.checked_add(index).filter(|code| *code < end)
}

/// Where `item` is in `items`, to which it is added.
fn index_in<T: PartialEq>(items: &mut Vec<T>, item: T) -> Option<u8> {
    let index = items.iter().position(|other| *other == item);
    let index = index.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    u8::try_from(index).ok()
}

/// The stretch with the byte that is rarest in logs; of several the longest.
fn anchor_of(parts: &[Part]) -> Anchor {
    if let Some(Part::Look(Look::Start)) = parts.first() {
        return Anchor::Start;
    }
    let is_one = |part: &Part| matches!(part, Part::One(_));
    let mut best: Option<(_, usize, usize, usize, Needles)> = None;
    let mut start = 0;
    for stretch in parts.chunk_by(|one, next| is_one(one) && is_one(next)) {
        let rarest = stretch.iter().enumerate().filter_map(|(at, part)| {
            let Part::One(set) = part else { return None };
            let needles = Needles::of(*set)?;
            Some((set.bytes().map(commonness).sum(), at, needles))
        });
        if let Some((common, rare, needles)) = rarest.min_by_key(|(common, ..)| *common) {
            let rank: (u32, _) = (common, std::cmp::Reverse(stretch.len()));
            if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                best = Some((rank, start, stretch.len(), rare, needles));
            }
        }
        start += stretch.len();
    }
    best.and_then(|(_, start, len, rare, needles)| {
        Some(Anchor::Stretch {
            start: u8::try_from(start).ok()?,
            len: u8::try_from(len).ok()?,
            rare: u8::try_from(rare).ok()?,
            needles,
        })
    })
    .unwrap_or(Anchor::Anywhere)
}

/// About how often `byte` is one of 10,000 in the logs of servers.
fn commonness(byte: u8) -> u32 {
    /// From the most common on, as in access and error logs, syslog and JSON.
    const COMMON: &[u8] =
        b" 0e12.to:/srai\"435lnc-p68d7m9Tu=bghw][fxMEPvky,GNOH()S+AC;D_RLIWqzKF&UJBj?ZV*X";
    match COMMON.iter().position(|common| *common == byte) {
        // The tenth is half as common as the third, the thirtieth a quarter.
        Some(place) => 4_000 / u32::try_from(place + 5).unwrap_or(u32::MAX),
        None => 10,
    }
}

impl Part {
    /// No line of ASCII has it.
    fn is_impossible(&self) -> bool {
        match self {
            Self::One(set) | Self::Repeat { set, .. } => *set == Set::NONE,
            Self::Look(_) => false,
        }
    }
}

impl Needles {
    fn of(set: Set) -> Option<Self> {
        let mut bytes = set.bytes();
        match (bytes.next(), bytes.next(), bytes.next(), bytes.next()) {
            (Some(one), None, ..) => Some(Self::One(one)),
            (Some(one), Some(two), None, _) => Some(Self::Two(one, two)),
            (Some(one), Some(two), Some(three), None) => Some(Self::Three(one, two, three)),
            _ => None,
        }
    }
}

impl Look {
    /// A record may have several lines: what holds at the ends of each of them is not known here.
    fn of(look: hir::Look) -> Option<Self> {
        match look {
            hir::Look::Start => Some(Self::Start),
            hir::Look::End => Some(Self::End),
            // On ASCII they are the same.
            hir::Look::WordAscii | hir::Look::WordUnicode => Some(Self::Word),
            hir::Look::WordAsciiNegate | hir::Look::WordUnicodeNegate => Some(Self::NotWord),
            _ => None,
        }
    }
}

impl Set {
    const NONE: Self = Self([0; 2]);

    /// No byte beyond ASCII is ever in a set.
    fn of(byte: u8) -> Self {
        let mut set = Self::NONE;
        set.add(byte, byte);
        set
    }

    fn of_class(class: &Class) -> Self {
        let mut set = Self::NONE;
        match class {
            Class::Unicode(class) => {
                for range in class.iter() {
                    // A start beyond ASCII gives an empty range.
                    let start = u8::try_from(range.start()).unwrap_or(u8::MAX);
                    set.add(start, u8::try_from(range.end()).unwrap_or(u8::MAX));
                }
            }
            Class::Bytes(class) => {
                for range in class.iter() {
                    set.add(range.start(), range.end());
                }
            }
        }
        set
    }

    /// The ASCII of `start..=end`.
    fn add(&mut self, start: u8, end: u8) {
        let Self(words) = self;
        for byte in start..=end.min(0x7F) {
            if let Some(word) = words.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
    }

    /// Its bytes, in order.
    fn bytes(self) -> impl Iterator<Item = u8> {
        let Self([low, high]) = self;
        let mut bits = u128::from(low) | u128::from(high) << 64;
        std::iter::from_fn(move || {
            let byte = u8::try_from(bits.trailing_zeros()).ok()?;
            bits &= bits.checked_sub(1)?;
            Some(byte)
        })
    }
}
