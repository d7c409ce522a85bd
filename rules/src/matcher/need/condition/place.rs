//! Where each format writes a field: the bytes that certainly stand before and behind its value.
//! This follows the readers in `fields`, byte for byte; where one of them changes, so must this.

use regex_syntax::hir::Hir;

use super::spelling::{self, Escaped};
use super::{all, any, possible, run};
use crate::fields::Format;
use crate::matcher::confirm::PEER;
use crate::matcher::need::{ByteSet, Need};

/// White space within JSON.
const JSON_SPACE: &[u8] = b" \t\r\n";
/// What Rust takes for ASCII white space.
const ASCII_SPACE: &[u8] = b" \t\n\x0C\r";
/// More of a key is not looked at.
const MOST_KEY_BYTES: usize = 64;

/// Where a format writes a field.
pub(super) struct Place {
    /// Every line that has the field holds this.
    pub(super) present: Need,
    /// The value stands in one of these (in none: it is nowhere to be found as it is), ...
    pub(super) spots: Vec<Spot>,
    /// ... or, where the line holds the need, in one of these, ...
    pub(super) loose: Option<(Need, Vec<Spot>)>,
    /// ... or one of these bytes, which are of the spots, was written as an escape.
    pub(super) escapable: Vec<u8>,
    /// What a line holds in which the field is a word alone, and `true` therefore.
    bare: Option<Need>,
}

/// A place for a value.
pub(super) struct Spot {
    /// Right before the value.
    pub(super) before: Vec<ByteSet>,
    /// Index of a set in `before`, or of the one behind it, whose byte is of the line.
    pub(super) inside: usize,
    /// Right behind the value; empty when that is not known.
    pub(super) after: ByteSet,
    pub(super) coding: Coding,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Raw,
    /// As it is: a word without white space that begins with no quote.
    Word,
    /// As it is: a number, a boolean, an array or an object of JSON.
    Verbatim,
    /// Between quotes, with escapes.
    Escaped,
}

impl Place {
    /// `None` when no line of `format` has the field `name`.
    pub(super) fn of(
        format: &Format,
        name: &str,
        of_pattern: &dyn Fn(&Hir) -> Need,
    ) -> Option<Self> {
        if name == PEER {
            // Who sent a line is no part of it, whatever its format.
            return Some(Self::fixed(Vec::new()));
        }
        match format {
            Format::Nginx | Format::Apache => Some(access(name)),
            Format::NginxError => nginx_error(name),
            Format::Json { .. } => Some(json(name)),
            Format::Logfmt { .. } => logfmt(name),
            Format::Syslog => syslog(name),
            Format::Plain => None,
            Format::Pattern { pattern, .. } => {
                let is_known = pattern.names().iter().any(|known| known == name);
                is_known.then(|| {
                    let spot = Spot::new(Vec::new(), 0, ByteSet::default(), Coding::Raw);
                    let mut place = Self::fixed(vec![spot]);
                    place.present = possible(of_pattern(pattern.hir()));
                    place
                })
            }
        }
    }

    /// A place that most lines of the format have.
    fn fixed(spots: Vec<Spot>) -> Self {
        Self {
            present: Need::nothing(),
            spots,
            loose: None,
            escapable: Vec::new(),
            bare: None,
        }
    }

    /// What a line holds in which the field is `text`, byte for byte. `text` is no number.
    pub(super) fn text(&self, text: &[u8]) -> Need {
        let (text, is_whole) = match self.escaped_spot() {
            Some(_) => spelling::shortened(text, spelling::MOST_CHOICES),
            None => spelling::shortened(text, usize::MAX),
        };
        let escaped = Escaped::new(text);
        let of_spots = |spots: &[Spot]| -> Vec<Need> {
            spots
                .iter()
                .filter_map(|spot| spot.text(text, is_whole, &escaped))
                .collect()
        };
        let mut ways = of_spots(&self.spots);
        if let Some((odd, spots)) = &self.loose {
            ways.push(all(vec![odd.clone(), any(of_spots(spots))]));
        }
        if let Some(spot) = self.escaped_spot() {
            let after = is_whole.then_some(spot.after);
            ways.extend(escaped.other_ways(after));
            ways.extend(spelling::hex(text.iter().chain(&self.escapable).copied()));
        }
        if let (b"true", Some(bare)) = (text, &self.bare) {
            ways.push(bare.clone());
        }
        all(vec![self.present.clone(), any(ways)])
    }

    /// What a line holds in which the value holds `need`.
    pub(super) fn holding(&self, need: Need) -> Need {
        if self.escaped_spot().is_some() {
            let need = spelling::perhaps_escaped(need);
            return match &self.bare {
                // The value of a word alone is not in the line.
                Some(bare) => any(vec![need, bare.clone()]),
                None => need,
            };
        }
        need
    }

    pub(super) fn escaped_spot(&self) -> Option<&Spot> {
        self.spots
            .iter()
            .find(|spot| spot.coding == Coding::Escaped)
    }
}

