//! The CA certificate and the join token that the node connects with. Both are read for each connection, so replaced files
//! take effect without a restart. `app` checks them at startup, so that a misconfigured node doesn't start; `exchange`
//! reads them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tidegate_kit::{
    secret::Secret,
    tls::{Roots, TlsError, client_config},
};

use crate::config::ControlPlaneConfig;

/// Where the CA certificate and the join token are.
#[derive(Clone, Debug)]
pub struct Enrolment {
    ca_cert: PathBuf,
    join_token: TokenSource,
}

#[derive(Clone, Debug)]
enum TokenSource {
    Given(Secret),
    File(PathBuf),
}

/// The CA certificate and the join token of one connection.
#[derive(Debug)]
pub(super) struct JoinCredentials {
    /// The pinned CA certificates, PEM.
    pub(super) ca_pem: String,
    /// The join token.
    pub(super) join_token: Secret,
}

/// Why the node can't join.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No CA certificate is configured.
    #[error(
        "`control_plane.ca_cert` is not set; copy `tls/ca.pem` from the control plane's data directory"
    )]
    NoAuthority,
    /// No join token is configured.
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
        /// The system's error.
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
    /// The join token is empty.
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
    /// Takes the paths from the configuration. The files are read by [`Self::check`] and for each connection.
    ///
    /// # Errors
    /// When there is no CA certificate or no token.
    pub fn new(config: &ControlPlaneConfig) -> Result<Self, EnrolmentError> {
        let ca_cert = config.ca_cert.clone().ok_or(EnrolmentError::NoAuthority)?;
        let given = config.join_token.clone().map(TokenSource::Given);
        let file = || config.join_token_file.clone().map(TokenSource::File);
        let join_token = given.or_else(file).ok_or(EnrolmentError::NoToken)?;
        Ok(Self {
            ca_cert,
            join_token,
        })
    }

    /// Checks that the files can be read now.
    ///
    /// # Errors
    /// When a file cannot be read or is empty.
    pub fn check(&self) -> Result<(), EnrolmentError> {
        self.read().map(drop)
    }

    /// Reads the files.
    pub(super) fn read(&self) -> Result<JoinCredentials, EnrolmentError> {
        let ca_pem = read(AUTHORITY, &self.ca_cert)?;
        client_config(&Roots::Only(ca_pem.clone()), &[]).map_err(|cause| {
            EnrolmentError::Authority {
                path: self.ca_cert.clone(),
                cause,
            }
        })?;
        let (setting, token) = match &self.join_token {
            TokenSource::Given(token) => (TOKEN, token.clone()),
            TokenSource::File(path) => (TOKEN_FILE, Secret::new(read(TOKEN_FILE, path)?)),
        };
        // During a rotation, the control plane's file has the new token first and the old one after it.
        let first = token
            .expose()
            .lines()
            .map(str::trim)
            .find(|it| !it.is_empty());
        let first = first.ok_or(EnrolmentError::EmptyToken(setting))?;
        Ok(JoinCredentials {
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
