//! TLS of the `wss://` listener: the certificate that it presents, and the handshake with its deadline.
//!
//! HTTP/1.1 is the only protocol offered. Called by `app` (the certificate) and `listen` (the handshake).

use std::{io, time::Duration};

use tidegate_kit::{
    reload::CertificateReloader,
    tls::{Identity, TlsError},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::{config::TlsConfig, socket::Socket};

/// The only protocol that is offered.
const ALPN: &[&str] = &["http/1.1"];

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It took too long.
    #[error("the handshake took longer than {0:?}")]
    Timeout(Duration),
    /// It failed, or the client disconnected.
    #[error("the handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// A certificate that cannot be presented.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Only one of the two files is configured.
    #[error("set both `tls.cert` and `tls.key`, or neither")]
    Half,
    /// The files don't hold a certificate and its key.
    #[error(transparent)]
    Unusable(#[from] TlsError),
}

/// Prepares the listener's certificate: the configured one, which may be replaced while the node runs, or else a
/// self-signed one.
///
/// # Errors
/// When the configured files cannot be used.
pub fn certificate(config: &TlsConfig) -> Result<CertificateReloader, CertificateError> {
    let identity = match (&config.cert, &config.key) {
        (Some(chain), Some(key)) => Identity::read(chain, key)?,
        (None, None) => {
            tracing::info!(
                "the wss listener presents a self-signed certificate; set `tls.cert` and `tls.key` for one that clients trust"
            );
            Identity::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()])?
        }
        _ => return Err(CertificateError::Half),
    };
    let files = config.cert.clone().zip(config.key.clone());
    Ok(CertificateReloader::new(files, identity, ALPN)?)
}

/// Performs the TLS handshake with a client.
///
/// # Errors
/// When the handshake fails or takes longer than `deadline`.
pub async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    deadline: Duration,
) -> Result<Socket, HandshakeError> {
    let stream = tokio::time::timeout(deadline, acceptor.accept(stream))
        .await
        .map_err(|_| HandshakeError::Timeout(deadline))??;
    Ok(Socket::Tls(Box::new(TlsStream::Server(stream))))
}
