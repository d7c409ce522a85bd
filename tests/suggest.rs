//! `lapwing suggest`: what it proposes is right, passes its own tests, and does what it says.

use std::fmt::Write as _;

use crate::host::Host;

/// A day of an application's log: a heartbeat every 30 s, an error now and then, a burst of them at
/// noon, and a line that would be more than text if it could.
fn log() -> String {
    let mut log = String::new();
    for minute in 0..1_440 {
        let (h, m) = (minute / 60, minute % 60);
        for s in [0, 30] {
            writeln!(log, "time=2026-11-20T{h:02}:{m:02}:{s:02}Z level=info msg=\"queue is alive\" depth={minute}").unwrap();
        }
        let errors = if minute == 720 {
            50
        } else {
            u32::from(minute % 7 == 0)
        };
        for n in 0..errors {
            writeln!(
                log,
                "time=2026-11-20T{h:02}:{m:02}:{:02}Z level=error msg=\"payment failed: it's {{{{ 7 * 7 }}}} for order {minute}{n}\"",
                31 + n % 20
            )
            .unwrap();
        }
    }
    log
}

#[test]
fn what_is_proposed_is_right_passes_its_tests_and_did_what_it_says() {
    let host = Host::new();
    host.write("app.log", log());
    let done = host.command(&["suggest", "app.log"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    host.write("suggested.yaml", &done.stdout);
    let text = &done.stdout;
    for said in [
        "# 3 rules from 3136 lines, 2026-11-20 00:00:00Z to 2026-11-20 23:59:30Z.",
        "  # would have fired: 1 alert, 2 messages, ",
        "    match: {contains: ['payment failed: it''s {{']}\n    type: frequency\n",
        "  # would not have fired; 2880 lines in 23h59m\n  - name: no-queue-is-alive\n",
        "    type: flatline\n    timeframe: 2m ",
        "  - name: new-trouble-logfmt\n",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let done = host.command(&["check", "suggested.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("nothing wrong"), "{}", done.stderr);
    let done = host.command(&["test", "suggested.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(!done.stderr.contains("without a test"), "{}", done.stderr);

    let quiet = "time=2026-11-20T09:00:00Z level=info msg=fine\n";
    host.write("quiet.log", quiet);
    let done = host.command(&["suggest", "quiet.log"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert_eq!(host.command(&["suggest", "-"]).code, 2);
    assert_eq!(host.command(&["suggest", "missing.log"]).code, 74);
}
