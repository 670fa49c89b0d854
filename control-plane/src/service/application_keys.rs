//! Use cases of the keys of applications: what applications get tokens with.

use std::sync::Arc;

use tidegate_kit::secret::Secret;
use tidegate_proto::{claims::KeyType, ids::ApplicationId};

use super::{
    Service,
    applications::owned,
    error::{ServiceError, reason},
    guard::demand,
    listing::{self, Field, Kind, ListQuery, Page, Schema},
    password::{random_id, random_secret},
};
use crate::domain::{
    actor::Actor,
    application::{Application, ApplicationKey, KEYS_MAX},
    credential::SecretHash,
    name::ClientId,
    object::ObjectKey,
    state::State,
    user::Permission,
};

/// A key whose secret was just made; it is not shown again.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key.
    pub key: Arc<ApplicationKey>,
    /// The client secret.
    pub secret: Secret,
}

impl Service {
    /// Makes a key; its secret is shown this once.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `FailedPrecondition` (`KEY_LIMIT`), `Storage`, `Unavailable`.
    pub async fn create_key(
        &self,
        actor: &Actor,
        application: ApplicationId,
        key_type: KeyType,
    ) -> Result<NewKey, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let secret = random_secret();
        let hash = SecretHash::of(secret.expose());
        let key = self
            .commit(actor, "CreateApplicationKey", move |draft| {
                let owner = owned(draft.state(), &draft.actor, application)?.clone();
                let n_keys = draft
                    .state()
                    .keys_of(application)
                    .filter(|key| key.key_type == key_type)
                    .count();
                if n_keys >= KEYS_MAX {
                    return Err(ServiceError::FailedPrecondition {
                        reason: reason::KEY_LIMIT,
                        resource: owner.resource(),
                        description: format!(
                            "the application has {KEYS_MAX} keys of this type, as many as it may; delete one first"
                        ),
                    });
                }
                Ok(draft.put(ApplicationKey {
                    client_id: ClientId::parse(&random_id()).expect("random ids are valid"),
                    application,
                    key_type,
                    secret: hash,
                    created_at: draft.now,
                    secret_made_at: draft.now,
                }))
            })
            .await?;
        Ok(NewKey { key, secret })
    }

    /// Lists the keys of an application.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`.
    pub fn list_keys(
        &self,
        actor: &Actor,
        application: ApplicationId,
        query: &ListQuery,
    ) -> Result<Page<Arc<ApplicationKey>>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let state = self.state();
        owned(&state, actor, application)?;
        listing::page(state.keys_of(application), query, &KEY_SCHEMA)
    }

    /// Deletes a key; tokens got with it are refused from then on.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn delete_key(
        &self,
        actor: &Actor,
        application: ApplicationId,
        client_id: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let client_id = client_id.to_owned();
        self.commit(actor, "DeleteApplicationKey", move |draft| {
            owned(draft.state(), &draft.actor, application)?;
            let key = find_key(draft.state(), application, &client_id)?.clone();
            draft.remove(ObjectKey::Key(key.client_id.clone()));
            Ok(())
        })
        .await
    }

    /// Makes a new secret for a key, in the place of the one before.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn regenerate_secret(
        &self,
        actor: &Actor,
        application: ApplicationId,
        client_id: &str,
    ) -> Result<NewKey, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let secret = random_secret();
        let hash = SecretHash::of(secret.expose());
        let client_id = client_id.to_owned();
        let key = self
            .commit(actor, "RegenerateSecret", move |draft| {
                owned(draft.state(), &draft.actor, application)?;
                let key = find_key(draft.state(), application, &client_id)?;
                let mut next = ApplicationKey::clone(key);
                next.secret = hash;
                next.secret_made_at = draft.now;
                Ok(draft.put(next))
            })
            .await?;
        Ok(NewKey { key, secret })
    }

    /// Notes that the owner of an application is given an access token for one of its keys; gives what the token is made
    /// of. Only owners are: a token acts as the application.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn note_access_token(
        &self,
        actor: &Actor,
        application: ApplicationId,
        client_id: &str,
    ) -> Result<(Arc<ApplicationKey>, Arc<Application>), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let client_id = client_id.to_owned();
        self.commit(actor, "GenerateAccessToken", move |draft| {
            let application = owned(draft.state(), &draft.actor, application)?.clone();
            if !draft.actor.is(application.owner) {
                return Err(ServiceError::PermissionDenied(
                    "the owner of the application".to_owned(),
                ));
            }
            let key = find_key(draft.state(), application.id, &client_id)?;
            // Nothing changes; what is written is the entry of the audit log.
            let key = ApplicationKey::clone(key);
            Ok((draft.put(key), application))
        })
        .await
    }

    /// The key and application of OAuth client credentials, for the token endpoint; `None` when they are wrong.
    #[must_use]
    pub fn authenticate_client(
        &self,
        client_id: &str,
        secret: &Secret,
    ) -> Option<(Arc<ApplicationKey>, Arc<Application>)> {
        let state = self.state();
        let key = state.keys().get(&ClientId::parse(client_id).ok()?)?;
        // What is compared are digests, so how far they agree tells nothing about the secret.
        if key.secret != SecretHash::of(secret.expose()) {
            return None;
        }
        let application = state.applications().get(&key.application)?;
        Some((key.clone(), application.clone()))
    }
}

const KEY_SCHEMA: Schema<ApplicationKey> = Schema {
    filter: &[("client_id", Kind::Text)],
    order: &["client_id", "create_time"],
    default_order: "create_time",
    get: |key, field| match field {
        "client_id" => Field::text(&key.client_id),
        _ => Field::time(key.created_at),
    },
    id: |key| key.client_id.to_string(),
};

fn find_key<'a>(
    state: &'a State,
    application: ApplicationId,
    client_id: &str,
) -> Result<&'a Arc<ApplicationKey>, ServiceError> {
    ClientId::parse(client_id)
        .ok()
        .and_then(|id| state.keys().get(&id))
        .filter(|key| key.application == application)
        .ok_or_else(|| {
            ServiceError::NotFound(format!("applications/{application}/keys/{client_id}"))
        })
}
