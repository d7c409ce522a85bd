//! What a person at `lapwing top` has chosen to see and is about to order: keys in, orders out. Asks
//! nobody and draws nothing.

use lapwing_rules::language::quantity;
use lapwing_rules::mute::Matcher;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use super::seen::{Alert, Seen};
use crate::commands::asking::on_behalf_of;
use crate::operate::protocol::Request;

/// Longest text that is taken, in characters.
const MOST_TEXT: usize = 500;
/// A silence lasts so long unless told otherwise.
const SPAN: &str = "1h";

/// How the rules are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Firing first, then those that hit most lately.
    #[default]
    Busy,
    Hits,
    Name,
}

/// Which table the keys move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    Alerts,
    Rules,
}

/// What a person is asked before something is done.
pub(super) struct Prompt {
    what: Ordered,
    /// What they have written.
    pub(super) text: String,
}

/// What would be done.
enum Ordered {
    Ack { id: String },
    Silence { matchers: Vec<Matcher> },
}

impl Prompt {
    /// What is asked.
    pub(super) fn question(&self) -> String {
        match &self.what {
            Ordered::Ack { id } => format!("acknowledge {id}, with this note (may be empty):"),
            Ordered::Silence { matchers } => {
                let all: Vec<_> = matchers.iter().map(Matcher::to_string).collect();
                let all = all.join(", ");
                format!("silence {all} for how long, and why ({SPAN}):")
            }
        }
    }
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    End,
    /// To be told to the agent.
    Order(Request),
    /// What was written makes no sense.
    Refuse(String),
}

/// The chosen row of a table: by its name, because rows change their places from look to look.
#[derive(Default)]
pub(super) struct Chosen {
    name: Option<String>,
    /// Where it stands, and which rows are seen.
    pub(super) table: TableState,
}

impl Chosen {
    /// The table's rows are these now.
    pub(super) fn stand(&mut self, names: &[&str]) {
        let name = self.name.as_deref();
        let at = names.iter().position(|one| Some(*one) == name);
        self.table.select(at);
        if at.is_none() {
            self.name = None;
        }
    }

    /// Moves by so many rows; the first move is to the first row.
    fn step(&mut self, by: isize, names: &[&str]) {
        self.stand(names);
        let at = self.table.selected();
        let at = at.map_or(0, |at| at.saturating_add_signed(by));
        let at = at.min(names.len().saturating_sub(1));
        self.name = names.get(at).map(|name| (*name).to_owned());
        self.stand(names);
    }
}

/// What a person has chosen to see.
#[derive(Default)]
pub(super) struct View {
    pub(super) order: Order,
    pub(super) focus: Focus,
    pub(super) alerts: Chosen,
    pub(super) rules: Chosen,
    pub(super) prompt: Option<Prompt>,
    /// What came of the last order.
    pub(super) said: Option<String>,
}

impl View {
    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, seen: &Seen) -> Act {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Act::End;
        }
        if let Some(prompt) = self.prompt.take() {
            return self.write(prompt, key.code);
        }
        self.said = None;
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Act::End,
            KeyCode::Down | KeyCode::Char('j') => self.step(1, seen),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1, seen),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(10, seen),
            KeyCode::PageUp => self.step(-10, seen),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN, seen),
            KeyCode::Tab => self.focus = self.other(),
            KeyCode::Char('o') => self.next_order(),
            KeyCode::Char('a') => self.ask(self.ack(seen)),
            KeyCode::Char('s') => self.ask(self.silence(seen)),
            _ => {}
        }
        Act::Nothing
    }

    fn write(&mut self, mut prompt: Prompt, key: KeyCode) -> Act {
        match key {
            KeyCode::Esc => return Act::Nothing,
            KeyCode::Enter => return order(prompt),
            KeyCode::Backspace => drop(prompt.text.pop()),
            KeyCode::Char(c) if prompt.text.chars().count() < MOST_TEXT => prompt.text.push(c),
            _ => {}
        }
        self.prompt = Some(prompt);
        Act::Nothing
    }

    fn step(&mut self, by: isize, seen: &Seen) {
        match self.focus {
            Focus::Alerts => self.alerts.step(by, &seen.ids()),
            Focus::Rules => self.rules.step(by, &seen.names(self.order)),
        }
    }

    fn next_order(&mut self) {
        self.order = match self.order {
            Order::Busy => Order::Hits,
            Order::Hits => Order::Name,
            Order::Name => Order::Busy,
        };
    }

    fn other(&self) -> Focus {
        match self.focus {
            Focus::Alerts => Focus::Rules,
            Focus::Rules => Focus::Alerts,
        }
    }

    fn ask(&mut self, what: Option<Ordered>) {
        match what {
            Some(what) => {
                let text = String::new();
                self.prompt = Some(Prompt { what, text });
            }
            None => self.said = Some("nothing is chosen: move to an alert first".to_owned()),
        }
    }

    fn ack(&self, seen: &Seen) -> Option<Ordered> {
        let id = self.alert(seen)?.notification.id.clone();
        Some(Ordered::Ack { id })
    }

    /// The chosen alert's rule and group; among the rules, the rule.
    fn silence(&self, seen: &Seen) -> Option<Ordered> {
        let matchers = match self.focus {
            Focus::Alerts => {
                let told = &self.alert(seen)?.notification;
                let group = told.group.iter();
                let group = group.map(|(field, value)| Matcher::equal(field, value));
                let rule = Matcher::equal("rule", &told.rule);
                [rule].into_iter().chain(group).collect()
            }
            Focus::Rules => vec![Matcher::equal("rule", self.rules.name.as_ref()?)],
        };
        Some(Ordered::Silence { matchers })
    }

    /// The chosen one, where the keys move among alerts.
    fn alert<'a>(&self, seen: &'a Seen) -> Option<&'a Alert> {
        let chosen = self.alerts.name.as_ref();
        let chosen = chosen.filter(|_| self.focus == Focus::Alerts)?;
        let mut alerts = seen.alerts.iter();
        alerts.find(|alert| alert.notification.id == *chosen)
    }
}

fn order(prompt: Prompt) -> Act {
    let on_behalf_of = on_behalf_of();
    let note = prompt.text.trim().to_owned();
    match prompt.what {
        Ordered::Ack { id } => Act::Order(Request::Ack {
            id,
            note,
            on_behalf_of,
        }),
        Ordered::Silence { matchers } => {
            let (span, note) = note.split_once(' ').unwrap_or((&note, ""));
            let span = if span.is_empty() { SPAN } else { span };
            let Some(length) = quantity::duration(span) else {
                return Act::Refuse(format!("`{span}` is no time: write `2h`, and then why"));
            };
            Act::Order(Request::SilenceAdd {
                matchers: matchers.iter().map(Matcher::to_string).collect(),
                for_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
                note: note.trim().to_owned(),
                on_behalf_of,
            })
        }
    }
}
