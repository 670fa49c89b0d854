//! AUTHENTICATE: identifies the caller and authorises it.
//!
//! Owns extracting the credential, verifying it and checking the subscription. Makes no calls: a node decides with its
//! snapshot. Called once per handshake, with the snapshot that routed it.

use std::{sync::Arc, time::Duration};

use tidegate_proto::{claims::KeyType, ids::ApiId, reason::Reason};

use cache::{TokenCache, TokenHash};
use claims::Claims;
use credential::Places;
use jwt::Verified;

use crate::{
    route::Match,
    snapshot::{
        Snapshot,
        model::{Api, ApiState, Application, EndpointKind, Plan, Subscription},
    },
};

pub mod credential;
pub mod claims;
pub mod attributes;
mod jwt;
mod cache;
mod entitlement;

/// Who is behind a session, and under what. Holds no secret: nothing here opens another session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The application.
    pub application: Arc<Application>,
    /// Its subscription to the API.
    pub subscription: Arc<Subscription>,
    /// The plan of the subscription.
    pub plan: Arc<Plan>,
    /// The type of the key.
    pub key_type: KeyType,
    /// Which endpoint of the API the session is connected to.
    pub endpoint: EndpointKind,
    /// The token's claims.
    pub token: Arc<Token>,
}

/// The claims of a verified token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The issuer.
    pub issuer: Arc<str>,
    /// The key of the application that asked for the token.
    pub client_id: Arc<str>,
    /// The user of the token (`sub`); `None` if it is the application itself, or missing.
    pub subject: Option<Arc<str>>,
    /// The token's own id (`jti`), by which it can be revoked.
    pub id: Option<Arc<str>>,
    /// The token's key for limits per token: derived from issuer and `jti`, or from the whole token if it has no `jti`.
    /// Not secret.
    pub fingerprint: u128,
    /// Its other claims.
    pub claims: Claims,
    /// The scopes.
    pub scopes: Vec<Box<str>>,
    /// The second (Unix time) at which the token stops being valid.
    pub expires_at: u64,
}

/// Judges handshakes, and remembers the tokens that it has verified.
#[derive(Debug)]
pub struct Authenticator {
    cache: TokenCache,
    leeway: Duration,
}

/// How far the clocks of issuer and node may be apart.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// How many verified tokens are remembered; each takes about half a kilobyte.
pub const REMEMBERED: usize = 32_768;

// === impl Principal ===

impl Principal {
    /// The user: the token's subject or, for an application's own token, the application's owner.
    #[must_use]
    pub fn user(&self) -> &Arc<str> {
        let subject = self.token.subject.as_ref();
        subject.unwrap_or(&self.application.owner)
    }
}

// === impl Authenticator ===

impl Default for Authenticator {
    fn default() -> Self {
        Self::new(REMEMBERED, LEEWAY)
    }
}

impl Authenticator {
    /// Remembers about `remembered` tokens, and lets clocks be `leeway` apart.
    #[must_use]
    pub fn new(remembered: usize, leeway: Duration) -> Self {
        tidegate_kit::jwt::install();
        Self {
            cache: TokenCache::new(remembered),
            leeway,
        }
    }

    /// Judges a handshake at `now` (seconds of Unix time).
    ///
    /// # Errors
    /// `CredentialMissing` and its siblings when the token does not verify; `ApplicationUnknown`,
    /// `SubscriptionMissing`, `SubscriptionBlocked` and `EndpointMissing` when it does, but leads nowhere.
    pub fn authenticate(
        &self,
        snapshot: &Snapshot,
        matched: &Match,
        places: Places<'_>,
        now: u64,
    ) -> Result<Principal, Reason> {
        let token = credential::find(places)?;
        let verified = self.verify(snapshot, &token, now)?;
        let manager = snapshot
            .key_manager(&verified.token.issuer)
            .ok_or(Reason::IssuerUnknown)?;
        if !manager
            .audiences
            .iter()
            .any(|own| verified.audiences.contains(own))
        {
            return Err(Reason::AudienceMismatch);
        }
        entitlement::judge(snapshot, &matched.api, manager, &verified.token, None)
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.cache.len()
    }

    /// Form, signature and times. A signature that was verified is not verified again while its key stands.
    fn verify(&self, snapshot: &Snapshot, token: &str, now: u64) -> Result<Arc<Verified>, Reason> {
        let hash = TokenHash::of(token);
        let remembered = self
            .cache
            .get(hash)
            .filter(|known| known.key_stands(snapshot));
        let is_new = remembered.is_none();
        let verified = match remembered {
            Some(verified) => verified,
            None => {
                Arc::new(jwt::verify(snapshot, token).inspect_err(|_| self.cache.remove(hash))?)
            }
        };
        let leeway = self.leeway.as_secs();
        if now >= verified.token.expires_at.saturating_add(leeway) {
            self.cache.remove(hash);
            return Err(Reason::CredentialExpired);
        }
        if verified
            .not_before
            .is_some_and(|from| now.saturating_add(leeway) < from)
        {
            return Err(Reason::CredentialNotYetValid);
        }
        if is_new {
            self.cache.insert(hash, verified.clone());
        }
        Ok(verified)
    }
}

/// Authorises an authenticated caller again, with a snapshot that may be newer. Returns the API of that snapshot.
///
/// # Errors
/// The reason for which the session must end.
pub fn reauthorize<'a>(
    snapshot: &'a Snapshot,
    api: ApiId,
    principal: &Principal,
) -> Result<(&'a Arc<Api>, Principal), Reason> {
    let api = snapshot.api(api).ok_or(Reason::ApiWithdrawn)?;
    if api.state == ApiState::Blocked {
        return Err(Reason::ApiBlocked);
    }
    let manager = snapshot
        .key_manager(&principal.token.issuer)
        .ok_or(Reason::IssuerUnknown)?;
    let principal = entitlement::judge(snapshot, api, manager, &principal.token, Some(principal))?;
    Ok((api, principal))
}

#[cfg(test)]
mod tests;
