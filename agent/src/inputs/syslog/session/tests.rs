use std::collections::HashMap;
use std::sync::Mutex;

use lapwing_rules::model::InputId;
use tokio::io::{AsyncReadExt as _, BufStream, DuplexStream, duplex};
use tokio::task::{LocalSet, spawn_local};

use super::super::counters::All;
use super::super::seats::Who;
use super::super::shared::Shared;
use super::super::{Address, Config};
use super::*;
use crate::inputs::Event;

/// No answer takes so long.
const LONG: Duration = Duration::from_mins(1);

/// What the agent was given.
#[derive(Clone, Default)]
struct Agent {
    receipts: Arc<Mutex<VecDeque<Receipt>>>,
    lines: Arc<Mutex<Vec<u8>>>,
}

impl Agent {
    fn take(&self, event: Event) {
        match event {
            Event::Awaited(receipt) => self.receipts.lock().unwrap().push_back(receipt),
            Event::Lines { batch, .. } => self.lines.lock().unwrap().extend(batch.bytes),
            _ => {}
        }
    }

    /// The next one that it was given.
    async fn receipt(&self) -> Receipt {
        let next = async {
            loop {
                if let Some(receipt) = self.receipts.lock().unwrap().pop_front() {
                    return receipt;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, next).await.unwrap()
    }
}

fn configure(shared: &Shared, max_line_bytes: usize, idle_timeout: Duration) {
    listen_at(
        shared,
        "relp://127.0.0.1:2514",
        max_line_bytes,
        idle_timeout,
    );
}

fn listen_at(shared: &Shared, address: &str, max_line_bytes: usize, idle_timeout: Duration) {
    let input: Arc<str> = "net".into();
    let config = Config {
        input: Arc::clone(&input),
        id: InputId(0),
        spec: Spec {
            listen: vec![Address::parse(address).unwrap()],
            tls: None,
            max_connections: 1,
            idle_timeout,
        },
        max_line_bytes,
        host: "here".into(),
    };
    let current = Current {
        config,
        tls: None,
        counters: shared.counters_of(&input),
    };
    shared.configure(HashMap::from([(input, Rc::new(current))]));
}

/// A session, and the other side of it.
fn begin(idle_timeout: Duration) -> (Rc<Shared>, Agent, DuplexStream) {
    begin_over(idle_timeout, |stream| Box::new(stream))
}

fn begin_over(
    idle_timeout: Duration,
    over: fn(DuplexStream) -> Box<dyn Stream>,
) -> (Rc<Shared>, Agent, DuplexStream) {
    let shared = Rc::new(Shared::new(All::default()));
    let agent = Agent::default();
    let theirs = agent.clone();
    let hand = move |event| {
        theirs.take(event);
        Ok(())
    };
    shared.stand_behind(Box::new(hand), Box::new(()));
    configure(&shared, 10, idle_timeout);
    shared.enter(Phase::Reading);
    let (ours, stream) = duplex(4096);
    let input = "net".into();
    let seat = shared.seats.take(&input, Who::Local, 1, Instant::now());
    let peer = Peer {
        shared: Rc::clone(&shared),
        input,
        name: "127.0.0.1".into(),
        address: Address::parse("relp://127.0.0.1:2514").unwrap(),
        client_ca: None,
        seat: seat.unwrap(),
        live: Some(shared.live()),
    };
    let stream = over(stream);
    spawn_local(async move { serve(peer, stream).await });
    (shared, agent, ours)
}

/// Reads until this stands there; gives what came before and with it.
async fn expect(stream: &mut DuplexStream, text: &str) -> String {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains(text) {
        let byte = timeout(LONG, stream.read_u8()).await.unwrap();
        got.push(byte.unwrap());
    }
    String::from_utf8(got).unwrap()
}

/// Reads to the end.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut got = String::new();
    let read = stream.read_to_string(&mut got);
    timeout(LONG, read).await.unwrap().unwrap();
    got
}

async fn send(stream: &mut DuplexStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_a_lost_engine_never_saved_is_not_acknowledged_with_what_came_later() {
    let test = async {
        let (_shared, agent, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        send(&mut stream, "2 syslog 1 a\n").await;
        agent.receipt().await.confirm();
        expect(&mut stream, "2 rsp 6 200 OK\n").await;
        send(&mut stream, "3 syslog 1 b\n").await;
        let lost = agent.receipt().await;
        send(&mut stream, "4 syslog 1 c\n").await;
        let later = agent.receipt().await;
        drop(lost);
        later.confirm();
        assert_eq!(rest(&mut stream).await, "0 serverclose 0\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_receipt_that_comes_before_an_earlier_one_acknowledges_nothing() {
    let test = async {
        let (_shared, agent, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n2 syslog 1 a\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        let first = agent.receipt().await;
        send(&mut stream, "3 syslog 1 b\n").await;
        agent.receipt().await.confirm();
        assert_eq!(rest(&mut stream).await, "0 serverclose 0\n");
        drop(first);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_session_whose_messages_nobody_takes_ends_and_keeps_no_place() {
    let test = async {
        let (shared, _, mut stream) = begin(LONG);
        shared.stand_behind(Box::new(|_| Err(Closed)), Box::new(()));
        send(&mut stream, "1 open 0\n2 syslog 1 a\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        assert_eq!(rest(&mut stream).await, "0 serverclose 0\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_limit_that_a_reload_raises_holds_for_a_session_that_is_open() {
    let test = async {
        let (shared, agent, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n2 syslog 12 0123456789ab\n").await;
        agent.receipt().await.confirm();
        expect(&mut stream, "2 rsp 6 200 OK\n").await;
        configure(&shared, 100, LONG);
        // In two pieces: then the reader holds it.
        send(&mut stream, "3 syslog 20 0123456789").await;
        tokio::task::yield_now().await;
        send(&mut stream, "0123456789\n").await;
        agent.receipt().await.confirm();
        expect(&mut stream, "3 rsp 6 200 OK\n").await;
        let lines = agent.lines.lock().unwrap().clone();
        assert_eq!(lines, b"0123456789\n01234567890123456789\n");
    };
    LocalSet::new().run_until(test).await;
}

/// Sends it again and again, never idle for as long as is allowed; ends when the other side does.
async fn drip(mut stream: DuplexStream, text: &str) {
    let drip = async {
        while stream.write_all(text.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, drip).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_never_opened_and_a_frame_that_never_ends_are_closed() {
    let test = async {
        let idle = Duration::from_millis(500);
        let (shared, _, stream) = begin(idle);
        // A line feed is no frame.
        drip(stream, "\n").await;
        let counters = shared.counters_of(&"net".into());
        assert_eq!(counters.timed_out.get(), 1);

        let (shared, _, mut stream) = begin(idle);
        send(&mut stream, "1 open 0\n2 syslog 999999 ").await;
        drip(stream, "x").await;
        let counters = shared.counters_of(&"net".into());
        assert_eq!(counters.timed_out.get(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_session_that_is_open_and_silent_keeps_its_connection() {
    let now = Instant::now();
    let mut intake = Intake {
        reader: Reader::new(10),
        is_open: false,
        closing: None,
        since: Some(now),
    };
    let day = Duration::from_hours(24);
    let limits = Limits {
        frame: FRAME,
        silence: day,
        gone: PATIENCE,
    };
    assert_eq!(intake.until(now, true, &limits), now + FRAME);
    intake.take(b"1 open 0\n", 10).1.unwrap();
    assert_eq!(intake.until(now, true, &limits), now + day);
    intake.take(b"2 sys", 10).1.unwrap();
    assert!(intake.until(now, true, &limits) <= Instant::now() + FRAME);
    // While nothing is read nobody can end a frame.
    let later = now + day;
    assert_eq!(intake.until(later, false, &limits), later + FRAME);
    intake.take(b"log 1 x\n", 10).1.unwrap();
    assert_eq!(intake.until(later, true, &limits), later + day);
}

#[tokio::test]
async fn acknowledgements_do_not_stay_in_a_stream_that_holds_them_until_it_is_flushed() {
    let test = async {
        // As TLS does where the socket took only a part.
        let (_shared, agent, mut stream) =
            begin_over(LONG, |stream| Box::new(BufStream::new(stream)));
        send(&mut stream, "1 open 0\n2 syslog 1 a\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        agent.receipt().await.confirm();
        expect(&mut stream, "2 rsp 6 200 OK\n").await;
        send(&mut stream, "3 close 0\n").await;
        assert_eq!(rest(&mut stream).await, "3 rsp 0\n0 serverclose 0\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_session_whose_sender_is_gone_keeps_no_place_while_nothing_can_be_saved() {
    let test = async {
        for last in ["", "3 close 0\n", "3 syslog 9 x"] {
            let (shared, agent, mut stream) = begin(Duration::from_millis(500));
            send(&mut stream, "1 open 0\n2 syslog 1 a\n").await;
            expect(&mut stream, "commands=syslog\n").await;
            let receipt = agent.receipt().await;
            send(&mut stream, last).await;
            drop(stream);
            let gone = async {
                while shared.is_any_live() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(LONG, gone).await.unwrap();
            drop(receipt);
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_sender_that_waits_for_its_acknowledgement_is_not_idle() {
    let test = async {
        let idle = Duration::from_millis(500);
        let (shared, agent, mut stream) = begin(idle);
        send(&mut stream, "1 open 0\n2 syslog 1 a\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        let receipt = agent.receipt().await;
        tokio::time::sleep(3 * idle).await;
        receipt.confirm();
        expect(&mut stream, "2 rsp 6 200 OK\n").await;
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(shared.counters_of(&"net".into()).timed_out.get(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_has_closed_its_half_hears_of_what_it_sent() {
    let test = async {
        let (_shared, agent, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n2 syslog 1 a\n3 close 0\n4 rubbish").await;
        stream.shutdown().await.unwrap();
        expect(&mut stream, "commands=syslog\n").await;
        agent.receipt().await.confirm();
        let expected = "2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n";
        assert_eq!(rest(&mut stream).await, expected);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_session_that_says_nothing() {
    let test = async {
        let (shared, _, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        assert!(shared.is_any_live());
        shared.enter(Phase::Draining);
        let done = async {
            while shared.is_any_live() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, done).await.unwrap();
        // It is there until the end, and hears of it.
        shared.enter(Phase::Ended);
        assert_eq!(rest(&mut stream).await, "0 serverclose 0\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_session_ends_when_a_reload_takes_its_address_away() {
    let test = async {
        let (shared, _, mut stream) = begin(LONG);
        send(&mut stream, "1 open 0\n").await;
        expect(&mut stream, "commands=syslog\n").await;
        shared.enter(Phase::Paused);
        listen_at(&shared, "relp+tls://127.0.0.1:2514", 10, LONG);
        shared.enter(Phase::Reading);
        assert_eq!(rest(&mut stream).await, "0 serverclose 0\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_opens_a_session_again_and_again_takes_no_memory_for_the_answers() {
    let mut intake = Intake {
        reader: Reader::new(10),
        is_open: false,
        closing: None,
        since: None,
    };
    let (came, outcome) = intake.take("1 open 0\n".repeat(100_000).as_bytes(), 10);
    assert_eq!(outcome, Err("it asks for more than it can be told"));
    assert!(came.answers.len() < MOST_ANSWERS + 200);
}
