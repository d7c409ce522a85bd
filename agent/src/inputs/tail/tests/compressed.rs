//! Rotated files that were compressed: read on inside, once, and never as bytes (cases 2, 10, 42).

use std::process::{Command, Stdio};

use super::*;

/// What packs a file and removes it.
#[derive(Clone, Copy, Debug)]
enum Packer {
    /// `gzip FILE`: keeps the time of the last write.
    Gzip,
    /// `gzip <FILE >FILE.gz`: does not.
    GzipPiped,
    /// Two members.
    GzipTwice,
    Zstd,
}

const PACKERS: [Packer; 4] = [
    Packer::Gzip,
    Packer::GzipPiped,
    Packer::GzipTwice,
    Packer::Zstd,
];

fn run(program: &str, arguments: &[&str], input: Option<&[u8]>) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.unwrap_or_default().to_vec();
    let feeder = std::thread::Builder::new()
        .spawn(move || stdin.write_all(&input))
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}");
    feeder.join().unwrap().unwrap();
    done.stdout
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    run("gzip", &["-c"], Some(text))
}

/// Packs and gives the name of what came of it.
fn pack(rig: &Rig, name: &str, packer: Packer) -> String {
    let path = rig.path(name);
    let path = path.to_str().unwrap();
    match packer {
        Packer::Gzip => drop(run("gzip", &[path], None)),
        Packer::Zstd => drop(run("zstd", &["-q", "--rm", path], None)),
        Packer::GzipPiped => {
            let text = fs::read(path).unwrap();
            fs::write(format!("{path}.gz"), gzipped(&text)).unwrap();
            fs::remove_file(path).unwrap();
        }
        Packer::GzipTwice => {
            let text = fs::read(path).unwrap();
            let (one, two) = text.split_at(text.len() / 3);
            let members = [gzipped(one), gzipped(two)].concat();
            fs::write(format!("{path}.gz"), members).unwrap();
            fs::remove_file(path).unwrap();
        }
    }
    match packer {
        Packer::Zstd => format!("{name}.zst"),
        _ => format!("{name}.gz"),
    }
}

fn assert_numbers(seen: &[Seen], range: std::ops::Range<u32>, what: &str) {
    assert_eq!(numbers_of(seen), range.collect::<Vec<_>>(), "{what}");
}

/// Nothing comes any more, now or after another start.
fn assert_quiet(rig: &mut Rig, what: &str) {
    for _ in 0..2 {
        let tail = rig.start();
        // The order of all events: what there was to read is read when this is answered.
        let (seen, _) = tail.stop_when_current();
        assert_eq!(seen, [], "{what}");
    }
}

#[test]
fn rotated_and_compressed_while_stopped() {
    for glob in ["a.log", "a.log*"] {
        for packer in PACKERS {
            for (lines, name) in [
                (50, "a.log.1"),
                (1, "a.log-20261121"),
                (50, "a-2026-11-21.log"),
            ] {
                if glob == "a.log*" && !name.starts_with("a.log") {
                    continue;
                }
                let what = format!("{glob} {packer:?} {name}");
                let mut rig = Rig::new(&[glob]);
                rig.append("a.log", numbers(0..lines));
                let mut tail = rig.start();
                tail.wait("the first lines", |tail| tail.seen.len() == lines as usize);
                rig.stop(tail);
                rig.append("a.log", numbers(lines..100));
                rig.rename("a.log", name);
                rig.append("a.log", numbers(100..150));
                pack(&rig, name, packer);
                let mut tail = rig.start();
                let rest = 150 - lines as usize;
                tail.wait(&what, |tail| tail.seen.len() >= rest);
                assert_eq!(tail.counters.archives_found.get(), 1, "{what}");
                assert_eq!(tail.counters.files_lost.get(), 0, "{what}");
                let seen = rig.stop(tail);
                assert_numbers(&seen, lines..150, &what);
                assert_quiet(&mut rig, &what);
            }
        }
    }
}

#[test]
fn what_had_been_read_to_its_end_is_not_read_again_when_it_is_compressed() {
    for glob in ["a.log", "a.log*"] {
        for packer in PACKERS {
            let what = format!("{glob} {packer:?}");
            let mut rig = Rig::new(&[glob]);
            rig.append("a.log", numbers(0..50));
            let mut tail = rig.start();
            tail.wait("the first lines", |tail| tail.seen.len() == 50);
            rig.stop(tail);
            rig.rename("a.log", "a.log.1");
            rig.append("a.log", numbers(50..60));
            pack(&rig, "a.log.1", packer);
            let mut tail = rig.start();
            tail.wait(&what, |tail| tail.seen.len() >= 10);
            let seen = rig.stop(tail);
            assert_numbers(&seen, 50..60, &what);
            assert_quiet(&mut rig, &what);
        }
    }
}

