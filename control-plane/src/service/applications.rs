//! Use cases of applications; their keys have a file of their own. Subscribers see and change their own; admins all.

use std::{collections::BTreeMap, sync::Arc};

use tidegate_proto::ids::ApplicationId;

use super::{
    Service, access, deny_policies,
    edit::{EditableField, EditableFields, Update, placeholder},
    error::ServiceError,
    guard::{check_etag, demand, fixed},
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
    subscriptions::refuse_shedding,
};
use crate::domain::{
    actor::Actor,
    application::Application,
    invalid::Faults,
    name::ApplicationName,
    policy::{ApplicationPolicy, DenyTarget},
    resource::Resource as _,
    state::State,
    user::Permission,
};

/// The fields of an application, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationInput {
    /// `display_name`.
    pub name: String,
    /// `description`.
    pub description: String,
    /// `policy`, without `applicationPolicies/`; empty for none.
    pub policy: String,
    /// `owner`: the user's name without `users/`; only to find out attempts to change it. Empty when not given.
    pub owner: String,
}

// === impl ApplicationInput ===

impl ApplicationInput {
    /// The fields of a new application.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            ..Self::default()
        }
    }
}

/// A change of an application.
pub type ApplicationUpdate = Update<ApplicationId, ApplicationInput>;

impl Service {
    /// Registers an application of the actor.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_application(
        &self,
        actor: &Actor,
        input: ApplicationInput,
    ) -> Result<Arc<Application>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let owner = actor.user.ok_or_else(|| {
            ServiceError::PermissionDenied("a user, who then owns the application".to_owned())
        })?;
        self.commit(actor, "CreateApplication", move |draft| {
            let mut faults = Faults::new();
            let new = Application {
                id: ApplicationId::generate(),
                name: placeholder(),
                description: String::new(),
                owner,
                owner_name: draft.actor.name.clone(),
                policy: None,
                quota_generation: 0,
                ended_generations: BTreeMap::new(),
                meta: draft.meta(),
            };
            let new = FIELDS.create(new, &input, draft, &mut faults);
            faults.finish()?;
            refuse_duplicate(draft.state(), &new)?;
            Ok(draft.put(new))
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
        access::application(&self.state(), actor, id).cloned()
    }

    /// Lists the actor's applications, or for an admin all.
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

    /// Changes an application.
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
            let before = access::application(draft.state(), &draft.actor, update.key)?.clone();
            check_etag(&update.etag, &*before)?;
            let mut faults = Faults::new();
            let owner = before.owner_name.as_str();
            fixed(&mut faults, "application.owner", &update.input.owner, owner);
            let next = FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            refuse_duplicate(draft.state(), &next)?;
            Ok(draft.replace(&before, next))
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
            let application = access::application(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, &*application)?;
            for subscription in draft.state().subscriptions_of(id) {
                refuse_shedding(draft, subscription)?;
            }
            draft.remove(&application);
            deny_policies::remove_with(draft, &DenyTarget::Application(id));
            draft.remove_all(|state| state.keys_of(id).cloned().collect());
            draft.remove_all(|state| state.subscriptions_of(id).cloned().collect());
            Ok(())
        })
        .await
    }
}

const FIELDS: EditableFields<Application, ApplicationInput> = EditableFields {
    root: "application",
    all: &[
        EditableField {
            name: "display_name",
            is_given: |input| !input.name.is_empty(),
            set: |it, input, at| at.set(&mut it.name, ApplicationName::parse(&input.name)),
        },
        EditableField {
            name: "description",
            is_given: |input| !input.description.is_empty(),
            set: |it, input, at| at.text(&mut it.description, &input.description, 512),
        },
        EditableField {
            name: "policy",
            is_given: |input| !input.policy.is_empty(),
            set: |it, input, at| {
                it.policy = at.named::<ApplicationPolicy>("application policy", &input.policy);
            },
        },
    ],
    fixed: &["owner"],
};

pub(super) const SCHEMA: Schema<Application> = Schema {
    filter: &[
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("owner", kind::USER),
        ("policy", kind::APPLICATION_POLICY),
    ],
    order: &["display_name", "owner", "create_time", "update_time"],
    default_order: "create_time",
    get: |application, field| match field {
        "display_name" => Value::text(&application.name),
        "description" => Value::text(&application.description),
        "owner" => Value::text(&application.owner_name),
        "policy" => Value::optional(application.policy.as_ref()),
        _ => Value::of_meta(&application.meta, field),
    },
    id: |application| application.id.to_string(),
};

/// Letter case does not tell the applications of a user apart.
fn refuse_duplicate(state: &State, new: &Application) -> Result<(), ServiceError> {
    match state.application_named(new.owner, &new.name) {
        Some(other) if other.id != new.id => Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!("its owner has it under the name `{}`", other.name),
        }),
        _ => Ok(()),
    }
}
