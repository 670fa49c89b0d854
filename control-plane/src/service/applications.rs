//! Use cases of applications; their keys have a file of their own. Subscribers see and change their own; admins all.

use std::{collections::BTreeMap, sync::Arc};

use tidegate_proto::ids::{ApplicationId, UserId};

use super::{
    Service,
    application_policies::named,
    deny_policies,
    error::ServiceError,
    guard::{check_etag, demand, fixed},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
    subscriptions::refuse_shedding,
};
use crate::domain::{
    actor::Actor,
    application::Application,
    invalid::Faults,
    name::{ApplicationName, UserName, free_text},
    object::{Etag, ObjectKey},
    policy::DenyTarget,
    state::State,
    user::Permission,
};

impl Service {
    /// Registers an application of the actor. `name` is `application.display_name` of the admin API, `policy` its policy
    /// without `applicationPolicies/`, empty for none.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_application(
        &self,
        actor: &Actor,
        name: &str,
        description: &str,
        policy: &str,
    ) -> Result<Arc<Application>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let owner = actor.user.ok_or_else(|| {
            ServiceError::PermissionDenied("a user, who then owns the application".to_owned())
        })?;
        let (name, description) = (name.to_owned(), description.to_owned());
        let policy = policy.to_owned();
        self.commit(actor, "CreateApplication", move |draft| {
            let mut faults = Faults::new();
            let name = faults.take("application.display_name", ApplicationName::parse(&name));
            let description = faults.take("application.description", free_text(&description, 512));
            let policy = named(POLICY, &policy, draft.state(), &mut faults);
            faults.finish()?;
            let (Some(name), Some(description)) = (name, description) else {
                unreachable!("a value that is missing has left a fault");
            };
            refuse_duplicate(draft.state(), owner, &name, None)?;
            Ok(draft.put(Application {
                id: ApplicationId::generate(),
                name,
                description,
                owner,
                owner_name: UserName::parse(&draft.actor.name).expect("users have valid names"),
                policy,
                quota_generation: 0,
                ended_generations: BTreeMap::new(),
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets an application that the actor may see.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn get_application(
        &self,
        actor: &Actor,
        id: ApplicationId,
    ) -> Result<Arc<Application>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        owned(&self.state(), actor, id).cloned()
    }

    /// Lists the actor's applications, or for an admin all. Filter fields: `display_name`, `description`, `owner`
    /// (`users/{name}`), `policy` (`applicationPolicies/{name}`). Order fields: `display_name`, `owner`, `create_time`, `update_time`.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`.
    pub fn list_applications(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Application>>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let state = self.state();
        match actor.user {
            _ if actor.may(Permission::ManageEverything) => {
                listing::page(state.applications().values(), query, &SCHEMA)
            }
            Some(user) => listing::page(state.applications_of(user), query, &SCHEMA),
            None => listing::page([].iter(), query, &SCHEMA),
        }
    }

    /// Changes `display_name`, `description` or `policy`; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `AlreadyExists`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_application(
        &self,
        actor: &Actor,
        update: ApplicationUpdate,
    ) -> Result<Arc<Application>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        self.commit(actor, "UpdateApplication", move |draft| {
            let application = owned(draft.state(), &draft.actor, update.id)?.clone();
            check_etag(&update.etag, application.etag, || application.resource())?;
            let mut faults = Faults::new();
            let owner = application.owner_name.as_str();
            fixed(&mut faults, "application.owner", &update.owner, owner);
            let populated = |field: &str| match field {
                "display_name" => !update.name.is_empty(),
                "description" => !update.description.is_empty(),
                _ => !update.policy.is_empty(),
            };
            let known = ["display_name", "description", "policy"];
            let fields = mask::resolve(&update.mask, &known, &["owner"], populated, &mut faults);
            let mut next = Application::clone(&application);
            for field in fields {
                match field {
                    "display_name" => {
                        let name = ApplicationName::parse(&update.name);
                        if let Some(name) = faults.take("application.display_name", name) {
                            next.name = name;
                        }
                    }
                    "description" => {
                        let text = free_text(&update.description, 512);
                        next.description = faults
                            .take("application.description", text)
                            .unwrap_or_default();
                    }
                    _ => next.policy = named(POLICY, &update.policy, draft.state(), &mut faults),
                }
            }
            faults.finish()?;
            if next == *application {
                return Ok(application);
            }
            refuse_duplicate(draft.state(), next.owner, &next.name, Some(next.id))?;
            next.updated_at = draft.now;
            next.etag = application.etag.next();
            Ok(draft.put(next))
        })
        .await
    }

    /// Deletes an application with its keys, its subscriptions and the deny policy about it. One with a blocked
    /// subscription stays as that does, unless the actor could unblock it.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`SUBSCRIPTION_BLOCKED`), `Storage`, `Unavailable`.
    pub async fn delete_application(
        &self,
        actor: &Actor,
        id: ApplicationId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let etag = etag.to_owned();
        self.commit(actor, "DeleteApplication", move |draft| {
            let application = owned(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, application.etag, || application.resource())?;
            for subscription in draft.state().subscriptions_of(id) {
                refuse_shedding(draft, subscription)?;
            }
            draft.remove(ObjectKey::Application(id));
            deny_policies::remove_with(draft, &DenyTarget::Application(id));
            let keys: Vec<_> = draft
                .state()
                .keys_of(id)
                .map(|key| key.client_id.clone())
                .collect();
            for key in keys {
                draft.remove(ObjectKey::Key(key));
            }
            let subscriptions: Vec<_> = draft.state().subscriptions_of(id).map(|s| s.id).collect();
            for subscription in subscriptions {
                draft.remove(ObjectKey::Subscription(subscription));
            }
            Ok(())
        })
        .await
    }
}

/// A change of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationUpdate {
    /// Which application.
    pub id: ApplicationId,
    /// `display_name`.
    pub name: String,
    /// `description`.
    pub description: String,
    /// `policy`, without `applicationPolicies/`; empty for none.
    pub policy: String,
    /// `owner`: the user's name without `users/`; only to find out attempts to change it. Empty when not given.
    pub owner: String,
    /// The fields to change.
    pub mask: Vec<String>,
    /// When not empty, it must be the current one.
    pub etag: String,
}

