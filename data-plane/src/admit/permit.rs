//! The permit: a session's place in the registry, given up when it is dropped.
//!
//! Made by `admit`, held by `session`; the relay learns through it that the session must end.

use std::sync::Arc;

use tidegate_proto::reason::Reason;

use crate::{
    quota::meter::Limited,
    relay::Live,
    session::registry::{Registry, Session},
};

/// What lets a session live.
#[derive(Debug)]
pub struct Permit {
    registry: Registry,
    session: Arc<Session>,
}

/// What the relay is led to the session's [`Live`] by.
#[derive(Clone, Debug)]
pub struct Held(Arc<Session>);

// === impl Permit ===

impl Permit {
    /// Enters a session in the registry.
    #[must_use]
    pub fn enter(registry: &Registry, session: Arc<Session>) -> Self {
        registry.enter(session.clone());
        Self {
            registry: registry.clone(),
            session,
        }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The way to the session's [`Live`] for the relay.
    #[must_use]
    pub fn held(&self) -> Held {
        Held(self.session.clone())
    }

    /// Whether the session may still be opened.
    ///
    /// # Errors
    /// The reason for which it was told to end meanwhile.
    pub fn stands(&self) -> Result<(), Reason> {
        self.session.told().map_or(Ok(()), Err)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.session.limited().leave();
        self.registry.leave(&self.session);
    }
}

// === impl Held ===

impl Held {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }
}

impl AsRef<Limited> for Held {
    fn as_ref(&self) -> &Limited {
        self.0.limited()
    }
}

impl AsRef<Live> for Held {
    fn as_ref(&self) -> &Live {
        self.0.live()
    }
}
