//! YAML text → a tree in which every value knows its place.
//!
//! A tree of our own, and not serde's derived structs, because a derived struct stops at the first
//! unknown key or wrong type and an operator wants to see all of them. Anchors and aliases work,
//! within [`MAX_NODES`]; merge keys and tags are not part of the language.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::diagnostic::{Diagnostic, Level, Place};

/// A file that unfolds to more values than this is refused (an alias bomb).
pub const MAX_NODES: usize = 1_000_000;
/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 64;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A value as it is written: what a scalar means is up to the key that it stands under.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// One word or text.
    Scalar(Scalar),
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{a: b}`, in the order of the text; no key stands twice.
    Map(Vec<(Key, Node)>),
}

/// A scalar.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// What it holds.
    pub text: String,
    /// What may be shown of it in a message: the same, unless `text` came from elsewhere.
    pub shown: Option<String>,
    /// How it was quoted, which says how places in `text` map to places in the file.
    pub style: ScalarStyle,
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Reads the one document in `text`; `file` is what messages call it.
///
/// Problems are added to `problems`; a syntax error ends the reading, all others do not. `None`
/// when there is nothing to go on with; an empty document is `Null`.
pub fn read(file: &Arc<str>, text: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut loader = Loader {
        file,
        index: ByteIndex::new(text),
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        problems,
    };
    match loader.document() {
        Ok(node) => Some(node),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// Boxed: it is large, and it comes once a file at the most.
type Failure = Box<Diagnostic>;

struct Loader<'a> {
    file: &'a Arc<str>,
    index: ByteIndex,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    problems: &'a mut Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn document(&mut self) -> Result<Node, Failure> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(self.failure(
                        span,
                        "a second document in one file",
                        Some("keep one document a file"),
                    ));
                }
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node {
            value: Value::Null,
            place: Place {
                file: Arc::clone(self.file),
                line: 1,
                column: 1,
                bytes: 0..0,
            },
        }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Failure> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let span = Span {
                    start: *error.marker(),
                    end: *error.marker(),
                };
                let help = if error.info().contains("tab") {
                    "YAML is indented with spaces"
                } else {
                    "look at the lines above, too; a text with `: `, ` #` or `{` in it needs quotes"
                };
                Err(self.failure(span, error.info(), Some(help)))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Failure> {
        if depth > MAX_DEPTH {
            return Err(self.failure(
                span,
                &format!("nested more than {MAX_DEPTH} deep"),
                Some("rules need no more than ten levels"),
            ));
        }
        self.count(1, span)?;
        let before = self.nodes;
        let (value, end, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(text, style), span.end, anchor),
            Event::SequenceStart(anchor, _) => {
                let (items, end) = self.list(depth)?;
                (Value::List(items), end, anchor)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, end) = self.map(depth)?;
                (Value::Map(entries), end, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => {
                return Err(self.failure(
                    span,
                    "this is not a value",
                    Some("write one text, `[a list]` or `{a: map}`"),
                ));
            }
        };
        let node = Node {
            value,
            place: self.place(Span {
                start: span.start,
                end,
            }),
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Failure> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(self.failure(
                span,
                "an alias within its own anchor",
                Some("move the anchor, or write the value out"),
            ));
        };
        self.count(size, span)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Failure> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.failure(
                span,
                &format!("more than {MAX_NODES} values, aliases unfolded"),
                Some("write the values out instead of aliases of aliases"),
            ));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, Marker), Failure> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok((items, span.end));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<(Vec<(Key, Node)>, Marker), Failure> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((entries, span.end));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Value::Scalar(Scalar { text, .. }) = key.value else {
                self.problems.push(error(
                    "bad-key",
                    key.place,
                    "a key must be a word".into(),
                    Some(
                        "write `word: value`; quote a text that begins with `[` or `{`".to_owned(),
                    ),
                ));
                continue;
            };
            let first_line = seen.get(&text).copied();
            if let Some(line) = first_line {
                let message = format!("the key `{text}` stands twice, first in line {line}");
                self.problems.push(error(
                    "duplicate-key",
                    key.place,
                    message,
                    Some("keep one of the two; lists go into one key: `[a, b]`".to_owned()),
                ));
                continue;
            }
            seen.insert(text.clone(), key.place.line);
            entries.push((
                Key {
                    text,
                    place: key.place,
                },
                value,
            ));
        }
    }

    fn place(&self, span: Span) -> Place {
        let start = self.index.byte(span.start.index());
        Place {
            file: Arc::clone(self.file),
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            bytes: start..self.index.byte(span.end.index()).max(start),
        }
    }

    #[expect(
        clippy::unnecessary_box_returns,
        reason = "it becomes the error of a Result"
    )]
    fn failure(&self, span: Span, message: &str, help: Option<&str>) -> Failure {
        Box::new(error(
            "yaml",
            self.place(span),
            message.to_owned(),
            help.map(str::to_owned),
        ))
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null") {
        return Value::Null;
    }
    Value::Scalar(Scalar {
        text: text.into_owned(),
        shown: None,
        style,
    })
}

