//! [`Status`] → the text that Prometheus reads. Pure. Counts begin anew with a reload, as Prometheus
//! expects of counters.

use std::fmt::{Display, Write as _};

use crate::operate::status::{CanaryStatus, Status};

/// All figures, in the text exposition format 0.0.4.
pub(super) fn text(status: &Status) -> String {
    let mut page = Page::default();
    of_agent(&mut page, status);
    of_inputs(&mut page, status);
    of_senders(&mut page, status);
    of_rules(&mut page, status);
    of_outputs(&mut page, status);
    of_state(&mut page, status);
    page.0
}

/// What a family of figures is.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// A family: its figures by their labels.
    fn family<'a, V: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        figures: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, V)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.put(format_args!(
            "# HELP lapwing_{name} {help}\n# TYPE lapwing_{name} {kind}\n"
        ));
        for (labels, value) in figures {
            self.put(format_args!("lapwing_{name}"));
            for (n, (label, value)) in labels.iter().enumerate() {
                let before = if n == 0 { '{' } else { ',' };
                self.put(format_args!("{before}{label}=\"{}\"", escaped(value)));
            }
            let end = if labels.is_empty() { "" } else { "}" };
            self.put(format_args!("{end} {value}\n"));
        }
    }

    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help, [(Vec::new(), value)]);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0
            .write_fmt(text)
            .expect("writing to a String cannot fail");
    }
}

/// The value of a label.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn of_agent(page: &mut Page, status: &Status) {
    let version = [
        ("version", status.version.as_str()),
        ("host", status.host.as_str()),
    ];
    page.family(
        "build_info",
        Kind::Gauge,
        "Always 1.",
        [(version.to_vec(), 1)],
    );
    page.one(
        "uptime_seconds",
        Kind::Gauge,
        "Since the process was started.",
        status.uptime_s,
    );
    let ready = u8::from(status.ready);
    page.one(
        "ready",
        Kind::Gauge,
        "Whether every input has its starting position.",
        ready,
    );
    let reloads = [
        ("ok", status.reloads.ok),
        ("refused", status.reloads.refused),
    ];
    page.family(
        "reloads_total",
        Kind::Counter,
        "Times that the configuration was read again.",
        reloads.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
    );
}

fn of_inputs(page: &mut Page, status: &Status) {
    let mut each = |name, kind, help, value: fn(&crate::operate::status::InputStatus) -> u64| {
        let figures = status.inputs.iter();
        let figures = figures.map(|(input, it)| (vec![("input", input.as_str())], value(it)));
        page.family(name, kind, help, figures);
    };
    each(
        "lines_total",
        Kind::Counter,
        "Lines that were matched.",
        |it| it.lines,
    );
    each(
        "bytes_total",
        Kind::Counter,
        "Bytes that were read.",
        |it| it.bytes,
    );
    each(
        "skewed_total",
        Kind::Counter,
        "Lines whose own time was too far in the future.",
        |it| it.skewed,
    );
    each(
        "input_lag_bytes",
        Kind::Gauge,
        "Bytes that are there and not read yet.",
        |it| it.lag_bytes,
    );
    each(
        "input_files",
        Kind::Gauge,
        "Files that are followed.",
        |it| it.files,
    );
    each(
        "input_unreadable",
        Kind::Gauge,
        "What should be read and cannot.",
        |it| it.unreadable_total.saturating_sub(it.passed_over),
    );
    let losses = status.inputs.iter().map(|(input, it)| {
        let times = it.losses.iter().map(|loss| loss.times).sum::<u64>();
        (vec![("input", input.as_str())], times)
    });
    page.family(
        "input_losses_total",
        Kind::Counter,
        "Times that something could not be read for good.",
        losses,
    );
}

/// Of what others send.
fn of_senders(page: &mut Page, status: &Status) {
    let received = || {
        let inputs = status.inputs.iter();
        inputs.filter_map(|(input, it)| Some((input.as_str(), it.received.as_ref()?)))
    };
    page.family(
        "connections",
        Kind::Gauge,
        "Connections of senders that are open now.",
        received().map(|(input, it)| (vec![("input", input)], it.connections)),
    );
    let outcomes = received().flat_map(|(input, it)| {
        let outcomes = [
            ("accepted", it.accepted),
            ("refused", it.refused),
            ("broken", it.broken),
            ("timed_out", it.timed_out),
            ("handshake_failed", it.handshakes_failed),
        ];
        outcomes.map(|(outcome, count)| (vec![("input", input), ("outcome", outcome)], count))
    });
    page.family(
        "connections_total",
        Kind::Counter,
        "What came of the connections of senders.",
        outcomes,
    );
    page.family(
        "messages_cut_total",
        Kind::Counter,
        "Messages that were longer than `max_line_bytes`.",
        received().map(|(input, it)| (vec![("input", input)], it.cut)),
    );
}

