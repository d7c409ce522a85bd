//! `type: irc`: a client that stays in its channel. Its task owns the connection: answers the
//! server's pings, keeps to the server's pace, and knows that a message arrived because the server
//! has answered a ping that was sent after it.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
    split,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::kind::Irc;
use super::message::Message;
use super::retry::Verdict;
use super::safe::{self, Place, fit_bytes};
use super::tls::{self, Duplex};

/// A line is 512 bytes with the server's own words before it; cut well below.
const LINE_BYTES: usize = 400;
/// Servers take one line in two seconds, and a few at once.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// So many lines may go out at once.
const BURST: u32 = 4;
/// A server says nothing longer; a line that does not end is no IRC.
const MOST_READ: u64 = 16 * 1024;
/// A server that is silent for so long is asked whether it is there.
const SILENCE: Duration = Duration::from_mins(2);
/// Lines of a message.
const MOST_LINES: usize = 6;

/// A client; its connection ends when this is dropped.
#[derive(Debug)]
pub(super) struct Client {
    jobs: mpsc::Sender<Job>,
    task: JoinHandle<()>,
}

struct Job {
    lines: Vec<String>,
    deadline: Instant,
    done: oneshot::Sender<Verdict>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Connects with the first message. Must be called inside a tokio runtime.
    pub(super) fn start(settings: Irc) -> Self {
        let (jobs, inbox) = mpsc::channel(1);
        let task = tokio::spawn(serve(settings, inbox));
        Self { jobs, task }
    }

    /// One try.
    pub(super) async fn send(&self, lines: Vec<String>, patience: Duration) -> Verdict {
        // Pacing takes its own time, whatever one try may take.
        let paced = LINE_EVERY * u32::try_from(lines.len()).unwrap_or(1);
        let (done, verdict) = oneshot::channel();
        let job = Job {
            lines,
            deadline: Instant::now() + patience + paced,
            done,
        };
        if self.jobs.send(job).await.is_err() {
            return again("the client has ended");
        }
        verdict
            .await
            .unwrap_or_else(|_| again("the client has ended"))
    }
}

fn again(why: &str) -> Verdict {
    Verdict::Retry {
        why: safe::short(why, 200).into_owned(),
        after: None,
    }
}

/// The lines of a message: what it is, how much, the latest line of the log, where to look.
pub(super) fn lines(message: &Message) -> Vec<String> {
    let mut lines = vec![message.headline()];
    let facts: Vec<String> = message
        .facts
        .iter()
        .take(4)
        .map(|(label, value)| format!("{label}: {value}"))
        .collect();
    lines.push(facts.join(" | "));
    lines.extend(
        message
            .samples
            .last()
            .map(|sample| format!("> {}", sample.text)),
    );
    let links: Vec<String> = message
        .links
        .iter()
        .map(|(label, url)| format!("{label}: {url}"))
        .collect();
    if !links.is_empty() {
        lines.push(links.join(" "));
    }
    let small: Vec<&str> = message
        .notes
        .iter()
        .chain(message.hints.first())
        .map(String::as_str)
        .collect();
    if !small.is_empty() {
        lines.push(small.join(" | "));
    }
    lines.truncate(MOST_LINES);
    let cut = |line: String| fit_bytes(&line, Place::Plain, LINE_BYTES);
    lines
        .into_iter()
        .map(cut)
        .filter(|line| !line.trim().is_empty())
        .collect()
}

async fn serve(settings: Irc, mut inbox: mpsc::Receiver<Job>) {
    let mut link: Option<Link> = None;
    loop {
        let job = match &mut link {
            None => inbox.recv().await,
            Some(open) => tokio::select! {
                job = inbox.recv() => job,
                error = open.idle() => {
                    tracing::debug!(%error, "the IRC server closed the connection");
                    link = None;
                    continue;
                }
            },
        };
        let Some(job) = job else {
            if let Some(mut link) = link {
                // Polite; nothing depends on it.
                link.write("QUIT :lapwing stops").await.ok();
            }
            return;
        };
        let verdict = match attempt(&settings, &mut link, &job).await {
            Ok(verdict) => verdict,
            Err(error) => {
                link = None;
                again(&error.to_string())
            }
        };
        if !matches!(verdict, Verdict::Delivered) {
            link = None;
        }
        // Whoever asked may have gone.
        job.done.send(verdict).ok();
    }
}

