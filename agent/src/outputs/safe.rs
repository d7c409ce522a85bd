//! The one place that makes log text harmless: for a terminal, for our own log, for each service.
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

/// [`fit`] can keep no smaller limit.
pub const LEAST: usize = 2 * CUT_NOTE;

/// Where a text will stand: what acts there is written so that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing but control characters acts: plain text, JSON, IRC, a mail's header.
    Plain,
    /// Slack, everywhere, in code too: `<!here>` pings. `&`, `<` and `>` are escaped.
    Slack,
    /// HTML, as browsers, Matrix and (in code) Telegram read it.
    Html,
    /// Telegram's HTML outside of code: `@name` calls somebody.
    Telegram,
    /// Discord's markdown.
    Discord,
    /// Between Discord's code fences.
    DiscordCode,
    /// Mattermost's markdown.
    Mattermost,
    /// Between Mattermost's code fences: mentions act there too.
    MattermostCode,
    /// Google Chat's markup, which knows no escape.
    GoogleChat,
    /// A run of text in an Adaptive Card: no markdown, but macros in double braces.
    Card,
}

/// Shown as nothing: keeps what stands around it from being read as one thing.
const NOTHING: char = '\u{200b}';

impl Place {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::Slack,
        Self::Html,
        Self::Telegram,
        Self::Discord,
        Self::DiscordCode,
        Self::Mattermost,
        Self::MattermostCode,
        Self::GoogleChat,
        Self::Card,
    ];

    /// Writes `c`, which is visible already.
    fn push(self, out: &mut String, c: char) {
        let escape = match (self, c) {
            (Self::Slack | Self::Html | Self::Telegram, '&') => "&amp;",
            (Self::Slack | Self::Html | Self::Telegram, '<') => "&lt;",
            (Self::Slack | Self::Html | Self::Telegram, '>') => "&gt;",
            (Self::Html | Self::Telegram, '"') => "&quot;",
            // It cannot be escaped there: a mention begins with it.
            (Self::GoogleChat, '<') => "‹",
            _ => "",
        };
        if !escape.is_empty() {
            out.push_str(escape);
            return;
        }
        let (before, after) = match self {
            Self::Discord if "\\*_~`|>#[]()<@:-".contains(c) => (Some('\\'), None),
            Self::Mattermost if "\\*_~`|>#[](){}+-!<".contains(c) => (Some('\\'), None),
            Self::Mattermost if "@:".contains(c) => (None, Some(NOTHING)),
            Self::MattermostCode | Self::Telegram if c == '@' => (None, Some(NOTHING)),
            Self::DiscordCode | Self::MattermostCode if c == '`' => (None, Some(NOTHING)),
            Self::GoogleChat if "*_~`".contains(c) => (Some(NOTHING), None),
            Self::Card if c == '{' => (None, Some(NOTHING)),
            _ => (None, None),
        };
        out.extend(before);
        out.push(c);
        out.extend(after);
    }
}

/// `text` on one line, so that it does nothing in `place`: [`visible`], and what acts there
/// escaped. At most `max` (no less than [`LEAST`]) UTF-16 units long, escapes included; never cut
/// inside an escape; says what is missing. O(length).
pub fn fit(text: &str, place: Place, max: usize) -> String {
    let clean = visible(text);
    let mut out = String::with_capacity(clean.len().min(4 * max));
    let mut used = 0;
    // Where the text is cut if it turns out to be too long.
    let mut cut_at = 0;
    let mut shown = 0;
    for (index, c) in clean.chars().enumerate() {
        let from = out.len();
        place.push(&mut out, c);
        let piece = out.get(from..).unwrap_or_default();
        used += piece.encode_utf16().count();
        if used > max {
            out.truncate(cut_at);
            let missing = clean.chars().count() - shown;
            let note = if matches!(place, Place::Discord | Place::Mattermost) {
                format!("… ({missing} more characters)")
            } else {
                format!("… (+{missing} characters)")
            };
            out.push_str(&note);
            return out;
        }
        if used + CUT_NOTE <= max {
            cut_at = out.len();
            shown = index + 1;
        }
    }
    out
}

/// The same where a limit is in bytes: at most `max`, no less than three times [`LEAST`].
pub fn fit_bytes(text: &str, place: Place, max: usize) -> String {
    let mut units = max;
    loop {
        let out = fit(text, place, units);
        // A unit is three bytes at the most, so this ends.
        if out.len() <= max || units <= LEAST {
            return out;
        }
        units = (units * max / out.len()).saturating_sub(1).max(LEAST);
    }
}

/// The same for text of several lines, which stay lines: for blocks of code and mails.
pub fn fit_lines(text: &str, place: Place, max: usize) -> String {
    let mut out = String::new();
    let mut left = max;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if left < 2 * LEAST && !out.is_empty() {
            let missing = 1 + lines.count();
            write!(out, "\n… (+{missing} lines)").expect("writing to a String cannot fail");
            return out;
        }
        let line = fit(line, place, left.saturating_sub(LEAST).max(LEAST));
        left = left.saturating_sub(line.encode_utf16().count() + 1);
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&line);
    }
    out
}

