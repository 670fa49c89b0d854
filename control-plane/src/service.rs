//! The use cases: each authorises the actor, validates the input, decides on the current state, and commits. Surfaces
//! call nothing else; they never touch the store, and decide nothing themselves.
//!
//! Reads take the current state and return at once. Changes are decided one after another by a single writer, stored and
//! flushed, then seen by readers, and only then answered.

pub mod error;
mod draft;
mod access;
mod guard;
pub mod edit;
mod password;
pub mod listing;
pub mod apis;
pub mod catalog;
pub mod lifecycle;
pub mod revisions;
pub mod documents;
pub mod thumbnails;
pub mod limits;
pub mod standard;
pub mod plans;
pub mod application_policies;
pub mod api_policies;
pub mod deny_policies;
pub mod quotas;
pub mod environments;
pub mod nodes;
pub mod applications;
pub mod application_keys;
pub mod subscriptions;
pub mod usage;
pub mod users;
pub mod recovery;
pub mod sessions;
pub mod sign_up;
pub mod settings;
pub mod signing;
pub mod audit;

use std::{fmt, sync::Arc, time::Duration};

use tidegate_kit::{clock::Clock, fault_log::FaultLog};
use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    domain::{
        actor::Actor, environment::Environment, plan::Plan, resource::Resource as _, state::State,
        time::Timestamp,
    },
    store::{Store, StoreError, load::load},
    throttle::{login::LoginThrottle, sign_up::SignUpThrottle},
};
use draft::Draft;
use error::ServiceError;
use password::Passwords;

/// The use cases over one store. A clone is another handle on the same.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    state: watch::Sender<Arc<State>>,
    clock: Clock,
    store: Arc<dyn Store>,
    writer: Arc<Mutex<Writer>>,
    passwords: Passwords,
    login_throttle: LoginThrottle,
    /// Attempts to sign up, apart from those to sign in: they are no failures.
    sign_up_throttle: SignUpThrottle,
}

/// Whoever holds it may commit.
#[derive(Debug, Default)]
struct Writer {
    /// Whether a commit failed, so that the store may or may not have taken it.
    in_doubt: bool,
}

/// How long a change waits for those before it. A commit takes a millisecond; a queue this long means that the disk
/// hangs, and callers are better told.
const WRITER_DEADLINE: Duration = Duration::from_secs(10);

/// A full disk fails each change, and people try again.
static UNSTORED: FaultLog = FaultLog::new(6);

// === impl Service ===

impl Service {
    /// Opens the use cases over a store. An empty one gets what ships: the plans and the environment `default`; an older
    /// one is migrated.
    ///
    /// # Errors
    /// When the store is newer than this software, damaged, or cannot be read or written.
    pub async fn open(store: Arc<dyn Store>, clock: Clock) -> Result<Self, StoreError> {
        let now = Timestamp::from_millis(clock.now_millis());
        let loading = store.clone();
        let state = spawn_blocking(move || match load(&*loading)? {
            Some(state) => Ok(state),
            None => first_state(&*loading, now),
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::corrupt("it could not be loaded")))?;
        Ok(Self {
            shared: Arc::new(Shared {
                state: watch::Sender::new(Arc::new(state)),
                clock,
                store,
                writer: Arc::default(),
                passwords: Passwords::new(),
                login_throttle: LoginThrottle::new(),
                sign_up_throttle: SignUpThrottle::default(),
            }),
        })
    }

    /// The current state. Hold it for one decision, so that all of it sees the same.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.shared.state.borrow().clone()
    }

    /// The states from now on; a slow reader misses those in between.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<Arc<State>> {
        self.shared.state.subscribe()
    }

    /// The time, as this service sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.clock.now_millis())
    }

    /// Decides and commits, one change at a time. Once begun it goes on even when the caller has gone. A decision that
    /// writes nothing commits nothing.
    async fn commit<T: Send + 'static>(
        &self,
        actor: &Actor,
        action: impl Into<String>,
        decide: impl FnOnce(&mut Draft) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let action = action.into();
        let waiting = timeout(WRITER_DEADLINE, self.shared.writer.clone().lock_owned());
        let mut writer = waiting
            .await
            .map_err(|_| ServiceError::Unavailable("too many changes wait; try again"))?;
        let shared = self.shared.clone();
        let actor = actor.clone();
        let committing = spawn_blocking(move || shared.write(&mut writer, actor, &action, decide));
        committing
            .await
            .unwrap_or(Err(ServiceError::Unavailable("the change failed")))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("number", &self.state().number())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn write<T>(
        &self,
        writer: &mut Writer,
        actor: Actor,
        action: &str,
        decide: impl FnOnce(&mut Draft) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if writer.in_doubt {
            self.settle().map_err(|error| storage(&error))?;
            writer.in_doubt = false;
        }
        let now = Timestamp::from_millis(self.clock.now_millis());
        let before = self.state.borrow().clone();
        refuse_outdated(&before, &actor, now)?;
        let mut draft = Draft::new(&before, actor, now);
        let decided = decide(&mut draft)?;
        let Some((change, state)) = draft.finish(action) else {
            return Ok(decided);
        };
        if let Err(error) = self.store.commit(&change) {
            writer.in_doubt = error.leaves_doubt();
            return Err(storage(&error));
        }
        self.publish(state);
        Ok(decided)
    }

    /// After a failed commit: what the store holds is the truth, whether it took the change or not.
    fn settle(&self) -> Result<(), StoreError> {
        self.store.recover()?;
        let kept = load(&*self.store)?.ok_or_else(|| StoreError::corrupt("it became empty"))?;
        if kept.number() != self.state.borrow().number() {
            tracing::warn!(number = %kept.number(), "the store had taken a change whose commit failed");
            self.publish(kept);
        }
        Ok(())
    }

    fn publish(&self, state: State) {
        self.state.send_replace(Arc::new(state));
    }
}

/// Commits what ships into an empty store.
fn first_state(store: &dyn Store, now: Timestamp) -> Result<State, StoreError> {
    let mut draft = Draft::new(&Arc::default(), Actor::system(), now);
    draft.put(Environment::shipped(now));
    for plan in Plan::shipped(now) {
        draft.put(plan);
    }
    let (change, state) = draft
        .finish("CreateStore")
        .expect("what ships is not nothing");
    store.commit(&change)?;
    Ok(state)
}

/// Refuses who was signed out or deleted or got other roles while the change waited: what they may do was judged before.
fn refuse_outdated(state: &State, actor: &Actor, now: Timestamp) -> Result<(), ServiceError> {
    if let Some(token) = &actor.session {
        let session = state.sessions().get(token);
        if !session.is_some_and(|session| session.is_live(now)) {
            return Err(ServiceError::Unauthenticated("the session is over"));
        }
    }
    let Some(id) = actor.user else {
        return Ok(());
    };
    match state.users().get(&id) {
        None => Err(ServiceError::Unauthenticated("the user does not exist")),
        Some(user) if user.roles != actor.roles => Err(ServiceError::Aborted(user.resource())),
        Some(_) => Ok(()),
    }
}

fn storage(error: &StoreError) -> ServiceError {
    if let Some(line) = UNSTORED.fault(&error.to_string()) {
        let suppressed = line.suppressed;
        tracing::error!(%error, suppressed, "a change could not be stored");
    }
    ServiceError::Storage(error.to_string())
}

#[cfg(test)]
mod tests;