impl Spot {
    fn new(before: Vec<ByteSet>, inside: usize, after: ByteSet, coding: Coding) -> Self {
        Self {
            before,
            inside,
            after,
            coding,
        }
    }

    /// The way that `text` is mostly written here; `None` when it cannot stand here.
    fn text(&self, text: &[u8], is_whole: bool, escaped: &Escaped) -> Option<Need> {
        let written: &[u8] = match self.coding {
            Coding::Raw => text,
            Coding::Escaped => &escaped.written,
            Coding::Word => {
                let fits = !text.iter().any(u8::is_ascii_whitespace) && !text.starts_with(b"\"");
                fits.then_some(text)?
            }
            Coding::Verbatim => {
                let first = text.first()?;
                (first.is_ascii_digit() || b"-tf[{".contains(first)).then_some(text)?
            }
        };
        let after = if is_whole {
            self.after
        } else {
            ByteSet::default()
        };
        Some(self.around(&sets(written), after))
    }

    /// `middle` in this place with one of `after` behind it, unless that is empty.
    pub(super) fn around(&self, middle: &[ByteSet], after: ByteSet) -> Need {
        let mut all = self.before.clone();
        all.extend(middle);
        if self.before.is_empty() && middle.is_empty() {
            return Need::nothing();
        }
        if !after.is_empty() {
            all.push(after);
        }
        if self.inside >= all.len() {
            return Need::nothing();
        }
        run(all, self.inside)
    }
}

fn access(name: &str) -> Place {
    // Left of the value, which set there is of the line for sure, right of it.
    let (before, inside, after): (Vec<ByteSet>, usize, &[u8]) = match name {
        "vhost" => (vec![set(b"\n")], 1, b" "),
        "remote_addr" => (vec![set(b"\n ")], 1, b" "),
        "remote_user" => (sets(b" "), 0, b" "),
        "time" => (sets(b"["), 0, b"]"),
        "request" => (sets(b"] \""), 0, b"\"\r\n"),
        "method" => (sets(b"] \""), 0, b" "),
        "path" => (sets(b" "), 0, b"? \"\r\n"),
        "query" => (sets(b"?"), 0, b" \"\r\n"),
        "protocol" => (sets(b" "), 0, b"\"\r\n"),
        "status" => (sets(b"\" "), 0, b" \r\n"),
        "bytes" => (sets(b" "), 0, b" \r\n"),
        "referer" | "user_agent" => (vec![set(b" \""), set(b"\"")], 0, b"\""),
        _ => return access_pair(name),
    };
    let spot = Spot::new(before, inside, set(after), Coding::Raw);
    Place::fixed(vec![spot])
}

/// A `key=value` behind what the format itself writes.
fn access_pair(name: &str) -> Place {
    let mut key = vec![set(ASCII_SPACE).union(set(b"\""))];
    key.extend(sets(name.as_bytes()));
    key.push(set(b"="));
    let key = last(key);
    let mut quoted = key.clone();
    quoted.push(set(b"\""));
    let mut place = Place::fixed(vec![
        Spot::new(key.clone(), 1, set(b" \r\n"), Coding::Raw),
        Spot::new(quoted, 1, set(b"\"\r\n"), Coding::Raw),
    ]);
    place.present = run(key, 1);
    place
}

fn nginx_error(name: &str) -> Option<Place> {
    let one = |before: Vec<ByteSet>, inside: usize, after: &[u8]| {
        let spot = Spot::new(before, inside, set(after), Coding::Raw);
        Some(Place::fixed(vec![spot]))
    };
    match name {
        "time" => one(vec![set(b"\n")], 1, b" "),
        "level" => one(sets(b" ["), 0, b"]"),
        "pid" => one(vec![set(ASCII_SPACE).union(set(b"]"))], 0, b"#"),
        "tid" => one(sets(b"#"), 0, b":"),
        "cid" => one(sets(b"*"), 0, b""),
        "message" => one(Vec::new(), 0, b",\r\n"),
        "client" | "server" | "request" | "subrequest" | "upstream" | "host" | "referrer" => {
            let key = sets(format!(", {name}: ").as_bytes());
            let mut quoted = key.clone();
            quoted.push(set(b"\""));
            let mut place = Place::fixed(vec![
                Spot::new(key.clone(), 0, set(b",\r\n"), Coding::Raw),
                Spot::new(quoted, 0, set(b"\"\r\n"), Coding::Raw),
            ]);
            place.present = run(key, 0);
            Some(place)
        }
        _ => None,
    }
}

