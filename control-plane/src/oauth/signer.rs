//! Keys that sign tokens: making them, reading them back, signing with them. When which key signs is the business of
//! `service`; where they are kept is the store's. Called by `oauth::token` and, for new keys, by `oauth::rotation`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm as JwtAlgorithm, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use rsa::{PrivateKey, pkcs8::EncodePrivateKey as _};
use serde::Serialize;
use tidegate_kit::secret::Secret;
use zeroize::Zeroizing;

use crate::{
    domain::{
        name::KeyId,
        signing::{Algorithm, SigningKey},
    },
    service::signing::NewSigningKey,
};

/// The type of access tokens (RFC 9068, 2.1).
const TOKEN_TYPE: &str = "at+jwt";
/// Big enough for years (NIST SP 800-57, 5.6.1), small enough to sign fast.
const RSA_BITS: usize = 2048;

/// A key that is ready to sign.
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

/// A key that cannot be made, read or signed with.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The random source or the arithmetic failed.
    #[error("cannot make an {0} key")]
    Generate(Algorithm),
    /// What the store holds is no key.
    #[error("cannot read signing key {0}; rotate the signing keys")]
    Unreadable(String),
    /// The library refused.
    #[error("cannot sign: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    /// The public half cannot be written.
    #[error("cannot write a public key: {0}")]
    Json(#[from] serde_json::Error),
}

// === impl Signer ===

impl Signer {
    /// Reads a key out of the state.
    ///
    /// # Errors
    /// When it is no key.
    pub fn open(key: &SigningKey) -> Result<Self, SignerError> {
        tidegate_kit::jwt::install();
        let der = STANDARD
            .decode(key.private_key.expose())
            .map(Zeroizing::new)
            .map_err(|_| SignerError::Unreadable(key.id.to_string()))?;
        let mut header = Header::new(jwt(key.algorithm));
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.id.to_string());
        Ok(Self {
            header,
            key: encoding(key.algorithm, &der),
        })
    }

    /// Signs claims.
    ///
    /// # Errors
    /// When the key does not fit its algorithm.
    pub fn sign(&self, claims: &impl Serialize) -> Result<Secret, SignerError> {
        let token = jsonwebtoken::encode(&self.header, claims, &self.key)?;
        Ok(Secret::new(token))
    }
}

/// Makes a key pair that nobody keeps yet. An RSA key takes a noticeable part of a second: not for an async thread.
///
/// The id is the thumbprint of the public key (RFC 7638), so that equal ids mean equal keys.
///
/// # Errors
/// When the machine gives no random numbers.
pub fn generate(algorithm: Algorithm) -> Result<NewSigningKey, SignerError> {
    tidegate_kit::jwt::install();
    let failed = || SignerError::Generate(algorithm);
    let der: Zeroizing<Vec<u8>> = match algorithm {
        Algorithm::Es256 => {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &SystemRandom::new(),
            )
            .map_err(|_| failed())?;
            Zeroizing::new(pkcs8.as_ref().to_vec())
        }
        Algorithm::Rs256 => {
            let key = PrivateKey::new(&mut rand::rng(), RSA_BITS).map_err(|_| failed())?;
            let pkcs8 = key.to_pkcs8_der().map_err(|_| failed())?;
            Zeroizing::new(pkcs8.as_bytes().to_vec())
        }
    };
    let mut jwk = Jwk::from_encoding_key(&encoding(algorithm, &der), jwt(algorithm))?;
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256)?;
    let id = KeyId::parse(&thumbprint).map_err(|_| failed())?;
    jwk.common.key_id = Some(thumbprint);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(NewSigningKey {
        id,
        algorithm,
        private_key: Secret::new(STANDARD.encode(&*der)),
        public_jwk: serde_json::to_string(&jwk)?,
    })
}

fn encoding(algorithm: Algorithm, pkcs8: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
        Algorithm::Rs256 => EncodingKey::from_rsa_der(pkcs8),
    }
}

const fn jwt(algorithm: Algorithm) -> JwtAlgorithm {
    match algorithm {
        Algorithm::Es256 => JwtAlgorithm::ES256,
        Algorithm::Rs256 => JwtAlgorithm::RS256,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Signer, generate};
    use crate::domain::{
        signing::{Algorithm, SigningKey, SigningKeyState},
        time::Timestamp,
    };

    fn key(algorithm: Algorithm) -> SigningKey {
        let new = generate(algorithm).unwrap();
        SigningKey {
            id: new.id,
            algorithm,
            private_key: new.private_key,
            public_jwk: new.public_jwk,
            state: SigningKeyState::Active,
            longest_lifetime: Duration::ZERO,
            created_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_token_verifies_with_the_published_key_alone() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let (key, other) = (key(algorithm), key(algorithm));
            let claims = json!({ "sub": "me", "exp": 4_000_000_000_u64 });
            let token = Signer::open(&key).unwrap().sign(&claims).unwrap();
            let verify = |jwk: &str| {
                let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(jwk).unwrap();
                let decoding = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
                let name = algorithm.as_str().parse().unwrap();
                let validation = jsonwebtoken::Validation::new(name);
                jsonwebtoken::decode::<Value>(token.expose(), &decoding, &validation)
            };
            let verified = verify(&key.public_jwk).unwrap();
            assert_eq!(verified.header.kid.as_deref(), Some(key.id.as_str()));
            assert_eq!(verified.header.typ.as_deref(), Some("at+jwt"));
            assert!(verify(&other.public_jwk).is_err());
        }
    }

    #[test]
    fn a_published_key_says_what_it_is_for_and_nothing_private() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let key = key(algorithm);
            let jwk: Value = serde_json::from_str(&key.public_jwk).unwrap();
            assert_eq!(jwk["kid"], key.id.as_str());
            assert_eq!(jwk["alg"], algorithm.as_str());
            assert_eq!(jwk["use"], "sig");
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(jwk.get(private).is_none(), "{private}");
            }
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_not_shown() {
        let mut broken = key(Algorithm::Es256);
        broken.private_key = "not base64!".to_owned().into();
        let error = Signer::open(&broken).err().unwrap().to_string();
        assert!(
            error.contains(broken.id.as_str()) && !error.contains("not base64"),
            "{error}"
        );
    }
}
