use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use lapwing_rules::scanner::{InputSpec, Listening};

use lapwing_rules::engine::Told;

use super::super::clockwork::LATENESS;
use super::*;
use crate::{cli, config};

/// 20 November 2025, 00:00 UTC: over for long.
const BEGIN: i64 = 1_763_596_800;

const RULES: &str = r"
version: 1
rules:
  - {name: all, match: {contains: [bad]}, type: frequency, num_events: 5, timeframe: 1m, realert: 1m, resolve_after: 1m, group_by: [host]}
  - {name: one, match: {contains: [worst]}, type: any, realert: 1s}
";

fn rules(folder: &Path) -> Arc<RuleSet> {
    let path = folder.join("rules.yaml");
    std::fs::write(&path, RULES).unwrap();
    let findings = config::load_rules(&[path.to_string_lossy().into_owned()]).unwrap();
    assert!(!findings.has_errors(), "{:?}", findings.problems);
    findings.into_rule_set()
}

fn line(second: i64, host: usize, what: &str) -> String {
    let time = jiff::Timestamp::from_second(BEGIN + second).unwrap();
    format!("{{\"time\":\"{time}\",\"host\":\"h{host}\",\"msg\":\"{what}\"}}\n")
}

/// How the lines of a log follow each other: the logs of a set differ in everything that matters
/// to the merge.
fn log(n: usize) -> String {
    let number = i64::try_from(n).unwrap();
    let mut text = String::new();
    match n % 5 {
        // Nothing to find for long, then the last line.
        0 => {
            for second in 0..2_500 {
                text.push_str(&line(second, n, "fine"));
            }
            text.push_str(&line(2_500 + number, n, "worst"));
        }
        // A hit a line: many more than may wait.
        1 => (0..2_500).for_each(|at| text.push_str(&line(number + at / 3, n % 3, "bad"))),
        // It goes back in time.
        2 => {
            for second in [300, 10, 20, 30, 15, 15, 15, 400, 401] {
                text.push_str(&line(second + number, 7, "bad"));
                text.push_str(&line(second + number, 7, "worst"));
            }
        }
        // Of the same seconds as others, without an end to its last line.
        3 => {
            (0..50).for_each(|at| text.push_str(&line(at * 40, n, "worst bad")));
            text.truncate(text.len() - 1);
        }
        // One after the other.
        _ => (0..200).for_each(|at| text.push_str(&line(number * 500 + at, n, "bad"))),
    }
    text
}

/// Writes the log plain, as gzip and as zstd in turn.
fn write(folder: &Path, n: usize, text: &str) -> PathBuf {
    let path = folder.join(format!("{n}.log"));
    let bytes = match (n / 2) % 3 {
        0 => text.as_bytes().to_vec(),
        1 => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(text.as_bytes(), 1).unwrap(),
    };
    std::fs::write(&path, bytes).unwrap();
    path
}

/// What a run says, with its totals.
fn replay(
    rules: &Arc<RuleSet>,
    paths: &[PathBuf],
    width: Width,
) -> (Vec<Notification>, Result<Totals, AgentError>) {
    let read = Arc::new(AtomicU64::new(0));
    let open = |path| Log::open(path, &Way::default(), &read).unwrap();
    let logs = paths.iter().map(|path| (open(path), Way::default()));
    let bounds = Bounds {
        since: Timestamp::MIN,
        until: None,
    };
    let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
    let mut said = Vec::new();
    let mut audience = Audience {
        told: &mut |notification| {
            said.push(notification);
            Ok(())
        },
        hit: &mut |_, _| {},
        goes_on: &|| {},
    };
    let replay = Replay::new(
        rules,
        &ways(),
        logs.collect(),
        (bounds, Vec::new()),
        now,
        width,
    );
    let totals = replay.and_then(|replay| replay.run(&mut audience));
    (said, totals)
}

/// One input for all, as without a configuration.
fn ways() -> Ways {
    let args = cli::Logs {
        config: None,
        input: None,
        format: None,
    };
    Ways::new(&args, None, "backtest").unwrap()
}

