//! Passwords: argon2id, off the async threads, a few at a time because each takes 19 MiB; and random secrets.
//!
//! Anonymous callers never take all of the turns, so that no flood of guesses keeps those from signing in who are known. Those
//! who are known and change their password have one change each at a time, so that none of them takes all of the turns.

use std::{
    collections::HashSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate_kit::secret::Secret;
use tidegate_proto::ids::UserId;
use tokio::{
    sync::{AcquireError, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

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
    /// The turns that anonymous callers may take.
    for_anonymous: Arc<Semaphore>,
    /// What they are hashed in, when nobody is at it.
    free: Arc<Mutex<Vec<Memory>>>,
    /// Those who are changing their password.
    changing: Arc<Mutex<HashSet<UserId>>>,
}

/// The one change of a password that a user has at a time. Dropping it lets the user begin the next.
#[derive(Debug)]
pub(super) struct ChangePermit {
    user: UserId,
    changing: Arc<Mutex<HashSet<UserId>>>,
}

/// Who wants a password hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A user who is signed in, or signs in from an address where that name has signed in before.
    Known,
    /// Anybody else.
    Anonymous,
}

/// How many passwords are hashed at a time.
const AT_A_TIME: usize = 2;
/// How many of these anonymous callers may take.
const OF_ANONYMOUS: usize = 1;
/// How long anybody waits for a turn.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How many characters a password has.
const LENGTH: RangeInclusive<usize> = 8..=128;
const SECRET_BYTES: usize = 32;

// === impl Passwords ===

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            for_anonymous: Arc::new(Semaphore::new(OF_ANONYMOUS)),
            free: Arc::default(),
            changing: Arc::default(),
        }
    }

    /// Lets a user begin to change a password.
    ///
    /// # Errors
    /// `ResourceExhausted` while there is another change of the same user.
    pub(super) fn permit(&self, user: UserId) -> Result<ChangePermit, ServiceError> {
        if !lock(&self.changing).insert(user) {
            return Err(BUSY);
        }
        let changing = self.changing.clone();
        Ok(ChangePermit { user, changing })
    }

    /// Hashes the new password of a user who gives the current one; `None` when that is wrong. The permit is given back
    /// when the work is done, also where the caller has gone meanwhile.
    pub(super) async fn change(
        &self,
        permit: ChangePermit,
        (old, hash): (&Secret, PasswordHash),
        new: &Secret,
    ) -> Result<Option<PasswordHash>, ServiceError> {
        if old.expose().chars().count() > *LENGTH.end() {
            return Ok(None);
        }
        let (old, new) = (old.clone(), new.clone());
        let changed = self.run(Asker::Known, move |memory| {
            let right = memory.verify(old.expose().as_bytes(), &hash.0);
            let hashed = right
                .unwrap_or(false)
                .then(|| memory.hash(new.expose().as_bytes()).map(PasswordHash));
            drop(permit);
            hashed
        });
        match changed.await? {
            Some(hashed) => hashed.ok_or(FAILED).map(Some),
            None => Ok(None),
        }
    }

    /// Hashes a password.
    pub(super) async fn hash(
        &self,
        password: &Secret,
        asker: Asker,
    ) -> Result<PasswordHash, ServiceError> {
        let password = password.clone();
        self.run(asker, move |memory| {
            memory.hash(password.expose().as_bytes()).map(PasswordHash)
        })
        .await?
        .ok_or(FAILED)
    }

    /// Whether a password is the one that was hashed. Without a hash it takes as long and says no, so that nobody
    /// learns which names exist.
    pub(super) async fn verify(
        &self,
        password: &Secret,
        hash: Option<PasswordHash>,
        asker: Asker,
    ) -> Result<bool, ServiceError> {
        if password.expose().chars().count() > *LENGTH.end() {
            return Ok(false);
        }
        let password = password.clone();
        self.run(asker, move |memory| {
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
        asker: Asker,
        act: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let waiting = timeout(WAIT_MAX, async {
            let leave = match asker {
                Asker::Known => None,
                Asker::Anonymous => Some(self.for_anonymous.clone().acquire_owned().await?),
            };
            let turn = self.turns.clone().acquire_owned().await?;
            Ok::<_, AcquireError>((turn, leave))
        });
        let turn = waiting.await.map_err(|_| BUSY)?.map_err(|_| FAILED)?;
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

// === impl ChangePermit ===

impl Drop for ChangePermit {
    fn drop(&mut self) {
        lock(&self.changing).remove(&self.user);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const FAILED: ServiceError = ServiceError::Unavailable("the password could not be hashed");
const BUSY: ServiceError = ServiceError::ResourceExhausted {
    retry_after: Duration::from_secs(1),
};

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
    #![expect(
        clippy::disallowed_methods,
        reason = "tasks end with the test's runtime"
    )]

    use std::sync::{Arc, mpsc};

    use tidegate_kit::secret::Secret;
    use tidegate_proto::ids::UserId;
    use tokio::{sync::oneshot, time::timeout};

    use super::{AT_A_TIME, Asker, BUSY, Passwords, WAIT_MAX};

    #[tokio::test]
    async fn a_caller_who_goes_away_leaves_the_turn_to_the_work_that_goes_on() {
        let passwords = Passwords::new();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let work = passwords.run(Asker::Known, move |_| {
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

    #[tokio::test]
    async fn strangers_leave_a_turn_to_those_who_are_known() {
        let passwords = Arc::new(Passwords::new());
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let flood = tokio::spawn({
            let passwords = passwords.clone();
            async move {
                let work = passwords.run(Asker::Anonymous, move |_| {
                    begin.send(()).unwrap();
                    ended.recv().unwrap_or_default();
                });
                work.await.unwrap();
            }
        });
        begun.await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let passwords = passwords.clone();
            waiting.push(tokio::spawn(async move {
                passwords.run(Asker::Anonymous, |_| ()).await.unwrap();
            }));
        }
        tokio::task::yield_now().await;
        passwords.run(Asker::Known, |_| ()).await.unwrap();
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        drop(end);
        flood.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_known_is_told_when_no_turn_comes() {
        let passwords = Passwords::new();
        let all = u32::try_from(AT_A_TIME).unwrap();
        let turns = passwords.turns.clone();
        let taken = turns.acquire_many_owned(all).await.unwrap();
        let waiting = timeout(WAIT_MAX * 2, passwords.run(Asker::Known, |_| ()));
        assert_eq!(waiting.await.unwrap(), Err(BUSY));
        drop(taken);
        assert_eq!(passwords.run(Asker::Known, |_| ()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_user_has_one_change_at_a_time_and_others_have_theirs() {
        let passwords = Passwords::new();
        let [old, new] = ["old password", "new password"].map(|it| Secret::new(it.to_owned()));
        let hash = passwords.hash(&old, Asker::Known).await.unwrap();
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let permit = passwords.permit(ann).unwrap();
        assert_eq!(passwords.permit(ann).err(), Some(BUSY));
        passwords.permit(bob).unwrap();
        let wrong = passwords.change(permit, (&new, hash.clone()), &new).await;
        assert_eq!(wrong.unwrap(), None);
        let permit = passwords.permit(ann).unwrap();
        let right = passwords.change(permit, (&old, hash), &new).await;
        let hash = right.unwrap().expect("the old password is right");
        let verified = passwords.verify(&new, Some(hash), Asker::Known).await;
        assert_eq!(verified, Ok(true));
        passwords.permit(ann).unwrap();
    }
}
