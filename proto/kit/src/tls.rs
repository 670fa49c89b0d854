//! TLS for both planes, with `rustls` and `ring`: a private certificate authority, server configurations from PEM, and
//! client configurations that trust the system's authorities, a given authority, or both.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::durable;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read or written.
    #[error("cannot use {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A file or text without a PEM certificate or key.
    #[error("no usable {what} in PEM form: {cause}")]
    Pem {
        /// What was expected.
        what: &'static str,
        /// What went wrong.
        cause: rustls_pki_types::pem::Error,
    },
    /// A file of the private authority that is empty, truncated or altered.
    #[error(
        "the authority's file {path} cannot be used: {cause}; restore it from a backup, or delete both `ca.pem` and \
         `ca.key` to create a new authority, whose `ca.pem` every gateway then needs"
    )]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: rcgen::Error,
    },
    /// A certificate that cannot be created.
    #[error("cannot create a certificate: {0}")]
    Mint(#[from] rcgen::Error),
    /// A certificate that doesn't match its key, or a root that isn't a certificate.
    #[error("cannot use the certificate: {0}")]
    Rustls(#[from] rustls::Error),
    /// No root certificate to verify a peer with.
    #[error("found no root certificate; set one, or install the system's")]
    NoRoots,
}

/// A certificate chain with its private key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and its chain.
    pub chain_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
}

/// The authorities that a client trusts.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Only these authorities, as PEM: certificate pinning.
    Only(String),
    /// The system's authorities, and these as well if given as PEM.
    System(Option<String>),
}

/// The private certificate authority of this installation.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate, PEM: what peers pin.
    pub ca_pem: String,
}

const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 86_400);
const SERVER_LIFE: Duration = Duration::from_secs(397 * 86_400);
/// Peers' clocks may be a little behind.
const BACKDATE: Duration = Duration::from_secs(3600);

/// The cryptography provider of all TLS connections of both planes.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Installs `ring` as the default provider of `rustls`. Calling it again does nothing.
pub fn install() {
    // An error means that it is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

// === impl Authority ===

impl Authority {
    /// Reads `ca.pem` and `ca.key` in `dir`, or creates them; the key is readable by its owner only.
    ///
    /// A crash between the two leaves a key without a certificate. No client can have pinned it yet, so the certificate is
    /// created then.
    ///
    /// # Errors
    /// When the files cannot be read or written, or there is a certificate without its key.
    pub fn load_or_create(dir: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        if certificate.exists() {
            let ca_pem = read(&certificate)?;
            let pair = key_pair(&key)?;
            let issuer =
                Issuer::from_ca_cert_pem(&ca_pem, pair).map_err(|cause| TlsError::Authority {
                    path: certificate,
                    cause,
                })?;
            return Ok(Self { issuer, ca_pem });
        }
        durable::create_folder(dir, 0o777).map_err(|cause| file(dir, cause))?;
        // A power failure may leave an empty key if the certificate was never written.
        let pair = if key.exists() && !read(&key)?.trim().is_empty() {
            key_pair(&key)?
        } else {
            let pair = KeyPair::generate()?;
            write_private(&key, pair.serialize_pem().as_bytes())
                .map_err(|cause| file(&key, cause))?;
            pair
        };
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Tidegate authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_life(&mut params, AUTHORITY_LIFE);
        let ca_pem = params.self_signed(&pair)?.pem();
        durable::write(&certificate, ca_pem.as_bytes(), 0o644)
            .map_err(|cause| file(&certificate, cause))?;
        let issuer = Issuer::new(params, pair);
        Ok(Self { issuer, ca_pem })
    }

    /// Issues a server certificate for host names and IP addresses, good for 397 days.
    ///
    /// # Errors
    /// When a name is not valid.
    pub fn issue(&self, names: &[String]) -> Result<Identity, TlsError> {
        let pair = KeyPair::generate()?;
        let certificate = server_params(names)?.signed_by(&pair, &self.issuer)?;
        Ok(Identity {
            chain_pem: format!("{}{}", certificate.pem(), self.ca_pem),
            key_pem: pair.serialize_pem(),
        })
    }
}

// === impl Identity ===

impl Identity {
    /// Reads a chain and its key from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            chain_pem: read(chain)?,
            key_pem: read(key)?,
        })
    }

    /// Creates a self-signed certificate.
    ///
    /// # Errors
    /// When a name is not valid.
    pub fn self_signed(names: &[String]) -> Result<Self, TlsError> {
        let pair = KeyPair::generate()?;
        Ok(Self {
            chain_pem: server_params(names)?.self_signed(&pair)?.pem(),
            key_pem: pair.serialize_pem(),
        })
    }

    /// The configuration of a server that presents this identity and offers `alpn`, most preferred first.
    ///
    /// # Errors
    /// When the PEM cannot be read, or the certificate doesn't match the key.
    pub fn server_config(&self, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|cause| {
            TlsError::Pem {
                what: "private key",
                cause,
            }
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// The configuration of a client that trusts `roots` and offers `alpn`.
///
/// # Errors
/// When no root can be used.
pub fn client_config(roots: &Roots, alpn: &[&str]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    let (given, system) = match roots {
        Roots::Only(pem) => (Some(pem), false),
        Roots::System(extra) => (extra.as_ref(), true),
    };
    if let Some(pem) = given {
        for certificate in certificates(pem)? {
            store.add(certificate)?;
        }
    }
    if system {
        // Some systems have roots that rustls can't read; they are skipped.
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            tracing::warn!(
                causes = ?found.errors,
                "the system has no certificates of authorities: no TLS server beyond this installation is trusted; \
                 install them (on Debian, the package ca-certificates)"
            );
        }
    } else if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// Writes a file that only its owner may read, atomically and durably.
///
/// # Errors
/// When the directory cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    durable::write(path, content, 0o600)
}

fn server_params(names: &[String]) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    let common = names.first().map_or("tidegate", String::as_str);
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, SERVER_LIFE);
    Ok(params)
}