pub(crate) fn error(
    code: &'static str,
    place: Place,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic {
        code,
        level: Level::Error,
        place,
        message,
        help,
    }
}

/// The parser counts in characters, a text is sliced by bytes.
struct ByteIndex {
    /// Byte index of every character; empty when all are ASCII and the two are equal.
    bytes: Vec<usize>,
    len: usize,
}

impl ByteIndex {
    fn new(text: &str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            bytes,
            len: text.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            character.min(self.len)
        } else {
            self.bytes.get(character).copied().unwrap_or(self.len)
        }
    }
}

impl Scalar {
    /// The text as it may be shown in a message.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.text)
    }
}

impl Node {
    /// The place of `span` (bytes of this scalar's text), where the style lets it be told; else
    /// the place of the whole value.
    pub fn place_within(&self, span: &std::ops::Range<usize>) -> Place {
        let Value::Scalar(scalar) = &self.value else {
            return self.place.clone();
        };
        let text = &scalar.text;
        let one_line = !text.contains('\n')
            && self.place.bytes.len() <= text.len() + 2 + text.matches('\'').count();
        let quote = match scalar.style {
            ScalarStyle::Plain => 0,
            ScalarStyle::SingleQuoted => 1,
            _ => return self.place.clone(),
        };
        let (Some(before), Some(inside), true) =
            (text.get(..span.start), text.get(span.clone()), one_line)
        else {
            return self.place.clone();
        };
        // In single quotes, a quote is written twice.
        let width = |part: &str| {
            part.len()
                + if quote == 1 {
                    part.matches('\'').count()
                } else {
                    0
                }
        };
        let start = self.place.bytes.start + quote + width(before);
        let columns = before.chars().count() + width(before) - before.len();
        Place {
            column: self.place.column + quote + columns,
            bytes: start..(start + width(inside)).min(self.place.bytes.end),
            ..self.place.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        read(&"f".into(), text, &mut problems);
        problems
            .iter()
            .map(|p| format!("{}:{} {}", p.place.line, p.place.column, p.message))
            .collect()
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "é: [1, 'two']\nb:\n  c: x y\n";
        let node = read(&"f".into(), text, &mut Vec::new()).unwrap();
        let Value::Map(entries) = &node.value else {
            panic!("a map")
        };
        let Value::List(items) = &entries[0].1.value else {
            panic!("a list")
        };
        assert_eq!(text.get(items[1].place.bytes.clone()), Some("'two'"));
        assert_eq!((items[1].place.line, items[1].place.column), (1, 8));
        let Value::Map(inner) = &entries[1].1.value else {
            panic!("a map")
        };
        assert_eq!(text.get(inner[0].1.place.bytes.clone()), Some("x y"));
    }

    #[test]
    fn a_place_inside_a_quoted_text_is_told() {
        let text = "a: 'it''s (bad'";
        let node = read(&"f".into(), text, &mut Vec::new()).unwrap();
        let Value::Map(entries) = &node.value else {
            panic!("a map")
        };
        let place = entries[0].1.place_within(&(5..6));
        assert_eq!(
            (text.get(place.bytes.clone()), place.column),
            (Some("("), 11)
        );
    }

    #[test]
    fn twice_the_same_key_is_told_and_the_rest_is_read() {
        assert_eq!(problems("a: 1\na: 2\nb: 3\nb: 4\n").len(), 2);
    }

    #[test]
    fn tabs_and_open_brackets_are_told_with_their_place() {
        for text in [
            "a:\n\tb: 1\n",
            "a: [1, 2\n",
            "a: 'x\n",
            "a: b: c\n",
            "- a\nb: c\n",
        ] {
            assert_eq!(problems(text).len(), 1, "{text:?}: {:?}", problems(text));
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let items = vec![format!("*a{}", i - 1); 10].join(", ");
            text = text + "a" + &i.to_string() + ": &a" + &i.to_string() + " [" + &items + "]\n";
        }
        assert!(problems(&text)[0].contains("aliases unfolded"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(problems(&"[".repeat(MAX_DEPTH + 2))[0].contains("deep"));
        assert_eq!(problems(&"[".repeat(100_000)).len(), 1);
    }
}
