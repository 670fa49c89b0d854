//! Use cases of signing in and out, and who a bearer token speaks for.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tidegate_kit::secret::Secret;
use tidegate_proto::ids::UserId;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    Service,
    error::ServiceError,
    password::{Asker, random_secret},
    users::end_sessions,
};
use crate::{
    domain::{
        actor::Actor,
        credential::{SecretHash, Session},
        name::UserName,
        object::ObjectKey,
        state::State,
        time::Timestamp,
        user::{PasswordHash, User},
    },
    throttle::login::{Attempt, DELAY},
};

/// A new sign-in session.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The bearer token; it is not shown again.
    pub token: Secret,
    /// When it stops being valid.
    pub expires_at: Timestamp,
    /// Who signed in.
    pub user: Arc<User>,
}

/// How long a sign-in lasts: a working day and a bit.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// How many sessions a user may have; the oldest ends when there is one more.
const SESSIONS_MAX: usize = 100;
const WRONG: ServiceError = ServiceError::Unauthenticated("the user name or the password is wrong");

impl Service {
    /// Signs a user in. Failed attempts slow down further ones under the same name and from the same address. The right
    /// password still succeeds where the user is known; see [`crate::throttle::login`].
    ///
    /// # Errors
    /// `Unauthenticated`, `ResourceExhausted`, `Storage`, `Unavailable`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        peer: Option<IpAddr>,
    ) -> Result<NewSession, ServiceError> {
        let user = self.state().user_named(name).cloned();
        let throttle = &self.shared.login_throttle;
        let attempt = throttle.begin(name, user.is_some(), peer, self.now());
        let hash = user.as_ref().map(|user| user.password.clone());
        self.check(name, password, hash, peer, attempt).await?;
        let user = user.ok_or(WRONG)?;
        throttle.succeeded(name, peer, attempt, self.now());
        let token = random_secret();
        let hash = SecretHash::of(token.expose());
        let actor = Actor::of(&user);
        let (user, expires_at) = self
            .commit(&actor, "SignIn", move |draft| {
                // The user may be gone, or have another password, since the password was checked.
                let current = draft.state().users().get(&user.id);
                let current = current
                    .filter(|it| it.password == user.password)
                    .ok_or(WRONG)?;
                let current = current.clone();
                let session = draft.put(Session {
                    token: hash,
                    user: current.id,
                    created_at: draft.now,
                    expires_at: draft.now.after(LIFETIME),
                });
                for token in surplus(draft.state(), current.id, draft.now) {
                    draft.remove_key(ObjectKey::Session(token));
                }
                Ok((current, session.expires_at))
            })
            .await?;
        Ok(NewSession {
            token,
            expires_at,
            user,
        })
    }

    /// Checks a password as the throttle allows. A throttled attempt that fails is always answered after the same time, so
    /// that the time tells nothing. An attempt that could not be checked is no failure.
    async fn check(
        &self,
        name: &str,
        password: &Secret,
        hash: Option<PasswordHash>,
        peer: Option<IpAddr>,
        attempt: Attempt,
    ) -> Result<(), ServiceError> {
        let passwords = &self.shared.passwords;
        let throttle = &self.shared.login_throttle;
        let asker = if attempt.known {
            Asker::Known
        } else {
            Asker::Anonymous
        };
        let Some(throttled) = attempt.throttled else {
            let right = passwords.verify(password, hash, asker).await;
            let right = right.inspect_err(|_| throttle.unchecked(name, peer, attempt))?;
            return if right { Ok(()) } else { Err(WRONG) };
        };
        let answer_at = Instant::now() + DELAY;
        if let Some(wait) = throttled.check_after {
            let checking = async {
                sleep(wait).await;
                passwords.verify(password, hash, asker).await
            };
            match timeout_at(answer_at, checking).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Err(_)) => throttle.unchecked(name, peer, attempt),
                // It was wrong, or is perhaps still being checked.
                Ok(Ok(false)) | Err(_) => {}
            }
        }
        sleep_until(answer_at).await;
        let retry_after = throttled.retry_after.saturating_sub(DELAY);
        let retry_after = retry_after.max(Duration::from_secs(1));
        Err(ServiceError::ResourceExhausted { retry_after })
    }

    /// Ends the session of a bearer token; an unknown one is no fault.
    ///
    /// # Errors
    /// `Storage`, `Unavailable`.
    pub async fn sign_out(&self, token: &Secret) -> Result<(), ServiceError> {
        let hash = SecretHash::of(token.expose());
        let Ok(mut actor) = self.authenticate(token) else {
            return Ok(());
        };
        // Another call may end it first; that is not an error.
        actor.session = None;
        self.commit(&actor, "SignOut", move |draft| {
            draft.remove_key(ObjectKey::Session(hash));
            Ok(())
        })
        .await
    }

    /// Ends all sessions of a user, by name: one's own, or anybody's for an admin.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn sign_out_everywhere(
        &self,
        actor: &Actor,
        name: &UserName,
    ) -> Result<(), ServiceError> {
        let user = self.get_user(actor, name)?.id;
        self.commit(actor, "SignOutEverywhere", move |draft| {
            end_sessions(draft, user, None);
            Ok(())
        })
        .await
    }

    /// Who a bearer token speaks for, with the roles of this moment.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn authenticate(&self, token: &Secret) -> Result<Actor, ServiceError> {
        const UNKNOWN: ServiceError =
            ServiceError::Unauthenticated("the token is unknown or has expired");
        let state = self.state();
        let session = state
            .sessions()
            .get(&SecretHash::of(token.expose()))
            .filter(|session| session.is_live(self.now()))
            .ok_or(UNKNOWN)?;
        let user = state.users().get(&session.user).ok_or(UNKNOWN)?;
        Ok(Actor::of(user).in_session(session.token))
    }
}

/// The sessions of a user that are over, and the oldest of those that are too many.
fn surplus(state: &State, user: UserId, now: Timestamp) -> Vec<SecretHash> {
    let mut sessions: Vec<_> = state
        .sessions_of(user)
        .filter_map(|token| state.sessions().get(token))
        .collect();
    sessions.sort_by_key(|session| session.created_at);
    let n_over = sessions.iter().filter(|s| !s.is_live(now)).count();
    let mut too_many = (sessions.len() - n_over).saturating_sub(SESSIONS_MAX);
    let mut surplus = Vec::new();
    for session in sessions {
        if !session.is_live(now) {
            surplus.push(session.token);
        } else if too_many > 0 {
            too_many -= 1;
            surplus.push(session.token);
        }
    }
    surplus
}
