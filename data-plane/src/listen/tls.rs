//! The TLS of the `wss://` door: which certificate is shown, and the handshake under a deadline.
//!
//! HTTP/1.1 is the only protocol offered. Called by `app` (the certificate) and `listen` (the handshake).

use std::{io, time::Duration};

use tidegate_kit::{
    renewal::Renewal,
    tls::{Identity, TlsError},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::{config::TlsConfig, socket::Socket};

/// The only protocol there is.
const ALPN: &[&str] = &["http/1.1"];

/// Why a client did not get a TLS session.
#[derive(Debug, thiserror::Error)]
pub enum ShakeError {
    /// It took too long.
    #[error("the handshake took longer than {0:?}")]
    Timeout(Duration),
    /// It failed, or the client left.
    #[error("the handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// A certificate that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of two keys.
    #[error("set both `tls.cert` and `tls.key`, or neither")]
    Half,
    /// The files do not hold a certificate and its key.
    #[error(transparent)]
    Unusable(#[from] TlsError),
}

/// Prepares the listener's certificate: the configured one, which may be replaced while the node runs, else one that
/// only itself vouches for.
///
/// # Errors
/// When the configured files cannot be used.
pub fn certificate(config: &TlsConfig) -> Result<Renewal, CertificateError> {
    let identity = match (&config.cert, &config.key) {
        (Some(chain), Some(key)) => Identity::read(chain, key)?,
        (None, None) => {
            tracing::info!(
                "the wss listener shows a self-signed certificate; set `tls.cert` and `tls.key` for one that clients trust"
            );
            Identity::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()])?
        }
        _ => return Err(CertificateError::Half),
    };
    let files = config.cert.clone().zip(config.key.clone());
    Ok(Renewal::new(files, identity, ALPN)?)
}

/// Shakes hands with a client.
///
/// # Errors
/// When it fails or takes longer than `deadline`.
pub async fn shake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    deadline: Duration,
) -> Result<Socket, ShakeError> {
    let stream = tokio::time::timeout(deadline, acceptor.accept(stream))
        .await
        .map_err(|_| ShakeError::Timeout(deadline))??;
    Ok(Socket::Tls(Box::new(TlsStream::Server(stream))))
}
