//! `ring` as the cryptography of `jsonwebtoken`, so that tokens and TLS share one well-reviewed library.
//!
//! ES256 and RS256 only: what the key manager signs with and what nodes accept. Other algorithms are refused here as
//! well as by the callers' allow-lists.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    jwk::{EllipticCurve, ThumbprintHash},
};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use signature::{Signer, Verifier};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: rsa_public_of_private,
        ec_pub_components_from_private_key: ec_public_of_private,
        compute_digest,
        ..KeyUtils::new_unimplemented()
    },
};

/// Makes `ring` the cryptography of this process's tokens. Calling it again does nothing.
pub fn install() {
    // An error means that an earlier call installed it already: nothing else installs one.
    let _ = PROVIDER.install_default();
}

struct Es256Signer(EcdsaKeyPair);
struct Es256Verifier(DecodingKey);
struct Rs256Signer(RsaKeyPair);
struct Rs256Verifier(DecodingKey);

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => {
            Ok(Box::new(Es256Signer(ec_key(key.as_bytes())?)))
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            Ok(Box::new(Rs256Signer(rsa_key(key.as_bytes())?)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256Verifier(key.clone()))),
        (Algorithm::RS256, AlgorithmFamily::Rsa) => Ok(Box::new(Rs256Verifier(key.clone()))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

// === impl Es256Signer ===

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signed = self.0.sign(&SystemRandom::new(), message);
        signed
            .map(|s| s.as_ref().to_vec())
            .map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

// === impl Es256Verifier ===

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = self
            .0
            .try_get_as_bytes()
            .map_err(|_| signature::Error::new())?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

// === impl Rs256Signer ===

impl Signer<Vec<u8>> for Rs256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signed = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signed,
            )
            .map_err(|_| signature::Error::new())?;
        Ok(signed)
    }
}

impl JwtSigner for Rs256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

// === impl Rs256Verifier ===

impl Verifier<Vec<u8>> for Rs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        match self.0.kind() {
            DecodingKeyKind::SecretOrDer(der) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        }
        .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

fn ec_key(pkcs8: &[u8]) -> Result<EcdsaKeyPair, Error> {
    EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        pkcs8,
        &SystemRandom::new(),
    )
    .map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}

/// Reads PKCS#8, or PKCS#1 as PEM files may hold it.
fn rsa_key(der: &[u8]) -> Result<RsaKeyPair, Error> {
    RsaKeyPair::from_pkcs8(der)
        .or_else(|_| RsaKeyPair::from_der(der))
        .map_err(|rejected| ErrorKind::InvalidRsaKey(rejected.to_string()).into())
}

fn rsa_public_of_private(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let components: RsaPublicKeyComponents<Vec<u8>> = rsa_key(der)?.public().into();
    Ok((components.n, components.e))
}

fn ec_public_of_private(
    pkcs8: &[u8],
    algorithm: Algorithm,
) -> Result<(EllipticCurve, Vec<u8>, Vec<u8>), Error> {
    if algorithm != Algorithm::ES256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let pair = ec_key(pkcs8)?;
    // An uncompressed point (SEC 1, 2.3.3): a 4, then x and y of 32 bytes each.
    match pair.public_key().as_ref() {
        [4, point @ ..] if point.len() == 64 => Ok((
            EllipticCurve::P256,
            point[..32].to_vec(),
            point[32..].to_vec(),
        )),
        _ => Err(ErrorKind::InvalidEcdsaKey.into()),
    }
}

fn compute_digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>, Error> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &digest::SHA256,
        ThumbprintHash::SHA384 => &digest::SHA384,
        ThumbprintHash::SHA512 => &digest::SHA512,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(digest::digest(algorithm, data).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{
        Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, jwk::Jwk,
    };
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
    };
    use serde_json::{Value, json};

    fn keys() -> (EncodingKey, DecodingKey) {
        super::install();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let encoding = EncodingKey::from_ec_der(pkcs8.as_ref());
        let jwk = Jwk::from_encoding_key(&encoding, Algorithm::ES256).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        (encoding, decoding)
    }

    #[test]
    fn a_token_verifies_with_the_public_half_of_its_key_and_with_no_other() {
        let (encoding, decoding) = keys();
        let claims = json!({ "sub": "me", "exp": 4_000_000_000_u64 });
        let token = encode(&Header::new(Algorithm::ES256), &claims, &encoding).unwrap();
        let validation = Validation::new(Algorithm::ES256);
        assert_eq!(
            decode::<Value>(&token, &decoding, &validation)
                .unwrap()
                .claims["sub"],
            "me"
        );
        let (_, other) = keys();
        assert!(decode::<Value>(&token, &other, &validation).is_err());
    }

    #[test]
    fn an_algorithm_outside_the_list_is_refused() {
        super::install();
        let key = EncodingKey::from_secret(b"secret");
        assert!(encode(&Header::new(Algorithm::HS256), &json!({}), &key).is_err());
    }
}
