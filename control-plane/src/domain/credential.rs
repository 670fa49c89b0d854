//! Secrets as the control plane keeps them: hashes only. Sign-in sessions of users; client secrets of applications.
//!
//! The secrets are 256 random bits, so one round of SHA-256 is enough: there is nothing to guess. Passwords are another
//! matter and live in `user` under argon2id.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tidegate_proto::ids::UserId;

use super::time::Timestamp;

/// The SHA-256 of a random secret. Debug shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash([u8; 32]);

/// A sign-in session: a bearer token and its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of the bearer token.
    pub token: SecretHash,
    /// Who signed in.
    pub user: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When the token stops being valid.
    pub expires_at: Timestamp,
}

// === impl SecretHash ===

impl SecretHash {
    /// Hashes a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Wraps a hash out of the store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Session ===

impl Session {
    /// Whether the token is still good.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}
