//! A minute of the torture that `cargo run --release -p lapwing-torture` does for hours: the same harness
//! (`tests/torture`), small numbers, fixed seeds. What is found wrong is told with its figures and its seed;
//! the harness's own README says how to run it for longer.
//!
//! Machines that run tests are slow and busy: memory, the pace of the agent's own log and how soon a line
//! is told are looked at by the harness alone.

use std::path::PathBuf;
use std::time::Duration;

use lapwing_torture::disk::Disk;
use lapwing_torture::scenario::Scenario;
use lapwing_torture::settings::Settings;

use crate::host::LAPWING;

fn settings() -> Settings {
    Settings {
        rate: 2_000,
        backtest: true,
        ..Settings::new(PathBuf::from(LAPWING))
    }
}

/// Runs a scenario; every line must be accounted for, every alert told, once.
fn survives(scenario: &str, settings: &Settings) {
    let named = Scenario::named(scenario).expect("it is one");
    let verdict = named.run(settings).unwrap();
    let failures = verdict.failures("LDAE");
    assert!(failures.is_empty(), "{failures:#?}\n{}", verdict.table());
    assert!(
        !verdict.table().contains("alerts: never"),
        "{}",
        verdict.table()
    );
}

#[test]
fn forty_quick_renames_lose_and_repeat_nothing() {
    survives(
        "rename",
        &Settings {
            rotations: 40,
            ..settings()
        },
    );
}

#[test]
fn logrotate_with_the_rotated_files_inside_the_glob_loses_and_repeats_nothing() {
    survives(
        "rename-logrotate",
        &Settings {
            rotations: 15,
            ..settings()
        },
    );
}

#[test]
fn files_copied_and_truncated_while_idle_lose_and_repeat_nothing() {
    let rest = Duration::from_secs(2);
    survives(
        "copytruncate-idle",
        &Settings {
            rotations: 20,
            rest,
            ..settings()
        },
    );
}

#[test]
fn copytruncate_under_load_costs_no_line_but_those_that_logrotate_destroys() {
    survives(
        "copytruncate-load",
        &Settings {
            rotations: 10,
            ..settings()
        },
    );
    survives(
        "copytruncate-load-outside",
        &Settings {
            rotations: 10,
            ..settings()
        },
    );
}

#[test]
fn kills_at_random_while_logs_rotate_lose_nothing_and_give_no_alert_a_second_id() {
    survives(
        "kill",
        &Settings {
            kills: 12,
            ..settings()
        },
    );
}

#[test]
fn a_kill_at_one_of_ten_system_calls_of_a_commit_and_of_a_start_changes_nothing() {
    survives(
        "kill-commit",
        &Settings {
            step: 10,
            ..settings()
        },
    );
}

#[test]
fn logs_that_rotate_several_times_while_the_agent_is_stopped_are_read_in_order() {
    survives(
        "stopped",
        &Settings {
            rotations: 10,
            ..settings()
        },
    );
}

#[test]
fn a_frozen_agent_catches_up() {
    let duration = Duration::from_secs(4);
    survives(
        "sigstop",
        &Settings {
            duration,
            ..settings()
        },
    );
}

#[test]
fn a_full_disk_of_the_state_or_of_the_log_costs_no_line() {
    if !Disk::allowed() {
        eprintln!("not root: no disk can be mounted to be filled");
        return;
    }
    let duration = Duration::from_secs(4);
    survives(
        "full-state-kill",
        &Settings {
            duration,
            kills: 1,
            ..settings()
        },
    );
    let rate = 20_000;
    survives(
        "full-log",
        &Settings {
            duration,
            rate,
            ..settings()
        },
    );
}

#[test]
fn rsyslog_forwards_over_relp_while_the_agent_is_killed_and_no_line_is_lost() {
    survives(
        "relp-kill",
        &Settings {
            kills: 5,
            rate: 500,
            ..settings()
        },
    );
}
