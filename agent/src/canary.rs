//! The canary: a line that the agent writes for itself, now and then, and that goes the way of every
//! other. Written to a file of the state folder, it is noticed, read, framed, matched and committed by
//! the threads that do so with the operator's lines; how long that took is the answer to "would it have
//! told me?". Only what delivers is not part of it: nobody wants a message a minute.
//!
//! | who | does |
//! | --- | --- |
//! | [`Canary`] | writes, knows what is on its way, keeps the figures |
//! | [`Reader`] | the engine thread's end: finds the line with a rule of its own |

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::language::check::{Defaults, Known, SourceFile, check};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Batch, InputId, RuleId, Source};
use lapwing_rules::scanner::{InputSpec, Scanner, SourceState};
use tokio::sync::mpsc::UnboundedSender;

use crate::clock;
use crate::inputs::framer::Framing;
use crate::inputs::{Receipt, Settled, tail};

/// What it is called where inputs are; no operator's input may be.
pub const INPUT: &str = "lapwing-canary";
/// Between two lines.
pub const EVERY: Duration = Duration::from_mins(1);
/// A line that takes longer will be told of as one that does not come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Its file is replaced, as a rotation does it, when it has grown to this.
const MOST_BYTES: u64 = 16 * 1024;
/// The longest line that it writes, and far more.
const MAX_LINE_BYTES: usize = 256;
const RULE: &str = "\
rules:
  - name: lapwing-canary
    type: any
    match: { regex: 'lapwing-canary [0-9]+$' }
";

/// How the last lines fared. Since the agent's start, or since the last reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long the last one took, from before it was written until it was durable; `None`: there was none
    /// yet, or it did not come through.
    pub took: Option<Duration>,
    /// Lines that came through.
    pub arrived: u64,
    /// Lines that were given up for the next one, or could not be written.
    pub lost: u64,
}

/// The end that writes. Shared by whoever wants its figures.
#[derive(Debug)]
pub struct Canary {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the last line: another agent's lines in the same file are told apart by theirs.
    number: u64,
    /// When it was sent; `None`: it came through.
    sent_at: Option<Instant>,
    /// When the first was sent of those that have not come through since one did.
    late_since: Option<Instant>,
    /// Why the last one could not be written.
    error: Option<String>,
    figures: Figures,
}

impl Canary {
    /// Nothing is written yet, but its file is there to be found: the one that an earlier run left, so that
    /// what was read of that is known. `state_dir` must exist.
    pub fn new(state_dir: &Path) -> Self {
        let canary = Self {
            folder: state_dir.join("canary"),
            state: Mutex::default(),
        };
        // Wall clock: an agent before this one had other numbers.
        canary.state().number = u64::try_from(clock::now().as_nanos()).unwrap_or_default();
        if let Err(error) = canary.open() {
            tracing::warn!(%error, "the canary has no file yet");
        }
        canary
    }

    /// What reads it.
    pub fn tail_config(&self, id: InputId) -> tail::Config {
        tail::Config {
            input: INPUT.to_owned(),
            id,
            paths: tail::Pattern::exactly(&self.path()).into_iter().collect(),
            exclude: Vec::new(),
            start_at: tail::StartAt::End,
            framing: Framing::lines(MAX_LINE_BYTES),
        }
    }

    /// Sends the next line on its way. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written: it will not come through.
    pub fn write(&self) -> io::Result<()> {
        let number = {
            let mut state = self.state();
            let now = clock::monotonic();
            if state.sent_at.replace(now).is_some() {
                state.figures.lost += 1;
                state.figures.took = None;
            }
            state.late_since.get_or_insert(now);
            state.number += 1;
            state.number
        };
        let written = self
            .replace_if_grown()
            .and_then(|()| self.open())
            .and_then(|mut file| writeln!(file, "{} {INPUT} {number}", clock::now()));
        self.state().error = written.as_ref().err().map(ToString::to_string);
        written
    }

    /// The line with this number is durable.
    pub fn arrived(&self, number: u64) {
        let mut state = self.state();
        // One that is late was counted as lost when the next one was written.
        if number != state.number {
            return;
        }
        if let Some(sent_at) = state.sent_at.take() {
            state.figures.took = Some(clock::monotonic().saturating_duration_since(sent_at));
            state.figures.arrived += 1;
            state.late_since = None;
        }
    }

    /// For how long lines have been under way at `now` of which none has come through, and why the last one
    /// could not be written, if that is it; `None`: none is under way.
    pub fn under_way(&self, now: Instant) -> Option<(Duration, Option<String>)> {
        let state = self.state();
        let since = state.late_since?;
        Some((now.saturating_duration_since(since), state.error.clone()))
    }

    /// How the last lines fared.
    pub fn figures(&self) -> Figures {
        self.state().figures
    }

    fn path(&self) -> PathBuf {
        self.folder.join("canary.log")
    }

    fn open(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        File::options().create(true).append(true).open(self.path())
    }

