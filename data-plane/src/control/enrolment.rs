//! What the node joins with: the authority that it trusts and the join token. Both are read for each connection, so that
//! files that are replaced are used without a restart. Called by `app` at the start, so that a node which can never join
//! does not begin, and by `exchange`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tidegate_kit::{
    secret::Secret,
    tls::{Roots, TlsError, client_config},
};

use crate::config::ControlPlaneConfig;

/// Where to find what the node joins with.
#[derive(Clone, Debug)]
pub struct Enrolment {
    ca_cert: PathBuf,
    join_token: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Given(Secret),
    In(PathBuf),
}

/// What one connection is made with.
#[derive(Debug)]
pub(super) struct Credentials {
    /// The authorities to pin, PEM.
    pub(super) ca_pem: String,
    /// What admits the node.
    pub(super) join_token: Secret,
}

/// Why the node has nothing to join with.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No authority is named.
    #[error(
        "`control_plane.ca_cert` is not set; copy `tls/ca.pem` from the control plane's data directory"
    )]
    NoAuthority,
    /// No token is named.
    #[error(
        "neither `control_plane.join_token` nor `control_plane.join_token_file` is set; the control plane keeps its token \
         in `join-token` in its data directory"
    )]
    NoToken,
    /// A file that cannot be read.
    #[error("cannot read `{setting}` {path}: {cause}")]
    File {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file without a certificate.
    #[error("cannot use `control_plane.ca_cert` {path}: {cause}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: TlsError,
    },
    /// A token that is none.
    #[error(
        "`{0}` is empty; copy the token from `join-token` in the control plane's data directory"
    )]
    EmptyToken(&'static str),
}

const TOKEN: &str = "control_plane.join_token";
const TOKEN_FILE: &str = "control_plane.join_token_file";
const AUTHORITY: &str = "control_plane.ca_cert";

// === impl Enrolment ===

impl Enrolment {
    /// What the configuration names; the files are read by [`Self::check`] and for each connection.
    ///
    /// # Errors
    /// When it names no authority or no token.
    pub fn new(config: &ControlPlaneConfig) -> Result<Self, EnrolmentError> {
        let ca_cert = config.ca_cert.clone().ok_or(EnrolmentError::NoAuthority)?;
        let given = config.join_token.clone().map(Source::Given);
        let file = || config.join_token_file.clone().map(Source::In);
        let join_token = given.or_else(file).ok_or(EnrolmentError::NoToken)?;
        Ok(Self {
            ca_cert,
            join_token,
        })
    }

    /// Whether a node could join with what is there now.
    ///
    /// # Errors
    /// When a file cannot be read or has nothing in it.
    pub fn check(&self) -> Result<(), EnrolmentError> {
        self.read().map(drop)
    }

    /// What is there now.
    pub(super) fn read(&self) -> Result<Credentials, EnrolmentError> {
        let ca_pem = read(AUTHORITY, &self.ca_cert)?;
        client_config(&Roots::Only(ca_pem.clone()), &[]).map_err(|cause| {
            EnrolmentError::Authority {
                path: self.ca_cert.clone(),
                cause,
            }
        })?;
        let (setting, token) = match &self.join_token {
            Source::Given(token) => (TOKEN, token.clone()),
            Source::In(path) => (TOKEN_FILE, Secret::new(read(TOKEN_FILE, path)?)),
        };
        // While a token is replaced the control plane's file has the new one first and the old one after it.
        let first = token
            .expose()
            .lines()
            .map(str::trim)
            .find(|it| !it.is_empty());
        let first = first.ok_or(EnrolmentError::EmptyToken(setting))?;
        Ok(Credentials {
            ca_pem,
            join_token: Secret::new(first.to_owned()),
        })
    }
}

fn read(setting: &'static str, path: &Path) -> Result<String, EnrolmentError> {
    fs::read_to_string(path).map_err(|cause| EnrolmentError::File {
        setting,
        path: path.to_owned(),
        cause,
    })
}