/// What nobody had looked into yet was older than the live file's position, and passed over.
#[test]
fn stopped_before_the_compressed_ones_were_looked_into() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..10));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 10);
        let mut seen = rig.stop(tail);
        for (lines, name) in [
            (10..20, "a.log.3"),
            (20..30, "a.log.2"),
            (30..40, "a.log.1"),
        ] {
            rig.append("a.log", numbers(lines));
            rig.rename("a.log", name);
            pack(&rig, name, Packer::Gzip);
        }
        rig.append("a.log", numbers(40..50));
        for _ in 0..3 {
            let tail = rig.start();
            seen.extend(rig.stop(tail));
        }
        let tail = rig.start();
        let (rest, saved) = tail.stop_when_current();
        rig.saved = saved;
        seen.extend(rest);
        let mut numbers = numbers_of(&seen);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{glob}");
        assert_quiet(&mut rig, glob);
    }
}

#[test]
fn rotated_three_times_while_stopped_and_the_older_ones_compressed() {
    for glob in ["a.log", "a.log*"] {
        for packer in PACKERS {
            let what = format!("{glob} {packer:?}");
            let mut rig = Rig::new(&[glob]);
            rig.start_at = StartAt::End;
            // Rotated before anybody looked: never to be read.
            rig.append("a.log.2", numbers(900..910));
            pack(&rig, "a.log.2", packer);
            rig.append("a.log.1", numbers(910..920));
            rig.append("a.log", "");
            let mut tail = rig.start();
            rig.append("a.log", numbers(0..50));
            tail.wait("the first lines", |tail| tail.seen.len() == 50);
            rig.stop(tail);
            rig.append("a.log", numbers(50..100));
            for round in 0..3_u32 {
                // With `delaycompress`: what was .1 is compressed as .2.
                for number in (2..6).rev() {
                    for end in ["gz", "zst"] {
                        let from = format!("a.log.{number}.{end}");
                        if rig.path(&from).exists() {
                            rig.rename(&from, &format!("a.log.{}.{end}", number + 1));
                        }
                    }
                }
                rig.rename("a.log.1", "a.log.2");
                pack(&rig, "a.log.2", packer);
                rig.rename("a.log", "a.log.1");
                rig.append("a.log", numbers(100 + round * 10..110 + round * 10));
            }
            let mut tail = rig.start();
            tail.wait(&what, |tail| tail.seen.len() >= 80);
            let seen = rig.stop(tail);
            assert_numbers(&seen, 50..130, &what);
            assert_quiet(&mut rig, &what);
        }
    }
}

#[test]
fn an_inode_used_again_by_the_next_log_does_not_hide_the_compressed_one() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..50));
    let mut tail = rig.start();
    tail.wait("the first lines", |tail| tail.seen.len() == 50);
    rig.stop(tail);
    rig.append("a.log", numbers(50..100));
    rig.rename("a.log", "a.log.1");
    pack(&rig, "a.log.1", Packer::Gzip);
    rig.append("a.log", numbers(100..150));
    // Which inode a new file gets is the file system's choice: make the saved one fit.
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(rig.path("a.log")).unwrap());
    rig.saved[0].key.inode = inode;
    let mut tail = rig.start();
    tail.wait("the rest", |tail| tail.seen.len() >= 100);
    let seen = rig.stop(tail);
    assert_numbers(&seen, 50..150, "");
    assert_quiet(&mut rig, "");
}

#[test]
fn copied_compressed_and_truncated_while_stopped() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..50));
    let mut tail = rig.start();
    tail.wait("the first lines", |tail| tail.seen.len() == 50);
    rig.stop(tail);
    rig.append("a.log", numbers(50..100));
    copy(&rig.path("a.log"), &rig.path("a.log.1"));
    rig.truncate("a.log", 0);
    rig.append("a.log", numbers(100..150));
    pack(&rig, "a.log.1", Packer::Gzip);
    let mut tail = rig.start();
    tail.wait("the rest", |tail| tail.seen.len() >= 100);
    let seen = rig.stop(tail);
    assert_numbers(&seen, 50..150, "");
    assert_quiet(&mut rig, "");
}

#[test]
fn compressed_while_the_reader_was_behind() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..300_000));
        let mut tail = rig.start();
        tail.wait("the beginning", |tail| !tail.seen.is_empty());
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", numbers(300_000..300_010));
        pack(&rig, "a.log.1", Packer::Gzip);
        tail.wait("all", |tail| tail.seen.len() >= 300_010);
        let seen = rig.stop(tail);
        assert_numbers(&seen, 0..300_010, glob);
        assert_quiet(&mut rig, glob);
    }
}

