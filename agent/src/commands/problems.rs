//! Draws diagnostics: the place, the line, a mark under it, what to write instead.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Title, Renderer, Snippet};
use lapwing_rules::language::diagnostic::{Diagnostic, Level};
use serde_json::json;

use super::terminal::{Terminal, print as print_out, say};
use crate::config::Findings;
use crate::error::AgentError;
use crate::outputs::console::Palette;
use crate::outputs::safe;

/// Draws all problems on standard error.
pub(super) fn print(findings: &Findings, terminal: Terminal) {
    for problem in &findings.problems {
        let text = findings
            .texts
            .get(&problem.place.file)
            .map_or("", |text| text);
        say(&draw(problem, text, terminal.err));
        say("\n\n");
    }
}

/// Writes all problems on standard output, one JSON object a line.
pub(super) fn print_json(findings: &Findings) -> Result<(), AgentError> {
    for problem in &findings.problems {
        let object = json!({
            "file": &*problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "code": problem.code,
            "severity": severity(problem.level),
            "message": problem.message,
            "help": problem.help,
        });
        print_out(&format!("{object}\n"))?;
    }
    Ok(())
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// One problem, without a line feed at its end.
fn draw(problem: &Diagnostic, text: &str, palette: Palette) -> String {
    let title = match problem.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
    };
    let message = safe::visible(&problem.message);
    let title = title.primary_title(message).id(problem.code);
    let mark = AnnotationKind::Primary.span(first_line(text, &problem.place.bytes));
    let snippet = Snippet::source(text)
        .path(&*problem.place.file)
        .annotation(mark);
    let mut report: Group<'_> = title.element(snippet);
    if let Some(help) = &problem.help {
        report = report.element(Title::HELP.message(safe::visible(help)));
    }
    let renderer = match palette {
        Palette::Plain => Renderer::plain(),
        Palette::Colour => Renderer::styled(),
    };
    renderer.decor_style(DecorStyle::Ascii).render(&[report])
}

/// The part of a span in its first line: a whole rule need not be shown to say that it lacks a
/// name.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    let part = text.get(start..end).unwrap_or_default();
    start..start + part.find('\n').unwrap_or(part.len())
}
