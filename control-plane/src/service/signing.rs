//! Use cases of the key manager's keys and settings. Making keys and signing are the key manager's (`oauth`).

use std::{sync::Arc, time::Duration};

use tidegate_kit::secret::Secret;

use super::{
    Service,
    error::{ServiceError, reason},
    guard::demand,
};
use crate::domain::{
    actor::Actor,
    name::KeyId,
    resource::Resource as _,
    settings::Settings,
    signing::{Algorithm, SigningKey, SigningKeyState},
    time::Timestamp,
    user::Permission,
};

/// A signing key that was just made.
#[derive(Clone, Debug)]
pub struct NewSigningKey {
    /// The `kid`.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private key: PKCS#8 DER in standard Base64.
    pub private_key: Secret,
    /// The public key as a JWK in JSON.
    pub public_jwk: String,
}

impl Service {
    /// Keeps a new signing key. It signs at once when none does; otherwise it is next, and may sign from `signs_from` on
    /// (see [`Service::advance_signing_keys`]). The key in use is in [`crate::domain::state::State::active_signing_key`].
    /// `token_lifetime` is that of the tokens that are issued now.
    ///
    /// # Errors
    /// `PermissionDenied`, `AlreadyExists`, `FailedPrecondition` (`ROTATION_IN_PROGRESS`), `Storage`, `Unavailable`.
    pub async fn add_signing_key(
        &self,
        actor: &Actor,
        key: NewSigningKey,
        signs_from: Timestamp,
        token_lifetime: Duration,
    ) -> Result<Arc<SigningKey>, ServiceError> {
        demand(actor, Permission::ManageKeyManager)?;
        self.commit(actor, "AddSigningKey", move |draft| {
            let keys = draft.state().signing_keys();
            if keys.contains_key(&key.id) {
                return Err(ServiceError::AlreadyExists {
                    resource: SigningKey::name_of(&key.id),
                    description: "a key has that id".to_owned(),
                });
            }
            let waiting = keys
                .values()
                .find(|key| matches!(key.state, SigningKeyState::Next { .. }));
            if let Some(waiting) = waiting {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::ROTATION_IN_PROGRESS,
                    resource: format!("signingKeys/{}", waiting.id),
                    description: "a new key waits to sign already; try again once it does"
                        .to_owned(),
                });
            }
            let state = match draft.state().active_signing_key() {
                None => SigningKeyState::Active,
                Some(_) => SigningKeyState::Next { signs_from },
            };
            Ok(draft.put(SigningKey {
                id: key.id,
                algorithm: key.algorithm,
                private_key: key.private_key,
                public_jwk: key.public_jwk,
                state,
                longest_lifetime: token_lifetime,
                created_at: draft.now,
            }))
        })
        .await
    }

    /// Notes that the keys that sign, or will, do so for tokens of a lifetime: tokens stay valid when it is made shorter,
    /// and so must their key. Commits only when it is longer than any before.
    ///
    /// # Errors
    /// `PermissionDenied`, `Storage`, `Unavailable`.
    pub async fn note_token_lifetime(
        &self,
        actor: &Actor,
        token_lifetime: Duration,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManageKeyManager)?;
        self.commit(actor, "NoteTokenLifetime", move |draft| {
            let keys: Vec<_> = draft.state().signing_keys().values().cloned().collect();
            for key in keys {
                let retires = matches!(key.state, SigningKeyState::Retiring { .. });
                if !retires && key.longest_lifetime < token_lifetime {
                    let mut next = SigningKey::clone(&key);
                    next.longest_lifetime = token_lifetime;
                    draft.put(next);
                }
            }
            Ok(())
        })
        .await
    }

    /// Moves keys along: a next key whose time has come signs, the one before it retires for the longest lifetime of the
    /// tokens that it signed, and keys whose last token has expired are removed. Returns whether anything moved; commits
    /// only then.
    ///
    /// # Errors
    /// `PermissionDenied`, `Storage`, `Unavailable`.
    pub async fn advance_signing_keys(&self, actor: &Actor) -> Result<bool, ServiceError> {
        demand(actor, Permission::ManageKeyManager)?;
        self.commit(actor, "AdvanceSigningKeys", move |draft| {
            let now = draft.now;
            let keys: Vec<_> = draft.state().signing_keys().values().cloned().collect();
            let due = keys.iter().any(
                |key| matches!(key.state, SigningKeyState::Next { signs_from } if signs_from <= now),
            );
            let mut moved = false;
            for key in keys {
                let state = match key.state {
                    SigningKeyState::Next { .. } if due => SigningKeyState::Active,
                    SigningKeyState::Active if due => SigningKeyState::Retiring {
                        until: now.after(key.longest_lifetime),
                    },
                    SigningKeyState::Retiring { until } if until <= now => {
                        draft.remove(&key);
                        moved = true;
                        continue;
                    }
                    _ => continue,
                };
                let mut next = SigningKey::clone(&key);
                next.state = state;
                draft.put(next);
                moved = true;
            }
            Ok(moved)
        })
        .await
    }

    /// The published keys, the oldest first.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn list_signing_keys(&self, actor: &Actor) -> Result<Vec<Arc<SigningKey>>, ServiceError> {
        demand(actor, Permission::ManageKeyManager)?;
        let mut keys: Vec<_> = self.state().signing_keys().values().cloned().collect();
        // Two may be of one millisecond; the one that signs is the older then.
        keys.sort_by_key(|key| {
            (
                key.created_at,
                matches!(key.state, SigningKeyState::Next { .. }),
            )
        });
        Ok(keys)
    }

    /// Keeps what gateways must know of the configuration; commits only when it changed. Called once at start.
    ///
    /// # Errors
    /// `PermissionDenied`, `Storage`, `Unavailable`.
    pub async fn configure(
        &self,
        actor: &Actor,
        issuer: String,
        audiences: Vec<String>,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManageKeyManager)?;
        self.commit(actor, "Configure", move |draft| {
            let settings = Settings {
                issuer,
                audiences,
                ..draft.state().settings().clone()
            };
            if *draft.state().settings() != settings {
                draft.put(settings);
            }
            Ok(())
        })
        .await
    }
}
