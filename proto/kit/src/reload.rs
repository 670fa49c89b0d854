//! Reloads files that are replaced while a process runs, such as certificates. Files are checked at intervals. New content
//! that can't be used is logged, and the old content stays in use.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    tasks::Tasks,
    tls::{Identity, TlsError},
};

/// The TLS configuration of a listener. It may be replaced while the listener is open; connections that are open keep the
/// one that they began with.
pub type SharedServerConfig = Arc<ArcSwap<ServerConfig>>;

/// Reloads the certificate of listeners.
pub struct CertificateReloader {
    /// The files of certificate and key; `None` if the process created the certificate itself.
    files: Option<(PathBuf, PathBuf)>,
    alpn: &'static [&'static str],
    identity: Identity,
    server_config: SharedServerConfig,
}

/// How often files are checked.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Calls `check` at intervals until `stopping`. `what` names the files in the log; `check` reads them and returns whether
/// their content has changed. The same error is logged once.
///
/// The files may be on a disk that hangs, so they are read on a blocking thread.
pub async fn watch<E: fmt::Display + Send + 'static>(
    what: &'static str,
    mut check: impl FnMut() -> Result<bool, E> + Send + 'static,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    let mut logged = String::new();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let reading = spawn_blocking(move || {
            let seen = check();
            (check, seen)
        });
        let seen = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            read = reading => match read {
                Ok((returned, seen)) => {
                    check = returned;
                    seen
                }
                // It panicked, and the panic hook has logged that.
                Err(_) => return,
            },
        };
        let error = match seen {
            Ok(is_new) => {
                if is_new {
                    tracing::info!("{what}: reloaded the replaced files");
                }
                String::new()
            }
            Err(cause) => cause.to_string(),
        };
        if !error.is_empty() && error != logged {
            tracing::warn!(
                cause = error,
                "{what}: cannot use the files; keeping their previous content"
            );
        }
        logged = error;
    }
}

// === impl CertificateReloader ===

impl CertificateReloader {
    /// Reloads `identity`, which was read from `files` if there are any. Listeners present it and offer `alpn`.
    ///
    /// # Errors
    /// When the certificate and key cannot be used, or don't match.
    pub fn new(
        files: Option<(PathBuf, PathBuf)>,
        identity: Identity,
        alpn: &'static [&'static str],
    ) -> Result<Self, TlsError> {
        let server_config = Arc::new(ArcSwap::new(identity.server_config(alpn)?));
        Ok(Self {
            files,
            alpn,
            identity,
            server_config,
        })
    }

    /// The configuration for the listeners.
    #[must_use]
    pub fn server_config(&self) -> SharedServerConfig {
        self.server_config.clone()
    }

    /// Reads the files, presents their certificate if it is a new one, and returns whether it is. Certificate and key are
    /// two files, and while they are replaced they may not match: the old certificate stays until they do.
    ///
    /// # Errors
    /// When the files cannot be read or used.
    fn check(&mut self) -> Result<bool, TlsError> {
        let Some((cert, key)) = &self.files else {
            return Ok(false);
        };
        let found = Identity::read(cert, key)?;
        let is_same =
            found.chain_pem == self.identity.chain_pem && found.key_pem == self.identity.key_pem;
        if !is_same {
            self.server_config.store(found.server_config(self.alpn)?);
            self.identity = found;
        }
        Ok(!is_same)
    }

    /// Checks the files at intervals until the tasks are told to stop.
    pub fn start(mut self, tasks: &Tasks) {
        if self.files.is_some() {
            let stopping = tasks.stopping();
            tasks.spawn("certificate", async move {
                watch("`tls.cert` and `tls.key`", move || self.check(), stopping).await;
            });
        }
    }
}

impl fmt::Debug for CertificateReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateReloader")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls_pki_types::ServerName;
    use tokio::io::duplex;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::{CertificateReloader, SharedServerConfig};
    use crate::tls::{Authority, Identity, Roots, client_config};

    const ALPN: &[&str] = &["h2"];

    /// Whether the handshake succeeds with a client that trusts only one authority.
    async fn is_presented(config: &SharedServerConfig, ca_pem: &str) -> bool {
        let client = client_config(&Roots::Only(ca_pem.to_owned()), ALPN).unwrap();
        let (here, there) = duplex(16_384);
        let acceptor = TlsAcceptor::from(config.load_full());
        let name = ServerName::try_from("localhost").unwrap();
        let (_, handshake) = tokio::join!(
            acceptor.accept(here),
            TlsConnector::from(client).connect(name, there)
        );
        handshake.is_ok()
    }

    #[tokio::test]
    async fn a_replaced_certificate_is_presented_once_it_matches_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let issued = |by: &str| {
            let authority = Authority::load_or_create(&dir.path().join(by)).unwrap();
            let identity = authority.issue(&["localhost".to_owned()]).unwrap();
            (authority.ca_pem, identity)
        };
        let ((old_ca, old), (new_ca, new)) = (issued("old"), issued("new"));
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        fs::write(&cert, &old.chain_pem).unwrap();
        fs::write(&key, &old.key_pem).unwrap();
        let identity = Identity::read(&cert, &key).unwrap();
        let files = Some((cert.clone(), key.clone()));
        let mut reloader = CertificateReloader::new(files, identity, ALPN).unwrap();
        let config = reloader.server_config();
        assert!(!reloader.check().unwrap());
        fs::write(&cert, &new.chain_pem).unwrap();
        assert!(reloader.check().is_err(), "the old key is still there");
        assert!(is_presented(&config, &old_ca).await && !is_presented(&config, &new_ca).await);
        fs::write(&key, &new.key_pem).unwrap();
        assert!(reloader.check().unwrap());
        assert!(is_presented(&config, &new_ca).await && !is_presented(&config, &old_ca).await);
        assert!(!reloader.check().unwrap());
        fs::remove_file(&key).unwrap();
        assert!(reloader.check().is_err());
        assert!(is_presented(&config, &new_ca).await);
    }
}
