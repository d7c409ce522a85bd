//! The results as XML like `JUnit`'s, as CI servers read it: a suite for each rule, a case for each test.
//! There is no standard; <https://github.com/testmoapp/junitxml> describes what readers agree on.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Ran, shown};

/// Results, gathered rule by rule.
#[derive(Default)]
pub(super) struct Report {
    suites: Vec<Suite>,
}

struct Suite {
    rule: String,
    cases: String,
    tests: u64,
    failures: u64,
    took: Duration,
}

impl Report {
    /// Adds a test; those of one rule come in a row.
    pub(super) fn add(&mut self, ran: &Ran<'_>) {
        if self
            .suites
            .last()
            .is_none_or(|suite| suite.rule != ran.rule.name)
        {
            self.suites.push(Suite {
                rule: ran.rule.name.clone(),
                cases: String::new(),
                tests: 0,
                failures: 0,
                took: Duration::ZERO,
            });
        }
        let Some(suite) = self.suites.last_mut() else {
            return;
        };
        suite.tests += 1;
        suite.took += ran.took;
        let place = &ran.test.place;
        let case = format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\"",
            escaped(&ran.rule.name),
            escaped(&ran.test.name),
            escaped(&place.file),
            place.line,
            ran.took.as_secs_f64()
        );
        suite.cases.push_str(&case);
        if ran.passed() {
            suite.cases.push_str("/>\n");
            return;
        }
        suite.failures += 1;
        let reasons: Vec<String> = ran
            .outcome
            .mismatches
            .iter()
            .map(|mismatch| shown::reason(ran, mismatch))
            .collect();
        // Writing to a String cannot fail.
        writeln!(
            suite.cases,
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            escaped(&format!("at {}", reasons.join("; at "))),
            escaped(&shown::failure(ran))
        )
        .ok();
    }

    /// The whole document.
    pub(super) fn finish(self) -> String {
        let (tests, failures, took) =
            self.suites
                .iter()
                .fold((0, 0, Duration::ZERO), |(tests, failures, took), suite| {
                    (
                        tests + suite.tests,
                        failures + suite.failures,
                        took + suite.took,
                    )
                });
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"lapwing\" {}>\n",
            figures(tests, failures, took)
        );
        for suite in self.suites {
            // Writing to a String cannot fail.
            write!(
                text,
                "  <testsuite name=\"{}\" {}>\n{}  </testsuite>\n",
                escaped(&suite.rule),
                figures(suite.tests, suite.failures, suite.took),
                suite.cases
            )
            .ok();
        }
        text.push_str("</testsuites>\n");
        text
    }
}

fn figures(tests: u64, failures: u64, took: Duration) -> String {
    format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{:.6}\"",
        took.as_secs_f64()
    )
}

/// As XML text or attribute. What XML 1.0 cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // An attribute would be read with a space in their place.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            c => out.push(c),
        }
    }
    out
}
