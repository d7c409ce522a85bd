//! What makes log text harmless, for each service: nothing that acts is left, no text is longer than it
//! may be, and nothing is lost but what is said to be.
//!
//! From `tests/fuzz`:
//!
//! ```text
//! mkdir -p corpus/safe
//! cargo +nightly fuzz run --fuzz-dir . safe corpus/safe
//! ```
//!
//! The first byte of an input chooses the place, the next two how long the text may be there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use safe::{LEAST, Place, fit, fit_bytes, fit_lines, link, short, visible};

#[path = "../../../agent/src/outputs/safe.rs"]
mod safe;

/// Put there by us: shown as nothing, keeps a mention from being one.
const NOTHING: char = '\u{200b}';

/// Characters that move a cursor, turn the direction or hide.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{61c}' | '\u{e0000}'..='\u{e0fff}')
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Whether `c` stands in `text` only behind a backslash that is none of a pair.
fn is_escaped(text: &str, what: &str) -> bool {
    let mut is_behind = false;
    text.chars().all(|c| {
        let fine = is_behind || !what.contains(c);
        is_behind = c == '\\' && !is_behind;
        fine
    })
}

fn is_followed_by_nothing(text: &str, c: char) -> bool {
    text.split(c).skip(1).all(|rest| rest.starts_with(NOTHING))
}

/// Whether every `&` begins an entity of ours.
fn has_only_our_entities(text: &str) -> bool {
    let ours = ["amp;", "lt;", "gt;", "quot;"];
    let begins = |rest: &str| ours.iter().any(|name| rest.starts_with(name));
    text.split('&').skip(1).all(begins)
}

fn check(out: &str, place: Place) {
    assert!(
        !out.chars().any(|c| acts(c) && c != NOTHING),
        "{place:?}: {out:?}"
    );
    let harmless = match place {
        Place::Plain => true,
        Place::Slack => !out.contains(['<', '>']) && has_only_our_entities(out),
        Place::Html => !out.contains(['<', '>', '"']) && has_only_our_entities(out),
        Place::Telegram => {
            !out.contains(['<', '>', '"'])
                && has_only_our_entities(out)
                && is_followed_by_nothing(out, '@')
        }
        Place::Discord => is_escaped(out, "*_~`|>#[]<@"),
        Place::DiscordCode => !out.contains("``"),
        Place::Mattermost => is_escaped(out, "*_~`|>#[]!<") && is_followed_by_nothing(out, '@'),
        Place::MattermostCode => !out.contains("``") && is_followed_by_nothing(out, '@'),
        Place::GoogleChat => !out.contains('<'),
        Place::Card => !out.contains("{{"),
    };
    assert!(harmless, "{place:?}: {out:?}");
}

fuzz_target!(|input: &[u8]| {
    let [place, low, high, text @ ..] = input else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let clean = visible(&text);
    assert!(!clean.chars().any(acts), "{clean:?}");
    assert_eq!(visible(&clean), clean, "harmless text stays as it is");
    let place = Place::ALL[usize::from(*place) % Place::ALL.len()];
    let max = LEAST + usize::from(u16::from_le_bytes([*low, *high])) % 2000;
    let out = fit(&text, place, max);
    assert!(units(&out) <= max, "{place:?}: {} of {max}", units(&out));
    check(&out, place);
    if place == Place::Plain && units(&clean) <= max {
        assert_eq!(out, clean, "nothing is lost that has room");
    }
    let lines = fit_lines(&text, place, max.max(3 * LEAST));
    assert!(units(&lines) <= max.max(3 * LEAST));
    for line in lines.lines() {
        check(line, place);
    }
    let bytes = fit_bytes(&text, place, 3 * max);
    assert!(bytes.len() <= 3 * max);
    check(&bytes, place);
    let cut = short(&text, max);
    assert!(cut.chars().count() <= max + 40 && !cut.chars().any(acts));
    if let Some(url) = link(&text) {
        assert!(url.starts_with("http") && !url.contains(['<', '"', ' ']));
    }
});
