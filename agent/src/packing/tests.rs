use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// One frame with a checksum of its content.
fn zstd_frame(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What comes out, and what is said of the end.
fn unpacked(packed: &[u8]) -> (Vec<u8>, Option<String>) {
    let head = packed.get(..Packing::HEAD_BYTES).unwrap_or(packed);
    let mut input = Packing::of(head)
        .unpack(Cursor::new(packed.to_vec()), Window::Usual)
        .unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return (text, None),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) => return (text, Some(error.to_string())),
        }
    }
}

fn text() -> Vec<u8> {
    (0..20_000)
        .flat_map(|n| format!("line {n}\n").into_bytes())
        .collect()
}

#[test]
fn what_it_is_packed_in_is_told_by_its_bytes() {
    for (head, packing) in [
        (&b""[..], Packing::Plain),
        (b"\x1f", Packing::Plain),
        (b"127.", Packing::Plain),
        (b"\x1f\x8b\x08\x00", Packing::Gzip),
        (b"\x28\xb5\x2f\xfd", Packing::Zstd),
        (b"\x50\x2a\x4d\x18", Packing::Zstd),
        (b"\x5f\x2a\x4d\x18", Packing::Zstd),
        (b"\x60\x2a\x4d\x18", Packing::Plain),
    ] {
        assert_eq!(Packing::of(head), packing, "{head:?}");
    }
}

#[test]
fn members_and_frames_one_after_the_other_are_one_text() {
    let text = text();
    let (one, two) = text.split_at(70_001);
    let skipped = b"\x51\x2a\x4d\x18\x03\x00\x00\x00abc";
    for packed in [
        text.clone(),
        gzip(&text),
        [gzip(one), gzip(b""), gzip(two)].concat(),
        zstd_frame(&text),
        [zstd_frame(one), zstd_frame(b""), zstd_frame(two)].concat(),
        [
            &skipped[..],
            &zstd_frame(one),
            skipped,
            &zstd_frame(two),
            skipped,
        ]
        .concat(),
    ] {
        let (out, end) = unpacked(&packed);
        assert_eq!(end, None);
        assert!(out == text, "{} bytes came out", out.len());
    }
}

#[test]
fn data_that_is_cut_off_says_where_and_gives_what_there_was() {
    let text = text();
    for whole in [gzip(&text), zstd_frame(&text)] {
        for missing in [1, 5, whole.len() / 2] {
            let (out, end) = unpacked(&whole[..whole.len() - missing]);
            let expected = format!(
                "the compressed data is cut off behind {} bytes of text",
                out.len()
            );
            assert_eq!(end, Some(expected), "{missing}");
            assert!(text.starts_with(&out));
        }
    }
}

#[test]
fn damaged_data_is_an_error() {
    let text = text();
    for mut packed in [gzip(&text), zstd_frame(&text)] {
        // The checksum of a zstd frame are its last four bytes, that of gzip stands before its length.
        let at = packed.len() - 6;
        packed[at] ^= 0xff;
        let last = packed.len() - 1;
        packed[last] ^= 0xff;
        let (_, end) = unpacked(&packed);
        let end = end.expect("an error");
        assert!(end.starts_with("the compressed data is damaged"), "{end}");
    }
}

#[test]
fn a_frame_that_asks_for_too_much_memory_is_refused() {
    // Magic, a header without a content size, a window of 2^31 bytes; then an empty last block.
    let mut packed = b"\x28\xb5\x2f\xfd\x00".to_vec();
    packed.push((31 - 10) << 3);
    packed.extend([1, 0, 0]);
    let (out, end) = unpacked(&packed);
    assert!(out.is_empty() && end.is_some(), "{end:?}");
    // As much as `zstd` takes by itself is taken.
    packed[5] = (27 - 10) << 3;
    assert_eq!(unpacked(&packed), (Vec::new(), None));
}

#[test]
fn what_is_packed_otherwise_is_named() {
    assert_eq!(Packing::foreign(b"\xfd7zXZ\0\0\0\0\0"), Some("xz"));
    assert_eq!(Packing::foreign(b"BZh91AY&SY"), Some("bzip2"));
    assert_eq!(Packing::foreign(b"BZh9 is a text"), None);
    assert_eq!(Packing::foreign(b"PK"), None);
}

#[test]
fn a_name_tells_what_it_was_before() {
    for (name, before) in [
        ("a.log.1.gz", Some("a.log.1")),
        ("a.log-20261121.zst", Some("a.log-20261121")),
        ("a.log", None),
        (".gz", None),
        ("agz", None),
    ] {
        assert_eq!(
            unpacked_name(name.as_ref()),
            before.map(OsStr::new),
            "{name}"
        );
    }
}
