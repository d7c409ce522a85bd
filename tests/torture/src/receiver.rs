//! The HTTP server that the agent's webhook posts to: takes every request, hands its key and its body
//! to the [`Book`], answers 200. A thread a connection; it judges nothing.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Builder;
use std::time::Duration;

use crate::book::Book;

/// Longer bodies are refused: nothing that is sent here is.
const MOST_BYTES: usize = 16 << 20;

/// The server; it stops listening when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    book: Arc<Book>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Requests to answer with 503, still.
    refuse: AtomicU64,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (book, shared) = (Arc::new(Book::default()), Arc::new(Shared::default()));
        let (to, state) = (Arc::clone(&book), Arc::clone(&shared));
        let accept = move || {
            while let Ok((stream, _)) = listener.accept() {
                if state.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (to, state) = (Arc::clone(&to), Arc::clone(&state));
                // Whoever hangs up in the middle is an agent that was killed.
                let serve = move || drop(serve(stream, &to, &state));
                drop(Builder::new().name("connection".to_owned()).spawn(serve));
            }
        };
        drop(Builder::new().name("receiver".to_owned()).spawn(accept)?);
        Ok(Self {
            address,
            book,
            shared,
        })
    }

    /// Where to post to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What came.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The same, to be kept.
    pub fn book_handle(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// The next `count` requests are noted and answered with 503.
    pub fn refuse(&self, count: u64) {
        self.shared.refuse.store(count, Ordering::Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes `accept`.
        drop(TcpStream::connect_timeout(
            &self.address,
            Duration::from_secs(1),
        ));
    }
}

fn serve(stream: TcpStream, book: &Book, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    while let Some((key, body)) = request(&mut stream)? {
        let refused = shared
            .refuse
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if refused {
            book.refused();
            answer.write_all(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")?;
        } else {
            book.take(&key, &body);
            answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
    Ok(())
}

/// The next request's `Idempotency-Key` and body; `None` at the end of the connection.
fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut key, mut length, mut lines) = (String::new(), 0, 0);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end();
        if text.is_empty() && lines > 0 {
            break;
        }
        lines += 1;
        if let Some((name, value)) = text.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                value.trim().clone_into(&mut key);
            }
        }
    }
    if length > MOST_BYTES {
        return Err(io::Error::other("too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((key, body)))
}
