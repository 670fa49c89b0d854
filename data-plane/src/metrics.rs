//! The node's Prometheus metrics.
//!
//! Owns names and labels. Label values are API names and closed enums, never text from a client, so cardinality is bounded.
//! A session looks its API's counters up once; the data path then touches only what belongs to the session. Written by `listen`,
//! `session`, `record`, `upstream` and `app`; read by `admin`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tidegate_proto::reason::{Reason, Side};

use crate::{
    message::Traffic,
    metrics::{
        configuration::ConfigurationMetrics,
        ledger::LedgerMetrics,
        quota::{Action, QuotaMetrics},
    },
};

pub mod configuration;
pub mod quota;
pub mod ledger;

/// Every metric of the node.
pub struct Metrics {
    registry: Registry,
    accepted: Family<ListenerLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
    refused: Family<EndLabels, Counter>,
    ended: Family<EndLabels, Counter>,
    opened: Family<ApiLabels, Counter>,
    open: Family<ApiLabels, Gauge>,
    messages: Family<TrafficLabels, Counter>,
    bytes: Family<TrafficLabels, Counter>,
    phases: Family<PhaseLabels, Histogram, fn() -> Histogram>,
    quota: QuotaMetrics,
    open_sessions: AtomicI64,
    /// Those of the configuration.
    pub configuration: ConfigurationMetrics,
}

/// The counters of one API. A session holds them, so it counts without a lookup.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    opened: Counter,
    open: Gauge,
    messages: [Counter; 2],
    bytes: [Counter; 2],
}

/// An API as a label: its name and version; both empty when a handshake fails before an API is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// The API's name.
    pub api: Arc<str>,
    /// The API's version.
    pub version: Arc<str>,
}

/// Why a connection ended before it sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// Accepting it failed.
    Accept,
    /// The node ran out of file descriptors or memory.
    Exhausted,
    /// The connection limit was reached, and so was the number of connections that are told so.
    OverLimit,
    /// TLS failed or took too long.
    Tls,
    /// It was closed without sending a byte, as the TCP health checks of load balancers are.
    NoData,
}

