//! UTF-16 → UTF-8, however the bytes are cut. What is no UTF-16 becomes U+FFFD; nothing is refused.

/// The order of the bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `FF FE` at the beginning.
    Little,
    /// `FE FF` at the beginning.
    Big,
}

/// How the bytes of a source stand for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are: UTF-8, or whatever it is.
    Bytes,
    /// Two bytes a unit.
    Utf16(Order),
}

/// What the first bytes of a source say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A byte order mark of so many bytes, and what it means.
    Is(Encoding, usize),
    /// There is none.
    No,
    /// It may become one.
    Perhaps,
}

impl Encoding {
    /// Of a source that begins with `head`.
    pub fn of(head: &[u8]) -> Self {
        match Mark::of(head) {
            Mark::Is(encoding, _) => encoding,
            Mark::No | Mark::Perhaps => Self::Bytes,
        }
    }
}

impl Mark {
    /// The most bytes that a mark has.
    pub const MOST_BYTES: usize = 3;

    /// Of a source that begins with `head`, which may be all that is known of it.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0xEF, 0xBB, 0xBF, ..] => Self::Is(Encoding::Bytes, 3),
            [0xFF, 0xFE, ..] => Self::Is(Encoding::Utf16(Order::Little), 2),
            [0xFE, 0xFF, ..] => Self::Is(Encoding::Utf16(Order::Big), 2),
            [] | [0xEF | 0xFE | 0xFF] | [0xEF, 0xBB] => Self::Perhaps,
            _ => Self::No,
        }
    }
}

/// A stream of UTF-16.
#[derive(Debug)]
pub(super) struct Decoder {
    order: Order,
    /// The first byte of a unit.
    odd: Option<u8>,
    /// The first unit of a pair.
    high: Option<u16>,
}

impl Decoder {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            odd: None,
            high: None,
        }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// The next byte; calls `each` with the characters that it completes, two at the most.
    pub(super) fn take(&mut self, byte: u8, each: &mut dyn FnMut(char)) {
        let Some(first) = self.odd.take() else {
            self.odd = Some(byte);
            return;
        };
        let unit = match self.order {
            Order::Little => u16::from_le_bytes([first, byte]),
            Order::Big => u16::from_be_bytes([first, byte]),
        };
        let is_high = (0xD800..0xDC00).contains(&unit);
        let high = self.high.take();
        let units = high.into_iter().chain((!is_high).then_some(unit));
        if high.is_some() && is_high {
            each(char::REPLACEMENT_CHARACTER);
        } else {
            for char in char::decode_utf16(units) {
                each(char.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        self.high = is_high.then_some(unit);
    }

    /// The stream ends: what is not complete is one U+FFFD.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(char)) {
        if self.odd.take().is_some() | self.high.take().is_some() {
            each(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], order: Order) -> String {
        let mut text = String::new();
        let mut decoder = Decoder::new(order);
        for &byte in bytes {
            decoder.take(byte, &mut |char| text.push(char));
        }
        decoder.finish(&mut |char| text.push(char));
        text
    }

    #[test]
    fn units_are_text_and_what_is_none_is_marked() {
        for (units, expected) in [
            (&[0x61, 0x0A, 0xE9][..], "a\né"),
            (&[0xD83D, 0xDE00], "\u{1F600}"),
            (&[0xD83D, 0x61], "\u{FFFD}a"),
            (&[0xDE00, 0x61], "\u{FFFD}a"),
            (&[0xD83D, 0xD83D, 0xDE00], "\u{FFFD}\u{1F600}"),
            (&[0x61, 0xD83D], "a\u{FFFD}"),
            (&[0x0A0A, 0x0A00], "\u{0A0A}\u{0A00}"),
            (&[], ""),
        ] {
            let little: Vec<u8> = units
                .iter()
                .flat_map(|unit| u16::to_le_bytes(*unit))
                .collect();
            let big: Vec<u8> = units
                .iter()
                .flat_map(|unit| u16::to_be_bytes(*unit))
                .collect();
            assert_eq!(decode(&little, Order::Little), expected);
            assert_eq!(decode(&big, Order::Big), expected);
            assert_eq!(String::from_utf16_lossy(units), expected, "as std says");
        }
        assert_eq!(decode(b"a\0b", Order::Little), "a\u{FFFD}");
    }

    #[test]
    fn a_mark_says_how_the_rest_is_written() {
        assert_eq!(Encoding::of(b"\xFF\xFEa\0"), Encoding::Utf16(Order::Little));
        assert_eq!(Encoding::of(b"\xFE\xFF\0a"), Encoding::Utf16(Order::Big));
        assert_eq!(Encoding::of(b"\xEF\xBB\xBFa"), Encoding::Bytes);
        assert_eq!(Mark::of(b"\xEF\xBB"), Mark::Perhaps);
        assert_eq!(Mark::of(b"\xEF\xBBa"), Mark::No);
        assert_eq!(Mark::of(b"\xFFa"), Mark::No);
    }
}
