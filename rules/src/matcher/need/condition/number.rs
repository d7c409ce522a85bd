//! What a line must hold for a field to be a number, or more than one. Fields compare as doubles,
//! so `502` may be written `502.0`, `0502`, `5.02e2`, `50200e-2`, and `501.99999999999999999` too.

use super::place::{Coding, Place, Spot, set, sets};
use super::{all, any, run, spelling};
use crate::matcher::need::{ByteSet, Need};

/// Whole numbers below this differ in their first 15 digits, which doubles keep.
const EXACT: f64 = 1e15;
/// Of a longer number only the start is searched for.
const MOST_DIGITS: usize = 8;
/// What [`above`] is worth spelling out.
const MOST_ABOVE: f64 = 1e7;

/// What a line holds in which the field equals `number`. Any number but a whole one other than 0
/// needs only the field.
pub(super) fn equal(place: &Place, number: f64) -> Need {
    let is_anchored = place.spots.iter().all(|spot| !spot.before.is_empty());
    let is_whole = number.fract() == 0.0 && number != 0.0 && number.abs() < EXACT;
    if !is_anchored || !is_whole {
        return place.present.clone();
    }
    let ways = Ways::new(number);
    let mut needs: Vec<Need> = place.spots.iter().map(|spot| ways.at(spot)).collect();
    if let Some((odd, spots)) = &place.loose {
        let here = spots.iter().map(|spot| ways.at(spot)).collect();
        needs.push(all(vec![odd.clone(), any(here)]));
    }
    if ways.has_nines {
        needs.push(nines());
    }
    needs.extend(by_their_numbers(place));
    all(vec![place.present.clone(), any(needs)])
}

/// What a line holds in which the field is `number` or more, beyond the field itself.
pub(super) fn above(place: &Place, number: f64) -> Need {
    let is_anchored = place.spots.iter().all(|spot| !spot.before.is_empty());
    if !is_anchored || !(1.0..MOST_ABOVE).contains(&number) {
        return Need::nothing();
    }
    let loose = place.loose.iter().flat_map(|(_, spots)| spots);
    let left = place
        .spots
        .iter()
        .chain(loose)
        .filter_map(|spot| spot.before.last())
        .fold(ByteSet::default(), |all, set| all.union(*set));
    // The byte before the value may be the line feed before the line; the value's own is not.
    let mut needs: Vec<Need> = whole_parts_from(&format!("{:.0}", number.floor()))
        .into_iter()
        .map(|digits| run(std::iter::once(left).chain(digits).collect(), 1))
        .collect();
    needs.push(run(vec![left, set(b"0"), digit_from(b'0')], 1));
    needs.push(exponent());
    needs.push(nines());
    needs.extend(by_their_numbers(place));
    any(needs)
}

/// The ways to write a whole number.
struct Ways {
    sign: &'static [u8],
    /// Its first digits.
    digits: Vec<u8>,
    /// Those are all.
    is_whole: bool,
    /// A double that is less by less than it can tell may be meant: it is written with so many
    /// nines, a point among them at the most, that six follow one another.
    has_nines: bool,
}

impl Ways {
    fn new(number: f64) -> Self {
        let all = format!("{:.0}", number.abs());
        // The number just below differs in the last of these, and has nines behind it.
        let significant = all.trim_end_matches('0').len();
        let has_nines = significant <= 4;
        let kept = if has_nines {
            all.len().min(MOST_DIGITS)
        } else {
            (significant - 1).min(MOST_DIGITS)
        };
        let digits: Vec<u8> = all.bytes().take(kept).collect();
        Self {
            sign: if number < 0.0 { b"-" } else { b"" },
            is_whole: digits.len() == all.len(),
            digits,
            has_nines,
        }
    }

    fn at(&self, spot: &Spot) -> Need {
        let point = set(b".eE");
        let starts =
            |digits: &[u8], next: ByteSet| spot.around(&sets(&[self.sign, digits].concat()), next);
        let next = if self.is_whole && !spot.after.is_empty() {
            spot.after.union(point).union(set(b"0"))
        } else {
            ByteSet::default()
        };
        // The point stands earlier than it should.
        let mut moved = vec![starts(b"0", set(b"."))];
        for len in 1..self.digits.len() {
            moved.push(starts(self.digits.get(..len).unwrap_or_default(), point));
        }
        let mut ways = vec![
            starts(&self.digits, next),
            all(vec![any(moved), exponent()]),
        ];
        // JSON itself has no zeros in front.
        if spot.coding != Coding::Verbatim {
            ways.push(starts(b"0", digit_from(b'0')));
        }
        any(ways)
    }
}

/// Runs of digits with which whole numbers of at least `least` begin, which begins with no 0.
fn whole_parts_from(least: &str) -> Vec<Vec<ByteSet>> {
    let digits = least.as_bytes();
    let any_digit = digit_from(b'0');
    let mut runs = Vec::new();
    for (at, digit) in digits.iter().enumerate() {
        let (same, rest) = digits.split_at(at);
        let rest = rest.get(1..).unwrap_or_default();
        let is_last = rest.iter().all(|digit| *digit == b'0');
        let from = if is_last { *digit } else { *digit + 1 };
        if from <= b'9' {
            let mut run = sets(same);
            run.push(digit_from(from));
            run.extend(rest.iter().map(|_| any_digit));
            runs.push(run);
        }
        if is_last {
            break;
        }
    }
    let mut longer = vec![digit_from(b'1')];
    longer.extend(digits.iter().map(|_| any_digit));
    runs.push(longer);
    runs
}

fn digit_from(first: u8) -> ByteSet {
    ByteSet::of_range(first, b'9')
}

/// In every number that has one.
fn exponent() -> Need {
    let next = digit_from(b'0').union(set(b"+-"));
    run(vec![digit_from(b'0'), set(b"eE"), next], 0)
}

fn nines() -> Need {
    run(sets(b"999999"), 0)
}

/// One of a number's bytes, or of the place's, is written as an escape.
fn by_their_numbers(place: &Place) -> Vec<Need> {
    if place.escaped_spot().is_none() {
        return Vec::new();
    }
    let bytes = b"0123456789+-.eE".iter().chain(&place.escapable);
    spelling::hex(bytes.copied())
}
