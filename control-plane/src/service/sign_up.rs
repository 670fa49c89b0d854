//! The use case of strangers who make themselves users, where the settings allow it.

use std::{net::IpAddr, sync::Arc};

use tidegate_kit::secret::Secret;

use super::{
    Service,
    error::{ServiceError, reason},
    password,
    users::add,
};
use crate::domain::{
    actor::Actor,
    invalid::Faults,
    name::UserName,
    state::State,
    user::{Role, Roles, User},
};

impl Service {
    /// Makes a user with the role subscriber of somebody who is nobody yet. Every attempt with a good name and password
    /// counts, so that several from one address slow down further ones.
    ///
    /// # Errors
    /// `FailedPrecondition` (`SIGN_UP_NOT_ALLOWED`), `Invalid` (`username`, `password`), `ResourceExhausted`,
    /// `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn sign_up(
        &self,
        name: &str,
        password: &Secret,
        peer: Option<IpAddr>,
    ) -> Result<Arc<User>, ServiceError> {
        demand_allowed(&self.state())?;
        let mut faults = Faults::new();
        let name = faults.take("username", UserName::choose(name));
        if let Err(fault) = password::check("password", password) {
            faults.extend(fault);
        }
        faults.finish()?;
        let Some(name) = name else {
            unreachable!("a value that is missing has left a fault");
        };
        let wait = self.shared.sign_ups.begin(name.as_str(), peer, self.now());
        if !wait.is_zero() {
            return Err(ServiceError::ResourceExhausted { retry_after: wait });
        }
        let hash = self.shared.passwords.hash(password).await?;
        let newcomer = Actor::newcomer(&name);
        self.commit(&newcomer, "SignUp", move |draft| {
            // It may have been forbidden while the password was hashed.
            demand_allowed(draft.state())?;
            add(draft, name, hash, Roles::NONE.with(Role::Subscriber))
        })
        .await
    }
}

fn demand_allowed(state: &State) -> Result<(), ServiceError> {
    if state.settings().sign_up_allowed {
        return Ok(());
    }
    Err(ServiceError::FailedPrecondition {
        reason: reason::SIGN_UP_NOT_ALLOWED,
        resource: "settings".to_owned(),
        description: "nobody can sign up here; ask an admin for an account".to_owned(),
    })
}
