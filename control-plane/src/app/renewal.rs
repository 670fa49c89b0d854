//! The certificate of the doors, when its files are replaced while the process runs: it is read again, and shown to whoever
//! connects from then on. Called by `app`.

use std::{path::PathBuf, time::Duration};

use tidegate_kit::{
    tasks::Tasks,
    tls::{Identity, TlsError},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::TlsConfig,
    http::{ALPN, Shown},
};

/// Looks after the certificate of the doors.
pub(super) struct Renewal {
    /// The files of certificate and key; `None` for the own certificate, which is issued at each start.
    files: Option<(PathBuf, PathBuf)>,
    identity: Identity,
    shown: Shown,
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

// === impl Renewal ===

impl Renewal {
    /// Looks after the identity that is shown now.
    pub(super) fn new(config: &TlsConfig, identity: Identity, shown: Shown) -> Self {
        Self {
            files: config.cert.clone().zip(config.key.clone()),
            identity,
            shown,
        }
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
            self.shown.store(found.server_config(ALPN)?);
            self.identity = found;
        }
        Ok(!is_same)
    }

    /// Looks now and then until the tasks are told to stop.
    pub(super) fn start(self, tasks: &Tasks) {
        if self.files.is_some() {
            tasks.spawn("certificate", self.run(tasks.stopping()));
        }
    }

    async fn run(mut self, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.look() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate of the doors was replaced"),
                Err(cause) => {
                    tracing::warn!(%cause, "`tls.cert` and `tls.key` cannot be used; the certificate before is still shown");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use arc_swap::ArcSwap;
    use rustls_pki_types::ServerName;
    use tidegate_kit::tls::{Authority, Identity, Roots, client_config};
    use tokio::io::duplex;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::Renewal;
    use crate::{
        config::TlsConfig,
        http::{ALPN, Shown},
    };

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
        let config = TlsConfig {
            cert: Some(cert.clone()),
            key: Some(key.clone()),
            ..TlsConfig::default()
        };
        let identity = Identity::read(&cert, &key).unwrap();
        let shown: Shown = Arc::new(ArcSwap::new(identity.server_config(ALPN).unwrap()));
        let mut renewal = Renewal::new(&config, identity, shown.clone());
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