fn of_rules(page: &mut Page, status: &Status) {
    let mut each = |name, kind, help, value: fn(&crate::operate::status::RuleStatus) -> u64| {
        let figures = status.rules.iter();
        let figures = figures.map(|(rule, it)| (vec![("rule", rule.as_str())], value(it)));
        page.family(name, kind, help, figures);
    };
    each(
        "hits_total",
        Kind::Counter,
        "Lines that the rule accepted.",
        |it| it.hits,
    );
    each(
        "alerts_total",
        Kind::Counter,
        "Alerts that started.",
        |it| it.alerts,
    );
    each("firing", Kind::Gauge, "Alerts that are firing now.", |it| {
        it.firing
    });
}

fn of_outputs(page: &mut Page, status: &Status) {
    let outcomes = status.outputs.iter().flat_map(|(output, it)| {
        let outcomes = [
            ("delivered", it.delivered),
            ("failed", it.failed),
            ("rejected", it.rejected),
            ("expired", it.expired),
            ("dropped", it.dropped),
        ];
        outcomes.map(|(outcome, count)| {
            (
                vec![("output", output.as_str()), ("outcome", outcome)],
                count,
            )
        })
    });
    let help = "What came of notifications; failed ones are tried again.";
    page.family("notifications_total", Kind::Counter, help, outcomes);
    let queues = status
        .outputs
        .iter()
        .filter_map(|(output, it)| Some((vec![("output", output.as_str())], it.waiting?)));
    page.family(
        "output_queue",
        Kind::Gauge,
        "Notifications that wait.",
        queues,
    );
}

fn of_state(page: &mut Page, status: &Status) {
    let dropped = &status.state.dropped;
    let groups = status.rules.values().map(|rule| rule.dropped_groups).sum();
    let received = status.inputs.values().filter_map(|it| it.received.as_ref());
    let reasons: [(&str, u64); 5] = [
        ("datagrams", received.map(|it| it.datagrams_dropped).sum()),
        ("queue_full", dropped.queue_full),
        ("orphaned", dropped.orphaned),
        ("unrecorded", dropped.unrecorded),
        ("max_groups", groups),
    ];
    page.family(
        "dropped_total",
        Kind::Counter,
        "What was dropped because there was no room, or nobody to take it.",
        reasons.map(|(reason, count)| (vec![("reason", reason)], count)),
    );
    page.one(
        "state_bytes",
        Kind::Gauge,
        "Size of the database.",
        status.state.bytes,
    );
    let failing = u8::from(status.state.failing_since.is_some());
    page.one(
        "state_failing",
        Kind::Gauge,
        "Whether nothing can be saved.",
        failing,
    );
    let took = std::time::Duration::from_millis(status.state.commit_ms).as_secs_f64();
    page.one(
        "commit_seconds",
        Kind::Gauge,
        "How long the last commit took.",
        took,
    );
    of_canary(page, &status.canary);
}

fn of_canary(page: &mut Page, canary: &CanaryStatus) {
    page.family(
        "canary_seconds",
        Kind::Gauge,
        "How long the agent's last line for itself took until what it caused was durable.",
        canary.seconds.map(|seconds| (Vec::new(), seconds)),
    );
    let outcomes = [("arrived", canary.arrived), ("lost", canary.lost)];
    page.family(
        "canary_lines_total",
        Kind::Counter,
        "Lines that the agent wrote for itself.",
        outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_end_themselves() {
        let mut page = Page::default();
        let label = [(vec![("input", "a\"b\\c\nd")], 7)];
        page.family("x_total", Kind::Counter, "Help.", label);
        assert_eq!(
            page.0,
            "# HELP lapwing_x_total Help.\n# TYPE lapwing_x_total counter\nlapwing_x_total{input=\"a\\\"b\\\\c\\nd\"} 7\n"
        );
    }
}