#[test]
fn compressed_at_once_inside_the_glob_no_line_comes_twice() {
    noticing(|notices| {
        let mut rig = Rig::new(&["a.log*"]);
        rig.notices = notices;
        rig.append("a.log", numbers(0..50));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 50);
        for round in 1..12_u32 {
            for number in (1..round).rev() {
                let to = format!("a.log.{}.gz", number + 1);
                rig.rename(&format!("a.log.{number}.gz"), &to);
            }
            rig.rename("a.log", "a.log.1");
            rig.append("a.log", numbers(round * 50..(round + 1) * 50));
            pack(&rig, "a.log.1", PACKERS[round as usize % 3]);
            let lines = (round as usize + 1) * 50;
            tail.wait("the next lines", |tail| tail.seen.len() >= lines);
        }
        tail.wait_for("all compressed files to be known", |tail| {
            let names = tail.positions.values();
            names
                .filter(|it| it.path.extension() == Some("gz".as_ref()))
                .count()
                == 11
        });
        let seen = rig.stop(tail);
        assert_numbers(&seen, 0..600, "");
        assert_quiet(&mut rig, "");
    });
}

#[test]
fn rotated_twice_and_compressed_between_two_looks() {
    for packer in PACKERS {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = Notices::Off;
        rig.append("a.log", numbers(0..50));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 50);
        rig.append("a.log", numbers(50..60));
        rig.rename("a.log", "a.log.2");
        rig.append("a.log", numbers(60..70));
        rig.rename("a.log", "a.log.1");
        pack(&rig, "a.log.2", packer);
        pack(&rig, "a.log.1", packer);
        rig.append("a.log", numbers(70..80));
        tail.wait("all", |tail| tail.seen.len() >= 80);
        let seen = rig.stop(tail);
        assert_numbers(&seen, 0..80, &format!("{packer:?}"));
        assert_quiet(&mut rig, &format!("{packer:?}"));
    }
}

#[test]
fn a_stop_at_any_batch_inside_a_compressed_file_loses_and_repeats_nothing() {
    for packer in PACKERS {
        let mut rig = Rig::new(&["a.log"]);
        rig.append("a.log", numbers(0..10));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 10);
        let mut seen = rig.stop(tail);
        rig.append("a.log", numbers(10..60_000));
        rig.rename("a.log", "a.log.1");
        pack(&rig, "a.log.1", packer);
        rig.append("a.log", numbers(60_000..60_010));
        for _ in 0..200 {
            if seen.len() >= 60_010 {
                break;
            }
            let mut tail = rig.start();
            let before = tail.seen.len();
            tail.wait("a batch", |tail| tail.seen.len() > before);
            seen.extend(rig.stop(tail));
        }
        assert_numbers(&seen, 0..60_010, &format!("{packer:?}"));
        assert_quiet(&mut rig, &format!("{packer:?}"));
    }
}

#[test]
fn a_closed_file_that_was_compressed_is_read_on_inside() {
    const FILES: usize = 700;
    let mut rig = Rig::new(&["*.log"]);
    rig.notices = Notices::Off;
    for number in 0..FILES {
        rig.append(
            &format!("{number}.log"),
            format!("{number:03} {}\n", "x".repeat(50)),
        );
    }
    let mut tail = rig.start();
    tail.wait("a line of each", |tail| tail.seen.len() == FILES);
    // No more than 512 are open: some of these are not.
    for number in 0..FILES {
        rig.append(&format!("{number}.log"), "more\n");
        rig.rename(&format!("{number}.log"), &format!("{number}.log.1"));
        let text = fs::read(rig.path(&format!("{number}.log.1"))).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        fs::write(
            rig.path(&format!("{number}.log.1.gz")),
            encoder.finish().unwrap(),
        )
        .unwrap();
        rig.remove(&format!("{number}.log.1"));
    }
    tail.wait("the rest of each", |tail| tail.seen.len() >= 2 * FILES);
    let seen = rig.stop(tail);
    let more = seen.iter().filter(|seen| seen.text == "more").count();
    assert_eq!((seen.len(), more), (2 * FILES, FILES));
}

