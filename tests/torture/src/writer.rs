//! A program that logs: appends numbered lines to its file at a steady rate, keeps the file open across
//! rotations until it is told to reopen it, finishes a line that a full disk cut short.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::clock;
use crate::lines::Maker;

/// Which lines are due at a steady rate.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    rate: u64,
    given: u64,
}

impl Pace {
    /// `rate` lines a second from now on.
    pub fn new(rate: u64) -> Self {
        Self {
            began: clock::monotonic(),
            rate,
            given: 0,
        }
    }

    /// Waits a few milliseconds, then says how many lines are due. What could not be written in time is
    /// made up for, but not more than a tenth of a second at once.
    pub fn due(&mut self) -> u64 {
        clock::pass(Duration::from_millis(4));
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let all = self.rate.saturating_mul(micros) / 1_000_000;
        let due = all.saturating_sub(self.given);
        let most = (self.rate / 10).max(1);
        if due > most * 10 {
            // After a long pause: that was no time to write in.
            self.given = all - most;
            return most;
        }
        let due = due.min(most);
        self.given += due;
        due
    }
}

/// A writer of one file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    maker: Maker,
    buffer: Vec<u8>,
    ledger: Option<File>,
}

impl Writer {
    /// Opens `path` to append. `ledger`: a file that every line is written to as well.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn open(writer: u32, path: &Path, ledger: Option<&Path>) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append(path)?,
            maker: Maker::new(writer),
            buffer: Vec::new(),
            ledger: ledger.map(append).transpose()?,
        })
    }

    /// From now on no two of its lines are alike in what the rule `each` counts.
    pub fn name_each(&mut self) {
        self.maker.name_each();
    }

    /// Lines written.
    pub fn written(&self) -> u64 {
        self.maker.made()
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `lines` lines in one go.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn write(&mut self, lines: u64) -> io::Result<()> {
        self.make(lines)?;
        self.file.write_all(&self.buffer)
    }

    /// Writes `lines` lines in two goes that meet somewhere in the middle, `between` between them.
    ///
    /// # Errors
    ///
    /// Those of the system, and of `between`.
    pub fn write_torn(
        &mut self,
        lines: u64,
        between: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.make(lines)?;
        let middle = self.buffer.len() / 2 + 3;
        let (first, second) = self.buffer.split_at(middle.min(self.buffer.len()));
        self.file.write_all(first)?;
        between()?;
        self.file.write_all(second)
    }

    /// Writes until it is all there, however long the disk is full; calls `full` each time that it is.
    ///
    /// # Errors
    ///
    /// Those of the system other than a full disk, and of `full`.
    pub fn write_patiently(
        &mut self,
        lines: u64,
        mut full: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        self.make(lines)?;
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.file, rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::NOSPC) => full()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes lines that were made elsewhere, in one go.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)
    }

    fn make(&mut self, lines: u64) -> io::Result<()> {
        self.buffer.clear();
        self.maker.make(lines, &mut self.buffer);
        match &mut self.ledger {
            Some(ledger) => ledger.write_all(&self.buffer),
            None => Ok(()),
        }
    }

    /// Opens the file by its name again, as a program does that was told of a rotation; makes it where
    /// there is none.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
