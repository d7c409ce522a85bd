//! The listening side of `http.listen`: who may ask, how long it may take, how many at once. It only
//! shows: no request changes anything, and no body is read.
//!
//! A browser that was tricked into asking for a foreign name (DNS rebinding) is turned away by the
//! name: a request's `Host` must be an address, `localhost`, or a name from the configuration.
//!
//! | file | owns |
//! | --- | --- |
//! | `routes` | which path shows what |
//! | `overview` | what the page is told (values) |
//! | `rates` | how often each rule hit, by the minute (pure) |
//! | `metrics` | the figures as Prometheus reads them (pure) |
//! | `page/` | what the browser gets |

mod metrics;
mod overview;
mod rates;
mod routes;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Authority;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::sight::Sight;
use rates::Rates;

/// Connections that are served at once; others wait.
const MOST_CONNECTIONS: usize = 32;
/// A request's head must have come by then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is closed after this, whatever it does; a page's live updates begin anew by themselves.
const PATIENCE: Duration = Duration::from_mins(10);
/// Pause after the system refused a connection (no descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);
/// A request's head is no longer, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// `http:` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Address and port.
    pub listen: SocketAddr,
    /// Names by which it may be asked for, besides addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// A page that is served until this is dropped.
#[derive(Debug)]
pub struct Http {
    spec: Spec,
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
    sight: watch::Sender<Option<Arc<Sight>>>,
}

/// What every request is answered from.
#[derive(Clone)]
struct Shown {
    sight: watch::Receiver<Option<Arc<Sight>>>,
    rates: Arc<Rates>,
    hosts: Arc<[String]>,
}

impl Http {
    /// Listens; must be called inside a tokio runtime. Until [`Http::show`], whoever asks waits.
    ///
    /// # Errors
    ///
    /// That of the system.
    pub fn listen(spec: &Spec) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(spec.listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let listener = TcpListener::from_std(socket)?;
        let (sight, shown) = watch::channel(None);
        let shown = Shown {
            sight: shown,
            rates: Arc::default(),
            hosts: spec.hosts.clone().into(),
        };
        let sampling = tokio::spawn(rates::sample(shown.sight.clone(), Arc::clone(&shown.rates)));
        Ok(Self {
            spec: spec.clone(),
            address,
            tasks: [tokio::spawn(serve(listener, shown)), sampling],
            sight,
        })
    }

    /// What it was made from.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from this agent from now on; `None`: whoever asks waits for the next one.
    pub fn show(&self, sight: Option<Arc<Sight>>) {
        self.sight.send_replace(sight);
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, shown: Shown) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let router = routes::router(shown);
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return; // it is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIMEOUT)
                        .max_buf_size(LONGEST_HEAD)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    // One who asks too slowly, or goes away, is not missed.
                    tokio::time::timeout(PATIENCE, connection).await.ok();
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the status page failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a page may be asked for under this `Host`. No name server can make an address, or
/// `localhost`, lead to where its owner wants.
fn is_our_name(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    bare.unwrap_or(name).parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_not_ours() {
        let names = ["status.example.com".to_owned()];
        for ours in [
            "127.0.0.1:7311",
            "10.0.0.5",
            "[::1]:7311",
            "localhost",
            "LOCALHOST:80",
            "Status.Example.com:443",
        ] {
            assert!(is_our_name(ours, &names), "{ours}");
        }
        for foreign in [
            "",
            "evil.example.com",
            "127.0.0.1.evil.com",
            "localhost.evil.com:7311",
            "evil.com@127.0.0.1",
            "a b",
            "[::1",
        ] {
            assert!(!is_our_name(foreign, &names), "{foreign}");
        }
    }
}
