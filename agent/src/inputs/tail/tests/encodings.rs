use super::*;

/// With a mark.
fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(to_bytes).collect()
}

const ORDERS: [fn(u16) -> [u8; 2]; 2] = [u16::to_le_bytes, u16::to_be_bytes];

#[test]
fn utf_16_with_a_mark_comes_as_text_at_its_places_in_the_file() {
    for order in ORDERS {
        let rig = Rig::new(&["a.log"]);
        let bytes = utf16("one\r\nzwölf \u{1F600}\nthree\n", order);
        let mut tail = rig.start();
        // In pieces of an odd length, the mark too.
        for piece in bytes.chunks(7).flat_map(|piece| piece.chunks(1)) {
            rig.append("a.log", piece);
        }
        tail.expect(&["one", "zwölf \u{1F600}", "three"]);
        let offsets: Vec<u64> = tail.seen.iter().map(|seen| seen.offset).collect();
        assert_eq!(offsets, [2, 12, 30]);
        drop(tail.stop());
    }
}

#[test]
fn a_restart_in_the_middle_of_a_file_in_utf_16_goes_on_with_text() {
    for order in ORDERS {
        let mut rig = Rig::new(&["a.log"]);
        let bytes = utf16("one\ntwo\nthree\n", order);
        rig.append("a.log", &bytes[..21]);
        let mut tail = rig.start();
        tail.expect(&["one", "two"]);
        rig.stop(tail);
        rig.append("a.log", &bytes[21..]);
        let mut tail = rig.start();
        tail.expect(&["three"]);
        tail.end(&["three"]);
    }
}

#[test]
fn start_at_end_finds_the_last_line_of_a_file_in_utf_16() {
    for order in ORDERS {
        let mut rig = Rig::new(&["a.log"]);
        rig.start_at = StartAt::End;
        // Bytes that look like a line feed stand in characters that are none.
        let bytes = utf16("one\nunder\u{0A0A}\u{0A00}\u{0D0A} way", order);
        rig.append("a.log", &bytes);
        let mut tail = rig.start();
        rig.append(
            "a.log",
            '\n'.encode_utf16(&mut [0; 1])
                .iter()
                .flat_map(|unit| order(*unit))
                .collect::<Vec<_>>(),
        );
        tail.expect(&["under\u{0A0A}\u{0A00}\u{0D0A} way"]);
        drop(tail.stop());
    }
}

#[test]
fn what_is_no_text_arrives_as_it_is() {
    let rig = Rig::new(&["a.log"]);
    // NULs, bytes that are no UTF-8, CR LF, a CR within a line, one at its end.
    rig.append(
        "a.log",
        b"x\0y\0\nin\xFFvalid \xC3\ncr lf\r\nlone\rcr\nend\r\r\n",
    );
    let mut tail = rig.start();
    tail.expect(&[
        "x\0y\0",
        "in\u{FFFD}valid \u{FFFD}",
        "cr lf",
        "lone\rcr",
        "end\r",
    ]);
    drop(tail.stop());
}