/// Merges as the contract says, all hits of all logs in memory.
fn slowly(rules: &Arc<RuleSet>, paths: &[PathBuf]) -> Vec<Notification> {
    let spec = InputSpec {
        name: "backtest".into(),
        format: None,
    };
    let mut scanner = Scanner::new(rules, &[spec], Listening::ToEverything);
    let terms = Terms {
        bounds: Bounds {
            since: Timestamp::MIN,
            until: None,
        },
        latest: Timestamp::MAX,
    };
    let mut streams: Vec<(Stream, Vec<Hit>)> = Vec::new();
    for path in paths {
        let mut stream = Stream::new(Log::open(path, &Way::default(), &Arc::default()).unwrap());
        stream.find_beginning(Detector::new(None));
        let mut hits = Vec::new();
        let each = &mut |hit: &Hit| hits.push(hit.clone());
        while stream.scan_batch(&mut scanner, terms, each).unwrap() == Going::On {}
        hits.reverse();
        streams.push((stream, hits));
    }
    streams.sort_by_key(|(stream, _)| stream.begins);
    let inputs = Arc::new(["backtest".into()]);
    let mut engine = Engine::new(Arc::clone(rules), config::host_name(), inputs);
    let (mut told, mut waiting) = (Vec::new(), Vec::new());
    let mut tell = |waiting: &mut Vec<Told>, until| {
        waiting.sort_by_key(|told: &Told| told.notification.sent_at);
        let behind = waiting.partition_point(|one| one.notification.sent_at < until);
        told.extend(waiting.drain(..behind).map(|one| one.notification));
    };
    while let Some((_, hits)) = streams
        .iter_mut()
        .filter(|(_, hits)| !hits.is_empty())
        .min_by_key(|(_, hits)| hits.last().map(|hit| hit.time))
    {
        let hit = hits.pop().unwrap();
        let now = hit.time.minus(LATENESS);
        engine.advance_before(now, &mut waiting);
        engine.observe(&hit, &mut waiting);
        tell(&mut waiting, now);
    }
    let end = streams.iter().filter_map(|(stream, _)| stream.ends).max();
    engine.advance(end.unwrap(), &mut waiting);
    tell(&mut waiting, Timestamp::MAX);
    told
}

fn width(cores: usize, most_open: usize) -> Width {
    Width { cores, most_open }
}

#[test]
fn many_logs_say_the_same_whoever_scans_them_and_however_they_are_named() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    let logs: Vec<String> = (0..20).map(log).collect();
    let (lines, bytes) = logs.iter().fold((0, 0), |(lines, bytes), log| {
        (lines + log.lines().count(), bytes + log.len())
    });
    let numbered = logs.iter().enumerate();
    let mut paths: Vec<PathBuf> = numbered
        .map(|(n, log)| write(folder.path(), n, log))
        .collect();
    for _ in 0..2 {
        let expected = slowly(&rules, &paths);
        assert!(expected.len() > 50, "{}", expected.len());
        for cores in [1, 2, 3, 100] {
            let (said, totals) = replay(&rules, &paths, width(cores, 64));
            let totals = totals.unwrap();
            assert!(
                said == expected,
                "{cores} cores: {} of {}",
                said.len(),
                expected.len()
            );
            assert_eq!((totals.lines, totals.bytes), (lines as u64, bytes as u64));
        }
        paths.reverse();
    }
}

#[test]
fn one_long_log_says_the_same_however_many_cores_search_it() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    // A few megabytes: quiet ones, some full of hits, lines without a time, and one that is cut.
    let quiet: String = (0..20_000)
        .map(|at| line(3_000 + at / 9, 0, "fine"))
        .collect();
    let too_long = format!("worst {}\n", "bad ".repeat(200_000));
    let text = [
        &log(2),
        &quiet,
        &log(1),
        "bad\nworst\n",
        &too_long,
        &quiet,
        &log(4),
        &log(3),
    ];
    let text = text.concat();
    let packed = folder.path().join("packed.zst");
    std::fs::write(&packed, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let plain = folder.path().join("plain.log");
    std::fs::write(&plain, &text).unwrap();
    for path in [plain, packed] {
        let paths = [path];
        let expected = slowly(&rules, &paths);
        assert!(expected.len() > 50, "{}", expected.len());
        for cores in [1, 2, 3, 8] {
            let (said, totals) = replay(&rules, &paths, width(cores, 64));
            let totals = totals.unwrap();
            assert!(
                said == expected,
                "{cores} cores: {} of {}",
                said.len(),
                expected.len()
            );
            let read = (text.lines().count() as u64, text.len() as u64);
            assert_eq!((totals.lines, totals.bytes), read, "{cores} cores");
        }
    }
}

