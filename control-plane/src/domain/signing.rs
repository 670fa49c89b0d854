//! The key manager's signing keys, as they are kept. Making keys and signing with them is the key manager's.
//!
//! Keys rotate with overlap: the next one is published before it signs; those that signed before stay published until
//! their tokens have expired.

use std::{fmt, time::Duration};

use tidegate_kit::secret::Secret;

use super::{name::KeyId, time::Timestamp};

/// A key that signs tokens, or that signed tokens which may still be valid.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The `kid`.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private key: PKCS#8 DER in standard Base64.
    pub private_key: Secret,
    /// The public key as a JWK (RFC 7517) with `kid`, `alg` and `use`, in JSON.
    pub public_jwk: String,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// The longest lifetime of a token that it signed or may have signed.
    pub longest_lifetime: Duration,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyState {
    /// Is published and signs nothing yet, so that every verifier knows it before its first token. At most one key is
    /// next.
    Next {
        /// From when on it is to sign.
        signs_from: Timestamp,
    },
    /// Signs new tokens. At most one key is active.
    Active,
    /// Signs no more, but is published until then, because tokens it signed may be valid.
    Retiring {
        /// When nothing that it signed can be valid any more.
        until: Timestamp,
    },
}

// === impl SigningKey ===

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        (
            &self.id,
            self.algorithm,
            self.state,
            self.longest_lifetime,
            self.created_at,
            &self.public_jwk,
        ) == (
            &other.id,
            other.algorithm,
            other.state,
            other.longest_lifetime,
            other.created_at,
            &other.public_jwk,
        ) && self.private_key.expose() == other.private_key.expose()
    }
}

impl Eq for SigningKey {}

// === impl Algorithm ===

impl Algorithm {
    /// The name in JOSE headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
