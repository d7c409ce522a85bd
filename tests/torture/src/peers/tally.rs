//! What a peer has seen: read from the file that it writes every line to, or from a counter for each
//! block that it shows over HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::book::Written;
use crate::lines::{self, BLOCK};

/// How often each line came out at the end of a file that only grows.
#[derive(Debug)]
pub(super) struct Tally {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
    counts: Vec<u8>,
    seen: u64,
}

impl Tally {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            rest: Vec::new(),
            counts: Vec::new(),
            seen: 0,
        }
    }

    /// Lines until now, repeated ones included.
    pub(super) fn seen(&mut self) -> u64 {
        // Not there yet: nothing was seen.
        drop(self.read());
        self.seen
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let more = file.read_to_end(&mut self.rest)?;
        self.offset += u64::try_from(more).unwrap_or(0);
        let whole = self
            .rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        for (_, number) in lines::numbers(&text) {
            let number = usize::try_from(number).unwrap_or(0);
            if self.counts.len() <= number {
                self.counts.resize(number + 1, 0);
            }
            self.counts[number] = self.counts[number].saturating_add(1);
            self.seen += 1;
        }
        Ok(())
    }

    /// Lines lost, and lines too many.
    pub(super) fn judge(&mut self, written: u64) -> (u64, u64) {
        self.seen();
        let all = usize::try_from(written).unwrap_or(usize::MAX);
        self.counts.resize(all, 0);
        let lost = self.counts.iter().map(|count| u64::from(*count == 0));
        let repeated = self
            .counts
            .iter()
            .map(|count| u64::from(count.saturating_sub(1)));
        (lost.sum(), repeated.sum())
    }
}

/// Counters by block, over all lives of a peer that forgets them when it ends.
#[derive(Debug, Default)]
pub(super) struct Scrape {
    before: BTreeMap<u64, u64>,
    now: BTreeMap<u64, u64>,
}

impl Scrape {
    /// Asks it; what it does not answer is as it was.
    pub(super) fn ask(&mut self, port: u16) {
        let Some(text) = get(port) else { return };
        self.now = text
            .lines()
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("rows{")?.rsplit_once("} ")?;
                let block = name.split("b=\"").nth(1)?.split('"').next()?;
                Some((block.parse().ok()?, value.trim().parse().ok()?))
            })
            .collect();
    }

    /// Its counters begin anew.
    pub(super) fn ended(&mut self) {
        for (block, count) in std::mem::take(&mut self.now) {
            *self.before.entry(block).or_default() += count;
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.before.values().chain(self.now.values()).sum()
    }

    /// Lines lost, and lines too many, by blocks: where both happened in one, less of both.
    pub(super) fn judge(&self, written: &Written) -> (u64, u64) {
        let lines: u64 = written.lines.values().sum();
        let (mut lost, mut repeated) = (0, 0);
        for block in 0..lines.div_ceil(BLOCK) {
            let expected = BLOCK.min(lines - block * BLOCK);
            let count = |of: &BTreeMap<u64, u64>| of.get(&block).copied().unwrap_or(0);
            let seen = count(&self.before) + count(&self.now);
            lost += expected.saturating_sub(seen);
            repeated += seen.saturating_sub(expected);
        }
        (lost, repeated)
    }
}

fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
