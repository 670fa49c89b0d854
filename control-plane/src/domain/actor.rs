//! Who is asking. Surfaces get an actor from a bearer token and hand it to every use case.

use tidegate_proto::ids::UserId;

use super::{
    credential::SecretHash,
    name::{SYSTEM, UserName},
    user::{Permission, Role, Roles, User},
};

/// Who is asking, with the roles of this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user, or `None` for the process itself.
    pub user: Option<UserId>,
    /// The user's name, or `system`.
    pub name: UserName,
    /// The roles.
    pub roles: Roles,
    /// The sign-in session that the actor asks in, where there is one: what is begun in it ends with it.
    pub session: Option<SecretHash>,
}

/// Who reads what needs no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// An anonymous visitor.
    Anonymous,
    /// A user who is signed in.
    SignedIn(Actor),
}

// === impl Viewer ===

impl Viewer {
    /// Who it is, where that is known.
    #[must_use]
    pub const fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Anonymous => None,
            Self::SignedIn(actor) => Some(actor),
        }
    }
}

// === impl Actor ===

impl Actor {
    /// The process itself: first start, rotation of keys, command line. May do everything.
    #[must_use]
    pub fn system() -> Self {
        Self {
            user: None,
            name: UserName::parse(SYSTEM).expect("`system` is a name"),
            roles: Roles::NONE.with(Role::Admin),
            session: None,
        }
    }

    /// A user who signed in.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self {
            user: Some(user.id),
            name: user.name.clone(),
            roles: user.roles,
            session: None,
        }
    }

    /// The same, asking in a sign-in session.
    #[must_use]
    pub fn in_session(self, token: SecretHash) -> Self {
        Self {
            session: Some(token),
            ..self
        }
    }

    /// A visitor who is about to become a user of this name; may do nothing yet.
    #[must_use]
    pub fn newcomer(name: &UserName) -> Self {
        Self {
            user: None,
            name: name.clone(),
            roles: Roles::NONE,
            session: None,
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