/// An address that may become a link; `None` where it is not plainly one: a template may have put
/// text from a log into it.
pub fn link(url: &str) -> Option<&str> {
    let sound = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 2000
        && !url.contains(|c: char| c.is_whitespace() || "<>|\"'\\()[]{}`*".contains(c))
        && matches!(visible(url), Cow::Borrowed(_));
    sound.then_some(url)
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
            fit("<!channel> & <@U1>", Place::Slack, 100),
            "&lt;!channel&gt; &amp; &lt;@U1&gt;"
        );
    }

    #[test]
    fn cut_text_says_how_much_is_missing() {
        assert_eq!(
            fit(&"x".repeat(100), Place::Slack, 60),
            format!("{}… (+80 characters)", "x".repeat(20))
        );
        assert_eq!(short(&"é".repeat(10), 4), "éééé… (+6 characters)");
        assert_eq!(fit(&"x".repeat(60), Place::Slack, 60), "x".repeat(60));
    }

    #[test]
    fn what_acts_in_a_place_does_not_act_there() {
        for (place, text, harmless) in [
            (Place::Html, "<script>&\"", "&lt;script&gt;&amp;&quot;"),
            (
                Place::Discord,
                "**b** @everyone <@1>",
                r"\*\*b\*\* \@everyone \<\@1\>",
            ),
            (Place::Discord, "[x](http://e)", r"\[x\]\(http\://e\)"),
            (Place::Mattermost, "@all #a", "@\u{200b}all \\#a"),
            (
                Place::MattermostCode,
                "```@here",
                "`\u{200b}`\u{200b}`\u{200b}@\u{200b}here",
            ),
            (
                Place::GoogleChat,
                "<users/all> *b*",
                "‹users/all> \u{200b}*b\u{200b}*",
            ),
            (Place::Card, "{{DATE(x)}}", "{\u{200b}{\u{200b}DATE(x)}}"),
            (Place::Plain, "a\r\nBcc: x", "a\\r\\nBcc: x"),
        ] {
            assert_eq!(fit(text, place, 200), harmless, "{place:?}");
        }
    }

    #[test]
    fn a_limit_in_bytes_holds_and_what_is_missing_is_said() {
        for text in [
            "x".repeat(900),
            "é".repeat(900),
            "漢".repeat(900),
            "😀".repeat(900),
        ] {
            let out = fit_bytes(&text, Place::Plain, 400);
            assert!(out.len() <= 400 && out.len() > 280, "{}", out.len());
            assert!(out.ends_with(" characters)"), "{out}");
        }
        assert_eq!(fit_bytes("漢字", Place::Plain, 400), "漢字");
    }

    #[test]
    fn lines_stay_lines_and_what_is_missing_is_counted() {
        assert_eq!(fit_lines("a\nb\n", Place::Plain, 500), "a\nb");
        let long = "x\n".repeat(1000);
        let out = fit_lines(&long, Place::Plain, 500);
        assert!(out.len() <= 500 && out.ends_with(" lines)"), "{out}");
    }

    #[test]
    fn only_what_is_plainly_an_address_becomes_a_link() {
        assert!(link("https://wiki.example.com/a?b=c#d").is_some());
        for bad in [
            "javascript:alert(1)",
            "https://e/>x",
            "https://e/a b",
            "https://e/\u{202e}",
            "x",
        ] {
            assert_eq!(link(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left_whatever_the_text(text in "\\PC*|[\\x00-\\x{10ffff}]*") {
            prop_assert!(!visible(&text).chars().any(acts));
            prop_assert!(!visible(&text).chars().any(char::is_control));
        }

        #[test]
        fn slack_text_keeps_its_limit_and_its_escapes_whole(text in "[<>&a\u{1F600}\\x1b]{0,200}", max in 40_usize..300) {
            let out = fit(&text, Place::Slack, max);
            prop_assert!(out.encode_utf16().count() <= max, "{} of {max}", out.encode_utf16().count());
            prop_assert!(!out.contains(['<', '>']));
            let bare = out.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!bare.contains('&'), "{out}");
        }

        #[test]
        fn no_text_keeps_its_power_and_none_is_longer_than_it_may_be(
            text in "[<>&*_~`|@#\\[\\](){}:a\\n\r\\x1b\u{202e}\u{1F600}\\\\]{0,300}",
            max in LEAST..400,
        ) {
            for place in Place::ALL {
                let out = fit(&text, place, max);
                prop_assert!(out.encode_utf16().count() <= max, "{place:?}");
                prop_assert!(!out.contains(char::is_control), "{place:?} {out:?}");
                prop_assert!(!out.contains('\u{202e}'), "it turns");
                match place {
                    Place::Slack | Place::Html | Place::Telegram => prop_assert!(!out.contains(['<', '>'])),
                    Place::GoogleChat => prop_assert!(!out.contains('<')),
                    Place::DiscordCode | Place::MattermostCode => prop_assert!(!out.contains("``")),
                    Place::Card => prop_assert!(!out.contains("{{")),
                    Place::Discord | Place::Mattermost => {
                        let bare = out.replace("\\\\", "");
                        let mut last = ' ';
                        for c in bare.chars() {
                            prop_assert!(!"*_~`|[]<#".contains(c) || last == '\\', "{place:?} {out:?}");
                            last = c;
                        }
                    }
                    Place::Plain => {}
                }
                if matches!(place, Place::Mattermost | Place::MattermostCode | Place::Telegram) {
                    prop_assert!(out.split('@').skip(1).all(|rest| rest.starts_with(NOTHING)));
                }
                let lines = fit_lines(&text, place, max.max(3 * LEAST));
                prop_assert!(lines.encode_utf16().count() <= max.max(3 * LEAST), "{place:?}");
            }
        }
    }
}
