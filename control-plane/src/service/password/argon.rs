//! Argon2id in memory that is used again: a new piece of 19 MiB for each password, aligned as argon2 wants it, does not fit
//! where the last one was, so that the C library's heap would grow with every few sign-ins.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

const SALT_BYTES: usize = 16;

/// What one password at a time is hashed in.
#[derive(Debug, Default)]
pub(in crate::service) struct Memory(Vec<Block>);

// === impl Memory ===

impl Memory {
    /// Hashes a password with a new salt, as a PHC string; `None` when that fails.
    pub(super) fn hash(&mut self, password: &[u8]) -> Option<String> {
        let argon2 = Argon2::default();
        let salt: [u8; SALT_BYTES] = rand::random();
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(&argon2, password, &salt, &mut out)?;
        let hash = PasswordHash {
            algorithm: Algorithm::default().ident(),
            version: Some(Version::default().into()),
            params: ParamsString::try_from(argon2.params()).ok()?,
            salt: Some(Salt::new(&salt).ok()?),
            hash: Some(Output::new(&out).ok()?),
        };
        Some(hash.to_string())
    }

    /// Whether a password is the one of a PHC string; `None` when the string does not read.
    pub(super) fn verify(&mut self, password: &[u8], hash: &str) -> Option<bool> {
        let hash = PasswordHash::new(hash).ok()?;
        let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
        let mut buffer = [0; Output::MAX_LENGTH];
        let out = buffer.get_mut(..expected.as_bytes().len())?;
        self.fill(&argon2, password, salt, out)?;
        // Outputs are compared in constant time.
        Some(Output::new(out).ok()? == *expected)
    }

    fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        out: &mut [u8],
    ) -> Option<()> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        let hashed = argon2.hash_password_into_with_memory(password, salt, out, &mut self.0[..]);
        hashed.ok()
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

    use super::Memory;

    #[test]
    fn hashes_are_those_of_argon2_whatever_the_memory_was_used_for_before() {
        let mut memory = Memory::default();
        for password in ["first", "second"] {
            let bytes = password.as_bytes();
            let ours = memory.hash(bytes).unwrap();
            Argon2::default().verify_password(bytes, &*ours).unwrap();
            let theirs = Argon2::default().hash_password(bytes).unwrap().to_string();
            assert_eq!(memory.verify(bytes, &theirs), Some(true));
            assert_eq!(memory.verify(b"another", &theirs), Some(false));
            assert_eq!(ours[..30], theirs[..30], "algorithm, version and costs");
        }
        assert_eq!(memory.verify(b"first", "no hash"), None);
    }
}
