//! A key manager for tests, which issues valid tokens and all kinds of invalid ones.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

/// A signing key with the names that tokens carry.
#[derive(Debug)]
pub struct Issuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` of its tokens.
    pub audience: String,
    /// The `kid` of its key.
    pub key_id: String,
    key: KeyPair,
}

// === impl Issuer ===

impl Issuer {
    /// A new key for ES256.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        tidegate_kit::jwt::install();
        Self {
            issuer: issuer.to_owned(),
            audience: "tidegate".to_owned(),
            key_id: "test-key".to_owned(),
            key: KeyPair::generate().expect("a P-256 key can be made"),
        }
    }

    /// The public key as a JWK.
    ///
    /// # Panics
    /// Never: a P-256 point has two coordinates.
    #[must_use]
    pub fn jwk(&self) -> String {
        // 0x04, then the coordinates, 32 bytes each (SEC 1, 2.3.3).
        let (x, y) = self.key.der_bytes()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
        .to_string()
    }

    /// The claims of a valid token: from one minute ago, for an hour.
    #[must_use]
    pub fn claims(&self, client_id: &str) -> Value {
        let now = now();
        json!({
            "iss": self.issuer, "sub": client_id, "aud": self.audience, "client_id": client_id,
            "iat": now - 60, "nbf": now - 60, "exp": now + 3600, "jti": format!("{client_id}-{now}"),
            "key_type": "PRODUCTION",
        })
    }

    /// A valid token.
    #[must_use]
    pub fn token(&self, client_id: &str) -> String {
        self.sign(&self.claims(client_id))
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.key_id, claims)
    }

    /// A token with these claims whose header names another key.
    ///
    /// # Panics
    /// Never: the key is valid.
    #[must_use]
    pub fn sign_as(&self, key_id: &str, claims: &Value) -> String {
        let key = EncodingKey::from_ec_pem(self.key.serialize_pem().as_bytes());
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key_id.to_owned());
        let signed = jsonwebtoken::encode(&header, claims, &key.expect("rcgen writes PKCS#8"));
        signed.expect("the claims are JSON")
    }

    /// A token with the algorithm `none`.
    #[must_use]
    pub fn unsigned(&self, claims: &Value) -> String {
        let header = json!({ "alg": "none", "typ": "at+jwt", "kid": self.key_id });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&header), part(claims))
    }
}

/// Seconds since the Unix epoch.
///
/// # Panics
/// When the clock stands before 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock stands after 1970").as_secs()
}
