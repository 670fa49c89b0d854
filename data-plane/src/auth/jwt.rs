//! Verifies access tokens (RFC 7519, RFC 9068) with the keys of the snapshot's key managers.
//!
//! The algorithm is the key's, never the token's: `none`, or a public key misused as a secret, can't get in (RFC 8725,
//! 3.1). Owns syntax and signature only; times, audience and subscription are checked at each handshake.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256};
use tidegate_proto::{claims::AccessClaims, reason::Reason};

use super::{Token, claims::Claims};
use crate::snapshot::{Snapshot, model::VerificationKey};

/// A token whose signature was right with one key.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) token: Arc<Token>,
    pub(super) audiences: Vec<String>,
    pub(super) not_before: Option<u64>,
    kid: String,
    fingerprint: [u8; 32],
}

/// Longer tokens are refused before anything is decoded.
const TOKEN_MAX: usize = 16 * 1024;

/// What matters of a JOSE header.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

// === impl Verified ===

impl Verified {
    /// Whether the key that verified the token is still its issuer's.
    pub(super) fn key_stands(&self, snapshot: &Snapshot) -> bool {
        snapshot
            .key_manager(&self.token.issuer)
            .and_then(|manager| manager.key(&self.kid))
            .is_some_and(|key| key.fingerprint == self.fingerprint)
    }
}

/// Verifies form and signature.
pub(super) fn verify(snapshot: &Snapshot, token: &str) -> Result<Verified, Reason> {
    if token.len() > TOKEN_MAX {
        return Err(Reason::CredentialInvalid);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Reason::CredentialInvalid)?;
    let (header, payload) = message.split_once('.').ok_or(Reason::CredentialInvalid)?;
    let header: Header = part(header)?;
    let payload = bytes(payload)?;
    let Issuer { iss } = json(&payload)?;
    let manager = snapshot.key_manager(&iss).ok_or(Reason::IssuerUnknown)?;
    let key = header.kid.as_deref().and_then(|kid| manager.key(kid));
    let key = key.ok_or(Reason::CredentialInvalid)?;
    check_header(&header, key)?;
    let right =
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm);
    if !right.unwrap_or(false) {
        return Err(Reason::CredentialInvalid);
    }
    let claims: AccessClaims = json(&payload)?;
    let subject = Some(claims.sub).filter(|sub| !sub.is_empty() && *sub != claims.client_id);
    Ok(Verified {
        token: Arc::new(Token {
            issuer: manager.issuer.clone(),
            client_id: claims.client_id.into(),
            subject: subject.map(Into::into),
            fingerprint: fingerprint(&iss, claims.jti.as_deref(), token),
            claims: Claims::read(&payload),
            id: claims.jti.map(Into::into),
            scopes: claims
                .scope
                .split_ascii_whitespace()
                .map(Into::into)
                .collect(),
            expires_at: claims.exp,
        }),
        audiences: claims.aud,
        not_before: claims.nbf,
        kid: key.kid.clone(),
        fingerprint: key.fingerprint,
    })
}

/// What a token is counted by: a hash, so that its length is bounded and it opens nothing.
fn fingerprint(issuer: &str, id: Option<&str>, token: &str) -> u128 {
    let hash = match id {
        Some(id) => Sha256::new_with_prefix(issuer)
            .chain_update([0])
            .chain_update(id),
        None => Sha256::new_with_prefix(token),
    };
    let bytes = hash.finalize();
    let (head, _) = bytes
        .split_first_chunk::<16>()
        .expect("SHA-256 has more than 16 bytes");
    u128::from_be_bytes(*head)
}

fn check_header(header: &Header, key: &VerificationKey) -> Result<(), Reason> {
    let algorithm = match key.algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::RS256 => "RS256",
        _ => return Err(Reason::CredentialInvalid),
    };
    // RFC 9068, 2.1 asks for `at+jwt`; issuers in the field also write `JWT` or nothing.
    let typ = header.typ.as_deref().unwrap_or("JWT");
    let typ = typ.get(.."application/".len()).map_or(typ, |prefix| {
        if prefix.eq_ignore_ascii_case("application/") {
            &typ[prefix.len()..]
        } else {
            typ
        }
    });
    let known = typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
    // RFC 7515, 4.1.11: unsupported critical extensions must be refused, and none is supported here.
    if header.alg == algorithm && known && header.crit.is_none() {
        Ok(())
    } else {
        Err(Reason::CredentialInvalid)
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Reason> {
    json(&bytes(text)?)
}

fn bytes(text: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Reason::CredentialInvalid)
}

fn json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Reason> {
    serde_json::from_slice(bytes).map_err(|_| Reason::CredentialInvalid)
}
