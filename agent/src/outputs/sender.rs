//! Delivers to one output: knows what each kind needs to be kept between messages (a connection,
//! threads, a write under way), and makes one try.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::Serial;
use super::http::{Answer, Call, Failure, Http};
use super::kind::Kind;
use super::outgoing::Outgoing;
use super::retry::Verdict;
use super::{
    Palette, calls, collect, console, email, exec, file, follow, irc, slack_bot, webhook, wire,
};
use crate::clock;

/// One output's way out.
pub(super) struct Sender {
    kind: Kind,
    timeout: Duration,
    palette: Palette,
    http: Arc<Http>,
    serial: Serial,
    threads: slack_bot::Threads,
    irc: Option<irc::Client>,
}

/// What one try came to.
pub(super) struct Tried {
    pub(super) verdict: Verdict,
    /// The service lets nothing more in for so long.
    pub(super) closed_for: Option<Duration>,
    /// As how many the service counts it against its rate.
    pub(super) messages: u32,
    /// What became of each of many, where the answer tells them apart.
    pub(super) items: Option<calls::Items>,
    /// Where the service has it, for [`Sender::remember`].
    pub(super) place: Option<String>,
}

impl From<Verdict> for Tried {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            closed_for: None,
            messages: 1,
            items: None,
            place: None,
        }
    }
}

impl Sender {
    /// `timeout`: for one try.
    pub(super) fn new(kind: Kind, timeout: Duration, palette: Palette, http: Arc<Http>) -> Self {
        Self {
            kind,
            timeout,
            palette,
            http,
            serial: Serial::default(),
            threads: slack_bot::Threads::default(),
            irc: None,
        }
    }

    /// An alert was told before this process began; `place` is what the service called it then.
    pub(super) fn remember(&mut self, alert: &str, place: &str) {
        self.threads.remember(alert, place);
    }

    /// One try. `key` tells one piece of blocking work from the next.
    pub(super) async fn send(&mut self, key: u64, outgoing: &Outgoing) -> Tried {
        let mut tried = self.try_once(key, outgoing).await;
        // Whatever the other side repeats of them.
        let secrets = self.kind.secrets();
        let hide = |why: String| secrets.iter().fold(why, |why, secret| secret.scrub(&why));
        tried.verdict = tried.verdict.map_why(hide);
        tried
    }

    async fn try_once(&mut self, key: u64, outgoing: &Outgoing) -> Tried {
        let call = match calls::call(&self.kind, outgoing, clock::now()) {
            Ok(call) => call,
            Err(error) => {
                let why = format!("it cannot be written as JSON: {error}");
                return Verdict::Rejected { why }.into();
            }
        };
        if let Kind::SlackBot {
            api_url,
            token,
            channel,
        } = &self.kind
        {
            let bot = slack_bot::Bot {
                http: &self.http,
                api_url,
                token,
                channel,
                timeout: self.timeout,
            };
            let (verdict, place) = bot.send(&mut self.threads, outgoing).await;
            return Tried {
                place,
                ..verdict.into()
            };
        }
        let Some(call) = call else {
            return self.send_otherwise(key, outgoing).await.into();
        };
        let answer = match self.answer(call).await {
            Ok(answer) => answer,
            Err(verdict) => return verdict.into(),
        };
        let mut tried = self.judge(&answer);
        if tried.verdict == Verdict::Delivered {
            let showing = follow::picture(&self.kind, &self.http, outgoing, &answer, self.timeout);
            tried.messages += u32::from(showing.await);
        }
        tried
    }

    /// One request of an output that speaks HTTP.
    pub(super) async fn ask(&self, call: Call) -> Tried {
        match self.answer(call).await {
            Ok(answer) => self.judge(&answer),
            Err(verdict) => verdict.into(),
        }
    }

    async fn answer(&self, call: Call) -> Result<Answer, Verdict> {
        let answer = self.http.send(call, self.timeout).await;
        answer.map_err(|failure| match failure {
            Failure::BadUrl(why) => Verdict::Refused { why },
            Failure::NoAnswer(why) => Verdict::Retry { why, after: None },
        })
    }

    fn judge(&self, answer: &Answer) -> Tried {
        Tried {
            closed_for: calls::exhausted(answer),
            items: calls::items_of(&self.kind, answer),
            ..calls::judge(&self.kind, answer, clock::now()).into()
        }
    }

    async fn send_otherwise(&mut self, key: u64, outgoing: &Outgoing) -> Verdict {
        let timeout = self.timeout;
        let notification = outgoing.shared();
        match &self.kind {
            Kind::Console => {
                let palette = self.palette;
                let work = move || console::print(&console::render(&notification, palette));
                self.serial.run(key, timeout, work).await
            }
            Kind::File { path } => {
                let path = path.clone();
                let work = move || file::append(&path, &webhook::lapwing_json(&notification)?);
                self.serial.run(key, timeout, work).await
            }
            Kind::Irc(settings) => {
                let client = self
                    .irc
                    .get_or_insert_with(|| irc::Client::start(settings.clone()));
                client.send(irc::lines(&outgoing.message()), timeout).await
            }
            Kind::Email(settings) => email::send(settings, outgoing, timeout).await,
            Kind::Syslog(server) => match collect::of_notification(&notification) {
                Ok(entry) => wire::syslog(server, &[entry], timeout).await,
                Err(error) => Verdict::Rejected {
                    why: error.to_string(),
                },
            },
            Kind::Exec { command, .. } => match webhook::lapwing_json(&notification) {
                Ok(json) => exec::run(command, &json, &outgoing.key(), timeout).await,
                Err(error) => Verdict::Rejected {
                    why: error.to_string(),
                },
            },
            // Counts are fed another way; the others speak HTTP.
            _ => Verdict::Rejected {
                why: "it takes no notifications".to_owned(),
            },
        }
    }
}