async fn attempt(settings: &Irc, link: &mut Option<Link>, job: &Job) -> io::Result<Verdict> {
    let work = async {
        let mut open = match link.take() {
            Some(open) => open,
            None => match Link::open(settings, job.deadline).await? {
                Ok(open) => open,
                Err(verdict) => return Ok(verdict),
            },
        };
        let verdict = open.say(&settings.channel, &job.lines).await?;
        *link = Some(open);
        Ok(verdict)
    };
    timeout_at(job.deadline, work)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

/// A line from the server, taken apart.
struct Heard {
    command: String,
    params: Vec<String>,
}

struct Link {
    read: BufReader<ReadHalf<Box<dyn Duplex>>>,
    write: WriteHalf<Box<dyn Duplex>>,
    /// A line that has begun to arrive.
    partial: Vec<u8>,
    /// When the next line may go out, were the burst used up.
    paced: Instant,
    pings: u64,
    nick: String,
}

impl Link {
    /// Registered and in the channel; or why that is not to be.
    async fn open(settings: &Irc, deadline: Instant) -> io::Result<Result<Self, Verdict>> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let stream = tls::connect(&settings.host, settings.port, settings.tls, patience).await?;
        let (read, write) = split(stream);
        let mut link = Self {
            read: BufReader::new(read),
            write,
            partial: Vec::new(),
            paced: Instant::now(),
            pings: 0,
            nick: settings.nick.clone(),
        };
        if let Err(verdict) = link.register(settings).await? {
            return Ok(Err(verdict));
        }
        link.write(&format!("JOIN {}", settings.channel)).await?;
        loop {
            let heard = link.hear().await?;
            match heard.command.as_str() {
                // End of names: we are in.
                "366" => return Ok(Ok(link)),
                "403" | "405" | "471" | "473" | "474" | "475" | "476" | "477" | "489" => {
                    return Ok(Err(refused(&heard)));
                }
                _ => {}
            }
        }
    }

    async fn register(&mut self, settings: &Irc) -> io::Result<Result<(), Verdict>> {
        if settings.sasl.is_some() {
            self.write("CAP REQ :sasl").await?;
        }
        self.write(&format!("NICK {}", settings.nick)).await?;
        self.write(&format!("USER {} 0 * :lapwing", settings.nick))
            .await?;
        let mut tries = 0;
        let mut is_known = settings.sasl.is_none();
        loop {
            let heard = self.hear().await?;
            match heard.command.as_str() {
                "001" if !is_known => {
                    let why = "the server lets us in without SASL".to_owned();
                    return Ok(Err(Verdict::Refused { why }));
                }
                "001" => {
                    if let Some(nick) = heard.params.first() {
                        self.nick.clone_from(nick);
                    }
                    return Ok(Ok(()));
                }
                "433" | "436" | "437" if tries < 5 => {
                    tries += 1;
                    self.write(&format!("NICK {}{}", settings.nick, "_".repeat(tries)))
                        .await?;
                }
                "CAP" if heard.params.get(1).is_some_and(|word| word == "ACK") => {
                    self.write("AUTHENTICATE PLAIN").await?;
                }
                "CAP" if heard.params.get(1).is_some_and(|word| word == "NAK") => {
                    let why = "the server knows no SASL".to_owned();
                    return Ok(Err(Verdict::Refused { why }));
                }
                "AUTHENTICATE" => {
                    if let Some((user, password)) = &settings.sasl {
                        let plain = format!("\0{user}\0{}", password.expose());
                        let words = base64::engine::general_purpose::STANDARD.encode(plain);
                        self.authenticate(&words).await?;
                    }
                }
                "903" => {
                    is_known = true;
                    self.write("CAP END").await?;
                }
                "432" | "464" | "465" | "902" | "904" | "905" | "906" => {
                    return Ok(Err(refused(&heard)));
                }
                "ERROR" => return Err(io::Error::other(heard.params.join(" "))),
                _ => {}
            }
        }
    }

    /// In pieces of 400 bytes; one of less ends it.
    async fn authenticate(&mut self, words: &str) -> io::Result<()> {
        let mut rest = words;
        loop {
            let (piece, left) = rest.split_at_checked(400).unwrap_or((rest, ""));
            let text = if piece.is_empty() { "+" } else { piece };
            self.write(&format!("AUTHENTICATE {text}")).await?;
            if piece.len() < 400 {
                return Ok(());
            }
            rest = left;
        }
    }

    /// Says `lines` in the channel and waits until the server has seen them.
    async fn say(&mut self, channel: &str, lines: &[String]) -> io::Result<Verdict> {
        for line in lines {
            self.pace().await;
            self.write(&format!("PRIVMSG {channel} :{line}")).await?;
        }
        self.pings += 1;
        let token = format!("lapwing-{}", self.pings);
        self.write(&format!("PING :{token}")).await?;
        loop {
            let heard = self.hear().await?;
            match heard.command.as_str() {
                "PONG" if heard.params.last().is_some_and(|last| *last == token) => {
                    return Ok(Verdict::Delivered);
                }
                // No such nick or channel, cannot send, not in the channel.
                "401" | "403" | "404" | "442" => return Ok(refused(&heard)),
                _ => {}
            }
        }
    }

    async fn pace(&mut self) {
        let now = Instant::now();
        self.paced = self
            .paced
            .max(now.checked_sub(LINE_EVERY * BURST).unwrap_or(now))
            + LINE_EVERY;
        if self.paced > now {
            sleep_until(self.paced).await;
        }
    }

    async fn write(&mut self, line: &str) -> io::Result<()> {
        // Nothing that comes here holds a line end: every text has been made harmless, and the
        // configuration's check refuses names with one. A line more would be a command more.
        let line: String = line
            .chars()
            .filter(|c| !matches!(c, '\r' | '\n' | '\0'))
            .collect();
        self.write.write_all(line.as_bytes()).await?;
        self.write.write_all(b"\r\n").await?;
        self.write.flush().await
    }

    /// The next line that is not a ping.
    async fn hear(&mut self) -> io::Result<Heard> {
        loop {
            let heard = parse(&self.read_line().await?);
            match heard.command.as_str() {
                "PING" => {
                    let token = heard.params.last().cloned().unwrap_or_default();
                    self.write(&format!("PONG :{token}")).await?;
                }
                "ERROR" => return Err(io::Error::other(heard.params.join(" "))),
                "KICK" if heard.params.get(1) == Some(&self.nick) => {
                    return Err(io::Error::other("kicked out of the channel"));
                }
                _ => return Ok(heard),
            }
        }
    }

    /// Waits while nothing is to be said; gives why the connection is of no more use. May be given
    /// up at any time.
    async fn idle(&mut self) -> io::Error {
        loop {
            match timeout(SILENCE, self.hear()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error,
                Err(_) => {
                    if let Err(error) = self.write("PING :lapwing").await {
                        return error;
                    }
                    match timeout(SILENCE, self.hear()).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => return io::ErrorKind::TimedOut.into(),
                    }
                }
            }
        }
    }

    /// May be given up at any time: what has arrived is kept.
    async fn read_line(&mut self) -> io::Result<String> {
        let room = MOST_READ.saturating_sub(self.partial.len() as u64);
        let mut limited = (&mut self.read).take(room);
        let read = limited.read_until(b'\n', &mut self.partial).await?;
        if !self.partial.ends_with(b"\n") {
            let why = if read == 0 && self.partial.is_empty() {
                "the server closed the connection"
            } else {
                "the server broke off, or says what is no IRC"
            };
            return Err(io::Error::other(why));
        }
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        Ok(line)
    }
}

