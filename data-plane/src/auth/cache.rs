//! Tokens that were verified, by their SHA-256, so that a token seen before costs a hash instead of a signature.
//!
//! Owns the size limit and the eviction. Knows nothing of authorisation, and holds no token. Sharded, so that
//! handshakes on different threads rarely contend for a lock.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use super::jwt::Verified;

/// A bounded map from the hash of a token to its claims.
pub(super) struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
    /// How many entries a generation of a shard holds.
    generation: usize,
}

/// The hash of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

/// Two generations: what is used moves to the young one, and when that is full, the old one is forgotten. An entry that
/// is used at least once in every generation stays; keeping an order of use would cost a write of several links a hit.
#[derive(Default)]
struct Shard {
    young: HashMap<TokenHash, Arc<Verified>>,
    old: HashMap<TokenHash, Arc<Verified>>,
}

/// More than threads by far, so that two of them seldom want the same.
const SHARDS: usize = 64;

// === impl TokenCache ===

impl TokenCache {
    /// Remembers at most about `capacity` tokens.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            generation: (capacity / SHARDS / 2).max(1),
        }
    }

    pub(super) fn get(&self, hash: TokenHash) -> Option<Arc<Verified>> {
        self.with(hash, |shard, generation| {
            if let Some(found) = shard.young.get(&hash) {
                return Some(found.clone());
            }
            let found = shard.old.remove(&hash)?;
            shard.insert(hash, found.clone(), generation);
            Some(found)
        })
    }

    pub(super) fn insert(&self, hash: TokenHash, verified: Arc<Verified>) {
        self.with(hash, |shard, generation| {
            shard.old.remove(&hash);
            shard.insert(hash, verified, generation);
        });
    }

    pub(super) fn remove(&self, hash: TokenHash) {
        self.with(hash, |shard, _| {
            shard.young.remove(&hash);
            shard.old.remove(&hash);
        });
    }

    pub(super) fn len(&self) -> usize {
        let lock = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(lock).sum()
    }

    fn with<T>(&self, hash: TokenHash, work: impl FnOnce(&mut Shard, usize) -> T) -> T {
        let shard = &self.shards[usize::from(hash.0[0]) % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut shard, self.generation)
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

// === impl TokenHash ===

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

// === impl Shard ===

impl Shard {
    fn insert(&mut self, hash: TokenHash, verified: Arc<Verified>, generation: usize) {
        if self.young.len() >= generation {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash, verified);
    }
}
