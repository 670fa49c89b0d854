//! What every resource carries beside its own fields: its times and its etag.

use std::fmt;

use super::time::Timestamp;

/// Changes with each change of a resource, so that nobody overwrites a change that they have not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(u64);

/// The times and the etag of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceMeta {
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Changes with each change.
    pub etag: Etag,
}

// === impl Etag ===

impl Etag {
    /// The etag of what has never been changed.
    pub const FIRST: Self = Self(1);

    /// Wraps a number out of the store.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The etag after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl ResourceMeta ===

impl ResourceMeta {
    /// For a resource that is created at `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            created_at: now,
            updated_at: now,
            etag: Etag::FIRST,
        }
    }

    /// Notes a change at `now`.
    pub const fn change(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.etag = self.etag.next();
    }
}
