//! What is let go because nothing came of it for a while: only when it was looked for all the while, and
//! once more after that.

use super::super::attention::MOST_A_ROUND;
use super::super::poller::LINGER;
use super::hand::Hand;
use super::*;

fn rig() -> Rig {
    let mut rig = Rig::new(&["a.log"]);
    rig.notices = Notices::Off;
    rig.append("a.log", numbers(0..30));
    rig
}

/// The file was found dead when its inode had been given to another, long after it had been read last; and
/// the folder had been listed before.
#[test]
fn a_closed_file_that_was_compressed_is_found_however_long_nothing_had_come_of_it() {
    let rig = rig();
    Hand::with(&rig, |hand| {
        hand.tailer.attention.pass(10 * LINGER);
        let no = hand.only_file();
        hand.close(no);
        let door = rig.path("a.log");
        assert_eq!(hand.tailer.listings.rotations_of(&door), [] as [PathBuf; 0]);
        rig.append("a.log", numbers(30..50));
        rig.rename("a.log", "a.log.1");
        gzip(&rig, "a.log.1");
        hand.tailer.bereave(no);
        hand.tailer.settle_bereft().unwrap();
        for _ in 0..3 {
            hand.look_after(Duration::from_secs(1));
        }
        assert_eq!(hand.lines.borrow().len(), 50);
        assert_eq!(hand.lost(), []);
    });
}

/// Five seconds had passed by the clock of the wall, and the next look was the last.
#[test]
fn what_became_of_a_file_while_the_agent_was_stopped_is_looked_for_before_it_is_given_up() {
    let rig = rig();
    Hand::with(&rig, |hand| {
        let no = hand.only_file();
        hand.close(no);
        rig.append("a.log", numbers(30..50));
        let text = fs::read(rig.path("a.log")).unwrap();
        rig.remove("a.log");
        hand.tailer.bereave(no);
        for _ in 0..4 {
            hand.tailer.attention.miss(10 * LINGER);
            hand.look_after(Duration::ZERO);
            hand.tailer.attention.worked();
            assert_eq!(hand.lost(), []);
        }
        fs::write(rig.path("a.log.1"), text).unwrap();
        gzip(&rig, "a.log.1");
        for _ in 0..3 {
            hand.look_after(Duration::from_secs(1));
        }
        assert_eq!(hand.lines.borrow().len(), 50);
        assert_eq!(hand.lost(), []);
    });
}

/// It was lost, and nobody said so: of its end nothing had been seen.
#[test]
fn what_may_have_been_written_to_a_closed_file_that_is_gone_is_booked_as_lost() {
    let rig = rig();
    Hand::with(&rig, |hand| {
        let no = hand.only_file();
        hand.close(no);
        rig.append("a.log", numbers(30..50));
        rig.remove("a.log");
        hand.tailer.bereave(no);
        hand.look_after(LINGER.saturating_sub(MOST_A_ROUND));
        assert_eq!(hand.lost(), []);
        hand.look_after(MOST_A_ROUND);
        assert_eq!(hand.lost(), [(LossKind::Vanished, None)]);
        assert_eq!(hand.lines.borrow().len(), 30);
    });
}

/// Its beginning was told as a line of its own.
#[test]
fn the_line_under_way_of_a_rotated_file_waits_while_the_file_cannot_be_looked_at() {
    let rig = rig();
    rig.append("a.log", "half");
    Hand::with(&rig, |hand| {
        let no = hand.only_file();
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", numbers(40..41));
        hand.tailer.scan().unwrap();
        hand.read_all();
        hand.close(no);
        rig.append("a.log.1", " and half\n");
        gzip(&rig, "a.log.1");
        hand.look_after(10 * LINGER);
        hand.tailer.scan().unwrap();
        for _ in 0..10 {
            hand.look_after(Duration::from_secs(1));
        }
        let lines = hand.lines.borrow();
        assert_eq!(lines.len(), 32);
        assert!(
            lines.iter().any(|line| line == "half and half"),
            "{lines:?}"
        );
        assert_eq!(hand.lost(), []);
    });
}

/// What is deleted after all of it was read is no loss, whether or not it was open.
#[test]
fn a_rotated_file_that_was_read_and_is_deleted_is_no_loss() {
    let rig = rig();
    Hand::with(&rig, |hand| {
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", numbers(30..50));
        hand.tailer.scan().unwrap();
        hand.read_all();
        hand.look_after(LINGER); // it is let go
        rig.remove("a.log.1");
        hand.tailer.scan().unwrap();
        hand.look_after(LINGER);
        hand.look_after(LINGER);
        assert_eq!(hand.tailer.table.len(), 1);
        assert_eq!(hand.lines.borrow().len(), 50);
        assert_eq!(hand.lost(), []);
    });
}

fn gzip(rig: &Rig, name: &str) {
    let done = std::process::Command::new("gzip")
        .arg(rig.path(name))
        .status()
        .unwrap();
    assert!(done.success());
}

/// Lines that came and went unseen were booked by nobody.
#[test]
fn what_may_have_been_cut_off_while_the_agent_was_far_behind_is_booked_as_lost() {
    let rig = rig();
    Hand::with(&rig, |hand| {
        let cut = |unseen, next| {
            rig.append("a.log", numbers(unseen));
            rig.truncate("a.log", 0);
            rig.append("a.log", numbers(next));
        };
        cut(30..50, 50..51);
        hand.look_anew();
        assert_eq!(hand.lost(), []);
        cut(51..70, 70..71);
        hand.tailer.attention.miss(LINGER);
        hand.tailer.enqueue(hand.only_file());
        hand.read_all();
        assert_eq!(hand.lost(), [(LossKind::Truncated, None)]);
    });
}
