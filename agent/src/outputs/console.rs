//! An alert as a person wants to see it in a terminal. [`render`] is pure and also serves
//! `watch`, `demo` and `backtest`; [`Console`] writes it to standard output.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use lapwing_rules::model::{Notification, Sample, Severity, Status};

use super::{render as words, safe};

/// Whether colours may be used. The caller knows about `NO_COLOR`, `--color` and terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// Text only: not one control byte but line feeds.
    #[default]
    Plain,
    /// ANSI colours.
    Colour,
}

/// What is only needed on a second look.
pub const DIM: &str = "2";
const BOLD: &str = "1";

impl Palette {
    /// `text` in a style: the numbers of an ANSI SGR sequence, such as [`DIM`].
    pub fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{style}m{text}\x1b[0m"),
        }
    }
}

/// A line of a log is not shown further than this.
const LINE_CHARS: usize = 500;
/// Nor is anything else.
const TEXT_CHARS: usize = 1000;
/// The widest sparkline.
const SPARKLINE_CHARS: usize = 40;

/// A few lines, each with its LF; no blank line at either end. What comes from logs is made
/// harmless.
pub fn render(notification: &Notification, palette: Palette) -> String {
    let mut page = Page {
        out: String::new(),
        palette,
        labels: label_width(notification),
    };
    page.title(notification);
    page.text(BOLD, &notification.summary);
    page.facts(notification);
    for (field, values) in &notification.top {
        page.row(field, &words::top(values));
    }
    page.samples(&notification.samples);
    for (label, text) in [
        ("acked", words::acked(notification)),
        ("history", words::history(notification)),
        ("runbook", notification.runbook_url.clone()),
        ("dashboard", notification.dashboard_url.clone()),
    ] {
        if let Some(text) = text {
            page.row(label, &text);
        }
    }
    page.out
}

/// So wide that every label of this alert fits, but no wider than a screen can bear.
fn label_width(notification: &Notification) -> usize {
    let fixed = [
        notification
            .history
            .last_started_at
            .map_or(0, |_| "history".len()),
        notification
            .runbook_url
            .as_ref()
            .map_or(0, |_| "runbook".len()),
        notification
            .dashboard_url
            .as_ref()
            .map_or(0, |_| "dashboard".len()),
        if notification.samples.is_empty() {
            0
        } else {
            "09:00:45".len()
        },
        if notification.group.is_empty() {
            0
        } else {
            "group".len()
        },
    ];
    let fields = notification.top.keys().map(|field| field.chars().count());
    fields.chain(fixed).max().unwrap_or(0).clamp(4, 20)
}

/// How loud it looks.
pub fn style_of(notification: &Notification) -> &'static str {
    match (notification.status, notification.severity) {
        (Status::Resolved, _) => "1;32",
        (_, Severity::Critical) => "1;31",
        (_, Severity::Warning) => "1;33",
        (_, Severity::Info) => "1;36",
    }
}

struct Page {
    out: String,
    palette: Palette,
    labels: usize,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn title(&mut self, notification: &Notification) {
        let mark = if notification.status == Status::Resolved {
            "✔"
        } else {
            "●"
        };
        let style = style_of(notification);
        let what = format!(
            "{mark} {} {}",
            words::status(notification.status),
            words::severity(notification.severity)
        );
        let at = notification.ended_at.unwrap_or(notification.started_at);
        let mut place = format!(
            "{}  {}",
            safe::short(&notification.host, TEXT_CHARS),
            words::moment(at)
        );
        if let Some(late) = words::late(notification) {
            write!(place, "  {late}").expect("writing to a String cannot fail");
        }
        let rule = self.palette.paint(BOLD, &safe::visible(&notification.rule));
        let line = format!(
            "{}  {rule}  {}",
            self.palette.paint(style, &what),
            self.palette.paint(DIM, &place)
        );
        self.line(&line);
    }

    fn text(&mut self, style: &str, text: &str) {
        let text = self.palette.paint(style, &safe::short(text, TEXT_CHARS));
        self.line(&format!("  {text}"));
    }

    fn facts(&mut self, notification: &Notification) {
        let mut facts = words::measure(notification);
        if let Some(reason) = words::reason(notification) {
            facts = format!("{reason}; {facts}");
        }
        let rate = words::graph(notification, SPARKLINE_CHARS);
        if !rate.is_empty() {
            write!(facts, "  {rate}").expect("writing to a String cannot fail");
        }
        self.line(&format!("  {facts}"));
        let group = words::group(notification);
        if !group.is_empty() {
            self.row("group", &group);
        }
    }

    fn row(&mut self, label: &str, text: &str) {
        let label = format!(
            "{:<width$}",
            safe::short(label, self.labels),
            width = self.labels
        );
        let label = self.palette.paint(DIM, &label);
        self.line(&format!("  {label}  {}", safe::short(text, TEXT_CHARS)));
    }

    fn samples(&mut self, samples: &[Sample]) {
        let mut source = None;
        for sample in samples {
            if source != Some(&sample.source) {
                source = Some(&sample.source);
                self.row("from", &sample.source);
            }
            for line in &sample.before {
                self.neighbour(line);
            }
            let mut line = safe::short(&words::line(sample), LINE_CHARS).into_owned();
            if sample.cut {
                line.push_str(" … (cut)");
            }
            let at = self.palette.paint(
                DIM,
                &format!(
                    "{:<width$}",
                    words::clock_time(sample.at),
                    width = self.labels
                ),
            );
            self.line(&format!("  {at}  {line}"));
            for line in &sample.after {
                self.neighbour(line);
            }
        }
    }

    fn neighbour(&mut self, line: &str) {
        let text = self.palette.paint(DIM, &safe::short(line, LINE_CHARS));
        self.line(&format!("  {:<width$}  {text}", "", width = self.labels));
    }
}

/// Writes an alert to standard output at once, so that two never mix.
///
/// # Errors
///
/// Standard output is closed or its reader is gone.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests;
