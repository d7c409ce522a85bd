//! What `backtest` shows beyond the notifications: nights, noisy groups, two rule sets side by side,
//! and the page.

use crate::host::{Done, Host, json_lines};

const RULES: &str = r"
rules:
  - name: failures
    summary: '{{ count }} failures of {{ user }}: {{ fields.why }}'
    match: {contains: ['login failed']}
    type: frequency
    num_events: 3
    timeframe: 1m
    group_by: [user]
  - name: by-shadow
    mode: shadow
    match: {contains: ['shutting down']}
    type: any
";

/// So many failures of a user from a time on, a second apart.
fn failures(user: &str, at: &str, count: u32) -> String {
    let line = |n| format!("time=2026-11-20T{at}:{n:02}Z msg=\"login failed\" user={user} why=x\n");
    (0..count).map(line).collect()
}

fn host() -> Host {
    let host = Host::new();
    host.write("rules.yaml", RULES);
    let end = "time=2026-11-20T16:00:00Z msg=\"shutting down\"\n";
    let bob = |at, count| failures("bob", at, count);
    let (night, morning, afternoon) = (bob("03:00", 5), bob("09:00", 4), bob("15:00", 3));
    let eve = failures("eve", "15:00", 2);
    host.write("app.log", format!("{night}{morning}{eve}{afternoon}{end}"));
    host
}

fn backtest(host: &Host, args: &[&str]) -> Done {
    let mut all = vec!["backtest", "--rules", "rules.yaml"];
    all.extend(args);
    all.push("app.log");
    let out = host.lapwing(&all).env("TZ", "UTC").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done = Done {
        code: out.status.code().unwrap_or(-1),
        stdout: text(out.stdout),
        stderr: text(out.stderr),
    };
    assert_eq!(done.code, 0, "{}", done.stderr);
    done
}

#[test]
fn the_summary_tells_nights_hours_shadows_and_noisy_groups() {
    let host = host();
    let done = backtest(&host, &[]);
    for said in [
        "7 messages about 4 alerts, 2 at night (22–7 UTC), 1 of them by shadow rules.",
        "14 hits, 3 alerts, 6 messages, 2 at night",
        "Noisiest groups:\n     6  failures  user=bob\n",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    let done = backtest(&host, &["--json"]);
    let objects = json_lines(&done.stdout);
    let details = &objects.last().unwrap()["details"];
    assert_eq!(details["at_night"], 2);
    assert_eq!(details["shadow"], 1);
    assert_eq!(details["hours"][3], 2);
    assert_eq!(details["at_night_by_rule"]["failures"], 2);
    assert_eq!(details["noisiest"][0]["group"], "user=bob");
}

#[test]
fn two_rule_sets_are_held_against_each_other() {
    let host = host();
    // Two are enough, so each alert begins a second earlier, and eve's is new.
    host.write(
        "new.yaml",
        RULES
            .replace("num_events: 3", "num_events: 2")
            .replace("by-shadow", "other"),
    );
    let done = backtest(&host, &["--against", "rules.yaml"]);
    let said = "4 the same, 0 appear, 0 vanish, 0 move; 7 messages before, 7 now.";
    assert!(done.stdout.contains(said), "{}", done.stdout);

    let args = [
        "backtest",
        "--rules",
        "new.yaml",
        "--against",
        "rules.yaml",
        "app.log",
    ];
    let done = host.command(&args);
    for said in [
        "0 the same, 2 appear, 1 vanish, 3 move",
        "+ 2026-11-20 15:00:01Z  failures  2 failures of eve: x\n",
        "~ 2026-11-20 03:00:01Z  failures  2 failures of bob: x, was 2026-11-20 03:00:02Z\n",
        "- 2026-11-20 16:00:00Z  by-shadow  ",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    let mut args = args.to_vec();
    args.insert(1, "--json");
    let objects = json_lines(&host.command(&args).stdout);
    let kinds: Vec<&str> = objects
        .iter()
        .filter_map(|object| object["change"]["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["moves", "moves", "appears", "moves", "vanishes", "appears"]
    );
    let against = &objects.last().unwrap()["details"]["against"];
    assert_eq!(
        (&against["move"], &against["vanish"]),
        (&3.into(), &1.into())
    );

    let done = host.command(&["backtest", "--against", "rules.yaml", "-"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
}

#[test]
fn the_page_stands_by_itself_and_log_text_in_it_is_text() {
    let host = host();
    let hostile =
        "</pre><script>alert(1)</script><img src=http://192.0.2.1/x>\u{202e}\\u001b[31m\"'";
    let line = |n| {
        let why = hostile.replace('"', "\\\"");
        format!("time=2026-11-20T12:00:0{n}Z msg=\"login failed\" user=\"{why}\" why=\"{why}\"\n")
    };
    host.append("app.log", (0..3).map(line).collect::<String>());
    let done = backtest(&host, &["--html", "page.html", "--against", "rules.yaml"]);
    assert!(done.stdout.contains("8 messages"), "{}", done.stdout);
    let page = host.read("page.html");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    for refused in [
        "<script", "<img", "<link", "<iframe", " src=", " href=", "url(", "@import", "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!page.contains(refused) || refused == " src=", "{refused}");
    }
    let unescaped = page.replace("&lt;img src=", "");
    assert!(!unescaped.contains(" src="), "{unescaped}");
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark"));
    // One rectangle for each of bob's alerts, the hits in front of them.
    assert!(
        page.contains("<title>2026-11-20 03:00:02Z</title>"),
        "{page}"
    );
    let opened = page.matches("<details>").count();
    assert_eq!((opened, page.matches("</details>").count()), (5, 5));
}

#[test]
fn a_silence_holds_back_what_it_matches_and_that_is_shown() {
    let host = host();
    let silence = ["--silence", "rule=failures, user=~bo.", "--json"];
    let mut told = json_lines(&backtest(&host, &silence).stdout);
    let summary = told.pop().unwrap();
    let rules: Vec<&str> = told.iter().map(|n| n["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["by-shadow"]);
    let failures = &summary["summary"]["rules"]["failures"];
    assert_eq!(failures["held_back"]["silenced"], 3, "{failures}");
    let eve = backtest(&host, &["--silence", "user=eve", "--json"]);
    assert_eq!(json_lines(&eve.stdout).len(), 8, "{}", eve.stdout);
    let shown = backtest(&host, &silence[..2]).stdout;
    assert!(shown.contains("Not sent: 3 silenced"), "{shown}");
    let wrong = host.command(&[
        "backtest",
        "--silence",
        "nonsense",
        "--rules",
        "rules.yaml",
        "app.log",
    ]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}
