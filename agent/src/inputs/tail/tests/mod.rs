//! The tail thread on real files: a file for each phenomenon.

mod compressed;
mod copytruncate;
mod delete;
mod discovery;
mod encodings;
mod growth;
mod hand;
mod honesty;
mod kills;
mod known;
mod limits;
mod links;
mod long_lines;
mod loops;
mod notices;
mod patience;
mod records;
mod restart;
mod rotation;
mod torture;
mod truncation;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use lapwing_rules::model::InputId;
use tempfile::TempDir;

use super::*;
use crate::clock;
use crate::inputs::framer::Framing;
use crate::inputs::multiline::Multiline;
use crate::inputs::{Position, PositionKey};

/// Much longer than the slow scan and the linger together: on a host that has no processor to spare a
/// round over hundreds of files takes many seconds.
const DEADLINE: Duration = Duration::from_secs(100);

/// With more positions than this, no history of them is kept: that of 10,000 files would fill the memory.
const MOST_KEPT: usize = 20;

/// A folder of logs, and what is watched in it.
struct Rig {
    folder: TempDir,
    globs: Vec<String>,
    exclude: Vec<String>,
    start_at: StartAt,
    max_line_bytes: usize,
    multiline: Option<Arc<Multiline>>,
    notices: Notices,
    saved: Vec<Position>,
    first_start: FirstStart,
    own: Vec<Own>,
}

impl Rig {
    /// Watches these globs, relative to a new folder.
    fn new(globs: &[&str]) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            globs: globs.iter().map(|&glob| glob.to_owned()).collect(),
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            max_line_bytes: 256 * 1024,
            multiline: None,
            notices: Notices::System,
            saved: Vec::new(),
            first_start: FirstStart::Yes,
            own: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    /// A writer that keeps its file, whatever it is called.
    fn writer(&self, name: &str) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn truncate(&self, name: &str, length: u64) {
        OpenOptions::new()
            .write(true)
            .open(self.path(name))
            .unwrap()
            .set_len(length)
            .unwrap();
    }

    fn start(&self) -> Tail {
        self.start_with(Vec::new())
    }

    fn setup(&self, kept: Vec<Kept>, counters: &Arc<Counters>) -> Setup {
        let root = self.folder.path().display();
        let config = Config {
            input: "logs".to_owned(),
            id: InputId(7),
            paths: self
                .globs
                .iter()
                .map(|glob| Pattern::parse(&format!("{root}/{glob}")).unwrap())
                .collect(),
            exclude: self
                .exclude
                .iter()
                .map(|glob| Exclude::parse(glob).unwrap())
                .collect(),
            start_at: self.start_at,
            framing: Framing {
                max_line_bytes: self.max_line_bytes,
                multiline: self.multiline.clone(),
            },
        };
        Setup {
            configs: vec![config],
            saved: self.saved.clone(),
            first_start: self.first_start,
            kept,
            own: self.own.clone(),
            notices: self.notices,
            counters: Arc::clone(counters),
        }
    }

    /// Goes on with what another one has left open.
    fn start_with(&self, kept: Vec<Kept>) -> Tail {
        self.start_counting(kept, Counters::new())
    }

    /// The same, with counters of an earlier one.
    fn start_counting(&self, kept: Vec<Kept>, counters: Arc<Counters>) -> Tail {
        let setup = self.setup(kept, &counters);
        let (handle, control) = control();
        let (inbox, events) = sync_channel::<Event>(16);
        let thread = std::thread::Builder::new()
            .name("tail".to_owned())
            .spawn(move || run(setup, &control, &inbox))
            .unwrap();
        let mut tail = Tail {
            handle,
            events,
            counters,
            thread,
            ready: false,
            current: false,
            seen: Vec::new(),
            positions: self
                .saved
                .iter()
                .map(|position| (position.key.clone(), position.clone()))
                .collect(),
            history: Vec::new(),
        };
        tail.wait("ready", |tail| tail.ready);
        tail
    }

    /// Stops `tail`; the next start goes on from its positions.
    fn stop(&mut self, tail: Tail) -> Vec<Seen> {
        let (seen, positions) = tail.stop();
        self.saved = positions;
        self.first_start = FirstStart::No;
        seen
    }
}

/// A line, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    text: String,
    offset: u64,
    cut: bool,
    source: String,
}

/// A running tail thread and what it has said.
struct Tail {
    handle: Handle,
    events: Receiver<Event>,
    counters: Arc<Counters>,
    thread: JoinHandle<Vec<Kept>>,
    ready: bool,
    current: bool,
    seen: Vec<Seen>,
    positions: BTreeMap<PositionKey, Position>,
    /// After each event, while files are few: how many lines had come, and the positions. Any of them may
    /// be what a kill leaves.
    history: Vec<(usize, Vec<Position>)>,
}

