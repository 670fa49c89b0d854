//! Who is trusted to vouch for `wss://` backends: the system's authorities, and those in a file that may be replaced
//! while the node runs. Called by `app`.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use tidegate_kit::{
    reload::watch,
    tasks::Tasks,
    tls::{Roots, TlsError, client_config},
};

/// The TLS towards backends. Connections that are open keep what they began with.
pub type Trust = Arc<ArcSwap<ClientConfig>>;

/// The authorities, and the file that is looked after.
pub struct Authorities {
    file: Option<(PathBuf, String)>,
    trust: Trust,
}

/// Authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read.
    #[error("cannot read `upstream.ca_cert` {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file holds no certificate that can be used.
    #[error("cannot use `upstream.ca_cert` {path}: {cause}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: TlsError,
    },
    /// TLS towards backends cannot be set up.
    #[error("cannot set up TLS to backends: {0}")]
    Tls(#[from] TlsError),
}

/// The only protocol that backends are spoken to in.
const ALPN: &[&str] = &["http/1.1"];

// === impl Authorities ===

impl Authorities {
    /// The system's authorities, and those in a file if one is named.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn read(path: Option<&Path>) -> Result<Self, AuthoritiesError> {
        let file = match path {
            Some(path) => Some((path.to_owned(), read(path)?)),
            None => None,
        };
        let extra = file.as_ref().map(|(_, pem)| pem.clone());
        let config = client_config(&Roots::System(extra), ALPN)?;
        Ok(Self {
            file,
            trust: Arc::new(ArcSwap::new(config)),
        })
    }

    /// The TLS configuration of connections.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust.clone()
    }

    /// Trusts what is in the file, if it is something else; whether it is.
    fn look(&mut self) -> Result<bool, AuthoritiesError> {
        let Some((path, before)) = &mut self.file else {
            return Ok(false);
        };
        let found = read(path)?;
        if found == *before {
            return Ok(false);
        }
        let config = client_config(&Roots::System(Some(found.clone())), ALPN)?;
        self.trust.store(config);
        *before = found;
        Ok(true)
    }

    /// Checks the file periodically until the tasks are stopped.
    pub fn start(mut self, tasks: &Tasks) {
        if self.file.is_some() {
            let stopping = tasks.stopping();
            tasks.spawn("authorities", async move {
                watch("`upstream.ca_cert`", move || self.look(), stopping).await;
            });
        }
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.file.as_ref().map(|(path, _)| path);
        f.debug_struct("Authorities")
            .field("file", &path)
            .finish_non_exhaustive()
    }
}

/// The file, if it has a certificate. An empty file would silently remove trust.
fn read(path: &Path) -> Result<String, AuthoritiesError> {
    let pem = fs::read_to_string(path).map_err(|cause| AuthoritiesError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    match client_config(&Roots::Only(pem.clone()), ALPN) {
        Ok(_) => Ok(pem),
        Err(cause) => Err(AuthoritiesError::Unusable {
            path: path.to_owned(),
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls::pki_types::ServerName;
    use tidegate_kit::tls::{Authority, Identity};
    use tokio::io::duplex;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::{ALPN, Authorities, Trust};

    async fn trusts(trust: &Trust, identity: &Identity) -> bool {
        let (here, there) = duplex(16_384);
        let acceptor = TlsAcceptor::from(identity.server_config(ALPN).unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(trust.load_full());
        let (_, shaken) = tokio::join!(acceptor.accept(here), connector.connect(name, there));
        shaken.is_ok()
    }

    #[tokio::test]
    async fn authorities_that_are_replaced_on_disk_are_trusted_and_an_empty_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| {
            let authority = Authority::load_or_create(&dir.path().join(name)).unwrap();
            let identity = authority.issue(&["localhost".to_owned()]).unwrap();
            (authority.ca_pem, identity)
        });
        let file = dir.path().join("backends.pem");
        fs::write(&file, "").unwrap();
        let refused = Authorities::read(Some(&file)).unwrap_err().to_string();
        assert!(refused.contains("`upstream.ca_cert`"), "{refused}");
        fs::write(&file, &old.0).unwrap();
        let mut authorities = Authorities::read(Some(&file)).unwrap();
        let trust = authorities.trust();
        assert!(trusts(&trust, &old.1).await && !trusts(&trust, &new.1).await);
        assert!(!authorities.look().unwrap());
        fs::write(&file, &new.0).unwrap();
        assert!(authorities.look().unwrap());
        assert!(trusts(&trust, &new.1).await && !trusts(&trust, &old.1).await);
        fs::write(&file, "no certificate").unwrap();
        assert!(authorities.look().is_err());
        assert!(trusts(&trust, &new.1).await);
    }
}
