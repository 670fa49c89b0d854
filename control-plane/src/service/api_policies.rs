//! Use cases of API policies.

use std::sync::Arc;

use tidegate_proto::quota::Limits;

mod groups;

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
    invalid::{Faults, reason},
    name::{PolicyName, free_text},
    object::{Etag, ObjectKey},
    policy::{ApiPolicy, Group, Per},
    state::State,
    user::Permission,
};

/// An API policy as somebody typed it. An `Err` is an enum value that does not exist, or is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPolicyInput {
    /// The name, without `apiPolicies/`.
    pub name: String,
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `per`.
    pub per: Result<Per, i32>,
    /// `limits`.
    pub limits: Option<LimitsInput>,
    /// `groups`.
    pub groups: Vec<GroupInput>,
}

/// A conditional group as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInput {
    /// `description`.
    pub description: String,
    /// `conditions`.
    pub conditions: Vec<ConditionInput>,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

/// A condition as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionInput {
    /// `subject`.
    pub subject: Option<SubjectInput>,
    /// `invert`.
    pub invert: bool,
}

/// What a condition looks at, as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectInput {
    /// `address`.
    Address(String),
    /// `header`.
    Header(SoughtInput),
    /// `query`.
    Query(SoughtInput),
    /// `claim`.
    Claim(SoughtInput),
}

/// A name and a value as somebody typed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoughtInput {
    /// `name`.
    pub name: String,
    /// `value`; empty for any.
    pub value: String,
}

