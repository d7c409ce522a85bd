//! A message as one text: plain, HTML or a chat's markdown, fitted into what the service takes.
//! Pure.

use super::message::{Message, Sample};
use super::safe::{self, Place, fit, fit_lines};

/// How a service wants its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    /// None: mails, terminals.
    Plain,
    /// What Matrix takes of HTML.
    Html,
    /// What Telegram takes of HTML: no paragraphs, line feeds count.
    Telegram,
    /// Discord's markdown.
    Discord,
    /// Mattermost's markdown.
    Mattermost,
    /// Google Chat's markup.
    GoogleChat,
}

/// How long a piece may be, in UTF-16 units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The summary.
    pub(super) summary: usize,
    /// One fact, one link, one hint, one note.
    pub(super) fact: usize,
    /// One line of the log.
    pub(super) sample: usize,
    /// Lines of the log; the latest are shown.
    pub(super) samples: usize,
    /// Facts.
    pub(super) facts: usize,
}

impl Room {
    /// Where there is room.
    pub(super) const WIDE: Self = Self {
        summary: 1000,
        fact: 300,
        sample: 2000,
        samples: 5,
        facts: 40,
    };

    /// The next smaller one; `None`: there is none that says anything.
    fn smaller(self) -> Option<Self> {
        let half = |size: usize| (size / 2).max(safe::LEAST);
        let next = Self {
            summary: half(self.summary),
            fact: half(self.fact),
            sample: half(self.sample),
            samples: if self.sample <= 2 * safe::LEAST {
                self.samples.saturating_sub(1)
            } else {
                self.samples
            },
            facts: if self.sample <= 2 * safe::LEAST {
                (self.facts / 2).max(2)
            } else {
                self.facts
            },
        };
        let is_smaller = next.samples < self.samples
            || next.sample < self.sample
            || next.facts < self.facts
            || next.summary < self.summary;
        is_smaller.then_some(next)
    }
}

/// What `render` makes of the widest room in which `fits` holds; of the smallest there is, where
/// none does.
pub(super) fn shrink<T>(mut render: impl FnMut(Room) -> T, mut fits: impl FnMut(&T) -> bool) -> T {
    let mut room = Room::WIDE;
    loop {
        let made = render(room);
        if fits(&made) {
            return made;
        }
        match room.smaller() {
            Some(smaller) => room = smaller,
            None => return made,
        }
    }
}

/// How long a text is for a service that counts as JavaScript does.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

impl Markup {
    fn place(self) -> Place {
        match self {
            Self::Plain => Place::Plain,
            Self::Html => Place::Html,
            Self::Telegram => Place::Telegram,
            Self::Discord => Place::Discord,
            Self::Mattermost => Place::Mattermost,
            Self::GoogleChat => Place::GoogleChat,
        }
    }

    fn code_place(self) -> Place {
        match self {
            Self::Discord => Place::DiscordCode,
            Self::Mattermost => Place::MattermostCode,
            Self::Telegram => Place::Html,
            other => other.place(),
        }
    }

    fn bold(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Html | Self::Telegram => format!("<b>{text}</b>"),
            Self::Discord | Self::Mattermost => format!("**{text}**"),
            Self::GoogleChat => format!("*{text}*"),
        }
    }

    fn link(self, label: &str, url: &str, max: usize) -> String {
        let place = self.place();
        let Some(url) = safe::link(url) else {
            return format!("{label}: {}", fit(url, place, max));
        };
        match self {
            Self::Plain => format!("{label}: {url}"),
            Self::Html | Self::Telegram => {
                format!("<a href=\"{}\">{label}</a>", url.replace('&', "&amp;"))
            }
            Self::Discord | Self::Mattermost => format!("[{label}](<{url}>)"),
            Self::GoogleChat => format!("<{}|{label}>", url.replace('|', "%7C")),
        }
    }

    fn newline(self) -> &'static str {
        match self {
            Self::Html => "<br>\n",
            _ => "\n",
        }
    }

    /// Lines of the log, where nothing in them acts.
    fn block(self, samples: &[Sample], room: Room) -> String {
        let place = self.code_place();
        let first = samples.len().saturating_sub(room.samples);
        let mut lines = Vec::new();
        for sample in samples.iter().skip(first) {
            let mut text = fit_lines(&sample.text, place, room.sample);
            if sample.is_cut {
                text.push_str(" … (cut)");
            }
            lines.push(text);
        }
        if first > 0 {
            lines.push(format!("… ({first} older lines left out)"));
        }
        let lines = lines.join("\n");
        match self {
            Self::Plain => {
                let indented = lines.lines().map(|line| format!("    {line}"));
                indented.collect::<Vec<_>>().join("\n")
            }
            Self::Html => format!("<pre><code>{lines}</code></pre>"),
            Self::Telegram => format!("<pre>{lines}</pre>"),
            Self::Discord | Self::Mattermost | Self::GoogleChat => format!("```\n{lines}\n```"),
        }
    }

    /// What is to be typed, a line each.
    fn commands(self, commands: &[String], max: usize) -> Option<String> {
        let fitted = commands
            .iter()
            .map(|text| fit(text, self.code_place(), max));
        let fitted: Vec<String> = fitted.collect();
        if fitted.is_empty() {
            return None;
        }
        let code = |text: &String| format!("<code>{text}</code>");
        Some(match self {
            Self::Plain => fitted.join("\n"),
            Self::Html | Self::Telegram => {
                let codes: Vec<String> = fitted.iter().map(code).collect();
                codes.join(self.newline())
            }
            Self::Discord | Self::Mattermost | Self::GoogleChat => {
                format!("```\n{}\n```", fitted.join("\n"))
            }
        })
    }
}

