use super::*;

const LINES: u32 = 200_000;
const ROTATIONS: u32 = 50;

/// Writes all lines through a file that it opens again at its own leisure, as nginx does.
fn write_all(folder: &Path) {
    let path = folder.join("a.log");
    let open = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap()
    };
    let mut writer = open();
    let mut rotations = 0;
    for number in (0..LINES).step_by(100) {
        // Some lines go to the renamed file still, and some are written in two parts.
        let reopen = number % (LINES / ROTATIONS) == 300;
        if number % (LINES / ROTATIONS) == 0 && number > 0 {
            rotations += 1;
            fs::rename(&path, folder.join(format!("a.log-{rotations:04}"))).unwrap();
        }
        if reopen {
            writer = open();
        }
        let text = numbers(number..number + 100);
        let (first, second) = text.split_at(text.len() / 2 + 7);
        writer.write_all(first.as_bytes()).unwrap();
        writer.write_all(second.as_bytes()).unwrap();
    }
}

fn every_line_once_and_in_order(glob: &str) {
    let rig = Rig::new(&[glob]);
    rig.append("a.log", "");
    let mut tail = rig.start();
    let folder = rig.folder.path().to_owned();
    let writer = std::thread::Builder::new()
        .spawn(move || write_all(&folder))
        .unwrap();
    tail.wait("all lines", |tail| tail.seen.len() >= LINES as usize);
    writer.join().unwrap();
    let (seen, _) = tail.stop();
    assert_eq!(seen.len(), LINES as usize);
    let numbers = numbers_of(&seen);
    let wrong = numbers
        .iter()
        .zip(0..)
        .find(|&(&number, expected)| number != expected);
    assert_eq!(wrong, None);
}

#[test]
fn fifty_rotations_under_load_keep_every_line_once_and_in_order() {
    every_line_once_and_in_order("a.log");
}

#[test]
fn the_same_with_the_rotated_files_inside_the_glob() {
    every_line_once_and_in_order("a.log*");
}
