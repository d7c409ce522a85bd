//! Results: as lines of a CSV file in `benches/record`, and as the README's table made from one.
//!
//! A file is called after its day and processor. A figure's unit is in the line; `times` says how
//! many times better lapwing was than that engine in the same run, so above 1 is lapwing's.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::contest::{Figure, Outcome};

const HEAD: &str =
    "part,corpus,rules,engine,unit,median,least,most,times,times_least,times_most,hits";
const BEGIN: &str = "<!-- record -->";
const END: &str = "<!-- end of record -->";

/// One figure of one engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `scan`, `process` or `build`.
    pub part: String,
    /// The log, or nothing.
    pub corpus: String,
    /// The rule set.
    pub rules: String,
    /// Who.
    pub engine: String,
    /// Of `figure`: `MB/s` (10^6 bytes), `ms`, `MB`.
    pub unit: String,
    /// What was measured; noisy, and of this machine only.
    pub figure: Figure,
    /// How many times better lapwing was.
    pub times: Figure,
    /// What it counted in a round.
    pub hits: u64,
}

/// A run: where and when, and what came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// In UTC, as `2026-11-21`.
    pub day: String,
    /// As [`crate::machine::processor`] says.
    pub processor: String,
    /// Versions and sizes, in a sentence.
    pub setting: String,
    /// The figures.
    pub rows: Vec<Row>,
}

/// `outcomes` of one contest, lapwing's first.
pub fn rows(part: &str, corpus: &str, rules: &str, outcomes: &[Outcome]) -> Vec<Row> {
    let rows = outcomes.iter().map(|outcome| Row {
        part: part.to_owned(),
        corpus: corpus.to_owned(),
        rules: rules.to_owned(),
        engine: outcome.name.clone(),
        unit: "MB/s".to_owned(),
        figure: Figure::of(outcome.rates.clone()),
        times: outcomes[0].times(outcome),
        hits: outcome.hits,
    });
    rows.collect()
}

impl Record {
    /// As a file.
    pub fn csv(&self) -> String {
        let mut text = format!(
            "# {}\n# {}\n# {}\n{HEAD}\n",
            self.day, self.processor, self.setting
        );
        for row in &self.rows {
            let (figure, times) = (row.figure, row.times);
            writeln!(
                text,
                "{},{},{},{},{},{:.1},{:.1},{:.1},{:.3},{:.3},{:.3},{}",
                row.part,
                row.corpus,
                row.rules,
                row.engine,
                row.unit,
                figure.median,
                figure.least,
                figure.most,
                times.median,
                times.least,
                times.most,
                row.hits
            )
            .expect("memory takes all");
        }
        text
    }

    /// What [`Record::csv`] gave.
    ///
    /// # Errors
    ///
    /// When it is not such a text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let mut comment = || {
            let line = lines.next().and_then(|line| line.strip_prefix("# "));
            line.map(str::to_owned)
                .context("a record begins with three comments")
        };
        let (day, processor, setting) = (comment()?, comment()?, comment()?);
        ensure!(lines.next() == Some(HEAD), "not the columns of a record");
        let rows: anyhow::Result<_> = lines.map(row).collect();
        Ok(Self {
            day,
            processor,
            setting,
            rows: rows?,
        })
    }

    /// Such as `2026-11-21-amd-epyc-avx512-vbmi.csv`.
    pub fn file_name(&self) -> String {
        let words = self.processor.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<String> = words
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        format!("{}-{}.csv", self.day, words.join("-"))
    }

    /// The README's section: ratios only.
    pub fn table(&self) -> String {
        let mut text = format!(
            "How many times as fast as others lapwing finds every (rule, line) pair, nginx / mixed syslog;\n\
             {}, {}, one core ({}):\n\n",
            self.day, self.processor, self.setting
        );
        let columns = [
            ("scan", "hyperscan", "Hyperscan"),
            ("scan", "regexset", "RegexSet"),
            ("scan", "regex-filtered", "regex-filtered"),
            ("scan", "aho-corasick", "aho-corasick, literals only"),
            ("process", "ripgrep", "ripgrep, whole process"),
        ];
        let titles: Vec<&str> = columns.iter().map(|(_, _, title)| *title).collect();
        writeln!(text, "| rules | ÷ {} |", titles.join(" | ÷ ")).expect("memory takes all");
        writeln!(text, "| --- |{}", " ---: |".repeat(columns.len())).expect("memory takes all");
        for rules in self.rule_sets() {
            write!(text, "| {rules} |").expect("memory takes all");
            for (part, engine, _) in columns {
                let cell = ["nginx", "mixed"].map(|corpus| self.cell(part, corpus, rules, engine));
                write!(text, " {} / {} |", cell[0], cell[1]).expect("memory takes all");
            }
            text.push('\n');
        }
        text
    }

    fn rule_sets(&self) -> Vec<&str> {
        let mut sets = Vec::new();
        for row in self.rows.iter().filter(|row| row.part == "scan") {
            if !sets.contains(&row.rules.as_str()) {
                sets.push(&row.rules);
            }
        }
        sets
    }

    fn cell(&self, part: &str, corpus: &str, rules: &str, engine: &str) -> String {
        let row = self.rows.iter().find(|row| {
            row.part == part && row.corpus == corpus && row.rules == rules && row.engine == engine
        });
        match row.map(|row| row.times.median) {
            None => "–".to_owned(),
            Some(times) if times < 0.995 => format!("{times:.2}"),
            Some(times) if times < 9.95 => format!("{times:.1}"),
            Some(times) => format!("{times:.0}"),
        }
    }
}

fn row(line: &str) -> anyhow::Result<Row> {
    let cells: Vec<&str> = line.split(',').collect();
    let [part, corpus, rules, engine, unit, figures @ .., hits] = cells.as_slice() else {
        anyhow::bail!("not a line of a record: {line}");
    };
    let figures: Vec<f64> = figures
        .iter()
        .map(|figure| figure.parse())
        .collect::<Result<_, _>>()
        .with_context(|| line.to_owned())?;
    let [median, least, most, times, times_least, times_most] = figures[..] else {
        anyhow::bail!("not a line of a record: {line}");
    };
    Ok(Row {
        part: (*part).to_owned(),
        corpus: (*corpus).to_owned(),
        rules: (*rules).to_owned(),
        engine: (*engine).to_owned(),
        unit: (*unit).to_owned(),
        figure: Figure {
            median,
            least,
            most,
        },
        times: Figure {
            median: times,
            least: times_least,
            most: times_most,
        },
        hits: hits.parse().with_context(|| line.to_owned())?,
    })
}

/// The workspace, where it was built.
///
/// # Panics
///
/// Never: this package lies in the workspace.
pub fn workspace() -> &'static Path {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    benches.parent().expect("benches lies in the workspace")
}

/// The newest record in `benches/record` by its name.
///
/// # Errors
///
/// When there is none, or it cannot be read.
pub fn newest() -> anyhow::Result<Record> {
    let folder = workspace().join("benches/record");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    let newest = files.into_iter().max().context("there is no record")?;
    Record::parse(&fs::read_to_string(newest)?)
}

/// `readme` with the record's table between its markers.
///
/// # Errors
///
/// When it has no markers.
pub fn with_table(readme: &str, record: &Record) -> anyhow::Result<String> {
    let (before, rest) = readme.split_once(BEGIN).context("no `<!-- record -->`")?;
    let (_, after) = rest
        .split_once(END)
        .context("no `<!-- end of record -->`")?;
    Ok(format!("{before}{BEGIN}\n{}{END}{after}", record.table()))
}
