//! A picture of a rule's rate before and during an alert: SVG, drawn into a PNG with a font of our
//! own, readable on light and on dark ground. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use lapwing_rules::model::{Attachment, Notification, Reason, Severity, Status};
use resvg::tiny_skia::Pixmap;
use resvg::usvg::{Options, Transform, Tree, fontdb};

use super::render as words;
use super::safe::{Place, fit};

/// `DejaVu` Sans, reduced to ASCII; its licence lies beside it.
const FONT: &[u8] = include_bytes!("../../assets/DejaVuSans-ascii.ttf");
const WIDTH: u32 = 720;
const HEIGHT: u32 = 240;
/// Width and height in pixels.
pub(super) const SIZE: (u32, u32) = (WIDTH, HEIGHT);
/// Of the bars.
const LEFT: f64 = 52.0;
const TOP: f64 = 44.0;
const RIGHT: f64 = 704.0;
const BOTTOM: f64 = 204.0;

/// Whether the rule wants one, and there is something to draw.
pub(super) fn is_wanted(notification: &Notification) -> bool {
    notification.attach.contains(&Attachment::Graph)
        && notification.rate.counts.iter().any(|count| *count > 0)
}

/// The PNG; `None` where it cannot be drawn.
pub fn png(notification: &Notification) -> Option<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    let options = Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(&svg(notification), &options).ok()?;
    let mut picture = Pixmap::new(WIDTH, HEIGHT)?;
    resvg::render(&tree, Transform::default(), &mut picture.as_mut());
    picture.encode_png().ok()
}

fn colour(notification: &Notification) -> &'static str {
    match (notification.status, notification.severity) {
        (Status::Resolved, _) => "#2ea043",
        (_, Severity::Critical) => "#d02f2f",
        (_, Severity::Warning) => "#e08a1e",
        (_, Severity::Info) => "#2f6fd0",
    }
}

/// Text of a log stands in it escaped, and reduced to what the font has.
fn word(text: &str, max: usize) -> String {
    let ascii: String = text
        .chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect();
    let cut: String = ascii.chars().take(max).collect();
    fit(&cut, Place::Html, 6 * max.max(20))
}

/// The drawing. Its ground is light and opaque: on a dark page it is a card.
pub(super) fn svg(notification: &Notification) -> String {
    let counts = &notification.rate.counts;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let many = u32::try_from(counts.len()).unwrap_or(u32::MAX).max(1);
    let step = (RIGHT - LEFT) / f64::from(many);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"DejaVu Sans\" font-size=\"12\" fill=\"#57606a\">\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"#f6f8fa\"/>"
    );
    let drill = if notification.reason == Reason::Drill {
        "[DRILL] "
    } else {
        ""
    };
    let mut draw = |piece: std::fmt::Arguments<'_>| {
        out.write_fmt(piece)
            .expect("writing to a String cannot fail");
    };
    draw(format_args!(
        "<text x=\"16\" y=\"26\" font-size=\"15\" fill=\"#1f2328\">{drill}{} on {}</text>",
        word(&notification.rule, 48),
        word(&notification.host, 28)
    ));
    for (share, label) in [
        (0.0, 0.0),
        (0.5, f64::from(most) / 2.0),
        (1.0, f64::from(most)),
    ] {
        let y = BOTTOM - share * (BOTTOM - TOP);
        draw(format_args!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#d0d7de\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        ));
    }
    for (index, count) in (0_u32..).zip(counts) {
        let height = (BOTTOM - TOP) * f64::from(*count) / f64::from(most);
        draw(format_args!(
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{}\"/>",
            LEFT + f64::from(index) * step,
            BOTTOM - height,
            (step * 0.86).max(0.5),
            colour(notification)
        ));
    }
    let end = notification.ended_at.unwrap_or(notification.sent_at);
    let span = notification.rate.step_s.0 * f64::from(many);
    let span = std::time::Duration::try_from_secs_f64(span).unwrap_or_default();
    draw(format_args!(
        "<text x=\"{LEFT}\" y=\"224\">{}</text><text x=\"{RIGHT}\" y=\"224\" text-anchor=\"end\">{} UTC</text></svg>",
        word(&format!("{} before", words::span(span)), 40),
        words::moment(end).trim_end_matches('Z')
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::sample::{hostile, notification};

    #[test]
    fn a_picture_shows_bars_and_words_and_only_where_the_rule_wants_it() {
        let mut alert = notification();
        alert.attach.clear();
        assert!(!is_wanted(&alert));
        alert.attach = vec![Attachment::Graph];
        assert!(is_wanted(&alert));
        let png = png(&alert).unwrap();
        let picture = Pixmap::decode_png(&png).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        let is = |pixel: &resvg::tiny_skia::PremultipliedColorU8, rgb: [u8; 3]| {
            [pixel.red(), pixel.green(), pixel.blue()] == rgb
        };
        let count = |rgb| {
            picture
                .pixels()
                .iter()
                .filter(|pixel| is(pixel, rgb))
                .count()
        };
        assert!(count([0xd0, 0x2f, 0x2f]) > 5000, "bars");
        assert!(count([0x1f, 0x23, 0x28]) > 50, "the title's letters");
        assert!(png.len() < 30_000, "{}", png.len());
        if let Ok(path) = std::env::var("LAPWING_PICTURE") {
            std::fs::write(path, png).unwrap();
        }
    }

    #[test]
    fn a_log_cannot_draw() {
        let mut alert = hostile("</text><script>&\u{202e}]]>");
        alert.attach = vec![Attachment::Graph];
        let svg = svg(&alert);
        assert!(!svg.contains("<script"), "{svg}");
        assert!(png(&alert).is_some());
    }
}
