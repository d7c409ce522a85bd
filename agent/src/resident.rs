//! Keeps the process small. Two things make an agent that does nothing large, and both are given back:
//! memory that was freed, and that the allocator keeps between what is in use; and the pages of the
//! program that only the start, or an alert some time ago, needed: the parsers of configuration and
//! rules, the planner of the search, TLS. The system maps them in stretches of 64 KiB around each place
//! that is touched, so that each leaves nearly all of the binary resident; what an idle agent goes
//! through is a tenth of it.
//!
//! Nothing is lost by it: a page of the program that is wanted again is mapped again from the page cache.
//! It costs a millisecond or two, so it is done when something has grown, and not by the clock.

use std::fs;
use std::ops::Range;

/// What is allocated at once with so many bytes and more is given back to the system when it is freed.
/// glibc's own bound grows with what is freed, up to 32 MiB, and a start with very many files then
/// leaves behind holes as large as what it needed. Larger than any buffer that lines are read into, which
/// would otherwise be mapped anew with every batch.
const OF_ITS_OWN: i32 = 1024 * 1024;
/// So much more than was in use, and it is worth the work.
const WORTH_BYTES: u64 = 1024 * 1024;
/// What was in use when it was last measured may not be any more: so many looks later it is found out.
const MOST_LOOKS: u32 = 60;

/// Bounds what the allocator keeps for itself. For the beginning of a process, before there are threads.
#[expect(
    unsafe_code,
    reason = "no safe call reaches the allocator; measured: 12 of 64 MB at the start with 10,000 files"
)]
pub fn bound_allocator() {
    // SAFETY: it sets two numbers, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OF_ITS_OWN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, OF_ITS_OWN);
    }
}

/// Decides when it is worth giving something back. Pure but for [`resident`].
#[derive(Debug, Default)]
pub struct Upkeep {
    /// What was resident soon after it was last done.
    in_use: u64,
    looks: u32,
}

impl Upkeep {
    /// Whether to [`give_back`], of a process that has so many `resident` bytes.
    pub fn is_worth(&mut self, resident: u64) -> bool {
        self.looks += 1;
        let is_worth = resident >= self.in_use + WORTH_BYTES || self.looks >= MOST_LOOKS;
        if is_worth {
            self.looks = 0;
        }
        is_worth
    }

    /// It was done, and what is in use has come back: so much is resident now.
    pub fn was_done(&mut self, resident: u64) {
        self.in_use = resident;
    }
}

/// Bytes of this process that are resident; 0 where the system does not say.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

/// Gives freed memory back, and drops the mappings' pages of this process's own program, of its libraries
/// too. Gives how many bytes of address space these were; 0 where the system does not say what is mapped.
///
/// Takes a millisecond or two, and some 0.2 ms more of faults, spread over the next seconds.
pub fn give_back() -> usize {
    trim();
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let clean = clean_mappings(&maps);
    clean.into_iter().filter_map(drop_pages).sum()
}

#[expect(unsafe_code, reason = "no safe call reaches the allocator")]
fn trim() {
    // SAFETY: it gives back pages that hold nothing allocated, under the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// The mappings that hold code and constants as they stand in a file: private, not writable, and with no
/// page that differs from the file (relocated addresses, a debugger's breakpoints).
fn clean_mappings(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), second) = (words.next(), words.next()) else {
            continue;
        };
        if let Some(range) = range(first) {
            let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
            let is_constant = matches!(second, Some("r-xp" | "r--p"));
            current = (is_constant && is_file).then_some(range);
        } else if first == "Anonymous:"
            && let Some(range) = current.take()
            && second == Some("0")
        {
            found.push(range);
        }
    }
    found
}

/// `55d0c0000000-55d0c0285000`.
fn range(word: &str) -> Option<Range<usize>> {
    let (start, end) = word.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

/// `None` where the system refuses.
#[expect(
    unsafe_code,
    reason = "no safe call can name a mapping; measured: an idle agent's resident memory is halved"
)]
fn drop_pages(range: Range<usize>) -> Option<usize> {
    use rustix::mm::{Advice, madvise};

    let start = std::ptr::without_provenance_mut(range.start);
    // SAFETY: the range is one whole mapping, private, not writable, without a page of its own: every
    // byte of it is that of the file, before and after. No Rust object lies in it that could change. It
    // is still what it was when it was read of a moment ago, because nothing in this process unloads a
    // library or unmaps code.
    unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) }.ok()?;
    Some(range.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_in_a_file_as_it_is_is_given_back() {
        let smaps = "\
55d000000000-55d000100000 r--p 00000000 fd:00 1 /usr/bin/lapwing
Rss:                 400 kB
Anonymous:             0 kB
55d000100000-55d000700000 r-xp 00100000 fd:00 1 /usr/bin/lapwing
Rss:                5776 kB
Anonymous:             0 kB
55d000700000-55d000760000 r--p 00700000 fd:00 1 /usr/bin/lapwing
Rss:                 328 kB
Anonymous:           328 kB
7f0000000000-7f0000100000 r-xp 00000000 fd:00 2 /usr/lib/libc.so.6
Anonymous:             4 kB
7f0000200000-7f0000300000 r-xp 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        let constants = 0x55d0_0000_0000..0x55d0_0010_0000;
        let code = 0x55d0_0010_0000..0x55d0_0070_0000;
        assert_eq!(clean_mappings(smaps), vec![constants, code]);
        assert!(clean_mappings("").is_empty());
    }

    #[test]
    fn what_has_grown_is_given_back_and_an_idle_process_does_nothing() {
        const MB: u64 = 1024 * 1024;
        let mut upkeep = Upkeep::default();
        assert!(upkeep.is_worth(14 * MB), "after the start");
        upkeep.was_done(5 * MB);
        assert!((0..50).all(|_| !upkeep.is_worth(5 * MB + MB / 2)), "idle");
        assert!(upkeep.is_worth(9 * MB), "after an alert");
        upkeep.was_done(9 * MB);
        let quiet = (1..60).take_while(|_| !upkeep.is_worth(9 * MB)).count();
        assert_eq!(quiet, 59, "in use");
        assert!(upkeep.is_worth(9 * MB), "is it still?");
    }

    #[test]
    fn freed_memory_is_given_back() {
        const PIECE: usize = 4 * 1024;
        let pieces: Vec<Vec<u8>> = (0..16_000).map(|_| vec![1; PIECE]).collect();
        let full = resident();
        // One in a hundred stays and keeps the allocator from giving up the end of its memory.
        let kept: Vec<Vec<u8>> = pieces.into_iter().step_by(100).collect();
        give_back();
        let left = resident();
        assert!(full > 60 * 1024 * 1024, "{full}");
        // Other tests of this process may have grown meanwhile.
        assert!(left + 30 * 1024 * 1024 < full, "{left} of {full}");
        assert!(kept.iter().flatten().all(|&byte| byte == 1));
    }

    #[test]
    fn the_program_goes_on_as_before() {
        assert!(give_back() > 0);
        let sum: u32 = (1..=100).sum();
        assert_eq!(format!("{sum}"), "5050");
    }
}