fn set_life(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + life).into();
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| TlsError::Pem {
            what: "certificate",
            cause,
        })
}

/// The key of the private authority.
fn key_pair(path: &Path) -> Result<KeyPair, TlsError> {
    KeyPair::from_pem(&read(path)?).map_err(|cause| TlsError::Authority {
        path: path.to_owned(),
        cause,
    })
}

fn read(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|cause| file(path, cause))
}

fn file(path: &Path, cause: io::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use rustls::ClientConfig;
    use rustls_pki_types::ServerName;
    use tokio::io::duplex;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::{Authority, Identity, Roots, client_config};

    async fn handshake(identity: &Identity, client: Arc<ClientConfig>, name: &'static str) -> bool {
        let (here, there) = duplex(16_384);
        let acceptor = TlsAcceptor::from(identity.server_config(&["h2"]).unwrap());
        let name = ServerName::try_from(name).unwrap();
        let (server, client) = tokio::join!(
            acceptor.accept(here),
            TlsConnector::from(client).connect(name, there)
        );
        server.is_ok() && client.is_ok()
    }

    #[tokio::test]
    async fn a_client_that_pins_the_authority_accepts_its_servers_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(dir.path()).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let client = client_config(&Roots::Only(authority.ca_pem.clone()), &["h2"]).unwrap();
        let issued = authority.issue(&names).unwrap();
        assert!(handshake(&issued, client.clone(), "localhost").await);
        assert!(handshake(&issued, client.clone(), "127.0.0.1").await);
        assert!(!handshake(&issued, client.clone(), "example.org").await);
        assert!(!handshake(&Identity::self_signed(&names).unwrap(), client, "localhost").await);
    }

    #[tokio::test]
    async fn an_authority_is_the_same_after_a_restart_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::load_or_create(dir.path()).unwrap();
        let second = Authority::load_or_create(dir.path()).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        let client = client_config(&Roots::Only(first.ca_pem), &[]).unwrap();
        assert!(
            handshake(
                &second.issue(&["localhost".to_owned()]).unwrap(),
                client,
                "localhost"
            )
            .await
        );
        let mode = dir
            .path()
            .join("ca.key")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_crash_between_key_and_certificate_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        Authority::load_or_create(dir.path()).unwrap();
        let key = std::fs::read(dir.path().join("ca.key")).unwrap();
        std::fs::remove_file(dir.path().join("ca.pem")).unwrap();
        Authority::load_or_create(dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("ca.key")).unwrap(), key);
        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        assert!(Authority::load_or_create(dir.path()).is_err());
    }

    #[test]
    fn an_empty_file_of_the_authority_is_recreated_only_if_no_client_can_have_pinned_it() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("ca.pem"), dir.path().join("ca.key"));
        std::fs::write(&key, "").unwrap();
        Authority::load_or_create(dir.path()).unwrap();
        assert!(!std::fs::read(&key).unwrap().is_empty());
        for path in [&certificate, &key] {
            let whole = std::fs::read(path).unwrap();
            for cut in [0, whole.len() / 2] {
                std::fs::write(path, &whole[..cut]).unwrap();
                let error = Authority::load_or_create(dir.path()).err().unwrap();
                let error = error.to_string();
                assert!(error.contains(&*path.to_string_lossy()), "{error}");
                assert!(error.contains("restore it from a backup"), "{error}");
            }
            std::fs::write(path, whole).unwrap();
        }
        Authority::load_or_create(dir.path()).unwrap();
    }

    #[test]
    fn a_pin_without_a_certificate_is_refused() {
        assert!(client_config(&Roots::Only(String::new()), &[]).is_err());
    }
}
