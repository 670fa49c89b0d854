//! The control plane's configuration: keys and defaults only, nested like the modules that read them.
//!
//! `tidegate_kit::config` merges the layers, and each module interprets its own values. Read by `main`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidegate_kit::{secret::Secret, telemetry::TelemetryConfig};

/// The whole configuration of the control plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where state, certificates and secrets of this installation live.
    pub data_dir: PathBuf,
    /// The addresses of the listeners.
    pub listen: ListenConfig,
    /// The server certificate of both listeners.
    pub tls: TlsConfig,
    /// The first administrator.
    pub admin: AdminConfig,
    /// The built-in key manager.
    pub oauth: OauthConfig,
    /// The configuration stream.
    pub discovery: DiscoveryConfig,
    /// Limits on connections and requests.
    pub limits: LimitsConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// The addresses of the listeners, `host:port`; port 0 takes any free port.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The management listener: portals, admin API and OAuth.
    pub management: String,
    /// The discovery listener, to which gateway nodes connect.
    pub discovery: String,
}

/// The server certificate of both listeners.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Host names and IP addresses in the certificate that the control plane issues itself when none is given.
    pub names: Vec<String>,
    /// A PEM file with a certificate chain; needs `key`. A replaced file is reloaded without a restart.
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// The administrator who is created when there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The user's name.
    pub username: String,
    /// The initial password; when left out, one is generated and printed once. It is ignored once there is an admin. To set
    /// another one then, run `tidegate-control-plane reset-password`.
    pub password: Option<Secret>,
}

/// The built-in key manager.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OauthConfig {
    /// The `iss` claim of tokens: the URL at which clients reach the management listener.
    pub issuer: String,
    /// The `aud` claim of tokens, which gateways require.
    pub audience: String,
    /// The algorithm that tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// How long a token is valid, in seconds.
    pub token_lifetime_seconds: u32,
    /// The age at which a signing key is replaced by a new one, in days.
    pub rotate_after_days: u32,
    /// How long a new signing key is published before it is used, in seconds, so that every verifier has it by then.
    pub publish_ahead_seconds: u32,
}

/// A signature algorithm of RFC 7518.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: small and fast.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, for verifiers that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

/// The configuration stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// The token that gateway nodes authenticate with. When left out, one is generated and kept in `<data_dir>/join-token`,
    /// where it may be replaced without a restart.
    pub join_token: Option<Secret>,
    /// How long changes are collected before they are sent as one batch, in milliseconds.
    pub debounce_ms: u64,
    /// How long a disconnected gateway node stays in the list of nodes, in hours. A node that shut down gracefully stays for
    /// at most ten minutes.
    pub forget_nodes_after_hours: u64,
}

/// Limits on connections and requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Open connections on each listener.
    pub connections: usize,
    /// Open connections on each listener from one address; 0 for no such limit.
    pub connections_per_address: usize,
    /// How long a TLS handshake, and then a request head, may take, in seconds. A gateway node has twice as long to join.
    pub handshake_seconds: u64,
    /// The timeout for one request on the management listener, in seconds.
    pub request_seconds: u64,
    /// The memory that pending requests and unread responses may take on the management listener, in MiB; at least 16. One
    /// address may take a quarter of it, but at least 16 MiB. The discovery listener has four times as much: a node that
    /// joins needs about 60 bytes for each resource that it already holds.
    pub request_mib: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            listen: ListenConfig::default(),
            tls: TlsConfig::default(),
            admin: AdminConfig::default(),
            oauth: OauthConfig::default(),
            discovery: DiscoveryConfig::default(),
            limits: LimitsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            management: "0.0.0.0:9443".to_owned(),
            discovery: "0.0.0.0:9444".to_owned(),
        }
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            cert: None,
            key: None,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            username: "admin".to_owned(),
            password: None,
        }
    }
}

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            issuer: "https://localhost:9443".to_owned(),
            audience: "tidegate".to_owned(),
            algorithm: SigningAlgorithm::Es256,
            token_lifetime_seconds: 3600,
            rotate_after_days: 90,
            publish_ahead_seconds: 300,
        }
    }
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            join_token: None,
            debounce_ms: 5,
            forget_nodes_after_hours: 24,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            handshake_seconds: 10,
            request_seconds: 30,
            request_mib: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_kit::config::{load_from, show};

    use super::{Config, SigningAlgorithm};

    fn with(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|&s| s.to_owned()).collect();
        load_from(None, std::iter::empty(), &sets).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_configuration_has_the_documented_defaults() {
        let config = with(&[]).unwrap();
        assert_eq!(config.listen.management, "0.0.0.0:9443");
        assert_eq!(config.listen.discovery, "0.0.0.0:9444");
        assert_eq!(config.oauth.algorithm, SigningAlgorithm::Es256);
        assert_eq!(config.oauth.token_lifetime_seconds, 3600);
    }

    #[test]
    fn settings_are_taken_and_secrets_are_not_shown() {
        let config = with(&[
            "oauth.algorithm=RS256",
            "admin.password=hunter2-hunter2",
            "discovery.join_token=1234567890",
            "tls.names=[\"gate.example\"]",
        ])
        .unwrap();
        assert_eq!(config.oauth.algorithm, SigningAlgorithm::Rs256);
        assert_eq!(config.tls.names, ["gate.example"]);
        assert_eq!(
            config.admin.password.as_ref().unwrap().expose(),
            "hunter2-hunter2"
        );
        let shown = show(&config);
        assert!(shown.contains("oauth.algorithm = \"RS256\""), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("1234567890"),
            "{shown}"
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn an_algorithm_that_is_not_offered_is_refused_by_key() {
        let error = with(&["oauth.algorithm=HS256"]).unwrap_err();
        assert!(error.contains("oauth.algorithm"), "{error}");
    }
}