impl Tail {
    fn take(&mut self, event: Event) {
        match event {
            Event::Lines { batch, position } => {
                let mut at = 0;
                while at < batch.bytes.len() {
                    let text = batch.text().about(at);
                    self.seen.push(Seen {
                        text: String::from_utf8_lossy(&batch.bytes[text]).into_owned(),
                        offset: batch.offset_of(at),
                        cut: batch.is_cut(at),
                        source: batch.source.name.to_string(),
                    });
                    at = batch.text().behind(at);
                }
                let position = position.expect("lines of a file have a position");
                self.positions.insert(position.key.clone(), position);
                self.handle.give_back(batch);
            }
            Event::Moved(position) => {
                self.positions.insert(position.key.clone(), position);
            }
            Event::Forget(key) => {
                self.positions
                    .remove(&key)
                    .expect("only what is known is forgotten");
            }
            Event::Ready(id) => {
                assert_eq!((id, self.ready), (InputId(7), false), "ready once");
                self.ready = true;
            }
            Event::Current(_) => self.current = true,
            Event::Ended(_) => panic!("files do not end"),
            Event::Awaited(_) => panic!("nobody waits for files"),
        }
        if self.positions.len() > MOST_KEPT {
            return;
        }
        let positions = self.positions.values().cloned().collect();
        if self
            .history
            .last()
            .is_none_or(|(_, last)| *last != positions)
        {
            self.history.push((self.seen.len(), positions));
        }
    }

    /// Takes events until `done`.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = clock::monotonic();
        while !done(self) {
            let left = DEADLINE.saturating_sub(start.elapsed());
            match self.events.recv_timeout(left) {
                Ok(event) => self.take(event),
                Err(error) => panic!("{error} while waiting for {what}; {:?}", self.summary()),
            }
        }
    }

    /// Takes events until `done`, which no event may announce.
    fn wait_for(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = clock::monotonic();
        while !done(self) {
            match self.events.recv_timeout(Duration::from_millis(20)) {
                Ok(event) => self.take(event),
                Err(_) if start.elapsed() < DEADLINE => {}
                Err(error) => panic!("{error} while waiting for {what}; {:?}", self.summary()),
            }
        }
    }

    fn summary(&self) -> (Vec<&str>, Vec<&Position>, &Counters) {
        let last = self.seen.len().saturating_sub(30);
        (
            self.seen[last..]
                .iter()
                .map(|seen| seen.text.as_str())
                .collect(),
            self.positions.values().take(30).collect(),
            &self.counters,
        )
    }

    /// Waits until so many lines came, and compares all that came so far.
    fn expect(&mut self, texts: &[&str]) {
        self.wait("lines", |tail| tail.seen.len() >= texts.len());
        assert_eq!(self.texts(), texts);
    }

    fn texts(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.text.as_str()).collect()
    }

    /// Everything that comes until it has stopped, and the positions.
    fn stop(self) -> (Vec<Seen>, Vec<Position>) {
        let (seen, positions, _) = self.leave(Handle::stop);
        (seen, positions)
    }

    /// The same, and what it has left open.
    fn leave(mut self, how: fn(&Handle)) -> (Vec<Seen>, Vec<Position>, Vec<Kept>) {
        how(&self.handle);
        while let Ok(event) = self.events.recv_timeout(DEADLINE) {
            self.take(event);
        }
        let kept = self.thread.join().unwrap();
        (self.seen, self.positions.into_values().collect(), kept)
    }

    /// The same, once all that can be read has been.
    fn stop_when_current(mut self) -> (Vec<Seen>, Vec<Position>) {
        self.handle.look();
        self.wait("what there is", |tail| tail.current);
        self.stop()
    }

    /// Stops, and says that nothing came but these lines.
    fn end(self, texts: &[&str]) {
        let (seen, _) = self.stop();
        assert_eq!(
            seen.iter()
                .map(|seen| seen.text.as_str())
                .collect::<Vec<_>>(),
            texts
        );
    }
}

/// `first..last` as lines of their own.
fn numbers(range: std::ops::Range<u32>) -> String {
    let mut lines = String::new();
    for number in range {
        writeln!(
            lines,
            "line {number:08} with enough text to look like a log line"
        )
        .unwrap();
    }
    lines
}

/// The numbers of such lines, in the order of their coming.
fn numbers_of(seen: &[Seen]) -> Vec<u32> {
    seen.iter()
        .map(|seen| {
            seen.text
                .get(5..13)
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("{seen:?}"))
        })
        .collect()
}

/// Both ways of noticing.
fn noticing(mut test: impl FnMut(Notices)) {
    test(Notices::System);
    test(Notices::Off);
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}
