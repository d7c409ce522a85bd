//! The agent's own messages, when they come back: written to the journal, forwarded by a syslog daemon
//! to this very agent. Each alert about them would cause the next. Pure.

use lapwing_rules::fields::{Fields, Format};
use lapwing_rules::model::Text;
use memchr::memmem::Finder;

use crate::inputs::framer::Framed;

/// What the agent calls itself in a log.
const NAME: &str = "lapwing";

/// Knows them.
#[derive(Debug)]
pub struct Own {
    finder: Finder<'static>,
    /// Of which process; `None`: of any, of this run of the agent or an earlier one.
    pid: Option<String>,
    fields: Fields,
}

impl Own {
    /// Of the process `pid`.
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid: Some(pid.to_string()),
            ..Self::of_any()
        }
    }

    /// Of any process.
    pub fn of_any() -> Self {
        Self {
            finder: Finder::new(NAME),
            pid: None,
            fields: Fields::default(),
        }
    }

    /// Whether the word is in it at all, without which it is nobody's of these.
    pub fn may_be_own(&self, line: &[u8]) -> bool {
        self.finder.find(line).is_some()
    }

    /// Takes them out of `framed`, and gives how many there were. `hosts`: what this host is called.
    /// Costs one search for a word where there are none.
    pub(super) fn remove(&mut self, framed: &mut Framed, hosts: &[&str]) -> u64 {
        let mut removed = 0;
        let mut from = 0;
        while let Some(found) = framed
            .bytes
            .get(from..)
            .and_then(|rest| self.finder.find(rest))
        {
            let text = Text {
                bytes: &framed.bytes,
                records: &framed.records,
            };
            let record = text.about(from + found);
            let behind = text.behind(from + found);
            let line = framed.bytes.get(record.clone()).unwrap_or_default();
            if !self.is_own(line, hosts) {
                from = behind;
                continue;
            }
            let gone = behind - record.start;
            framed.bytes.drain(record.start..behind);
            framed.cut.retain(|start| *start != record.start);
            framed.records.retain(|other| other.start != record.start);
            let moved = |place: &mut usize| {
                if *place > record.start {
                    *place -= gone;
                }
            };
            framed.cut.iter_mut().for_each(moved);
            for other in &mut framed.records {
                if other.start > record.start {
                    *other = other.start - gone..other.end - gone;
                }
            }
            removed += 1;
            from = record.start;
        }
        removed
    }

    /// Whether this process on this host wrote it; of a reader that knows no process, any lapwing.
    pub fn is_own(&mut self, line: &[u8], hosts: &[&str]) -> bool {
        self.fields.clear();
        Format::Syslog.read(line, &mut self.fields);
        let is = |name: &str, value: &str| self.fields.get(name) == Some(value.as_bytes());
        let first_label = |host: &str| host.split('.').next().unwrap_or_default().to_owned();
        let host = self.fields.get("hostname").unwrap_or_default();
        let host = String::from_utf8_lossy(host);
        let from_here = if host.is_empty() {
            // Without a process either, any text that begins with the name would do.
            self.pid.is_some()
        } else {
            hosts
                .iter()
                .any(|ours| first_label(ours) == first_label(&host))
        };
        let is_process = self.pid.as_deref().is_none_or(|pid| is("procid", pid));
        is("appname", NAME) && is_process && from_here
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::append;
    use super::*;

    #[test]
    fn a_text_that_begins_with_the_name_and_bears_no_host_is_not_hidden() {
        let is_own = |line: &str| Own::of_any().is_own(line.as_bytes(), &["web-1"]);
        assert!(is_own("Nov 21 09:00:00 web-1 lapwing[78]: hook: refused"));
        assert!(!is_own("Nov 21 09:00:00 web-2 lapwing[78]: hook: refused"));
        assert!(!is_own("lapwing: hook: refused"));
        assert!(!is_own("Nov 21 09:00:00 web-1 nginx: lapwing"));
    }

    #[test]
    fn what_this_process_wrote_is_taken_out_and_nothing_else() {
        let lines = [
            "<11>Nov 21 09:00:00 web-1 nginx: lapwing is not up",
            "<11>Nov 21 09:00:00 web-1 lapwing[77]: output hook: refused",
            "<11>Nov 21 09:00:00 web-1 lapwing[78]: another process",
            "<11>1 2026-11-21T09:00:00Z web-1.example.com lapwing 77 - - refused",
            "<11>1 2026-11-21T09:00:00Z web-2 lapwing 77 - - another host",
            "a\nlapwing\nb",
            "<11>Nov 21 09:00:00 web-1 lapwing[77]: two\nlines",
            "0123456789012345678901234567890123456789012345678901234567890123456789 too long",
        ];
        let mut framed = Framed::default();
        for line in lines {
            append(line.as_bytes(), line.len() as u64, 70, &mut framed);
        }
        let removed = Own::new(77).remove(&mut framed, &["web-1"]);
        assert_eq!(removed, 3);
        let text = String::from_utf8(framed.bytes.clone()).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                lines[0],
                lines[2],
                lines[4],
                "a",
                "lapwing",
                "b",
                lines[7].get(..70).unwrap()
            ]
        );
        let texts = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap().to_owned();
        let records: Vec<_> = framed.records.iter().map(texts).collect();
        assert_eq!(records, ["a\nlapwing\nb\n"]);
        let cuts: Vec<_> = framed
            .cut
            .iter()
            .map(|at| text.get(*at..=*at).unwrap())
            .collect();
        assert_eq!(cuts, ["0"]);
    }
}
