//! Passwords: argon2id, off the async threads, a few at a time because each takes 19 MiB; and random secrets.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate_kit::secret::Secret;
use tokio::{sync::Semaphore, task::spawn_blocking};

mod argon;

use argon::Memory;

use super::error::ServiceError;
use crate::domain::{
    invalid::{Invalid, reason},
    user::PasswordHash,
};

/// Hashes and checks passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    /// What they are hashed in, when nobody is at it.
    free: Arc<Mutex<Vec<Memory>>>,
}

/// How many passwords are hashed at a time.
const AT_A_TIME: usize = 2;
/// How many characters a password has.
const LENGTH: RangeInclusive<usize> = 8..=128;
const SECRET_BYTES: usize = 32;

// === impl Passwords ===

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            free: Arc::default(),
        }
    }

    /// Hashes a password.
    pub(super) async fn hash(&self, password: &Secret) -> Result<PasswordHash, ServiceError> {
        let password = password.clone();
        self.run(move |memory| memory.hash(password.expose().as_bytes()).map(PasswordHash))
            .await?
            .ok_or(FAILED)
    }

    /// Whether a password is the one that was hashed. Without a hash it takes as long and says no, so that nobody
    /// learns which names exist.
    pub(super) async fn verify(
        &self,
        password: &Secret,
        hash: Option<PasswordHash>,
    ) -> Result<bool, ServiceError> {
        if password.expose().chars().count() > *LENGTH.end() {
            return Ok(false);
        }
        let password = password.clone();
        self.run(move |memory| {
            let bytes = password.expose().as_bytes();
            match hash {
                Some(hash) => memory.verify(bytes, &hash.0).unwrap_or(false),
                None => {
                    drop(memory.hash(bytes));
                    false
                }
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| FAILED)?;
        let free = self.free.clone();
        // The turn goes with the work, which goes on when the caller has gone.
        let work = spawn_blocking(move || {
            let mut memory = lock(&free).pop().unwrap_or_default();
            let done = act(&mut memory);
            lock(&free).push(memory);
            drop(turn);
            done
        });
        work.await.map_err(|_| FAILED)
    }
}

fn lock(free: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

const FAILED: ServiceError = ServiceError::Unavailable("the password could not be hashed");

/// Checks a new password's length.
pub(super) fn check(field: &str, password: &Secret) -> Result<(), Invalid> {
    let n_chars = password.expose().chars().count();
    if n_chars == 0 {
        return Err(Invalid::one(field, reason::REQUIRED, "must not be empty"));
    }
    if n_chars < *LENGTH.start() {
        return Err(Invalid::one(
            field,
            reason::TOO_SHORT,
            format!("must have at least {} characters", LENGTH.start()),
        ));
    }
    if n_chars > *LENGTH.end() {
        return Err(Invalid::one(
            field,
            reason::TOO_LONG,
            format!("must have at most {} characters", LENGTH.end()),
        ));
    }
    Ok(())
}

/// 256 random bits as text that fits into URLs and headers.
pub(super) fn random_secret() -> Secret {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// 120 random bits as text, for ids that are not secret.
pub(super) fn random_id() -> String {
    let bytes: [u8; 15] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::{AT_A_TIME, Passwords};

    #[tokio::test]
    async fn a_caller_who_goes_away_leaves_the_turn_to_the_work_that_goes_on() {
        let passwords = Passwords::new();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let work = passwords.run(move |_| {
            begin.send(()).unwrap();
            // Ended by an answer as well as by none.
            ended.recv().unwrap_or_default();
        });
        tokio::select! {
            _ = work => unreachable!("it waits to be ended"),
            _ = begun => {}
        }
        assert_eq!(passwords.turns.available_permits(), AT_A_TIME - 1);
        drop(end);
    }
}
