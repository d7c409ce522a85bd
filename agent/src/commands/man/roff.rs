//! Markdown, as this repository's documents use it → the language of manual pages. Pure.

use std::fmt::Write as _;

/// The page's text, from its first heading of the second level on, or from the first paragraph.
pub(super) fn of(markdown: &str) -> String {
    let mut page = Page::default();
    for line in markdown.lines() {
        page.line(line);
    }
    page.out
}

/// Text that means itself.
pub(super) fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) {
        format!("\\&{escaped}")
    } else {
        escaped
    }
}

#[derive(Default)]
struct Page {
    out: String,
    /// Within a fence.
    in_code: bool,
    /// Rows of the table under way; the first is its head.
    rows: usize,
    /// Lines of text are going on.
    in_text: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        if line.trim_start().starts_with("```") {
            let mark = if self.in_code {
                ".fi\n.RE"
            } else {
                ".PP\n.RS 4\n.nf"
            };
            self.in_code = !self.in_code;
            self.in_text = false;
            return self.put(mark);
        }
        if self.in_code {
            return self.put(&escape(line));
        }
        let is_row = line.starts_with('|');
        if !is_row {
            self.rows = 0;
        }
        if is_row {
            self.row(line);
        } else if let Some(heading) = line.strip_prefix("### ") {
            self.heading(".SS", heading);
        } else if let Some(heading) = line.strip_prefix("## ") {
            self.heading(".SH", &heading.to_uppercase());
        } else if line.starts_with("# ") || line.starts_with("<!--") {
            // The page has its name already.
        } else if line.trim().is_empty() {
            self.in_text = false;
        } else if let Some(item) = line.trim_start().strip_prefix("- ") {
            self.put(".IP \\(bu 2");
            self.in_text = true;
            self.put(&inline(item));
        } else {
            if !self.in_text {
                self.put(".PP");
            }
            self.in_text = true;
            self.put(&inline(line.trim_start()));
        }
    }

    /// A row is an entry: its first cell is what it is about.
    fn row(&mut self, line: &str) {
        self.rows += 1;
        self.in_text = false;
        if self.rows <= 2 {
            return; // the head, and the rule below it
        }
        let cells = cells(line);
        let mut cells = cells.iter().map(|cell| inline(cell.trim()));
        self.put(".TP");
        self.put(&cells.next().unwrap_or_default());
        let rest: Vec<String> = cells.filter(|cell| !cell.is_empty()).collect();
        self.put(&rest.join("; "));
    }

    fn heading(&mut self, macro_name: &str, text: &str) {
        self.in_text = false;
        let text = escape(&text.replace('`', ""));
        self.put(&format!("{macro_name} {text}"));
    }

    fn put(&mut self, line: &str) {
        writeln!(self.out, "{line}").expect("writing to a String cannot fail");
    }
}

/// The cells of a row; `\|` is no border.
fn cells(line: &str) -> Vec<String> {
    let hidden = line.trim().trim_matches('|').replace("\\|", "\u{1}");
    hidden
        .split('|')
        .map(|cell| cell.replace('\u{1}', "|"))
        .collect()
}

/// Code and strong text in bold, links as their text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let (mut rest, mut in_code, mut is_strong) = (text, false, false);
    while let Some(c) = rest.chars().next() {
        let link = (!in_code && c == '[').then(|| link(rest)).flatten();
        if c == '`' {
            in_code = !in_code;
            out.push_str(if in_code { "\u{1}" } else { "\u{2}" });
            rest = rest.split_at(1).1;
        } else if !in_code && rest.starts_with("**") {
            is_strong = !is_strong;
            out.push_str(if is_strong { "\u{1}" } else { "\u{2}" });
            rest = rest.split_at(2).1;
        } else if let Some((shown, behind)) = link {
            out.push_str(shown);
            rest = behind;
        } else {
            out.push(c);
            rest = rest.split_at(c.len_utf8()).1;
        }
    }
    if in_code || is_strong {
        out.push('\u{2}'); // it goes on in the next line of the source
    }
    escape(&out)
        .replace('\u{1}', "\\fB")
        .replace('\u{2}', "\\fR")
}

/// `[text](address)`: the text, and what is behind.
fn link(text: &str) -> Option<(&str, &str)> {
    let (shown, behind) = text.strip_prefix('[')?.split_once("](")?;
    let (_, behind) = behind.split_once(')')?;
    (!shown.contains(['[', ']'])).then_some((shown, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_pages() {
        for (markdown, roff) in [
            (
                "# Title\n\n## Two words\n\na `b-c` **d**\ne\n",
                ".SH TWO WORDS\n.PP\na \\fBb\\-c\\fR \\fBd\\fR\ne\n",
            ),
            (
                "see [the page](x/y.md), `[a](b)`\n",
                ".PP\nsee the page, \\fB[a](b)\\fR\n",
            ),
            (
                "```yaml\n.dot\n'\\s'\n```\n",
                ".PP\n.RS 4\n.nf\n\\&.dot\n\\&'\\es'\n.fi\n.RE\n",
            ),
            (
                "- one\n  more\n- two\n",
                ".IP \\(bu 2\none\nmore\n.IP \\(bu 2\ntwo\n",
            ),
            (
                "| k | v |\n| - | - |\n| `a` | `x \\| y` |\n",
                ".TP\n\\fBa\\fR\n\\fBx | y\\fR\n",
            ),
        ] {
            assert_eq!(of(markdown), roff, "{markdown}");
        }
    }
}
