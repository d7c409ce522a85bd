//! Made-up rules and logs for the benches: the same ones in every run and on every machine.
//!
//! Speed is claimed as a ratio of two figures of one run; so nothing here depends on files.

use std::io::Write;

/// Rules as operators of a small fleet write them.
const COMMON: [&str; 32] = [
    r#"" 502 "#,
    r#"HTTP/1\.[01]" 50[34] "#,
    r"upstream timed out .* while (?:connecting|reading)",
    r"no live upstreams",
    r"client intended to send too large body: \d+ bytes",
    r"SSL_do_handshake\(\) failed",
    r"worker_connections are not enough",
    r"limiting requests, excess: \d+\.\d+",
    r"segfault at [0-9a-f]+ ip",
    r"Out of memory: Killed process \d+",
    r"EXT4-fs error \(device \w+\)",
    r"I/O error, dev (?:sd[a-z]|nvme\dn\d), sector \d+",
    r"task \S+ blocked for more than \d+ seconds",
    r"nf_conntrack: table full",
    r"Possible SYN flooding on port \d+",
    r"Failed password for (?:invalid user )?\S+ from \S+",
    r"Accepted (?:password|publickey) for root",
    r"maximum authentication attempts exceeded",
    r"sudo: .* : command not allowed",
    r"remaining connection slots are reserved",
    r"deadlock detected|Deadlock found when trying",
    r"Too many connections",
    r"checkpoints are occurring too frequently",
    r"(?i)no space left on device",
    r"(?i)certificate (?:has expired|verify failed)",
    r"(?i)connection reset by peer",
    r"(?i)stack ?overflow",
    r"(?i)read-only file ?system",
    r"java\.lang\.OutOfMemoryError: \w+",
    r"Traceback \(most recent call last\)",
    r"panic: runtime error: ",
    r"Main process exited, code=(?:exited|killed|dumped), status=\d+/[A-Z]+",
];

const THINGS: [&str; 16] = [
    "orchard", "harbour", "lantern", "quarry", "meadow", "turbine", "ferry", "granary", "beacon",
    "foundry", "kiln", "weir", "cellar", "mill", "jetty", "smithy",
];
const TROUBLES: [&str; 12] = [
    "lost its lease",
    "queue is full",
    "checksum differs",
    "refused the token",
    "replica lags",
    "leader moved",
    "pool is empty",
    "handshake broke",
    "quota is spent",
    "shard is gone",
    "clock jumped",
    "journal is torn",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// The same choices for the same seed (xorshift64*).
struct Choices {
    state: u64,
}

impl Choices {
    fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let [_, _, _, _, a, b, c, d] = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
        u32::from_le_bytes([a, b, c, d]) % bound
    }

    fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let bound = u32::try_from(items.len()).expect("a short list");
        items[self.below(bound) as usize]
    }
}

/// `count` different patterns: common ones first, then made-up ones, half of them plain text.
pub fn patterns(count: usize) -> Vec<String> {
    let mut choices = Choices { state: 500 };
    let mut patterns: Vec<String> = COMMON
        .iter()
        .map(|text| (*text).to_owned())
        .take(count)
        .collect();
    while patterns.len() < count {
        let (thing, trouble, number) = (
            choices.one_of(&THINGS),
            choices.one_of(&TROUBLES),
            choices.below(1000),
        );
        let pattern = match choices.below(8) {
            0 => format!("{thing}-{number:03}: {trouble}"),
            1 => format!("E{number:03}-{thing}"),
            2 => format!("event={thing}_{number}"),
            3 => format!("{trouble} in {thing}"),
            4 => format!(r"{thing}\[\d+\]: .*{trouble}"),
            5 => format!(r"(?i){thing} {trouble} after \d+ ms"),
            6 => format!(r#"(?:GET|POST) /{thing}/v\d/[^ ]* HTTP/1\.[01]" 5\d\d "#),
            _ => format!(r"code=E{}\d-{thing} (?:down|late)", number % 100),
        };
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

/// At least `size` bytes of an nginx access log, whole lines; about one line in 300 is trouble.
pub fn nginx(size: usize) -> Vec<u8> {
    let mut choices = Choices { state: 7 };
    let mut log = Vec::with_capacity(size + 1024);
    for number in 0.. {
        if log.len() >= size {
            break;
        }
        let status = match choices.below(300) {
            0 => 502,
            1..=8 => 404,
            9..=30 => 304,
            _ => 200,
        };
        let (thing, agent) = (choices.one_of(&THINGS), choices.one_of(&AGENTS));
        let (a, b, id, bytes) = (
            choices.below(256),
            choices.below(256),
            choices.below(100_000),
            choices.below(60_000),
        );
        let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
        writeln!(
            log,
            "10.{a}.{b}.7 - - [21/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /shop/{thing}/{id}?ref={b} HTTP/1.1\" {status} {bytes} \"https://shop.example.com/{thing}\" \"{agent}\""
        )
        .expect("memory takes all");
    }
    log
}
