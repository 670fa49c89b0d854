//! The permit: a session's place in the registry, given up when it is dropped. Made by `admit`, held by `connection`.

use std::sync::Arc;

use tidegate_proto::reason::Reason;

use crate::session::{Session, SessionHandle, registry::Registry};

/// What lets a session live.
#[derive(Debug)]
pub struct Permit {
    registry: Registry,
    session: Arc<Session>,
}

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

    /// A handle to the session, for relay, meter and record.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        SessionHandle::new(self.session.clone())
    }

    /// Whether the session may still be opened.
    ///
    /// # Errors
    /// The reason for which it was told to end meanwhile.
    pub fn check(&self) -> Result<(), Reason> {
        self.session.termination().map_or(Ok(()), Err)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.session.limited().leave();
        self.registry.leave(&self.session);
    }
}
