//! The files of an installation that are made at its first start: its authority and certificates, and the token by which
//! gateways join. Called by `app`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate_kit::{
    secret::Secret,
    tls::{Authority, Identity, TlsError, write_private},
};

use crate::config::Config;

/// What both doors show, and where clients find what to pin.
pub struct Certificates {
    /// The certificate of both doors.
    pub identity: Identity,
    /// The authority that vouches for it, where it is this installation's own.
    pub ca_cert: PathBuf,
}

/// A file that cannot be read or written, or a setting that is half given.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// One of `tls.cert` and `tls.key` without the other.
    #[error("`tls.cert` and `tls.key` go together; only one of them is set")]
    Half,
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Any other file.
    #[error("cannot use {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A join token that is no token.
    #[error("{0} is empty; delete it to have a new join token made")]
    EmptyToken(PathBuf),
    /// A configured join token that is no token.
    #[error("`discovery.join_token` is blank; set it, or leave it out to have one made")]
    BlankToken,
}

/// Reads the configured certificate, or has one issued by the installation's own authority.
///
/// The own certificate is issued anew at every start, so that it follows `tls.names` and never grows old in a file;
/// what peers pin is the authority, which stays.
///
/// # Errors
/// When a file cannot be read or written.
pub fn certificates(config: &Config) -> Result<Certificates, FilesError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => Ok(Certificates {
            identity: Identity::read(cert, key)?,
            ca_cert: absolute(cert),
        }),
        (None, None) => {
            let dir = config.data_dir.join("tls");
            let authority = Authority::load_or_create(&dir)?;
            let identity = authority.issue(&config.tls.names)?;
            let (cert, key) = (dir.join("server.pem"), dir.join("server.key"));
            write(&key, identity.key_pem.as_bytes())?;
            write(&cert, identity.chain_pem.as_bytes())?;
            Ok(Certificates {
                identity,
                ca_cert: absolute(&dir.join("ca.pem")),
            })
        }
        _ => Err(FilesError::Half),
    }
}

/// The configured join token, or the one in `<data_dir>/join-token`, which is made when it is not there.
///
/// # Errors
/// When the file cannot be read or written, or is empty.
pub fn join_token(config: &Config) -> Result<(Secret, PathBuf), FilesError> {
    let path = absolute(&config.data_dir.join("join-token"));
    if let Some(token) = &config.discovery.join_token {
        // An empty one would let in whoever shows none.
        if token.expose().trim().is_empty() {
            return Err(FilesError::BlankToken);
        }
        // Who starts a gateway on this machine finds the token where it always is.
        write(&path, token.expose().as_bytes())?;
        return Ok((token.clone(), path));
    }
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(FilesError::EmptyToken(path)),
        Ok(text) => Ok((Secret::new(text.trim().to_owned()), path)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let token = Secret::new(random_text());
            write(&path, token.expose().as_bytes())?;
            Ok((token, path))
        }
        Err(cause) => Err(FilesError::File { path, cause }),
    }
}

/// 256 random bits, fit for a header or a command line.
#[must_use]
pub fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn write(path: &Path, content: &[u8]) -> Result<(), FilesError> {
    write_private(path, content).map_err(|cause| FilesError::File {
        path: path.to_owned(),
        cause,
    })
}

/// Paths in the ready file are read by processes with other working directories.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use tidegate_kit::secret::Secret;

    use super::{certificates, join_token};
    use crate::config::Config;

    fn config(dir: &tempfile::TempDir) -> Config {
        Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn the_join_token_is_made_once_kept_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (token, path) = join_token(&config(&dir)).unwrap();
        assert!(token.expose().len() >= 43);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            join_token(&config(&dir)).unwrap().0.expose(),
            token.expose()
        );
        fs::write(&path, "\n").unwrap();
        assert!(join_token(&config(&dir)).is_err());
        let mut set = config(&dir);
        set.discovery.join_token = Some(Secret::new("mine".to_owned()));
        assert_eq!(join_token(&set).unwrap().0.expose(), "mine");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn the_authority_stays_and_half_a_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = certificates(&config(&dir)).unwrap();
        let ca = fs::read_to_string(&first.ca_cert).unwrap();
        let second = certificates(&config(&dir)).unwrap();
        assert_eq!(fs::read_to_string(second.ca_cert).unwrap(), ca);
        assert!(second.identity.chain_pem.ends_with(&ca));
        let mut half = config(&dir);
        half.tls.cert = Some(dir.path().join("tls/server.pem"));
        assert!(certificates(&half).is_err());
        half.tls.key = Some(dir.path().join("tls/server.key"));
        assert!(certificates(&half).is_ok());
    }
}
