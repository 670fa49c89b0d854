//! Names of counters.

use std::sync::Arc;

use tidegate_proto::quota::Window;

use crate::quota::levels::Level;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Messages.
    Messages,
    /// Bytes.
    Bytes,
    /// Messages in a short window.
    Burst,
    /// New sessions.
    Connections,
}

/// The name of a counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// The level.
    pub level: Level,
    /// The subject.
    pub subject: Arc<str>,
    /// The unit.
    pub unit: Unit,
    /// The window.
    pub window: Window,
}

/// The name of a gauge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GaugeKey {
    /// The level.
    pub level: Level,
    /// The subject.
    pub subject: Arc<str>,
}
