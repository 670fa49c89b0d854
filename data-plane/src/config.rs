//! The configuration of a gateway node: keys and defaults only. `docs/CONFIG.md` lists them.
//!
//! `tidegate_kit::config` merges the layers, and each module interprets its own values.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_kit::{secret::Secret, telemetry::TelemetryConfig};

/// The whole configuration of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory in which the node keeps its last good configuration.
    pub data_dir: PathBuf,
    /// The node's name, unique in its environment. When empty, the host name and the port.
    pub node: String,
    /// The gateway environment whose deployments the node runs.
    pub environment: String,
    /// The control plane from which the node gets its configuration.
    pub control_plane: ControlPlaneConfig,
    /// The addresses of the listeners.
    pub listen: ListenConfig,
    /// The certificate of the `wss://` listener.
    pub tls: TlsConfig,
    /// Limits on client connections.
    pub limits: LimitsConfig,
    /// Connections to backends.
    pub upstream: UpstreamConfig,
    /// The ledger of quotas that the node shares with other nodes.
    pub ledger: LedgerConfig,
    /// Timeouts of open sessions.
    pub relay: RelayConfig,
    /// Graceful shutdown.
    pub drain: DrainConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// The control plane from which the node gets its configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlPlaneConfig {
    /// The control plane's discovery listener, `https://host:port`.
    pub address: String,
    /// The CA certificate that the control plane's certificate is verified with, PEM; required. It is read for each
    /// connection, and may hold several CA certificates while one replaces another.
    pub ca_cert: Option<PathBuf>,
    /// The token that the node authenticates with.
    pub join_token: Option<Secret>,
    /// A file with the join token in its first line, used when `join_token` is not set. It is read for each connection.
    pub join_token_file: Option<PathBuf>,
}

/// The addresses of the listeners.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The listener for `ws://` clients.
    pub ws: ListenAddress,
    /// The listener for `wss://` clients.
    pub wss: ListenAddress,
    /// The admin listener: health, metrics, status, drain.
    pub admin: SocketAddr,
}

/// The address of a listener, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// There is no such listener.
    Off,
    /// Listen here; port 0 takes any free port.
    At(SocketAddr),
}

/// The certificate of the `wss://` listener. A self-signed one is generated when both keys are left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file with a certificate chain; needs `key`. A replaced file is reloaded without a restart.
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// Limits on client connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Concurrent client connections.
    pub connections: usize,
    /// Concurrent client connections from one address; 0 for no such limit.
    pub connections_per_address: usize,
    /// The maximum size of a request head, in bytes.
    pub head_bytes: usize,
    /// How long a TLS handshake, and then a request head, may take.
    pub head_seconds: Seconds,
}

/// Connections to backends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// How long DNS resolution, the TCP connection and the TLS handshake to a backend may take together.
    pub connect_seconds: Seconds,
    /// How long the backend may take to answer the WebSocket handshake.
    pub handshake_seconds: Seconds,
    /// CA certificates for `wss://` backends in addition to the system's, PEM. A replaced file is reloaded within half a
    /// minute.
    pub ca_cert: Option<PathBuf>,
}

/// The ledger of quotas that the node shares with the other nodes of its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// The URL of a Redis: `redis://[user:password@]host:port/db`, `rediss://` for TLS,
    /// `redis+sentinel://host:port,…/master`, or `redis+cluster://host:port,…`. Credentials and TLS of the sentinels
    /// themselves go into the query: `?sentinel_user=…&sentinel_password=…&sentinel_tls=true`. Without a URL, the node
    /// counts quotas on its own.
    pub url: Option<Secret>,
    /// The Redis user, if the URL has none. When empty, Redis's default user.
    pub username: Option<String>,
    /// The Redis password, if the URL has none; not percent-encoded. Empty for none.
    pub password: Option<Secret>,
    /// A file with the password, used when `ledger.password` is not set or empty. It is read for each connection, so a
    /// changed password needs no restart. One trailing newline is ignored.
    pub password_file: Option<PathBuf>,
    /// The CA certificate for Redis, PEM, if it isn't among the system's.
    pub ca_cert: Option<PathBuf>,
    /// The timeout for one request to Redis.
    pub timeout_seconds: Seconds,
    /// How long Redis may fail to answer before the node considers it unavailable. Plans and policies then apply their
    /// `without_ledger` setting.
    pub unavailable_after_seconds: Seconds,
    /// How many nodes share the quotas. It is used until Redis has reported the number for the first time.
    pub nodes: u32,
}

/// Timeouts of open sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// How long a session may carry no message in either direction; 0 for no limit.
    pub idle_seconds: Seconds,
    /// How long a peer may be silent before the gateway pings it; 0 disables pings.
    pub ping_seconds: Seconds,
    /// How long a peer may take to answer a ping.
    pub pong_seconds: Seconds,
    /// How long a closing handshake may take.
    pub close_seconds: Seconds,
}

/// Graceful shutdown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// The period over which open sessions are closed when the node shuts down.
    pub seconds: Seconds,
}