/// The title: dot and words.
pub(super) fn title(message: &Message, markup: Markup) -> String {
    let title = fit(&message.title, markup.place(), 200);
    format!("{} {}", message.mark, markup.bold(&title))
}

/// All but the title.
pub(super) fn body(message: &Message, markup: Markup, room: Room) -> String {
    let place = markup.place();
    let newline = markup.newline();
    let mut lines = vec![fit(&message.summary, place, room.summary)];
    for (label, value) in message.facts.iter().take(room.facts) {
        let label = markup.bold(&fit(label, place, room.fact.min(120)));
        lines.push(format!("{label}  {}", fit(value, place, room.fact)));
    }
    if message.facts.len() > room.facts {
        let more = message.facts.len() - room.facts;
        lines.push(format!("… (+{more} lines)"));
    }
    let mut out = lines.join(newline);
    if !message.samples.is_empty() && room.samples > 0 {
        // A block begins on a line of its own; in HTML it does by itself.
        out.push('\n');
        if markup == Markup::Plain {
            out.push('\n');
        }
        out.push_str(&markup.block(&message.samples, room));
        if markup == Markup::Plain {
            out.push('\n');
        }
    } else {
        out.push_str(newline.trim_end_matches('\n'));
    }
    let links = message.links.iter();
    let links: Vec<_> = links
        .map(|(label, url)| markup.link(label, url, room.fact))
        .collect();
    let mut tail = Vec::new();
    match markup {
        Markup::Plain => tail.extend(links),
        _ if !links.is_empty() => tail.push(links.join(" · ")),
        _ => {}
    }
    tail.extend(markup.commands(&message.hints, room.fact));
    if !message.notes.is_empty() {
        tail.push(fit(&message.notes.join(" · "), place, room.fact));
    }
    if !tail.is_empty() {
        out.push('\n');
        out.push_str(&tail.join(newline));
    }
    out
}

/// Title and all, at most `max` long by `measure`.
pub(super) fn whole(
    message: &Message,
    markup: Markup,
    max: usize,
    measure: impl Fn(&str) -> usize,
) -> String {
    let render = |room| {
        let body = body(message, markup, room);
        format!("{}{}{body}", title(message, markup), markup.newline())
    };
    shrink(render, |text| measure(text) <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outputs::message::Way;
    use crate::outputs::sample::{hostile, notification};

    const ALL: [Markup; 6] = [
        Markup::Plain,
        Markup::Html,
        Markup::Telegram,
        Markup::Discord,
        Markup::Mattermost,
        Markup::GoogleChat,
    ];

    #[test]
    fn a_text_reads_from_the_title_to_the_small_print() {
        let message = Message::of(&notification(), &Way::default());
        insta::assert_snapshot!(whole(&message, Markup::Plain, 4000, units));
    }

    #[test]
    fn a_log_cannot_end_the_block_it_stands_in() {
        let mut alert = notification();
        alert.samples[0].line = "```</pre></code>`` <b>\n@channel".to_owned();
        let message = Message::of(&alert, &Way::default());
        for markup in ALL {
            let text = whole(&message, markup, 4000, units);
            let fences = text.matches("```").count();
            match markup {
                Markup::Discord | Markup::Mattermost | Markup::GoogleChat => {
                    assert_eq!(fences, 4, "the lines, the commands: {text}");
                }
                Markup::Html | Markup::Telegram => {
                    assert_eq!(text.matches("</pre>").count(), 1, "{text}");
                }
                Markup::Plain => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn whatever_the_log_holds_the_text_is_within_its_limit(
            text in "([<>&*_`\"\\\\]|\\PC|\\n){0,200}",
            copies in 1_usize..8,
        ) {
            let message = Message::of(&hostile(&text.repeat(copies)), &Way::default());
            for markup in ALL {
                let out = whole(&message, markup, 2000, units);
                prop_assert!(units(&out) <= 2000, "{markup:?}: {} units", units(&out));
                let bytes = whole(&message, markup, 4000, str::len);
                prop_assert!(bytes.len() <= 4000, "{markup:?}: {} bytes", bytes.len());
            }
        }
    }
}
