//! Decodes key managers and the public keys that verify their tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tidegate_proto::discovery::v1;

use super::{InvalidKey, InvalidResource, NAME_MAX, text, within};
use crate::snapshot::model::{KeyManager, VerificationKey};

const KEYS_MAX: usize = 64;
const AUDIENCES_MAX: usize = 64;
/// A JWK of RSA 8192 takes 1.5 KB.
const JWK_MAX: usize = 16 * 1024;
/// RFC 7518, 3.3: an RSA key has at least 2048 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
const P256_BYTES: usize = 32;

pub(super) fn decode(manager: &v1::KeyManager) -> Result<KeyManager, InvalidResource> {
    within("jwks", manager.jwks.len(), KEYS_MAX, "keys")?;
    within(
        "audiences",
        manager.audiences.len(),
        AUDIENCES_MAX,
        "audiences",
    )?;
    for audience in &manager.audiences {
        text("audiences", audience)?;
    }
    let mut keys: Vec<VerificationKey> = Vec::with_capacity(manager.jwks.len());
    for (index, jwk) in manager.jwks.iter().enumerate() {
        let rejected = |fault| InvalidResource::Key { index, fault };
        let key = key(jwk).map_err(rejected)?;
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(rejected(InvalidKey::DuplicateKid(key.kid)));
        }
        keys.push(key);
    }
    Ok(KeyManager {
        name: text("name", &manager.name)?,
        issuer: text("issuer", &manager.issuer)?,
        audiences: manager.audiences.clone(),
        keys,
    })
}

/// The members that only a private or symmetric key has (RFC 7518, 6).
#[derive(Deserialize)]
struct Private {
    d: Option<serde::de::IgnoredAny>,
    k: Option<serde::de::IgnoredAny>,
}

fn key(json: &str) -> Result<VerificationKey, InvalidKey> {
    if json.len() > JWK_MAX {
        return Err(InvalidKey::NotAJwk("it is too long".to_owned()));
    }
    let not_a_jwk = |error: serde_json::Error| InvalidKey::NotAJwk(error.to_string());
    let private: Private = serde_json::from_str(json).map_err(not_a_jwk)?;
    if private.d.is_some() || private.k.is_some() {
        return Err(InvalidKey::Private);
    }
    let jwk: Jwk = serde_json::from_str(json).map_err(not_a_jwk)?;
    let kid = match &jwk.common.key_id {
        Some(kid) if !kid.is_empty() && kid.len() <= NAME_MAX => kid.clone(),
        _ => return Err(InvalidKey::NoKid),
    };
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return Err(InvalidKey::Use);
    }
    let stated = jwk.common.key_algorithm;
    let mut hash = Sha256::new();
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(point)
            if point.curve == EllipticCurve::P256
                && matches!(stated, None | Some(KeyAlgorithm::ES256)) =>
        {
            for coordinate in [&point.x, &point.y] {
                let bytes = bytes(coordinate)?;
                if bytes.len() != P256_BYTES {
                    return Err(InvalidKey::Material);
                }
                hash.update(bytes);
            }
            Algorithm::ES256
        }
        AlgorithmParameters::RSA(rsa) if matches!(stated, None | Some(KeyAlgorithm::RS256)) => {
            let (modulus, exponent) = (bytes(&rsa.n)?, bytes(&rsa.e)?);
            if !RSA_BYTES.contains(&modulus.len()) || !(1..=4).contains(&exponent.len()) {
                return Err(InvalidKey::Material);
            }
            hash.update(modulus);
            hash.update(exponent);
            Algorithm::RS256
        }
        _ => return Err(InvalidKey::Unsupported),
    };
    hash.update(format!("{algorithm:?}"));
    Ok(VerificationKey {
        kid,
        algorithm,
        fingerprint: hash.finalize().into(),
        key: DecodingKey::from_jwk(&jwk).map_err(|_| InvalidKey::Material)?,
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, InvalidKey> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| InvalidKey::Material)
}
