//! The two numbers that version configuration: the monotonic number of a whole state, and the content hash of one
//! resource.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The monotonic number of the control plane's state; each commit adds one, and nodes report which one they run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RevisionNumber(u64);

/// The content hash of one configuration resource: equal content, equal version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentVersion(u64);

// === impl RevisionNumber ===

impl RevisionNumber {
    /// The number of an empty state, before the first commit.
    pub const ZERO: Self = Self(0);

    /// Wraps a number that came over the wire or out of the store.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of the commit after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// How many commits this number is behind `latest`; zero when it is not behind.
    #[must_use]
    pub const fn lag_behind(self, latest: Self) -> u64 {
        latest.0.saturating_sub(self.0)
    }
}

impl fmt::Display for RevisionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl ContentVersion ===

impl ContentVersion {
    /// Wraps a version that came over the wire.
    #[must_use]
    pub const fn new(version: u64) -> Self {
        Self(version)
    }

    /// The bare hash.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ContentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
