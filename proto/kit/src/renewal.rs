//! Files that are replaced while a process runs, such as certificates: they are looked at now and then, and what is in
//! them is used from then on. What cannot be used is told, and what was used before stays.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    tasks::Tasks,
    tls::{Identity, TlsError},
};

/// The TLS that a listener shows. It may be replaced while the listener is open: connections that are open keep what
/// they began with.
pub type Shown = Arc<ArcSwap<ServerConfig>>;

/// Looks after the certificate of listeners.
pub struct Renewal {
    /// The files of certificate and key; `None` where the certificate is made by the process itself.
    files: Option<(PathBuf, PathBuf)>,
    alpn: &'static [&'static str],
    identity: Identity,
    shown: Shown,
}

/// How often files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Looks now and then until `stopping`. `what` names the settings of the files, and `look` says whether there is
/// something else in them. The same trouble is told once.
///
/// Files may lie on a disk that hangs, so they are read on a thread that nothing else waits for.
pub async fn follow<E: fmt::Display + Send + 'static>(
    what: &'static str,
    mut look: impl FnMut() -> Result<bool, E> + Send + 'static,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut told = String::new();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let reading = spawn_blocking(move || {
            let seen = look();
            (look, seen)
        });
        let seen = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            read = reading => match read {
                Ok((returned, seen)) => {
                    look = returned;
                    seen
                }
                // It panicked, which the panic hook has told.
                Err(_) => return,
            },
        };
        let trouble = match seen {
            Ok(is_new) => {
                if is_new {
                    tracing::info!("{what}: the files were replaced, and are used from now on");
                }
                String::new()
            }
            Err(cause) => cause.to_string(),
        };
        if !trouble.is_empty() && trouble != told {
            tracing::warn!(
                cause = trouble,
                "{what}: the files cannot be used; going on with what was in them before, until they are mended"
            );
        }
        told = trouble;
    }
}

// === impl Renewal ===

impl Renewal {
    /// Looks after an identity that was read from `files`, where it was; listeners show it and speak `alpn`.
    ///
    /// # Errors
    /// When key and certificate cannot be used or do not go together.
    pub fn new(
        files: Option<(PathBuf, PathBuf)>,
        identity: Identity,
        alpn: &'static [&'static str],
    ) -> Result<Self, TlsError> {
        let shown = Arc::new(ArcSwap::new(identity.server_config(alpn)?));
        Ok(Self {
            files,
            alpn,
            identity,
            shown,
        })
    }

    /// What listeners show.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Shows what is in the files, if it is something else; whether it is. Certificate and key are two files, so that
    /// for a moment they may not go together: what was shown stays then.
    ///
    /// # Errors
    /// When they cannot be read or used.
    fn look(&mut self) -> Result<bool, TlsError> {
        let Some((cert, key)) = &self.files else {
            return Ok(false);
        };
        let found = Identity::read(cert, key)?;
        let is_same =
            found.chain_pem == self.identity.chain_pem && found.key_pem == self.identity.key_pem;
        if !is_same {
            self.shown.store(found.server_config(self.alpn)?);
            self.identity = found;
        }
        Ok(!is_same)
    }

    /// Looks now and then until the tasks are told to stop.
    pub fn start(mut self, tasks: &Tasks) {
        if self.files.is_some() {
            let stopping = tasks.stopping();
            tasks.spawn("certificate", async move {
                follow("`tls.cert` and `tls.key`", move || self.look(), stopping).await;
            });
        }
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal")
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

    use super::{Renewal, Shown};
    use crate::tls::{Authority, Identity, Roots, client_config};

    const ALPN: &[&str] = &["h2"];

    /// Whether a client that trusts an authority alone is shown a certificate of that one.
    async fn is_shown(shown: &Shown, ca_pem: &str) -> bool {
        let client = client_config(&Roots::Only(ca_pem.to_owned()), ALPN).unwrap();
        let (here, there) = duplex(16_384);
        let acceptor = TlsAcceptor::from(shown.load_full());
        let name = ServerName::try_from("localhost").unwrap();
        let (_, shaken) = tokio::join!(
            acceptor.accept(here),
            TlsConnector::from(client).connect(name, there)
        );
        shaken.is_ok()
    }

    #[tokio::test]
    async fn a_certificate_that_is_replaced_on_disk_is_shown_once_it_goes_with_its_key() {
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
        let mut renewal = Renewal::new(files, identity, ALPN).unwrap();
        let shown = renewal.shown();
        assert!(!renewal.look().unwrap());
        fs::write(&cert, &new.chain_pem).unwrap();
        assert!(renewal.look().is_err(), "the old key is still there");
        assert!(is_shown(&shown, &old_ca).await && !is_shown(&shown, &new_ca).await);
        fs::write(&key, &new.key_pem).unwrap();
        assert!(renewal.look().unwrap());
        assert!(is_shown(&shown, &new_ca).await && !is_shown(&shown, &old_ca).await);
        assert!(!renewal.look().unwrap());
        fs::remove_file(&key).unwrap();
        assert!(renewal.look().is_err());
        assert!(is_shown(&shown, &new_ca).await);
    }
}
