//! Use cases of application policies.

use std::sync::Arc;

use super::{
    Service,
    error::ServiceError,
    guard::{check_etag, demand, refuse_used},
    limits::{self, LimitsInput},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
};
use crate::domain::{
    actor::Actor,
    invalid::Faults,
    name::{PolicyName, free_text},
    object::{Etag, ObjectKey},
    policy::ApplicationPolicy,
    state::State,
    user::Permission,
};

/// An application policy as somebody typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationPolicyInput {
    /// The name, without `applicationPolicies/`.
    pub name: String,
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `per_token`.
    pub per_token: bool,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

impl Service {
    /// Creates an application policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_application_policy(
        &self,
        actor: &Actor,
        input: ApplicationPolicyInput,
    ) -> Result<Arc<ApplicationPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "CreateApplicationPolicy", move |draft| {
            let mut faults = Faults::new();
            let name = faults.take("application_policy_id", PolicyName::parse(&input.name));
            let display_name = display_name(&input, &mut faults);
            let description = description(&input, &mut faults);
            let limits = limits(&input, &mut faults);
            faults.finish()?;
            let (Some(name), Some(display_name), Some(description), Some(limits)) =
                (name, display_name, description, limits)
            else {
                unreachable!("a value that is missing has left a fault");
            };
            if let Some(other) = draft.state().application_policy_named(name.as_str()) {
                return Err(ServiceError::AlreadyExists {
                    resource: other.resource(),
                    description: "letter case does not tell names apart".to_owned(),
                });
            }
            Ok(draft.put(ApplicationPolicy {
                name,
                display_name,
                description,
                per_token: input.per_token,
                limits,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets an application policy by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_application_policy(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<Arc<ApplicationPolicy>, ServiceError> {
        let _ = actor;
        find(&self.state(), name)
    }

    /// Lists application policies. Filter fields: `name`, `display_name`, `description`, `per_token`. Order fields:
    /// `name`, `create_time`, `update_time`.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn list_application_policies(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<ApplicationPolicy>>, ServiceError> {
        let _ = actor;
        listing::page(self.state().application_policies().values(), query, &SCHEMA)
    }

    /// Changes an application policy; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_application_policy(
        &self,
        actor: &Actor,
        input: ApplicationPolicyInput,
        mask: Vec<String>,
        etag: &str,
    ) -> Result<Arc<ApplicationPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let etag = etag.to_owned();
        self.commit(actor, "UpdateApplicationPolicy", move |draft| {
            let policy = find(draft.state(), &input.name)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            let mut faults = Faults::new();
            let populated = |field: &str| match field {
                "display_name" => !input.display_name.is_empty(),
                "description" => !input.description.is_empty(),
                "per_token" => input.per_token,
                _ => input.limits.is_some(),
            };
            let known = ["display_name", "description", "per_token", "limits"];
            let fields = mask::resolve(&mask, &known, &["name"], populated, &mut faults);
            let mut next = ApplicationPolicy::clone(&policy);
            for field in fields {
                match field {
                    "display_name" => {
                        next.display_name = display_name(&input, &mut faults).unwrap_or_default();
                    }
                    "description" => {
                        next.description = description(&input, &mut faults).unwrap_or_default();
                    }
                    "per_token" => next.per_token = input.per_token,
                    _ => next.limits = limits(&input, &mut faults).unwrap_or_default(),
                }
            }
            faults.finish()?;
            if next == *policy {
                return Ok(policy);
            }
            next.updated_at = draft.now;
            next.etag = policy.etag.next();
            Ok(draft.put(next))
        })
        .await
    }

    /// Deletes an application policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`POLICY_IN_USE`), `Storage`, `Unavailable`.
    pub async fn delete_application_policy(
        &self,
        actor: &Actor,
        name: &str,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let (name, etag) = (name.to_owned(), etag.to_owned());
        self.commit(actor, "DeleteApplicationPolicy", move |draft| {
            let policy = find(draft.state(), &name)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            let users = draft.state().applications_under(&policy.name);
            refuse_used(policy.resource(), users.map(|it| it.resource()))?;
            draft.remove(ObjectKey::ApplicationPolicy(policy.name.clone()));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<ApplicationPolicy> = Schema {
    filter: &[
        ("name", kind::APPLICATION_POLICY),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("per_token", Kind::Bool),
    ],
    order: &["name", "create_time", "update_time"],
    default_order: "name",
    get: |policy, field| match field {
        "name" => Field::text(&policy.name),
        "display_name" => Field::text(&policy.display_name),
        "description" => Field::text(&policy.description),
        "per_token" => Field::Bool(policy.per_token),
        "create_time" => Field::time(policy.created_at),
        _ => Field::time(policy.updated_at),
    },
    id: |policy| policy.name.to_string(),
};

/// The policy that an application names; empty for none. One that does not exist is a fault.
pub(super) fn named(
    field: &str,
    name: &str,
    state: &State,
    faults: &mut Faults,
) -> Option<PolicyName> {
    let known = |name: &PolicyName| state.application_policies().contains_key(name);
    super::guard::named_policy(field, ("application", name), known, faults)
}

fn find(state: &State, name: &str) -> Result<Arc<ApplicationPolicy>, ServiceError> {
    let policy = PolicyName::parse(name)
        .ok()
        .and_then(|name| state.application_policies().get(&name));
    policy
        .cloned()
        .ok_or_else(|| ServiceError::NotFound(format!("applicationPolicies/{name}")))
}

fn display_name(input: &ApplicationPolicyInput, faults: &mut Faults) -> Option<String> {
    let text = free_text(&input.display_name, 100);
    faults.take("application_policy.display_name", text)
}

fn description(input: &ApplicationPolicyInput, faults: &mut Faults) -> Option<String> {
    let text = free_text(&input.description, 512);
    faults.take("application_policy.description", text)
}

fn limits(
    input: &ApplicationPolicyInput,
    faults: &mut Faults,
) -> Option<tidegate_proto::quota::Limits> {
    limits::take(input.limits.as_ref(), "application_policy.limits", faults)
}