/// Strings may be written with escapes, keys too; a name with dots may be keys within keys; white
/// space may stand about the colon.
fn json(name: &str) -> Place {
    let mut key = json_key(name);
    let written = key.iter().flat_map(|set| set.iter());
    let escapable: Vec<u8> = written.filter(|byte| *byte != b'"').collect();
    key.push(set(b"\""));
    let (space, space_or_colon) = (set(JSON_SPACE), set(JSON_SPACE).union(set(b":")));
    let with = |more: &[ByteSet]| key.iter().chain(more).copied().collect::<Vec<_>>();
    let behind_verbatim = set(JSON_SPACE).union(set(b",}"));
    let mut spots = Vec::new();
    for colon in [&b":"[..], b": "] {
        let quoted: Vec<u8> = [colon, b"\""].concat();
        let quote = set(b"\"");
        spots.push(Spot::new(with(&sets(&quoted)), 0, quote, Coding::Escaped));
        let before = with(&sets(colon));
        spots.push(Spot::new(before, 0, behind_verbatim, Coding::Verbatim));
    }
    let odd = any(vec![
        run(with(&[space_or_colon; 3]), 0),
        run(with(&[set(b":"), set(b"\t\r\n")]), 0),
        run(with(&[space, set(b":")]), 0),
    ]);
    let loose = vec![
        Spot::new(sets(b"\""), 0, set(b"\""), Coding::Escaped),
        Spot::new(vec![space_or_colon], 0, behind_verbatim, Coding::Verbatim),
    ];
    let mut present = vec![run(with(&[space_or_colon]), 0)];
    present.extend(spelling::hex(escapable.iter().copied()));
    Place {
        present: any(present),
        spots,
        loose: Some((odd, loose)),
        escapable,
        bare: None,
    }
}

/// The end of a key's text that is written as it is, with what stands before it.
fn json_key(name: &str) -> Vec<ByteSet> {
    let is_odd = |char: char| {
        matches!(
            char,
            '.' | '"' | '\\' | '/' | '\'' | char::REPLACEMENT_CHARACTER
        ) || char.is_ascii_control()
    };
    match name.char_indices().rfind(|(_, char)| is_odd(*char)) {
        None => {
            let mut key = vec![set(b"\"")];
            key.extend(sets(name.as_bytes()));
            last(key)
        }
        Some((at, odd)) => {
            let tail = name.get(at + odd.len_utf8()..).unwrap_or_default();
            let before = (odd == '.').then(|| set(b"\"."));
            last(before.into_iter().chain(sets(tail.as_bytes())).collect())
        }
    }
}

fn logfmt(name: &str) -> Option<Place> {
    let is_outside = |byte: u8| matches!(byte, b'=' | b'"') || byte.is_ascii_whitespace();
    if name.is_empty() || name.bytes().any(is_outside) {
        return None;
    }
    let about = set(ASCII_SPACE).union(set(b"\""));
    let key = match name.rsplit_once(char::REPLACEMENT_CHARACTER) {
        // Stands for any byte that is no text.
        Some((_, tail)) => sets(tail.as_bytes()),
        None => std::iter::once(about)
            .chain(sets(name.as_bytes()))
            .collect(),
    };
    // The first set may be the line feed before the line.
    let inside = usize::from(!name.contains(char::REPLACEMENT_CHARACTER));
    let key = last(key);
    let with = |more: &[ByteSet]| key.iter().chain(more).copied().collect::<Vec<_>>();
    let plain_end = set(ASCII_SPACE);
    let spots = vec![
        Spot::new(with(&sets(b"=")), inside, plain_end, Coding::Word),
        Spot::new(with(&sets(b"=\"")), inside, set(b"\"\r\n"), Coding::Escaped),
    ];
    let with_end = |end: ByteSet| {
        // The key may be nothing but a byte that is no text.
        if key.is_empty() {
            return Need::nothing();
        }
        run(with(&[end]), inside)
    };
    Some(Place {
        present: with_end(about.union(set(b"="))),
        bare: Some(with_end(about)),
        spots,
        loose: None,
        escapable: Vec::new(),
    })
}

/// The names of facilities and severities are made of a number; the words of the header and the text
/// stand somewhere as they are. Structured data has its own escapes.
fn syslog(name: &str) -> Option<Place> {
    match name {
        "facility" | "facility_code" | "severity" | "severity_code" => {
            Some(Place::fixed(Vec::new()))
        }
        "hostname" | "appname" | "procid" | "msgid" | "message" => {
            let spot = Spot::new(Vec::new(), 0, ByteSet::default(), Coding::Raw);
            Some(Place::fixed(vec![spot]))
        }
        _ => {
            // Ids may hold dots, too: what is behind the last one is of the parameter's name.
            let (_, name) = name.strip_prefix("sd.")?.rsplit_once('.')?;
            let mut place = Place::fixed(Vec::new());
            let key: Vec<u8> = [name.as_bytes(), b"=\""].concat();
            place.present = run(last(sets(&key)), 0);
            Some(place)
        }
    }
}

/// The last ones of `key`.
fn last(mut key: Vec<ByteSet>) -> Vec<ByteSet> {
    key.split_off(key.len().saturating_sub(MOST_KEY_BYTES))
}

/// One of `bytes`.
pub(super) fn set(bytes: &[u8]) -> ByteSet {
    bytes.iter().fold(ByteSet::default(), |mut set, byte| {
        set.insert(*byte);
        set
    })
}

/// `text`, byte by byte.
pub(super) fn sets(text: &[u8]) -> Vec<ByteSet> {
    text.iter().map(|byte| ByteSet::of(*byte)).collect()
}