#[test]
fn of_many_logs_few_are_open_and_what_is_said_is_the_same() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    // Without those that go back behind their beginning: these are found when they are opened.
    let paths: Vec<PathBuf> = (0..40)
        .filter(|n| n % 5 != 2)
        .map(|n| write(folder.path(), n, &log(n)))
        .collect();
    let expected = slowly(&rules, &paths);
    for (cores, most_open) in [(1, 1), (1, 3), (2, 1), (2, 5), (4, 8)] {
        let (said, totals) = replay(&rules, &paths, width(cores, most_open));
        totals.unwrap();
        assert!(
            said == expected,
            "{cores} cores, {most_open} open: {} of {}",
            said.len(),
            expected.len()
        );
    }
}

#[test]
fn a_log_that_breaks_off_is_told_behind_what_came_before_it() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    let healthy = write(folder.path(), 1, &log(1));
    let text: String = (0..40_000)
        .map(|at| line(at / 9, 3, &format!("worst {}", at * 7 % 1_009)))
        .collect();
    let whole = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let broken = folder.path().join("broken.zst");
    std::fs::write(&broken, &whole[..whole.len() - 1]).unwrap();
    let mut first = None;
    for cores in [1, 2, 5] {
        let (said, totals) = replay(&rules, &[healthy.clone(), broken.clone()], width(cores, 64));
        let error = totals.unwrap_err().to_string();
        assert!(
            error.contains("broken.zst") && error.contains("is cut off behind"),
            "{error}"
        );
        assert!(said.len() > 100, "{}", said.len());
        let first = first.get_or_insert_with(|| said.clone());
        assert!(said == *first, "{cores} cores");
        let (_, alone) = replay(&rules, std::slice::from_ref(&broken), width(cores, 64));
        assert_eq!(alone.unwrap_err().to_string(), error);
    }
}

#[test]
fn a_log_that_is_damaged_from_its_first_byte_is_told() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    let healthy = write(folder.path(), 4, &log(4));
    let broken = folder.path().join("broken.gz");
    std::fs::write(&broken, b"\x1f\x8bthis is not gzip").unwrap();
    for (cores, most_open) in [(1, 64), (2, 64), (1, 1), (2, 1)] {
        for paths in [vec![broken.clone()], vec![healthy.clone(), broken.clone()]] {
            let (_, totals) = replay(&rules, &paths, width(cores, most_open));
            let error = totals.unwrap_err().to_string();
            assert!(error.contains("broken.gz"), "{error}");
        }
    }
}

#[test]
fn an_audience_that_has_enough_ends_the_run() {
    let folder = TempDir::new().unwrap();
    let rules = rules(folder.path());
    let paths: Vec<PathBuf> = (0..6).map(|n| write(folder.path(), n, &log(n))).collect();
    for paths in [&paths[1..2], &paths] {
        let open = |path| Log::open(path, &Way::default(), &Arc::default()).unwrap();
        let logs = paths.iter().map(|path| (open(path), Way::default()));
        let bounds = Bounds {
            since: Timestamp::MIN,
            until: None,
        };
        let replay = Replay::new(
            &rules,
            &ways(),
            logs.collect(),
            (bounds, Vec::new()),
            Timestamp::MAX,
            width(3, 64),
        );
        let mut told = 0;
        let mut audience = Audience {
            told: &mut |_| {
                told += 1;
                Err(AgentError::Usage("enough".to_owned()))
            },
            hit: &mut |_, _| {},
            goes_on: &|| {},
        };
        let error = replay.unwrap().run(&mut audience).unwrap_err();
        assert_eq!((error.to_string().as_str(), told), ("enough", 1));
    }
}