    /// A file that has grown goes the way of rotated ones: whoever has it open reads it to its end.
    fn replace_if_grown(&self) -> io::Result<()> {
        let path = self.path();
        if fs::metadata(&path).is_ok_and(|file| file.len() >= MOST_BYTES) {
            let fresh = self.folder.join("canary.new");
            File::create(&fresh)?;
            fs::rename(&fresh, &path)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that finds the line again: the rules' own code with a rule of its own, so that no
/// operator's rule ever sees it.
pub struct Reader {
    id: InputId,
    scanner: Scanner,
    source: SourceState,
    /// Numbers of lines that are durable.
    back: UnboundedSender<Settled>,
}

impl Reader {
    /// Takes the lines of the input `id`; what is durable is told to `back`.
    pub fn new(id: InputId, back: UnboundedSender<Settled>) -> Self {
        let file = SourceFile {
            name: INPUT.into(),
            text: RULE.into(),
        };
        let checked = check(&[file], &Defaults::default(), Known::default());
        let rules: Arc<RuleSet> = Arc::new(checked.into_rule_set());
        let spec = InputSpec {
            name: INPUT.into(),
            format: None,
        };
        Self {
            id,
            scanner: Scanner::of_one(&rules, RuleId(0), spec),
            source: SourceState::default(),
            back,
        }
    }

    /// Whether lines of this input are its own.
    pub fn owns(&self, id: InputId) -> bool {
        self.id == id
    }

    /// What is to be confirmed when this batch is durable; `None`: it holds no line of the canary.
    pub fn scan(&mut self, batch: &Batch) -> Option<Receipt> {
        let mut batch = batch.clone();
        batch.source = Arc::new(Source {
            input: InputId(0),
            name: Arc::clone(&batch.source.name),
        });
        let mut last = None;
        let latest = clock::now();
        self.scanner
            .scan(&batch, &mut self.source, latest, &mut |hit| {
                let number = hit.sample.line.rsplit(' ').next();
                last = number.and_then(|number| number.parse().ok());
            });
        last.map(|number| Receipt::new(number, self.back.clone()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn batch(bytes: Vec<u8>) -> Batch {
        let source = Source {
            input: InputId(7),
            name: "canary.log".into(),
        };
        Batch {
            source: Arc::new(source),
            bytes,
            segments: Vec::new(),
            cut: Vec::new(),
            records: Vec::new(),
            arrival: clock::now(),
        }
    }

    #[test]
    fn what_is_written_is_found_and_timed() {
        let folder = tempfile::tempdir().unwrap();
        let canary = Canary::new(folder.path());
        assert_eq!(canary.under_way(clock::monotonic()), None);
        canary.write().unwrap();
        assert!(canary.under_way(clock::monotonic()).is_some());
        let (back, mut told) = unbounded_channel();
        let mut reader = Reader::new(InputId(7), back);
        assert!(reader.owns(InputId(7)) && !reader.owns(InputId(6)));
        let line = fs::read(canary.path()).unwrap();
        reader.scan(&batch(line)).unwrap().confirm();
        let Settled::Durable(number) = told.try_recv().unwrap() else {
            panic!("it is durable");
        };
        canary.arrived(number);
        let figures = canary.figures();
        assert_eq!((figures.arrived, figures.lost), (1, 0));
        assert!(figures.took.is_some());
        assert_eq!(canary.under_way(clock::monotonic()), None);
    }

    #[test]
    fn a_line_that_did_not_come_is_lost_and_may_come_too_late() {
        let folder = tempfile::tempdir().unwrap();
        let canary = Canary::new(folder.path());
        canary.write().unwrap();
        let late = canary.state().number;
        canary.write().unwrap();
        canary.arrived(late);
        let figures = canary.figures();
        assert_eq!((figures.arrived, figures.lost), (0, 1));
        assert_eq!(figures.took, None);
        assert!(canary.under_way(clock::monotonic()).is_some());
    }

    #[test]
    fn how_long_none_came_through_is_counted_from_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let canary = Canary::new(folder.path());
        canary.write().unwrap();
        let first = canary.state().late_since;
        canary.write().unwrap();
        assert_eq!(canary.state().late_since, first);
        let number = canary.state().number;
        canary.arrived(number);
        assert_eq!(canary.under_way(clock::monotonic()), None);
    }

    #[test]
    fn what_cannot_be_written_does_not_come_through_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("canary"), "in the way").unwrap();
        let canary = Canary::new(folder.path());
        canary.write().unwrap_err();
        let (_, why) = canary.under_way(clock::monotonic()).unwrap();
        assert!(why.is_some());
    }

    #[test]
    fn a_start_leaves_the_file_of_an_earlier_run() {
        let folder = tempfile::tempdir().unwrap();
        let canary = Canary::new(folder.path());
        fs::write(canary.path(), vec![b'x'; 20_000]).unwrap();
        assert_eq!(
            fs::metadata(Canary::new(folder.path()).path())
                .unwrap()
                .len(),
            20_000
        );
    }

    #[test]
    fn its_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let canary = Canary::new(folder.path());
        for _ in 0..1_000 {
            canary.write().unwrap();
            assert!(fs::metadata(canary.path()).unwrap().len() < MOST_BYTES + 256);
        }
    }

    #[test]
    fn other_lines_are_none_of_its_own() {
        let (back, _told) = unbounded_channel();
        let mut reader = Reader::new(InputId(0), back);
        assert!(
            reader
                .scan(&batch(b"lapwing-canary x\n".to_vec()))
                .is_none()
        );
        assert!(reader.scan(&batch(Vec::new())).is_none());
    }
}
