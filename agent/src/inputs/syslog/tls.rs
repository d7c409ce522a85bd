//! Certificates → what a TLS handshake needs. TLS 1.2 and 1.3; nothing older exists here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Where the certificates lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// PEM: this agent's certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: who signs the certificates of senders; `None`: senders need none.
    pub client_ca: Option<PathBuf>,
}

/// Why there is no TLS. Never holds anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read, or holds nothing of what it should.
    #[error("{}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The files do not fit together.
    #[error("{0}")]
    Config(String),
}

/// Reads the files.
///
/// # Errors
///
/// When one of them is missing or wrong, or the key is not that of the certificate.
pub fn load(files: &Files) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| config(&error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| TlsError::File {
                    path: path.clone(),
                    why: error.to_string(),
                })?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| config(&error))?)
        }
    };
    let chain = certificates(&files.cert)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let made = builder.with_single_cert(chain, key);
    made.map(Arc::new).map_err(|error| {
        let (cert, key) = (files.cert.display(), files.key.display());
        TlsError::Config(format!("{cert} and {key}: {error}"))
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| wrong(path, &error))?;
    if found.is_empty() {
        return Err(TlsError::File {
            path: path.to_owned(),
            why: "there is no certificate in it".to_owned(),
        });
    }
    Ok(found)
}

fn wrong(path: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    use rustls::pki_types::pem::Error;
    let why = match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "there is no private key in it".to_owned(),
        _ => "it is no PEM".to_owned(),
    };
    TlsError::File {
        path: path.to_owned(),
        why,
    }
}
