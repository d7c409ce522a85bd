//! A run as people read it: much like the pattern that it comes from.

use super::need::ByteSet;

/// Of a longer run only the beginning is shown.
const MOST_SETS: usize = 60;

/// A text as it is; else as a pattern, `HTTP/1\.[01]" 50[0-9] `, with `^`, `$` and `\b` where a set
/// stands for what is outside of the line or of a word.
pub(super) fn shown(sets: &[ByteSet]) -> String {
    let mut text = String::new();
    let whole = without_fringe(sets);
    let sets = without_choices(whole);
    let is_text = sets
        .iter()
        .all(|set| set.len() == 1 && !set.contains(b'\n'));
    for set in sets.iter().take(MOST_SETS) {
        if is_text {
            set.iter().for_each(|byte| push_plain(&mut text, byte));
        } else {
            push(&mut text, *set);
        }
    }
    if sets.len() > MOST_SETS || sets.len() < whole.len() {
        text.push('…');
    }
    text
}

/// Without what stands at the ends for the first or last byte of any letter or digit of the world.
fn without_fringe(sets: &[ByteSet]) -> &[ByteSet] {
    let is_told =
        |set: &ByteSet| set.len() == 1 || set.ascii_len() == set.len() || set.contains(b'\n');
    let from = sets.iter().position(is_told);
    let to = sets.iter().rposition(is_told);
    match (from, to) {
        (Some(from), Some(to)) => sets.get(from..=to).unwrap_or(sets),
        _ => sets,
    }
}

/// Without several choices at the end: there alternatives part, and nobody wrote them as sets.
fn without_choices(sets: &[ByteSet]) -> &[ByteSet] {
    let is_choice = |set: &ByteSet| set.folded().len() > 1 && !set.contains(b'\n');
    let kept = sets.iter().rposition(|set| !is_choice(set));
    match kept.and_then(|last| sets.split_at_checked(last + 1)) {
        Some((kept, choices)) if choices.len() > 1 => kept,
        _ => sets,
    }
}

fn push(text: &mut String, set: ByteSet) {
    let mut bytes = set.iter();
    match (bytes.next(), bytes.next()) {
        (None, _) => text.push_str("[]"),
        (Some(b'\n'), None) => text.push('^'),
        (Some(byte), None) => push_byte(text, byte),
        _ if set.contains(b'\n') && set.len() == 2 => text.push('$'),
        _ if set.contains(b'\n') => text.push_str("\\b"),
        _ => push_set(text, set),
    }
}

fn push_byte(text: &mut String, byte: u8) {
    if byte.is_ascii_punctuation() && b".^$*+?()[]{}|\\".contains(&byte) {
        text.push('\\');
        text.push(char::from(byte));
    } else {
        push_plain(text, byte);
    }
}

fn push_plain(text: &mut String, byte: u8) {
    if byte.is_ascii_graphic() || byte == b' ' {
        text.push(char::from(byte));
    } else {
        text.push_str(&byte.escape_ascii().to_string());
    }
}

fn push_set(text: &mut String, set: ByteSet) {
    // Both cases of a letter are shown as the small one.
    if set.len() == 2
        && let Some(upper) = set.iter().find(u8::is_ascii_uppercase)
        && set.contains(upper.to_ascii_lowercase())
    {
        text.push(char::from(upper.to_ascii_lowercase()));
        return;
    }
    text.push('[');
    let mut bytes = set.iter().peekable();
    while let Some(first) = bytes.next() {
        let mut last = first;
        while let Some(next) = bytes.next_if(|next| *next == last.wrapping_add(1)) {
            last = next;
        }
        text.push_str(&first.escape_ascii().to_string());
        if last > first {
            text.push('-');
            text.push_str(&last.escape_ascii().to_string());
        }
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_like_a_pattern() {
        let word = ByteSet::of_range(b'0', b'9');
        let mut edge = ByteSet::of(b'\n');
        (0..=255)
            .filter(|byte: &u8| !byte.is_ascii_alphanumeric())
            .for_each(|byte| edge.insert(byte));
        let case = ByteSet::of(b'e').union(ByteSet::of(b'E'));
        let end = ByteSet::of(b'\n').union(ByteSet::of(b'\r'));
        let sets = [
            ByteSet::of(b'\n'),
            edge,
            case,
            word,
            ByteSet::of(b'.'),
            ByteSet::of(b'"'),
            ByteSet::of(0xff),
            end,
        ];
        assert_eq!(shown(&sets), r#"^\be[0-9]\."\xff$"#);
        assert!(shown(&[ByteSet::of(b'a'); 100]).ends_with("aa…"));
        let text = b"ect() ".map(ByteSet::of);
        assert_eq!(shown(&[&text[..], &[word]].concat()), r"ect\(\) [0-9]");
        assert_eq!(shown(&[&text[..], &[word, word]].concat()), "ect() …");
    }
}
