//! What an operator may set, nested as the modules that read it. Values and defaults only: layering is
//! `tidegate_kit::config`'s, and what a value means is the business of the module that gets it. Read by `main`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidegate_kit::{secret::Secret, telemetry::TelemetryConfig};

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where state, certificates and secrets of this installation live.
    pub data_dir: PathBuf,
    /// Where the doors are.
    pub listen: ListenConfig,
    /// What the doors show.
    pub tls: TlsConfig,
    /// The first administrator.
    pub admin: AdminConfig,
    /// The built-in key manager.
    pub oauth: OauthConfig,
    /// The configuration stream.
    pub discovery: DiscoveryConfig,
    /// What strangers may take.
    pub limits: LimitsConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// Where the doors are: addresses with ports; port 0 takes any free one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The door of people and their tools: admin API and OAuth.
    pub people: String,
    /// The door of the gateways.
    pub gateways: String,
}

/// The server certificate of both doors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Host names and addresses of the certificate that is made when none is given.
    pub names: Vec<String>,
    /// A PEM file with a certificate chain; together with `key`. Replaced files are taken up while running.
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// The administrator who is made when no user is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The user's name.
    pub username: String,
    /// The first password; when left out, one is made and printed once. It is ignored once there is an admin; then
    /// `tidegate-control-plane reset-password` sets another.
    pub password: Option<Secret>,
}

/// The built-in key manager.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OauthConfig {
    /// The `iss` of tokens: the URL by which clients reach the people's door.
    pub issuer: String,
    /// The `aud` of tokens, which gateways demand.
    pub audience: String,
    /// What tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// How long a token is valid.
    pub token_lifetime_seconds: u32,
    /// How old the signing key becomes before a new one replaces it.
    pub rotate_after_days: u32,
    /// How long a new signing key is published before it signs, so that every verifier knows it.
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
    /// What a gateway shows to be let in; when left out, one is made and kept in `<data_dir>/join-token`, where it may be
    /// replaced while the control plane runs.
    pub join_token: Option<Secret>,
    /// How long a burst of changes is gathered before it is sent, in milliseconds.
    pub debounce_ms: u64,
    /// How long a gateway that is not connected any more stays in the list of gateways, in hours. One that stopped in order
    /// stays no longer than ten minutes.
    pub forget_nodes_after_hours: u64,
}

/// What strangers may take at a door before they are refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Open connections at each door.
    pub connections: usize,
    /// Open connections at each door from one address; 0 for no limit of its own.
    pub connections_per_address: usize,
    /// How long a TLS handshake, and then the head of a request, may take, in seconds. A gateway has it twice to join.
    pub handshake_seconds: u64,
    /// How long the people's door works on one request, in seconds.
    pub request_seconds: u64,
    /// What unanswered requests and unread answers may hold in memory at the people's door, in MiB; at least 16. One
    /// address has a quarter of it, but at least 16 MiB. Gateways have four times as much together: one that joins needs
    /// about 60 bytes for each resource that it holds already.
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
            people: "0.0.0.0:9443".to_owned(),
            gateways: "0.0.0.0:9444".to_owned(),
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
        assert_eq!(config.listen.people, "0.0.0.0:9443");
        assert_eq!(config.listen.gateways, "0.0.0.0:9444");
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