const POLICY: &str = "application.policy";

const SCHEMA: Schema<Application> = Schema {
    filter: &[
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("owner", kind::USER),
        ("policy", kind::APPLICATION_POLICY),
    ],
    order: &["display_name", "owner", "create_time", "update_time"],
    default_order: "create_time",
    get: |application, field| match field {
        "display_name" => Field::text(&application.name),
        "description" => Field::text(&application.description),
        "owner" => Field::text(&application.owner_name),
        "policy" => Field::optional(application.policy.as_ref()),
        "create_time" => Field::time(application.created_at),
        _ => Field::time(application.updated_at),
    },
    id: |application| application.id.to_string(),
};

/// The application of an id, when it is the actor's own or the actor may manage everything.
pub(super) fn owned<'a>(
    state: &'a State,
    actor: &Actor,
    id: ApplicationId,
) -> Result<&'a Arc<Application>, ServiceError> {
    state
        .applications()
        .get(&id)
        .filter(|it| actor.is(it.owner) || actor.may(Permission::ManageEverything))
        .ok_or_else(|| ServiceError::NotFound(format!("applications/{id}")))
}

fn refuse_duplicate(
    state: &State,
    owner: UserId,
    name: &ApplicationName,
    except: Option<ApplicationId>,
) -> Result<(), ServiceError> {
    match state.application_named(owner, name) {
        Some(other) if Some(other.id) != except => Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!("its owner has it under the name `{}`", other.name),
        }),
        _ => Ok(()),
    }
}
