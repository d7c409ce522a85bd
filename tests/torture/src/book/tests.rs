//! Agents that lose, repeat and swap lines, and what is made of them.

use super::*;

const LINES: u64 = 2 * BLOCK + 100;

/// What an agent would tell of lines that it saw, in any number of alerts.
#[derive(Clone, Debug, Default)]
struct Agent {
    seen: Vec<u64>,
}

impl Agent {
    fn that_saw(seen: impl IntoIterator<Item = u64>) -> Self {
        Self {
            seen: seen.into_iter().collect(),
        }
    }

    fn tell(&self, book: &Book) {
        let mut blocks: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for &n in &self.seen {
            blocks.entry(n / BLOCK).or_default().push(n);
        }
        for (block, lines) in &blocks {
            tell(
                book,
                "rows",
                &format!("{block}"),
                &json_group("b", *block),
                lines.len(),
                &top_of(lines),
            );
        }
        self.tell_each(book);
        tell(book, "total", "all", r#"{"w":"0"}"#, self.seen.len(), "{}");
        let mut tens: BTreeMap<u64, usize> = BTreeMap::new();
        for n in &self.seen {
            if n % MARK == 0 {
                tell(
                    book,
                    "marks",
                    &format!("{n}"),
                    &json_group("mark", *n),
                    1,
                    "{}",
                );
            }
            if n % lines::TENTH == 0 {
                *tens.entry(n / MARK).or_default() += 1;
            }
        }
        for (ten, count) in tens {
            if count >= 10 {
                tell(
                    book,
                    "tens",
                    &format!("{ten}"),
                    &json_group("ten", ten),
                    count,
                    "{}",
                );
            }
        }
    }
}

impl Agent {
    fn tell_each(&self, book: &Book) {
        let mut parts: BTreeMap<(u64, u64), BTreeMap<String, BTreeMap<u64, u64>>> = BTreeMap::new();
        let digit = |n: u64, digit: u32| n % BLOCK / 5_u64.pow(digit) % 5;
        for &n in &self.seen {
            let part = parts.entry((n / BLOCK, digit(n, 3))).or_default();
            let name = format!("u{}{}", digit(n, 2), digit(n, 1));
            *part
                .entry(name)
                .or_default()
                .entry(digit(n, 0))
                .or_default() += 1;
        }
        for ((b, d3), names) in parts {
            let top: Vec<String> = names
                .iter()
                .map(|(name, values)| {
                    let pairs: Vec<String> = values
                        .iter()
                        .map(|(value, times)| format!(r#"["{value}",{times}]"#))
                        .collect();
                    format!(r#""{name}":[{}]"#, pairs.join(","))
                })
                .collect();
            let group = format!(r#"{{"b":"{b}","d3":"{d3}","w":"0"}}"#);
            let top = format!("{{{}}}", top.join(","));
            tell(book, "each", &format!("{b}-{d3}"), &group, 1, &top);
        }
    }
}

fn json_group(name: &str, value: u64) -> String {
    format!(r#"{{"{name}":"{value}","w":"0"}}"#)
}

fn top_of(lines: &[u64]) -> String {
    let digit = |digit: u32| {
        let mut counts = [0; 5];
        for n in lines {
            let value = n % BLOCK / 5_u64.pow(digit) % 5;
            counts[usize::try_from(value).unwrap()] += 1;
        }
        let pairs: Vec<String> = (0..5)
            .filter(|value| counts[*value] > 0)
            .map(|value| format!(r#"["{value}",{}]"#, counts[value]))
            .collect();
        format!(r#""d{digit}":[{}]"#, pairs.join(","))
    };
    format!(
        "{{{}}}",
        (0..DIGITS).map(digit).collect::<Vec<_>>().join(",")
    )
}

fn tell(book: &Book, rule: &str, id: &str, group: &str, count: usize, top: &str) {
    say(book, rule, (id, 1), group, count, top);
}

fn say(book: &Book, rule: &str, (id, seq): (&str, u64), group: &str, count: usize, top: &str) {
    let body = format!(
        r#"{{"rule":"{rule}","id":"{rule}-{id}","seq":{seq},"status":"firing","reason":"first","group":{group},"count":{count},"top":{top},"started_at":"2026-11-21T09:00:00Z"}}"#
    );
    book.take(&format!("{rule}-{id}/{seq}"), body.as_bytes());
}

fn judged(agent: &Agent) -> Accounts {
    let book = Book::default();
    agent.tell(&book);
    book.judge(&written())
}

fn written() -> Written {
    Written {
        lines: [(0, LINES)].into(),
        ..Written::default()
    }
}

#[test]
fn an_agent_that_saw_every_line_once_is_believed() {
    let accounts = judged(&Agent::that_saw(0..LINES));
    assert_eq!((accounts.written, accounts.seen), (LINES, LINES));
    let wrong = [
        accounts.lost,
        accounts.repeated,
        accounts.swapped,
        accounts.disagreeing,
        accounts.second_ids,
        accounts.untold,
        accounts.seq_gaps,
        accounts.torn,
        accounts.repeats,
        accounts.wrong_keys,
    ];
    assert_eq!(wrong, [0; 10]);
}

#[test]
fn a_single_lost_line_is_seen_and_so_is_a_single_repeated_one() {
    let lost = judged(&Agent::that_saw((0..LINES).filter(|n| *n != 700)));
    assert_eq!((lost.lost, lost.repeated), (1, 0));
    let repeated = judged(&Agent::that_saw((0..LINES).chain([700])));
    assert_eq!((repeated.lost, repeated.repeated), (0, 1));
}

#[test]
fn one_lost_and_another_repeated_in_the_same_block_do_not_make_up_for_each_other() {
    for (lost, repeated) in [(700, 701), (700, 705), (625, 1_249), (650, 675)] {
        let seen = (0..LINES).filter(|n| *n != lost).chain([repeated]);
        let accounts = judged(&Agent::that_saw(seen));
        assert_eq!((accounts.lost, accounts.repeated), (0, 0));
        assert_eq!(accounts.swapped, 1, "{lost} {repeated}");
    }
    // Whole stretches, as reading again from a wrong place makes them.
    let seen = (0..LINES)
        .filter(|n| !(650..675).contains(n))
        .chain(675..700);
    assert_eq!(judged(&Agent::that_saw(seen)).swapped, 1);
}

#[test]
fn a_block_that_is_told_again_under_its_old_name_shows_in_the_total() {
    let book = Book::default();
    Agent::that_saw(0..LINES).tell(&book);
    // The same ids, the same seq; only the total, which never ends, has counted on.
    let more = usize::try_from(LINES + BLOCK).unwrap();
    say(&book, "total", ("all", 2), r#"{"w":"0"}"#, more, "{}");
    assert_eq!(book.judge(&written()).disagreeing, BLOCK);
}

#[test]
fn a_second_id_a_gap_a_wrong_key_and_a_repeat_that_differs_are_told() {
    let book = Book::default();
    Agent::that_saw(0..LINES).tell(&book);
    say(
        &book,
        "marks",
        ("other", 1),
        &json_group("mark", 1_000),
        1,
        "{}",
    );
    say(
        &book,
        "rows",
        ("0", 4),
        &json_group("b", 0),
        625,
        &top_of(&(0..625).collect::<Vec<_>>()),
    );
    say(
        &book,
        "marks",
        ("0", 1),
        &json_group("mark", 0),
        1,
        r#"{"new":[]}"#,
    );
    book.take(
        "wrong/1",
        br#"{"rule":"torn","id":"torn-1","seq":1,"status":"firing","group":{},"count":3}"#,
    );
    let accounts = book.judge(&written());
    assert_eq!(accounts.second_ids, 1);
    assert_eq!(accounts.seq_gaps, 2);
    assert_eq!((accounts.repeats, accounts.differing), (1, 1));
    assert_eq!((accounts.wrong_keys, accounts.torn), (1, 3));
}

#[test]
fn a_mark_that_was_not_told_is_missed() {
    let book = Book::default();
    let agent = Agent::that_saw(0..LINES);
    let without_mark = Agent::that_saw((0..LINES).filter(|n| *n != 1_000));
    without_mark.tell(&book);
    let accounts = book.judge(&written());
    assert_eq!((accounts.lost, accounts.untold), (1, 1));
    assert_eq!(judged(&agent).untold, 0);
}

fn destroyed(lines: Range<u64>) -> Written {
    Written {
        destroyed: [(0, lines.collect())].into(),
        ..written()
    }
}

#[test]
fn lines_that_a_rotation_destroyed_are_no_loss_and_those_read_in_time_are_saved() {
    let written = destroyed(700..710);
    for (missing, lost, saved) in [(700..710, 0, 0), (700..704, 0, 6), (700..712, 2, 0)] {
        let book = Book::default();
        Agent::that_saw((0..LINES).filter(|n| !missing.contains(n))).tell(&book);
        let accounts = book.judge(&written);
        assert_eq!(
            (accounts.lost, accounts.saved),
            (lost, saved),
            "{missing:?}"
        );
        assert_eq!((accounts.singly_lost, accounts.disagreeing), (lost, 0));
    }
}

#[test]
fn a_line_lost_beside_one_that_was_destroyed_and_read_in_time_is_lost() {
    let book = Book::default();
    // As many as were destroyed, and one of them another.
    let missing = [700, 702, 703, 720];
    Agent::that_saw((0..LINES).filter(|n| !missing.contains(n))).tell(&book);
    let accounts = book.judge(&destroyed(700..704));
    assert_eq!((accounts.lost, accounts.singly_lost), (0, 1));
}

#[test]
fn a_line_repeated_beside_one_that_was_destroyed_is_repeated() {
    let book = Book::default();
    let seen = (0..LINES).filter(|n| !(700..704).contains(n));
    Agent::that_saw(seen.chain([699])).tell(&book);
    let accounts = book.judge(&destroyed(700..704));
    assert_eq!((accounts.repeated, accounts.singly_repeated), (0, 1));
    assert_eq!((accounts.lost, accounts.singly_lost), (0, 0));
}