/// A duration, written in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            node: String::new(),
            environment: "default".to_owned(),
            control_plane: ControlPlaneConfig::default(),
            listen: ListenConfig::default(),
            tls: TlsConfig::default(),
            limits: LimitsConfig::default(),
            upstream: UpstreamConfig::default(),
            ledger: LedgerConfig::default(),
            relay: RelayConfig::default(),
            drain: DrainConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl fmt::Display for Config {
    /// One `key = value` per line, secrets redacted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        write_keys(f, "", &value)
    }
}

fn write_keys(f: &mut fmt::Formatter<'_>, prefix: &str, value: &serde_json::Value) -> fmt::Result {
    match value {
        serde_json::Value::Object(keys) => keys.iter().try_for_each(|(key, value)| {
            let dot = if prefix.is_empty() { "" } else { "." };
            write_keys(f, &format!("{prefix}{dot}{key}"), value)
        }),
        serde_json::Value::Null => writeln!(f, "# {prefix} is not set"),
        value => writeln!(f, "{prefix} = {value}"),
    }
}

// === impl ControlPlaneConfig ===

impl Default for ControlPlaneConfig {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:9444".to_owned(),
            ca_cert: None,
            join_token: None,
            join_token_file: None,
        }
    }
}

// === impl ListenConfig ===

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            ws: ListenAddress::At(SocketAddr::from(([0, 0, 0, 0], 9099))),
            wss: ListenAddress::At(SocketAddr::from(([0, 0, 0, 0], 8099))),
            admin: SocketAddr::from(([127, 0, 0, 1], 9100)),
        }
    }
}

// === impl ListenAddress ===

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is not a listen address; write `IP:port` or `off`"
            ))
        })
    }
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 200_000,
            // Whole offices and other gateways share one address; set it where clients are on the public internet.
            connections_per_address: 0,
            // nginx and HAProxy allow 8 to 32 KiB by default; tokens with many claims need some of it.
            head_bytes: 16 * 1024,
            head_seconds: Seconds::new(10),
        }
    }
}

// === impl LedgerConfig ===

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            url: None,
            username: None,
            password: None,
            password_file: None,
            ca_cert: None,
            timeout_seconds: Seconds(Duration::from_millis(250)),
            unavailable_after_seconds: Seconds(Duration::from_secs(1)),
            nodes: 1,
        }
    }
}

// === impl UpstreamConfig ===

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_seconds: Seconds::new(5),
            handshake_seconds: Seconds::new(10),
            ca_cert: None,
        }
    }
}

// === impl RelayConfig ===

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            idle_seconds: Seconds::new(0),
            ping_seconds: Seconds::new(30),
            pong_seconds: Seconds::new(20),
            close_seconds: Seconds::new(5),
        }
    }
}

// === impl DrainConfig ===

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            seconds: Seconds::new(20),
        }
    }
}

// === impl Seconds ===

impl Seconds {
    /// About a century: longer durations are mistakes, and would overflow clocks.
    const MAX: f64 = 3.2e9;

    /// A duration of whole seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration, or `None` for zero, which means "never".
    #[must_use]
    pub const fn unless_zero(self) -> Option<Duration> {
        if self.0.is_zero() { None } else { Some(self.0) }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if (0.0..=Self::MAX).contains(&seconds) {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err(serde::de::Error::custom(format!(
                "`{seconds}` is not a valid number of seconds; it must be between 0 and {}",
                Self::MAX
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use tidegate_kit::config::load_from;

    use super::{Config, ListenAddress, Seconds};

    fn load(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|&s| s.to_owned()).collect();
        load_from(None, std::iter::empty(), &sets).map_err(|e| e.to_string())
    }

    #[test]
    fn every_key_has_a_default_and_takes_a_value_from_the_command_line() {
        let config = load(&[
            "listen.ws=127.0.0.1:0",
            "listen.wss=off",
            "limits.head_seconds=0.25",
            "relay.idle_seconds=60",
            "control_plane.join_token=hunter2",
        ])
        .unwrap();
        assert_eq!(
            config.listen.ws,
            ListenAddress::At(SocketAddr::from(([127, 0, 0, 1], 0)))
        );
        assert_eq!(config.listen.wss, ListenAddress::Off);
        assert_eq!(
            config.limits.head_seconds,
            Seconds(Duration::from_millis(250))
        );
        assert_eq!(
            config.relay.idle_seconds.unless_zero(),
            Some(Duration::from_secs(60))
        );
        assert_eq!(load(&[]).unwrap().relay.idle_seconds.unless_zero(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (set, part) in [
            ("listen.ws=nowhere", "nowhere"),
            ("limits.head_seconds=-1", "-1"),
            ("drain.minutes=1", "minutes"),
        ] {
            let error = load(&[set]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_configuration_prints_one_key_a_line_without_its_secrets() {
        let text = load(&[
            "control_plane.join_token=hunter2",
            "ledger.password=hunter2",
        ])
        .unwrap()
        .to_string();
        assert!(text.contains("listen.ws = \"0.0.0.0:9099\"\n"), "{text}");
        assert!(text.contains("drain.seconds = 20\n"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
