//! The one place that makes log text harmless: for a terminal, for our own log, for Slack.
//!
//! Text comes from log lines and from whoever wrote them: it must neither move a cursor, nor
//! turn the reading direction, nor hide, nor ping a channel. Everything here is pure.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character does something other than show itself.
fn acts(c: char) -> bool {
    matches!(c,
        // C0, DEL, C1
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // soft hyphen, combining joiner, Arabic letter mark, Hangul fillers, Mongolian separator
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // zero-width, direction marks, line and paragraph separators, embeddings, overrides
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // word joiner, invisible operators, isolates, deprecated format characters
        | '\u{2060}'..='\u{206f}'
        // byte order mark, interlinear annotation, tags, variation selectors supplement
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn push_visible(out: &mut String, c: char) {
    let result = match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
    result.expect("writing to a String cannot fail");
}

/// `text` on one line, with every character that acts written out: `\n`, `\x1b`, `\u{202e}`.
/// What comes out has no control character at all, so it can go to a terminal or a log as it is.
/// O(length).
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            push_visible(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// [`visible`], and no longer than about `max` characters: what is missing is said at the end.
pub fn short(text: &str, max: usize) -> Cow<'_, str> {
    let clean = visible(text);
    let Some((at, _)) = clean.char_indices().nth(max) else {
        return clean;
    };
    let (head, tail) = clean.split_at(at);
    Cow::Owned(format!("{head}… (+{} characters)", tail.chars().count()))
}

/// The room that "… (+N characters)" takes at most.
const CUT_NOTE: usize = 40;

/// [`slack`] can keep no smaller limit.
pub const SLACK_MIN: usize = 2 * CUT_NOTE;

/// `text` for any text in a Slack message: [`visible`], with `&`, `<` and `>` written so that
/// Slack reads them as characters and not as a mention or a link. At most `max` UTF-16 units
/// long, escapes included; never cut inside an escape; says what is missing.
pub fn slack(text: &str, max: usize) -> String {
    let clean = visible(text);
    let mut out = String::with_capacity(clean.len());
    let mut used = 0;
    // Where the text is cut if it turns out to be too long.
    let mut cut_at = 0;
    let mut shown = 0;
    for (index, c) in clean.chars().enumerate() {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        used += if piece.is_empty() {
            c.len_utf16()
        } else {
            piece.len()
        };
        if used > max {
            out.truncate(cut_at);
            let missing = clean.chars().count() - shown;
            write!(out, "… (+{missing} characters)").expect("writing to a String cannot fail");
            return out;
        }
        if piece.is_empty() {
            out.push(c);
        } else {
            out.push_str(piece);
        }
        if used + CUT_NOTE <= max {
            cut_at = out.len();
            shown = index + 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_written_out() {
        for (text, harmless) in [
            ("plain ünïcode ✓ 日本", "plain ünïcode ✓ 日本"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("a\r\nb\tc\0\x7f", "a\\r\\nb\\tc\\x00\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"),
            (
                "evil\u{202e}txt.exe\u{2066}\u{200b}\u{feff}",
                "evil\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{feff}",
            ),
        ] {
            assert_eq!(visible(text), harmless);
        }
    }

    #[test]
    fn a_mention_is_only_text_in_slack() {
        assert_eq!(
            slack("<!channel> & <@U1>", 100),
            "&lt;!channel&gt; &amp; &lt;@U1&gt;"
        );
    }

    #[test]
    fn cut_text_says_how_much_is_missing() {
        assert_eq!(
            slack(&"x".repeat(100), 60),
            format!("{}… (+80 characters)", "x".repeat(20))
        );
        assert_eq!(short(&"é".repeat(10), 4), "éééé… (+6 characters)");
        assert_eq!(slack(&"x".repeat(60), 60), "x".repeat(60));
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left_whatever_the_text(text in "\\PC*|[\\x00-\\x{10ffff}]*") {
            prop_assert!(!visible(&text).chars().any(acts));
            prop_assert!(!visible(&text).chars().any(char::is_control));
        }

        #[test]
        fn slack_text_keeps_its_limit_and_its_escapes_whole(text in "[<>&a\u{1F600}\\x1b]{0,200}", max in 40_usize..300) {
            let out = slack(&text, max);
            prop_assert!(out.encode_utf16().count() <= max, "{} of {max}", out.encode_utf16().count());
            prop_assert!(!out.contains(['<', '>']));
            let bare = out.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!bare.contains('&'), "{out}");
        }
    }
}
