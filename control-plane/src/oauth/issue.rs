//! Access tokens for the owner of an application, who needs no client secret: he has signed in. The tokens are those of
//! the token endpoint.

use std::time::Duration;

use tidegate_kit::secret::Secret;
use tidegate_proto::ids::ApplicationId;

use super::{
    KeyManager,
    claims::{Terms, claims},
};
use crate::{
    domain::{
        actor::Actor,
        invalid::{Faults, Rule, reason},
        name::ClientId,
        scope,
        time::Timestamp,
    },
    service::error::ServiceError,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The application.
    pub application: ApplicationId,
    /// Which of its keys.
    pub client_id: ClientId,
    /// For how many seconds the token shall be valid; 0 for as long as may be.
    pub lifetime_seconds: i64,
    /// The scopes that are requested, separated by spaces.
    pub scope: String,
}

/// A token that is not shown again.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token.
    pub token: Secret,
    /// When it stops being valid.
    pub expires_at: Timestamp,
    /// The scopes that it has, separated by spaces.
    pub scope: String,
}

impl KeyManager {
    /// Issues a token to the owner of an application.
    ///
    /// # Errors
    /// `Invalid` (`lifetime_seconds`, `scope`), `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn issue(&self, actor: &Actor, ask: Ask) -> Result<Issued, ServiceError> {
        let it = &*self.shared;
        let mut faults = Faults::new();
        let lifetime = faults.take(
            "lifetime_seconds",
            lifetime(ask.lifetime_seconds, it.lifetime),
        );
        let requested = faults.take("scope", scope::requested(&ask.scope));
        faults.finish()?;
        let (Some(lifetime), Some(requested)) = (lifetime, requested) else {
            unreachable!("a value that is missing has left a fault");
        };
        let noted = it
            .service
            .note_access_token(actor, ask.application, ask.client_id, requested);
        let (key, application, granted) = noted.await?;
        let scope = scope::joined(&granted);
        let terms = Terms {
            issuer: &it.issuer,
            audience: &it.audience,
            lifetime,
            scope: &scope,
        };
        let now = it.service.now();
        let token = self
            .sign(&claims(&key, &application, terms, now))
            .map_err(|_| ServiceError::Unavailable("no token can be signed now; try again"))?;
        Ok(Issued {
            token,
            expires_at: now.after(lifetime),
            scope,
        })
    }
}

fn lifetime(seconds: i64, most: Duration) -> Result<Duration, Rule> {
    match u64::try_from(seconds).map(Duration::from_secs) {
        Ok(Duration::ZERO) => Ok(most),
        Ok(lifetime) if lifetime <= most => Ok(lifetime),
        _ => Err(Rule::new(
            reason::OUT_OF_RANGE,
            format!("must be between 1 and {}, or 0 for that", most.as_secs()),
        )),
    }
}
