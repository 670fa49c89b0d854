//! Use cases of an operator with access to the data directory, for when nobody can sign in: a password reset. No
//! permission is asked for, as no surface leads here.

use std::sync::Arc;

use tidegate_kit::secret::Secret;

use super::{
    Service,
    error::ServiceError,
    password::{self, Asker},
    users::{named, set_password},
};
use crate::domain::{
    actor::Actor,
    name::UserName,
    user::{Role, User},
};

/// A password that was reset.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Whose.
    pub user: Arc<User>,
    /// The password, where it was made here; it is not shown again.
    pub made: Option<Secret>,
}

impl Service {
    /// Sets the password of a user, the given one or a random one, and ends all sessions of the user.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, `Storage`, `Unavailable`.
    pub async fn reset_password(
        &self,
        name: &UserName,
        given: Option<Secret>,
    ) -> Result<Reset, ServiceError> {
        let (new, made) = match given {
            Some(given) => (given, None),
            None => {
                let made = password::random_secret();
                (made.clone(), Some(made))
            }
        };
        password::check("password", &new)?;
        named(&self.state(), name)?;
        let hash = self.shared.passwords.hash(&new, Asker::Known).await?;
        let name = name.clone();
        let user = self
            .commit(&Actor::system(), "ResetPassword", move |draft| {
                let user = named(draft.state(), &name)?.clone();
                Ok(set_password(draft, &user, hash, None))
            })
            .await?;
        Ok(Reset { user, made })
    }

    /// The names of some users with the role admin.
    #[must_use]
    pub fn admin_names(&self, most: usize) -> Vec<String> {
        let state = self.state();
        let admins = state.users().values();
        let admins = admins.filter(|user| user.roles.contains(Role::Admin));
        let mut names: Vec<_> = admins.map(|user| user.name.to_string()).collect();
        names.sort_unstable();
        names.truncate(most);
        names
    }

    /// Whether a user has this password.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn has_password(&self, name: &str, password: &Secret) -> Result<bool, ServiceError> {
        let user = self.state().user_named(name).cloned();
        let hash = user.map(|user| user.password.clone());
        self.shared
            .passwords
            .verify(password, hash, Asker::Known)
            .await
    }
}
