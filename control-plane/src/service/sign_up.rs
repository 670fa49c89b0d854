//! Sign-up: an anonymous visitor becomes a user, where the settings allow it.

use std::{net::IpAddr, sync::Arc};

use tidegate_kit::secret::Secret;
use tokio::time::sleep;

use super::{
    Service,
    error::{ServiceError, reason},
    password::{self, Asker},
    users::add,
};
use crate::domain::{
    actor::Actor,
    invalid::Faults,
    name::UserName,
    resource::SETTINGS_NAME,
    state::State,
    user::{Role, Roles, User},
};

impl Service {
    /// Creates a user with the role subscriber for an anonymous visitor. Every attempt with a good password and a name
    /// that is good and free takes a turn of its address. The turns of the next seconds are given in the order of asking;
    /// when these are given, whoever asks first after one has passed gets the next. A script that signs up under one new
    /// name after the other can so take most turns of its address. Attempts under names that are taken use up none.
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
        let free = demand_free(&self.state(), &name);
        let throttle = &self.shared.sign_up_throttle;
        let delay = throttle.begin(peer, free.is_err(), self.now());
        let delay = delay.map_err(|retry_after| ServiceError::ResourceExhausted { retry_after })?;
        sleep(delay).await;
        free?;
        let passwords = &self.shared.passwords;
        let hash = passwords.hash(password, Asker::Anonymous).await?;
        let newcomer = Actor::newcomer(&name);
        self.commit(&newcomer, "SignUp", move |draft| {
            // It may have been forbidden while the password was hashed.
            demand_allowed(draft.state())?;
            add(draft, name, hash, Roles::NONE.with(Role::Subscriber))
        })
        .await
    }
}

/// Demands that a name is nobody's, before a password is hashed for it. [`add`] demands it again.
fn demand_free(state: &State, name: &UserName) -> Result<(), ServiceError> {
    match state.user_named(name.as_str()) {
        Some(other) => Err(ServiceError::name_taken::<User>(&other.name)),
        None => Ok(()),
    }
}

fn demand_allowed(state: &State) -> Result<(), ServiceError> {
    if state.settings().sign_up_allowed {
        return Ok(());
    }
    Err(ServiceError::FailedPrecondition {
        reason: reason::SIGN_UP_NOT_ALLOWED,
        resource: SETTINGS_NAME.to_owned(),
        description: "nobody can sign up here; ask an admin for an account".to_owned(),
    })
}
