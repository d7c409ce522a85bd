//! Texts that a pattern matches, drawn from the pattern itself: so that a corpus can hold what any
//! rule looks for, or almost.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

use crate::choices::Choices;

/// A text that a pattern matches.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The text, without LF.
    pub bytes: Vec<u8>,
    /// Where in `bytes` the pattern leaves no choice, but for upper and lower case.
    pub fixed: Vec<usize>,
}

/// Draws a text that `pattern` matches. Look-around is passed over: put it between spaces.
///
/// # Panics
///
/// When `pattern` is no pattern.
pub fn example(pattern: &str, choices: &mut Choices) -> Example {
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .build()
        .parse(pattern)
        .expect("a good pattern");
    let mut example = Example::default();
    draw(&hir, choices, &mut example);
    example
}

fn draw(hir: &Hir, choices: &mut Choices, example: &mut Example) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => {
            for &byte in &literal.0 {
                example.fixed.push(example.bytes.len());
                example.bytes.push(byte);
            }
        }
        HirKind::Class(class) => draw_member(class, choices, example),
        HirKind::Repetition(repetition) => {
            let least = repetition.min;
            let most = repetition.max.unwrap_or(least + 3).min(least + 3);
            for _ in 0..least + choices.below(most - least + 1) {
                draw(&repetition.sub, choices, example);
            }
        }
        HirKind::Capture(capture) => draw(&capture.sub, choices, example),
        HirKind::Concat(parts) => {
            for part in parts {
                draw(part, choices, example);
            }
        }
        HirKind::Alternation(ways) => draw(&ways[choices.place(ways.len())], choices, example),
    }
}

/// Prefers what is printed in ASCII, as logs do.
fn draw_member(class: &Class, choices: &mut Choices, example: &mut Example) {
    let printed: Vec<u8> = (b' '..=b'~').filter(|&byte| holds(class, byte)).collect();
    // `(?i)` makes a class of each letter.
    let folded = printed
        .iter()
        .all(|byte| byte.eq_ignore_ascii_case(&printed[0]));
    if folded && !printed.is_empty() {
        example.fixed.push(example.bytes.len());
    }
    if printed.is_empty() {
        let first = match class {
            Class::Unicode(class) => class.ranges().first().map(ClassUnicodeRange::start),
            Class::Bytes(class) => class.ranges().first().map(|range| range.start().into()),
        };
        let text = first.expect("a class that matches something").to_string();
        example.bytes.extend_from_slice(text.as_bytes());
    } else {
        example.bytes.push(printed[choices.place(printed.len())]);
    }
}

fn holds(class: &Class, byte: u8) -> bool {
    match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&char::from(byte))),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&byte)),
    }
}
