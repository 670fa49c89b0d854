//! Who is asking. Surfaces get an actor from a bearer token and hand it to every use case.

use std::sync::Arc;

use tidegate_proto::ids::UserId;

use super::{
    name::SYSTEM,
    user::{Permission, Role, Roles, User},
};

/// Who is asking, with the roles of this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user, or `None` for the process itself.
    pub user: Option<UserId>,
    /// The user's name, or `system`.
    pub name: Arc<str>,
    /// The roles.
    pub roles: Roles,
}

// === impl Actor ===

impl Actor {
    /// The process itself: first start, rotation of keys, command line. May do everything.
    #[must_use]
    pub fn system() -> Self {
        Self {
            user: None,
            name: SYSTEM.into(),
            roles: Roles::NONE.with(Role::Admin),
        }
    }

    /// A user who signed in.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self {
            user: Some(user.id),
            name: user.name.as_str().into(),
            roles: user.roles,
        }
    }

    /// Whether one of the actor's roles allows it.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.may(permission)
    }

    /// Whether the actor is this user.
    #[must_use]
    pub fn is(&self, user: UserId) -> bool {
        self.user == Some(user)
    }
}
