//! What a gateway node can be told: the keys, their defaults, and what they mean. `docs/CONFIG.md` lists them.
//!
//! Only shapes and defaults live here; reading the layers is the kit's, and acting on a setting is its owner's.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_kit::{secret::Secret, telemetry::TelemetryConfig};

/// The whole configuration of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the node keeps its last good snapshot.
    pub data_dir: PathBuf,
    /// The node's name in the fleet, unique in its environment; the host name and the port when empty.
    pub node: String,
    /// The gateway environment whose deployments the node runs.
    pub environment: String,
    /// Where the configuration comes from.
    pub control_plane: ControlPlaneConfig,
    /// Where the node listens.
    pub listen: ListenConfig,
    /// The certificate of the `wss://` listener.
    pub tls: TlsConfig,
    /// How much the node takes on, and how long it waits for clients.
    pub limits: LimitsConfig,
    /// How the node reaches backends.
    pub upstream: UpstreamConfig,
    /// The ledger of quotas that the node shares with others.
    pub ledger: LedgerConfig,
    /// What open sessions are held to.
    pub relay: RelayConfig,
    /// How the node leaves.
    pub drain: DrainConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlPlaneConfig {
    /// The control plane's door for gateways, `https://host:port`.
    pub address: String,
    /// The certificate of the control plane's authority, PEM; needed. It is read for each connection, and may hold the
    /// certificates of several authorities while one takes the place of another.
    pub ca_cert: Option<PathBuf>,
    /// What the node shows to be let in.
    pub join_token: Option<Secret>,
    /// A file that holds the join token in its first line, where `join_token` is not set. It is read for each connection.
    pub join_token_file: Option<PathBuf>,
}

/// Where the node listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// `ws://` clients.
    pub ws: Door,
    /// `wss://` clients.
    pub wss: Door,
    /// Operators: health, metrics, status, drain.
    pub admin: SocketAddr,
}

/// A listener's address, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Not opened.
    Off,
    /// Opened there; port 0 takes any free port.
    At(SocketAddr),
}

/// The certificate of the `wss://` listener; one that only itself vouches for is made when both are left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and its chain, PEM; together with `key`. Replaced files are taken up while running.
    pub cert: Option<PathBuf>,
    /// The private key, PEM.
    pub key: Option<PathBuf>,
}

/// How much the node takes on, and how long it waits for clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Client connections at once.
    pub connections: usize,
    /// Client connections at once from one address; 0 for no limit of its own.
    pub connections_per_address: usize,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// How long a TLS handshake, and then a request head, may take.
    pub head_seconds: Seconds,
}

/// How the node reaches backends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// How long resolving the backend's name, connecting, and TLS may take together.
    pub connect_seconds: Seconds,
    /// How long the backend may take to answer the upgrade.
    pub handshake_seconds: Seconds,
    /// Authorities that are trusted for `wss://` backends besides the system's, PEM. A replaced file is used within half
    /// a minute.
    pub ca_cert: Option<PathBuf>,
}

/// The ledger of quotas that the node shares with the other nodes of its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// A Redis: `redis://[user:password@]host:port/db`, `rediss://` for TLS, `redis+sentinel://host:port,…/master`, or
    /// `redis+cluster://host:port,…`. A query says what sentinels themselves ask for:
    /// `?sentinel_user=…&sentinel_password=…&sentinel_tls=true`. Without a URL the node shares its quotas with nobody.
    pub url: Option<Secret>,
    /// The user that the node logs in to Redis as, where the URL names none. Redis's default user when empty.
    pub username: Option<String>,
    /// The password for Redis, where the URL holds none; taken as it is, without percent signs. Empty for none.
    pub password: Option<Secret>,
    /// A file that holds the password, where `ledger.password` is not set or empty. It is read each time the node connects,
    /// so that a changed password needs no restart. One line end behind the password is not part of it.
    pub password_file: Option<PathBuf>,
    /// The authority of Redis's certificate, PEM, where it is not the system's.
    pub ca_cert: Option<PathBuf>,
    /// How long Redis may take to answer.
    pub timeout_seconds: Seconds,
    /// How long Redis may be silent before plans and policies go by what they say of that.
    pub patience_seconds: Seconds,
    /// How many nodes share the quotas, as long as Redis has never said so.
    pub nodes: u32,
}

/// What open sessions are held to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// How long no message may pass in either direction; 0 for ever.
    pub idle_seconds: Seconds,
    /// After how long a silence of a peer the gateway pings it; 0 never.
    pub ping_seconds: Seconds,
    /// How long a pinged peer may stay silent.
    pub pong_seconds: Seconds,
    /// How long a close handshake may take.
    pub close_seconds: Seconds,
}

/// How the node leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// Over how long open sessions are closed when the node is told to stop.
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
    /// One `key = value` a line, secrets redacted.
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
            ws: Door::At(SocketAddr::from(([0, 0, 0, 0], 9099))),
            wss: Door::At(SocketAddr::from(([0, 0, 0, 0], 8099))),
            admin: SocketAddr::from(([127, 0, 0, 1], 9100)),
        }
    }
}

// === impl Door ===

impl Serialize for Door {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for Door {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is no address to listen on; write `IP:port` or `off`"
            ))
        })
    }
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 200_000,
            // Whole offices and other gateways come from one address; operators who face strangers set it.
            connections_per_address: 0,
            // What nginx and HAProxy allow by default is 8 to 32 KiB; tokens with many claims need some of it.
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
            patience_seconds: Seconds(Duration::from_secs(1)),
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
    /// Longer waits than a century are mistakes, and would overflow clocks.
    const MAX: f64 = 3.2e9;

    /// So many whole seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration, or `None` when it is zero and so means "never".
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
                "`{seconds}` is no number of seconds; it must be between 0 and {}",
                Self::MAX
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use tidegate_kit::config::load_from;

    use super::{Config, Door, Seconds};

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
            Door::At(SocketAddr::from(([127, 0, 0, 1], 0)))
        );
        assert_eq!(config.listen.wss, Door::Off);
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