impl Service {
    /// Creates an API policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_api_policy(
        &self,
        actor: &Actor,
        input: ApiPolicyInput,
    ) -> Result<Arc<ApiPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "CreateApiPolicy", move |draft| {
            let mut faults = Faults::new();
            let name = faults.take("api_policy_id", PolicyName::parse(&input.name));
            let display_name = display_name(&input, &mut faults);
            let description = description(&input, &mut faults);
            let per = per(&input, &mut faults);
            let limits = limits(&input, &mut faults);
            let groups = groups(&input, &mut faults);
            faults.finish()?;
            let (Some(name), Some(display_name), Some(description), Some(per), Some(limits)) =
                (name, display_name, description, per, limits)
            else {
                unreachable!("a value that is missing has left a fault");
            };
            if let Some(other) = draft.state().api_policy_named(name.as_str()) {
                return Err(ServiceError::AlreadyExists {
                    resource: other.resource(),
                    description: "letter case does not tell names apart".to_owned(),
                });
            }
            Ok(draft.put(ApiPolicy {
                name,
                display_name,
                description,
                per,
                limits,
                groups,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets an API policy by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_api_policy(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<Arc<ApiPolicy>, ServiceError> {
        let _ = actor;
        find(&self.state(), name)
    }

    /// Lists API policies. Filter fields: `name`, `display_name`, `description`, `per`. Order fields: `name`,
    /// `create_time`, `update_time`.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn list_api_policies(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<ApiPolicy>>, ServiceError> {
        let _ = actor;
        listing::page(self.state().api_policies().values(), query, &SCHEMA)
    }

    /// Changes an API policy; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_api_policy(
        &self,
        actor: &Actor,
        input: ApiPolicyInput,
        mask: Vec<String>,
        etag: &str,
    ) -> Result<Arc<ApiPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let etag = etag.to_owned();
        self.commit(actor, "UpdateApiPolicy", move |draft| {
            let policy = find(draft.state(), &input.name)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            let mut faults = Faults::new();
            let mut next = ApiPolicy::clone(&policy);
            change(&mut next, &input, &mask, &mut faults);
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

    /// Deletes an API policy. Revisions that name it count as users of it, deployed or not: each may be deployed again.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`POLICY_IN_USE`), `Storage`, `Unavailable`.
    pub async fn delete_api_policy(
        &self,
        actor: &Actor,
        name: &str,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let (name, etag) = (name.to_owned(), etag.to_owned());
        self.commit(actor, "DeleteApiPolicy", move |draft| {
            let policy = find(draft.state(), &name)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            let state = draft.state();
            let apis = state.apis_under(&policy.name).map(|it| it.resource());
            let revisions = state.revisions_under(&policy.name).map(|it| it.resource());
            refuse_used(policy.resource(), apis.chain(revisions))?;
            draft.remove(ObjectKey::ApiPolicy(policy.name.clone()));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<ApiPolicy> = Schema {
    filter: &[
        ("name", kind::API_POLICY),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("per", Kind::Word(|| Per::ALL.map(Per::as_str).to_vec())),
    ],
    order: &["name", "create_time", "update_time"],
    default_order: "name",
    get: |policy, field| match field {
        "name" => Field::text(&policy.name),
        "display_name" => Field::text(&policy.display_name),
        "description" => Field::text(&policy.description),
        "per" => Field::text(policy.per),
        "create_time" => Field::time(policy.created_at),
        _ => Field::time(policy.updated_at),
    },
    id: |policy| policy.name.to_string(),
};

/// The policy that an API or a topic names; empty for none. One that does not exist is a fault.
pub(super) fn named(
    field: &str,
    name: &str,
    state: &State,
    faults: &mut Faults,
) -> Option<PolicyName> {
    let known = |name: &PolicyName| state.api_policies().contains_key(name);
    super::guard::named_policy(field, ("API", name), known, faults)
}

fn find(state: &State, name: &str) -> Result<Arc<ApiPolicy>, ServiceError> {
    let policy = PolicyName::parse(name)
        .ok()
        .and_then(|name| state.api_policies().get(&name));
    policy
        .cloned()
        .ok_or_else(|| ServiceError::NotFound(format!("apiPolicies/{name}")))
}

/// Changes the fields that a mask names.
fn change(next: &mut ApiPolicy, input: &ApiPolicyInput, mask: &[String], faults: &mut Faults) {
    let populated = |field: &str| match field {
        "display_name" => !input.display_name.is_empty(),
        "description" => !input.description.is_empty(),
        "per" => input.per != Err(0),
        "limits" => input.limits.is_some(),
        _ => !input.groups.is_empty(),
    };
    let known = ["display_name", "description", "per", "limits", "groups"];
    for field in mask::resolve(mask, &known, &["name"], populated, faults) {
        match field {
            "display_name" => next.display_name = display_name(input, faults).unwrap_or_default(),
            "description" => next.description = description(input, faults).unwrap_or_default(),
            "per" => next.per = per(input, faults).unwrap_or(next.per),
            "limits" => next.limits = limits(input, faults).unwrap_or_default(),
            _ => next.groups = groups(input, faults),
        }
    }
}

fn display_name(input: &ApiPolicyInput, faults: &mut Faults) -> Option<String> {
    let text = free_text(&input.display_name, 100);
    faults.take("api_policy.display_name", text)
}

fn description(input: &ApiPolicyInput, faults: &mut Faults) -> Option<String> {
    let text = free_text(&input.description, 512);
    faults.take("api_policy.description", text)
}

fn per(input: &ApiPolicyInput, faults: &mut Faults) -> Option<Per> {
    let reason = match input.per {
        Ok(per) => return Some(per),
        Err(0) => reason::REQUIRED,
        Err(_) => reason::MALFORMED,
    };
    let rule = "must be PER_API, PER_APPLICATION, PER_USER or PER_ADDRESS";
    faults.add("api_policy.per", reason, rule);
    None
}

fn limits(input: &ApiPolicyInput, faults: &mut Faults) -> Option<Limits> {
    limits::take(input.limits.as_ref(), "api_policy.limits", faults)
}

fn groups(input: &ApiPolicyInput, faults: &mut Faults) -> Vec<Group> {
    groups::read(&input.groups, "api_policy.groups", faults)
}