#[test]
fn a_compressed_file_that_is_nobodys_is_read_as_text_and_never_as_bytes() {
    let mut rig = Rig::new(&["*"]);
    let mut tail = rig.start();
    fs::write(rig.path("one.gz"), gzipped(b"one\ntwo")).unwrap();
    tail.expect(&["one", "two"]);
    // Whatever it is called, and for whatever reason.
    fs::write(rig.path("three.log"), gzipped(b"three\n")).unwrap();
    tail.expect(&["one", "two", "three"]);
    fs::write(rig.path("a.xz"), b"\xfd7zXZ\0\0\x04line\nline\n").unwrap();
    rig.append("four.gz", "four\n");
    tail.expect(&["one", "two", "three", "four"]);
    tail.wait_for("the other kind to be passed over", |tail| {
        tail.positions
            .values()
            .any(|it| it.path.ends_with("a.xz") && it.offset > 0)
    });
    rig.stop(tail);
    assert_quiet(&mut rig, "");
}

#[test]
fn a_compressed_file_that_grows_by_members_is_followed() {
    let mut rig = Rig::new(&["*.gz"]);
    rig.append("a.gz", gzipped(numbers(0..10).as_bytes()));
    let mut tail = rig.start();
    tail.wait("the first member", |tail| tail.seen.len() == 10);
    rig.append("a.gz", gzipped(numbers(10..20).as_bytes()));
    tail.wait("the second member", |tail| tail.seen.len() == 20);
    rig.stop(tail);
    rig.append("a.gz", gzipped(numbers(20..30).as_bytes()));
    let mut tail = rig.start();
    tail.wait("the third member", |tail| tail.seen.len() == 10);
    let seen = rig.stop(tail);
    assert_numbers(&seen, 20..30, "");
    assert_quiet(&mut rig, "");
}

#[test]
fn a_compressed_file_in_the_making_is_read_once_when_it_is_made() {
    const LINES: usize = 60_000;
    let text = numbers(0..60_000);
    for packed in [
        gzipped(text.as_bytes()),
        run("zstd", &["-q", "-c"], Some(text.as_bytes())),
    ] {
        let mut rig = Rig::new(&["*"]);
        let mut tail = rig.start();
        for piece in packed.chunks(packed.len() / 3 + 1) {
            rig.append("a.packed", piece);
            let before = tail.seen.len();
            // Each piece gives some lines; the last one all.
            tail.wait("more lines", |tail| tail.seen.len() > before);
        }
        tail.wait("all", |tail| tail.seen.len() >= LINES);
        let seen = rig.stop(tail);
        assert_numbers(&seen, 0..60_000, "");
        assert_quiet(&mut rig, "");
    }
}

#[test]
fn what_cannot_be_unpacked_is_counted_and_the_others_go_on() {
    let whole = gzipped(numbers(0..30_000).as_bytes());
    let cut = &whole[..whole.len() / 2];
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xA5);
    for (name, packed) in [("cut.gz", cut), ("damaged.gz", &damaged)] {
        let rig = Rig::new(&["*"]);
        rig.append("a.log", "one\n");
        let mut tail = rig.start();
        tail.expect(&["one"]);
        fs::write(rig.path(name), packed).unwrap();
        tail.wait_for("the loss", |tail| {
            let losses = tail.counters.losses();
            losses.iter().any(|it| it.kind == LossKind::Archive)
        });
        rig.append("a.log", "two\n");
        tail.wait("the other file", |tail| {
            tail.seen.last().is_some_and(|seen| seen.text == "two")
        });
        let losses = tail.counters.losses();
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert_eq!(losses[0].path, Some(rig.path(name)));
        // Whole lines from before the damage, in order. What damaged bytes unpack to comes, too: the
        // sum that would tell stands at the end.
        let (seen, _) = tail.stop();
        assert_numbers(&seen[1..10_001], 0..10_000, name);
    }
}

#[test]
fn a_bomb_takes_turns_and_no_memory() {
    // 2 GB without a line feed in some 2 MB.
    let zeros = vec![0; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..256 {
        encoder.write_all(&zeros).unwrap();
    }
    let member = encoder.finish().unwrap();
    let mut rig = Rig::new(&["*"]);
    rig.max_line_bytes = 1000;
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    fs::write(rig.path("bomb.gz"), member.repeat(8)).unwrap();
    tail.wait_for("the bomb to go off", |tail| {
        tail.counters.inputs()[0].bytes_read > 100 << 20
    });
    rig.append("a.log", "two\n");
    tail.wait("the other file", |tail| {
        tail.seen.iter().any(|seen| seen.text == "two")
    });
    assert!(
        tail.counters.inputs()[0].bytes_read < 2000 << 20,
        "the bomb has ended before the other file had its turn"
    );
    tail.wait("the one line of the bomb", |tail| {
        tail.seen.iter().any(|seen| seen.cut)
    });
    let (seen, _) = tail.stop();
    assert_eq!(seen.len(), 3);
}
