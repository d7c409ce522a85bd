//! TLS for what does not speak HTTP: certificates are verified against the system's roots (which
//! `SSL_CERT_FILE` replaces), names too. There is no switch to turn that off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::kind::Tls;

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Makes the one provider known; harmless when it is already.
pub(super) fn install_provider() {
    // An error says that the process has a provider already, which is as good.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// Whether a server that was just connected to can be spoken to safely: nothing is sent but the handshake.
///
/// # Errors
///
/// Why not, such as a certificate that nobody here trusts, or not within `patience`.
pub async fn shake_hands(host: &str, stream: TcpStream, patience: Duration) -> io::Result<()> {
    tokio::time::timeout(patience, encrypt(host, stream))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map(drop)
}

/// Shakes hands; `host` is the name that the certificate must bear.
async fn encrypt(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    install_provider();
    let config = ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}

/// Connects to `host`, which is also the name that the certificate must bear.
///
/// # Errors
///
/// No connection, or none that is safe, within `patience`.
pub(super) async fn connect(
    host: &str,
    port: u16,
    tls: Tls,
    patience: Duration,
) -> io::Result<Box<dyn Duplex>> {
    let open = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if tls == Tls::No {
            return Ok::<Box<dyn Duplex>, io::Error>(Box::new(stream));
        }
        Ok(Box::new(encrypt(host, stream).await?))
    };
    tokio::time::timeout(patience, open)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
