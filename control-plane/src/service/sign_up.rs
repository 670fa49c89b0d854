//! The use case of strangers who make themselves users, where the settings allow it.

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
    state::State,
    user::{Role, Roles, User},
};

impl Service {
    /// Makes a user with the role subscriber of somebody who is nobody yet. Every attempt with a good name and password
    /// takes a turn of its address. The next turns are given in the order of asking, so that a script that asks again and
    /// again does not take all of them.
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
        let turn = self.shared.sign_ups.begin(peer, self.now());
        let turn = turn.map_err(|retry_after| ServiceError::ResourceExhausted { retry_after })?;
        sleep(turn).await;
        let passwords = &self.shared.passwords;
        let hash = passwords.hash(password, Asker::Stranger).await?;
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
