//! Use cases of the keys of applications: what applications get tokens with.

use std::sync::Arc;

use tidegate_kit::secret::Secret;
use tidegate_proto::{claims::KeyType, ids::ApplicationId};

use super::{
    Service, access,
    edit::{EditableField, EditableFields, Update},
    error::{ServiceError, reason},
    guard::{demand, find_in},
    listing::{self, Kind, ListQuery, Page, Schema, Value},
    password::{random_id, random_secret},
};
use crate::domain::{
    actor::Actor,
    application::{Application, ApplicationKey, KEYS_MAX},
    credential::SecretHash,
    invalid::{Faults, Invalid, reason as invalid},
    name::ClientId,
    resource::Resource as _,
    scope::{self, AllowedScopes, Scope},
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

/// The fields of a key, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyInput {
    /// `scopes`.
    pub scopes: Vec<String>,
    /// `key_type`; only to find out attempts to change it. `None` when not given.
    pub key_type: Option<KeyType>,
}

/// A change of a key.
pub type KeyUpdate = Update<(ApplicationId, ClientId), KeyInput>;

impl Service {
    /// Makes a key; its secret is shown this once. Only who manages policies allows it scopes (see
    /// [`Service::update_key`]).
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `FailedPrecondition` (`KEY_LIMIT`), `Storage`, `Unavailable`.
    pub async fn create_key(
        &self,
        actor: &Actor,
        application: ApplicationId,
        key_type: KeyType,
        scopes: &[String],
    ) -> Result<NewKey, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        if !scopes.is_empty() {
            demand(actor, Permission::ManagePolicies)?;
        }
        let mut faults = Faults::new();
        let scopes = AllowedScopes::read(SCOPES, scopes, &mut faults);
        faults.finish()?;
        let secret = random_secret();
        let hash = SecretHash::of(secret.expose());
        let key = self
            .commit(actor, "CreateApplicationKey", move |draft| {
                let owner = access::application(draft.state(), &draft.actor, application)?.clone();
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
                    scopes,
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
        access::application(&state, actor, application)?;
        listing::page(state.keys_of(application), query, &KEY_SCHEMA)
    }

    /// Changes the scopes that a key is allowed. Only who manages policies does: they are what conditions on `scope` go by,
    /// and the owner of the application, who asks for scopes, must not be who allows them. Tokens that the key has got
    /// keep their scopes until they expire.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Storage`, `Unavailable`.
    pub async fn update_key(
        &self,
        actor: &Actor,
        update: KeyUpdate,
    ) -> Result<Arc<ApplicationKey>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "UpdateApplicationKey", move |draft| {
            let (application, client_id) = &update.key;
            access::application(draft.state(), &draft.actor, *application)?;
            let key = find_in::<ApplicationKey>(draft.state(), application, client_id)?.clone();
            let mut faults = Faults::new();
            if update
                .input
                .key_type
                .is_some_and(|given| given != key.key_type)
            {
                faults.add(
                    "application_key.key_type",
                    invalid::IMMUTABLE,
                    "never changes",
                );
            }
            let next = FIELDS.update(&key, &update, draft, &mut faults);
            faults.finish()?;
            if next == *key {
                return Ok(key);
            }
            Ok(draft.put(next))
        })
        .await
    }

    /// Deletes a key; tokens got with it are refused from then on.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn delete_key(
        &self,
        actor: &Actor,
        application: ApplicationId,
        client_id: ClientId,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        self.commit(actor, "DeleteApplicationKey", move |draft| {
            access::application(draft.state(), &draft.actor, application)?;
            let key = find_in::<ApplicationKey>(draft.state(), &application, &client_id)?.clone();
            draft.remove(&key);
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
        client_id: ClientId,
    ) -> Result<NewKey, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let secret = random_secret();
        let hash = SecretHash::of(secret.expose());
        let key = self
            .commit(actor, "RegenerateSecret", move |draft| {
                access::application(draft.state(), &draft.actor, application)?;
                let key = find_in::<ApplicationKey>(draft.state(), &application, &client_id)?;
                let mut next = ApplicationKey::clone(key);
                next.secret = hash;
                next.secret_made_at = draft.now;
                Ok(draft.put(next))
            })
            .await?;
        Ok(NewKey { key, secret })
    }

    /// Notes that the owner of an application is given an access token for one of its keys; gives what the token is made
    /// of, with the scopes that are granted of those requested. Only owners are: a token acts as the application.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (`SCOPE_NOT_ALLOWED`), `Storage`, `Unavailable`.
    pub async fn note_access_token(
        &self,
        actor: &Actor,
        application: ApplicationId,
        client_id: ClientId,
        requested: Vec<Scope>,
    ) -> Result<(Arc<ApplicationKey>, Arc<Application>, Vec<Scope>), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        self.commit(actor, "GenerateAccessToken", move |draft| {
            let application = access::application(draft.state(), &draft.actor, application)?.clone();
            if !draft.actor.is(application.owner) {
                return Err(ServiceError::PermissionDenied(
                    "the owner of the application".to_owned(),
                ));
            }
            let key = find_in::<ApplicationKey>(draft.state(), &application.id, &client_id)?;
            let granted = key.scopes.grant(&requested).ok_or_else(|| {
                let allowed = match scope::joined(key.scopes.iter()) {
                    allowed if allowed.is_empty() => "none".to_owned(),
                    allowed => format!("`{allowed}`"),
                };
                Invalid::one(
                    "scope",
                    invalid::SCOPE_NOT_ALLOWED,
                    format!("must name a scope that the key is allowed, which is {allowed}; an admin allows scopes"),
                )
            })?;
            // Nothing changes; what is written is the entry of the audit log.
            let key = ApplicationKey::clone(key);
            Ok((draft.put(key), application, granted))
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

const SCOPES: &str = "application_key.scopes";

const FIELDS: EditableFields<ApplicationKey, KeyInput> = EditableFields {
    root: "application_key",
    all: &[EditableField {
        name: "scopes",
        is_given: |input| !input.scopes.is_empty(),
        set: |key, input, at| key.scopes = AllowedScopes::read(SCOPES, &input.scopes, at.faults),
    }],
    fixed: &["key_type"],
};

const KEY_SCHEMA: Schema<ApplicationKey> = Schema {
    filter: &[("client_id", Kind::Text)],
    order: &["client_id", "create_time"],
    default_order: "create_time",
    get: |key, field| match field {
        "client_id" => Value::text(&key.client_id),
        _ => Value::time(key.created_at),
    },
    id: |key| key.client_id.to_string(),
};