/// A phase of the handshake that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// From the accepted connection to the complete request head.
    Read,
    /// Routing, authentication and admission.
    Admit,
    /// DNS resolution, TCP and TLS to the backend.
    Connect,
    /// The backend's answer to the upgrade request.
    Upgrade,
    /// From the accepted connection to the 101.
    Total,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    cause: DropCause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    api: Arc<str>,
    version: Arc<str>,
    reason: ReasonLabel,
    side: SideLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrafficLabels {
    api: Arc<str>,
    version: Arc<str>,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ReasonLabel(Reason);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SideLabel(Side);

const DIRECTIONS: [&str; 2] = ["to_backend", "to_client"];

/// From a handshake with a cached token on a fast network to the longest reasonable deadline.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that are all zero, together with those of the ledger's client.
    #[must_use]
    pub fn with_ledger(ledger: &LedgerMetrics) -> Self {
        let mut metrics = Self::new();
        ledger.register(&mut metrics.registry);
        metrics
    }

    /// Metrics that are all zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tidegate"),
            accepted: Family::default(),
            dropped: Family::default(),
            refused: Family::default(),
            ended: Family::default(),
            opened: Family::default(),
            open: Family::default(),
            messages: Family::default(),
            bytes: Family::default(),
            phases: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            quota: QuotaMetrics::default(),
            open_sessions: AtomicI64::new(0),
            configuration: ConfigurationMetrics::default(),
        };
        let r = &mut metrics.registry;
        r.register(
            "connections_accepted",
            "Accepted client connections, by listener",
            metrics.accepted.clone(),
        );
        r.register(
            "connections_dropped",
            "Client connections that ended before they sent a request, by cause",
            metrics.dropped.clone(),
        );
        r.register(
            "handshakes_refused",
            "Refused or aborted handshakes, by API, reason and side",
            metrics.refused.clone(),
        );
        r.register(
            "sessions_opened",
            "Opened sessions, by API",
            metrics.opened.clone(),
        );
        r.register(
            "sessions_open",
            "Open sessions, by API",
            metrics.open.clone(),
        );
        r.register(
            "sessions_ended",
            "Ended sessions, by API, reason and side",
            metrics.ended.clone(),
        );
        r.register(
            "messages",
            "Relayed messages, by API and direction",
            metrics.messages.clone(),
        );
        r.register(
            "bytes",
            "Bytes relayed after the handshake, by API and direction",
            metrics.bytes.clone(),
        );
        r.register(
            "handshake_duration_seconds",
            "Duration of the phases of a handshake",
            metrics.phases.clone(),
        );
        metrics.configuration.register(r);
        metrics.quota.register(r);
        metrics
    }

    /// The metrics in the OpenMetrics 1.0 text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }

    /// A connection was accepted.
    pub fn connection_accepted(&self, secure: bool) {
        let listener = if secure { "wss" } else { "ws" };
        self.accepted
            .get_or_create(&ListenerLabels { listener })
            .inc();
    }

    /// A connection ended before it sent a request.
    pub fn connection_dropped(&self, cause: DropCause) {
        self.dropped.get_or_create(&DropLabels { cause }).inc();
    }

    /// A handshake was refused or aborted.
    pub fn handshake_refused(&self, api: &ApiLabels, reason: Reason) {
        self.refused
            .get_or_create(&EndLabels::new(api, reason))
            .inc();
    }

    /// Records the duration of a phase of a handshake.
    pub fn phase(&self, phase: Phase, took: Duration) {
        self.phases
            .get_or_create(&PhaseLabels { phase })
            .observe(took.as_secs_f64());
    }

    /// A message exceeded the limit of a level's plan or policy.
    pub fn message_limited(&self, api: &ApiLabels, by: (&'static str, &Arc<str>), action: Action) {
        self.quota.message_limited(api, by, action);
    }

    /// A session was opened. Returns the counters that it uses.
    pub fn session_opened(&self, api: &ApiLabels) -> ApiMetrics {
        let traffic = |direction| TrafficLabels {
            api: api.api.clone(),
            version: api.version.clone(),
            direction,
        };
        let metrics = ApiMetrics {
            opened: self.opened.get_or_create_owned(api),
            open: self.open.get_or_create_owned(api),
            messages: DIRECTIONS.map(|d| self.messages.get_or_create_owned(&traffic(d))),
            bytes: DIRECTIONS.map(|d| self.bytes.get_or_create_owned(&traffic(d))),
        };
        metrics.opened.inc();
        metrics.open.inc();
        self.open_sessions.fetch_add(1, Ordering::Relaxed);
        metrics
    }

    /// A session ended.
    pub fn session_ended(&self, api: &ApiLabels, own: &ApiMetrics, reason: Reason) {
        own.open.dec();
        self.open_sessions.fetch_sub(1, Ordering::Relaxed);
        self.ended.get_or_create(&EndLabels::new(api, reason)).inc();
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> u64 {
        u64::try_from(self.open_sessions.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl ApiMetrics ===

impl ApiMetrics {
    /// Adds what a session has relayed since it was last counted.
    pub fn carried(&self, to_backend: Traffic, to_client: Traffic) {
        for (index, traffic) in [to_backend, to_client].into_iter().enumerate() {
            if traffic != Traffic::default() {
                self.messages[index].inc_by(traffic.messages);
                self.bytes[index].inc_by(traffic.bytes);
            }
        }
    }
}

// === impl ApiLabels ===

impl Default for ApiLabels {
    fn default() -> Self {
        Self {
            api: Arc::from(""),
            version: Arc::from(""),
        }
    }
}

// === impl DropCause ===

impl EncodeLabelValue for DropCause {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let label = match self {
            Self::Accept => "accept",
            Self::Exhausted => "exhausted",
            Self::OverLimit => "over_limit",
            Self::Tls => "tls",
            Self::NoData => "no_data",
        };
        EncodeLabelValue::encode(&label, encoder)
    }
}

// === impl Phase ===

impl EncodeLabelValue for Phase {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let label = match self {
            Self::Read => "read",
            Self::Admit => "admit",
            Self::Connect => "connect",
            Self::Upgrade => "upgrade",
            Self::Total => "total",
        };
        EncodeLabelValue::encode(&label, encoder)
    }
}

// === impl EndLabels ===

impl EndLabels {
    fn new(api: &ApiLabels, reason: Reason) -> Self {
        Self {
            api: api.api.clone(),
            version: api.version.clone(),
            reason: ReasonLabel(reason),
            side: SideLabel(reason.side()),
        }
    }
}

impl EncodeLabelValue for ReasonLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0.label(), encoder)
    }
}

impl EncodeLabelValue for SideLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0.label(), encoder)
    }
}
