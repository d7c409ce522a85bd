//! A tailer whose rounds and time a test drives by hand, so that no load decides what is seen.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;

use super::super::poller::Tailer;
use super::super::table::FileNo;
use super::*;

/// A tailer on this thread.
pub(super) struct Hand<'a, 'b> {
    pub(super) tailer: Tailer<'a>,
    pub(super) lines: &'b RefCell<Vec<String>>,
    pub(super) counters: Arc<Counters>,
}

impl Hand<'_, '_> {
    /// Runs `test` on a tailer that has read all that there is.
    pub(super) fn with(rig: &Rig, test: impl FnOnce(&mut Hand<'_, '_>)) {
        let (counters, lines) = (Counters::new(), RefCell::default());
        let known = RefCell::new(BTreeMap::new());
        let (_handle, control) = control();
        let mut send = |event: Event| {
            let mut known = known.borrow_mut();
            let mut keep = |position: Position| known.insert(position.key.clone(), position);
            match event {
                Event::Lines { batch, position } => {
                    drop(position.and_then(&mut keep));
                    let text = String::from_utf8_lossy(&batch.bytes).into_owned();
                    let mut lines: RefMut<'_, Vec<String>> = lines.borrow_mut();
                    lines.extend(text.lines().map(ToOwned::to_owned));
                }
                Event::Moved(position) => drop(keep(position)),
                Event::Forget(key) => drop(known.remove(&key).expect("it was known")),
                _ => {}
            }
            Ok(())
        };
        let mut hand = Hand {
            tailer: Tailer::new(rig.setup(Vec::new(), &counters), &control, &mut send),
            lines: &lines,
            counters,
        };
        hand.tailer.start().unwrap();
        hand.read_all();
        test(&mut hand);
    }

    pub(super) fn read_all(&mut self) {
        while !self.tailer.queue.is_empty() {
            self.tailer.round().unwrap();
        }
    }

    /// What the loop does each 250 ms, after so much time.
    pub(super) fn look_after(&mut self, span: Duration) {
        self.tailer.attention.pass(span);
        self.tailer.listings.forget();
        let now = self.tailer.attention.now();
        self.tailer.judge_suspects().unwrap();
        self.tailer.judge_archives(now).unwrap();
        self.tailer.let_go_of_quiet(now).unwrap();
        self.read_all();
    }

    /// Reads what there is as if all before had been read just now.
    pub(super) fn look_anew(&mut self) {
        self.tailer.attention.hears();
        self.tailer.attention.hears();
        for no in self.tailer.table.numbers() {
            self.tailer.enqueue(no);
        }
        self.read_all();
    }

    pub(super) fn only_file(&self) -> FileNo {
        let numbers = self.tailer.table.numbers();
        assert_eq!(numbers.len(), 1);
        numbers[0]
    }

    pub(super) fn close(&mut self, no: FileNo) {
        self.tailer.table.get_mut(no).unwrap().close();
    }

    pub(super) fn lost(&self) -> Vec<(LossKind, Option<u64>)> {
        let losses = self.counters.losses().into_iter();
        losses.map(|loss| (loss.kind, loss.bytes)).collect()
    }
}
