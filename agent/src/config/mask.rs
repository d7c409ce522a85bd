//! The text of `lapwing.yaml` as it may be shown beside a problem: values of keys that hold secrets
//! are blanked, character for character, so that places stay right.

use std::ops::Range;

use lapwing_rules::language::yaml::{Node, Value};

/// A key with one of these in its name holds a secret, misspelt or not.
const WORDS: &[&str] = &["url", "secret", "token", "password", "key", "credential"];

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// `text` without its secrets. `tree` is what it was read as, where it could be read: only a tree
/// knows values of several lines; without one, and for what the tree lost, lines are looked at.
pub(super) fn mask(text: &str, tree: Option<&Node>) -> String {
    let mut hidden = Vec::new();
    if let Some(tree) = tree {
        collect(tree, &mut hidden);
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        hidden.extend(after_secret_key(line).map(|start| at + start..at + line.trim_end().len()));
        at += line.len();
    }
    let is_hidden = |at: usize| {
        hidden
            .iter()
            .any(|range: &Range<usize>| range.contains(&at))
    };
    let shown = |(at, c): (usize, char)| {
        if is_hidden(at) && !c.is_whitespace() {
            '*'
        } else {
            c
        }
    };
    text.char_indices().map(shown).collect()
}

fn collect(node: &Node, hidden: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                if is_secret(&key.text) {
                    hidden.push(value.place.bytes.clone());
                } else {
                    collect(value, hidden);
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, hidden)),
        Value::Null | Value::Scalar(_) => {}
    }
}

/// Where the rest of a line begins after the first key that holds a secret.
fn after_secret_key(line: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(':')
        .map(|(colon, _)| colon)
        .find_map(|colon| {
            let before = line.get(..colon)?.trim_end_matches([' ', '"', '\'']);
            // Split at what is no word, the last part is the key.
            before
                .rsplit(|c| !is_word(c))
                .next()
                .is_some_and(is_secret)
                .then_some(colon + 1)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_secret_key_is_blanked_in_place() {
        for (text, masked) in [
            (
                "a: 1\nwebhook_url: https://x/y\nb: 2\n",
                "a: 1\nwebhook_url: ***********\nb: 2\n",
            ),
            (
                "{type: webhook, 'url': http://é/t, secret: s}\n",
                "{type: webhook, 'url': *********** ******* **\n",
            ),
            ("secretx: abc", "secretx: ***"),
            ("path: /url: x", "path: /url: *"),
        ] {
            assert_eq!(mask(text, None), masked);
        }
    }

    #[test]
    fn a_value_of_several_lines_is_blanked() {
        let text = "hook:\n  secret: >\n    one\n    two\n  timeout: 1s\n";
        let tree = lapwing_rules::language::yaml::read(&"f".into(), text, &mut Vec::new()).unwrap();
        let masked = mask(text, Some(&tree));
        assert!(
            !masked.contains("one") && !masked.contains("two") && masked.contains("timeout: 1s"),
            "{masked}"
        );
    }
}
