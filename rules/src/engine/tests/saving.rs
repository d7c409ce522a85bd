//! Large windows are saved in parts: whatever was saved when, a restored engine goes on as if
//! nothing had happened, and what is written is what is new.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::condition::Window;

/// Enough for a window that has parts.
const EVENTS: u32 = 600;

fn many() -> Rule {
    rule(ConditionSpec::Frequency {
        num_events: EVENTS,
        timeframe: Duration::from_mins(10),
    })
}

/// What a store keeps of the changes that it is given.
#[derive(Default)]
struct Disk {
    groups: BTreeMap<(String, String), SavedGroup>,
    /// Parts of the latest changes.
    parts_written: usize,
}

impl Disk {
    fn save(&mut self, changes: Vec<SavedGroup>) {
        self.parts_written = changes.iter().map(|change| change.parts.len()).sum();
        for mut change in changes {
            let key = (change.rule.clone(), change.key.clone());
            let old = self.groups.remove(&key);
            if change.state.is_none() {
                continue;
            }
            let mut parts = old.map(|old| old.parts).unwrap_or_default();
            parts.retain(|number, _| *number >= change.first_part);
            parts.append(&mut change.parts);
            change.parts = parts;
            self.groups.insert(key, change);
        }
    }

    fn load(&self) -> Engine {
        let mut engine = engine(many());
        let saved: Vec<SavedGroup> = self.groups.values().cloned().collect();
        assert!(engine.restore(&saved).is_empty());
        engine
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many hits, each so many seconds after the one before (or before it).
    Hits(u16, i8),
    Save,
    /// The changes are taken, and cannot be saved.
    FailToSave,
    /// Everything since the last save that succeeded is read again.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u16..300, -2i8..3).prop_map(|(n, s)| Step::Hits(n, s)),
        3 => Just(Step::Save),
        1 => Just(Step::FailToSave),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_it_was_saved_and_restored_the_same_is_told(steps in steps()) {
        let (mut whole, mut parts) = ((engine(many()), Vec::new()), (engine(many()), Vec::new()));
        let mut disk = Disk::default();
        // What was read, and told, since the last save.
        let (mut unsaved, mut told_before) = (Vec::new(), 0);
        let mut second = 0;
        for step in steps {
            match step {
                Step::Hits(n, pace) => for _ in 0..n {
                    second += i64::from(pace);
                    let hit = hit(second, ["a", "b"][usize::from(n % 2)]);
                    whole.0.observe(&hit, &mut whole.1);
                    parts.0.observe(&hit, &mut parts.1);
                    unsaved.push(hit);
                },
                Step::Save => {
                    disk.save(parts.0.take_changes());
                    unsaved.clear();
                    told_before = parts.1.len();
                }
                Step::FailToSave => for change in parts.0.take_changes() {
                    prop_assert!(parts.0.save_again(&change.rule, &change.key));
                },
                Step::Crash => {
                    parts.0 = disk.load();
                    parts.1.truncate(told_before);
                    for hit in &unsaved {
                        parts.0.observe(hit, &mut parts.1);
                    }
                }
            }
        }
        prop_assert_eq!(whole.1, parts.1);
    }
}

#[test]
fn a_large_window_is_not_written_again_and_again() {
    let mut engine = engine(rule(ConditionSpec::Frequency {
        num_events: 50_000,
        timeframe: Duration::from_hours(1),
    }));
    let mut disk = Disk::default();
    for n in 0..20_000 {
        engine.observe(&hit(n / 100, "a"), &mut Vec::new());
    }
    disk.save(engine.take_changes());
    assert_eq!(disk.parts_written as u64, 20_000 / Window::PART);
    let state = |disk: &Disk| disk.groups.values().next().unwrap().state.clone().unwrap();
    for n in 0..10 {
        engine.observe(&hit(200 + n, "a"), &mut Vec::new());
        disk.save(engine.take_changes());
        assert_eq!(disk.parts_written, 0, "one hit more");
        let bytes = state(&disk).len();
        assert!(bytes < 20_000, "{bytes}");
    }
    for _ in 0..Window::PART {
        engine.observe(&hit(300, "a"), &mut Vec::new());
    }
    disk.save(engine.take_changes());
    assert_eq!(disk.parts_written, 1);
    // After a restart, too.
    let mut engine = {
        let mut again = super::engine(rule(ConditionSpec::Frequency {
            num_events: 50_000,
            timeframe: Duration::from_hours(1),
        }));
        let saved: Vec<SavedGroup> = disk.groups.values().cloned().collect();
        assert!(again.restore(&saved).is_empty());
        again
    };
    engine.observe(&hit(301, "a"), &mut Vec::new());
    disk.save(engine.take_changes());
    assert_eq!(disk.parts_written, 0);
}
