//! The files of an installation that are made at its first start: its authority and certificates, and the token by which
//! gateways join. Called by `app`.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate_kit::{
    secret::Secret,
    tls::{Authority, Identity, TlsError, write_private},
};

use crate::{
    config::Config,
    discovery::join::{self, JoinTokens, JoinTokensError},
};

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
    /// A file without join tokens.
    #[error(transparent)]
    JoinTokens(#[from] JoinTokensError),
    /// A configured join token, which no command replaces.
    #[error(
        "`discovery.join_token` is set, so that the token is not taken from the data directory; change the setting and \
         restart, or leave it out"
    )]
    TokenConfigured,
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

/// The configured join token, or those in `<data_dir>/join-token`, where one is made when there is no such file.
///
/// # Errors
/// When the file cannot be read or written, or holds no token.
pub fn join_tokens(config: &Config) -> Result<(JoinTokens, PathBuf), FilesError> {
    let path = join_token_file(config);
    if let Some(token) = &config.discovery.join_token {
        // An empty one would let in whoever shows none.
        if token.expose().trim().is_empty() {
            return Err(FilesError::BlankToken);
        }
        // Who starts a gateway on this machine finds the token where it always is.
        write(&path, token.expose().as_bytes())?;
        return Ok((JoinTokens::fixed(token), path));
    }
    if !path.exists() {
        write(&path, random_text().as_bytes())?;
    }
    Ok((JoinTokens::in_file(&path)?, path))
}

/// Makes a new join token the current one. The one before stays valid beside it, and any older one no longer; with
/// `finish`, no new one is made and only the current one stays valid. A control plane that runs goes by it at once.
///
/// # Errors
/// When the token is configured, or the file cannot be read or written.
pub fn rotate_join_token(config: &Config, finish: bool) -> Result<PathBuf, FilesError> {
    if config.discovery.join_token.is_some() {
        return Err(FilesError::TokenConfigured);
    }
    let path = join_token_file(config);
    let mut tokens = join::read(&path)?;
    if finish {
        tokens.truncate(1);
    } else {
        tokens.insert(0, Secret::new(random_text()));
        tokens.truncate(2);
    }
    let lines: String = tokens
        .iter()
        .map(|token| format!("{}\n", token.expose()))
        .collect();
    write(&path, lines.as_bytes())?;
    Ok(path)
}

fn join_token_file(config: &Config) -> PathBuf {
    absolute(&config.data_dir.join("join-token"))
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

    use super::{certificates, join_tokens, rotate_join_token};
    use crate::config::Config;

    fn config(dir: &tempfile::TempDir) -> Config {
        Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn the_join_token_is_made_once_kept_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_, path) = join_tokens(&config(&dir)).unwrap();
        let token = fs::read_to_string(&path).unwrap();
        assert!(token.len() >= 43);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        join_tokens(&config(&dir)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), token);
        fs::write(&path, "\n").unwrap();
        assert!(join_tokens(&config(&dir)).is_err());
        let mut set = config(&dir);
        set.discovery.join_token = Some(Secret::new("mine".to_owned()));
        join_tokens(&set).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let refused = rotate_join_token(&set, false).unwrap_err().to_string();
        assert!(refused.contains("`discovery.join_token`"), "{refused}");
    }

    #[tokio::test]
    async fn a_rotation_keeps_the_token_before_until_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        assert!(rotate_join_token(&config(&dir), false).is_err());
        let (_, path) = join_tokens(&config(&dir)).unwrap();
        let lines = || -> Vec<String> {
            let text = fs::read_to_string(&path).unwrap();
            text.lines().map(ToOwned::to_owned).collect()
        };
        let first = lines();
        rotate_join_token(&config(&dir), false).unwrap();
        let second = lines();
        assert_eq!((second.len(), &second[1]), (2, &first[0]));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        rotate_join_token(&config(&dir), false).unwrap();
        assert_eq!(lines()[1..], second[..1]);
        let third = lines();
        rotate_join_token(&config(&dir), true).unwrap();
        assert_eq!(lines(), third[..1]);
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