fn refused(heard: &Heard) -> Verdict {
    let why = format!("{} {}", heard.command, heard.params.join(" "));
    Verdict::Refused {
        why: safe::short(&why, 200).into_owned(),
    }
}

fn parse(line: &str) -> Heard {
    let line = match line.strip_prefix('@') {
        Some(tags) => tags.split_once(' ').map_or("", |(_, rest)| rest),
        None => line,
    };
    let line = match line.strip_prefix(':') {
        Some(prefix) => prefix.split_once(' ').map_or("", |(_, rest)| rest),
        None => line,
    };
    let (words, last) = match line.split_once(" :") {
        Some((words, last)) => (words, Some(last)),
        None => (line, None),
    };
    let mut words = words
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned);
    let command = words.next().unwrap_or_default().to_ascii_uppercase();
    let params = words.chain(last.map(str::to_owned)).collect();
    Heard { command, params }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::message::Way;
    use crate::outputs::sample::{hostile, notification};

    #[test]
    fn an_alert_is_a_few_lines() {
        let said = lines(&Message::of(&notification(), &Way::default()));
        assert_eq!(said.len(), 5, "{said:#?}");
        assert_eq!(
            said[0],
            "🔴 CRITICAL · web-1 · nginx-502-burst: 10 bad gateways in 1m on web-1"
        );
    }

    #[test]
    fn a_line_of_the_log_is_never_a_second_command() {
        let evil = "x\r\nQUIT :bye\0\u{1}ACTION \u{3}04red";
        for line in lines(&Message::of(&hostile(&evil.repeat(50)), &Way::default())) {
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.len() <= LINE_BYTES, "{}", line.len());
        }
    }

    #[test]
    fn a_servers_line_is_taken_apart() {
        for (line, command, params) in [
            ("PING :abc", "PING", &["abc"][..]),
            (
                ":irc.example 001 bot :Welcome to it",
                "001",
                &["bot", "Welcome to it"],
            ),
            ("@time=x :s CAP * ACK :sasl", "CAP", &["*", "ACK", "sasl"]),
            ("", "", &[]),
        ] {
            let heard = parse(line);
            assert_eq!(
                (heard.command.as_str(), heard.params),
                (
                    command,
                    params.iter().map(|word| (*word).to_owned()).collect()
                )
            );
        }
    }
}
