//! Use cases of deny policies.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, DenyPolicyId};

use super::{
    Service,
    draft::Draft,
    error::ServiceError,
    guard::{check_etag, demand},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
};
use crate::domain::{
    actor::Actor,
    address::AddressRange,
    invalid::{Faults, Rule, reason},
    name::{UserName, free_text},
    object::{Etag, ObjectKey},
    policy::{DenyPolicy, DenyTarget},
    state::State,
    time::Timestamp,
    user::Permission,
};

/// A deny policy as somebody typed it. An `Err` is what does not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyPolicyInput {
    /// `description`.
    pub description: String,
    /// `target`.
    pub target: Option<TargetInput>,
    /// `invert`.
    pub invert: bool,
    /// `expire_time`.
    pub expires_at: Option<Result<Timestamp, Rule>>,
    /// `disabled`.
    pub disabled: bool,
}

/// Whom a deny policy is about, as somebody typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetInput {
    /// `api`.
    Api(Result<ApiId, Rule>),
    /// `application`.
    Application(Result<ApplicationId, Rule>),
    /// `user`.
    User(Result<UserName, Rule>),
    /// `address`.
    Address(String),
}

impl Service {
    /// Creates a deny policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_deny_policy(
        &self,
        actor: &Actor,
        input: DenyPolicyInput,
    ) -> Result<Arc<DenyPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "CreateDenyPolicy", move |draft| {
            let mut faults = Faults::new();
            let target = target(&input, &mut faults);
            let target = target.and_then(|target| existing(target, draft.state(), &mut faults));
            let description = description(&input, &mut faults);
            let expires_at = end(&input, None, draft.now, &mut faults);
            faults.finish()?;
            let (Some(target), Some(description)) = (target, description) else {
                unreachable!("a value that is missing has left a fault");
            };
            if let Some(other) = draft.state().deny_policy_about(&target) {
                return Err(ServiceError::AlreadyExists {
                    resource: other.resource(),
                    description: "it has the same target; change until when it is in force"
                        .to_owned(),
                });
            }
            Ok(draft.put(DenyPolicy {
                id: DenyPolicyId::generate(),
                description,
                target,
                expires_at,
                disabled: input.disabled,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets a deny policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn get_deny_policy(
        &self,
        actor: &Actor,
        id: DenyPolicyId,
    ) -> Result<Arc<DenyPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        find(&self.state(), id)
    }

    /// Lists deny policies. Filter fields: `api`, `application`, `user`, `address`, `description`, `disabled`,
    /// `expire_time`. Order fields: `create_time`, `update_time`, `expire_time`.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`.
    pub fn list_deny_policies(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<DenyPolicy>>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        listing::page(self.state().deny_policies().values(), query, &SCHEMA)
    }

    /// Changes a deny policy; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (with `IMMUTABLE` for the target), `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_deny_policy(
        &self,
        actor: &Actor,
        id: DenyPolicyId,
        input: DenyPolicyInput,
        mask: Vec<String>,
        etag: &str,
    ) -> Result<Arc<DenyPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let etag = etag.to_owned();
        self.commit(actor, "UpdateDenyPolicy", move |draft| {
            let policy = find(draft.state(), id)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            let mut faults = Faults::new();
            keep_target(&input, &policy.target, &mut faults);
            let populated = |field: &str| match field {
                "description" => !input.description.is_empty(),
                "expire_time" => input.expires_at.is_some(),
                _ => input.disabled,
            };
            let known = ["description", "expire_time", "disabled"];
            let fixed = ["name", "api", "application", "user", "address", "invert"];
            let fields = mask::resolve(&mask, &known, &fixed, populated, &mut faults);
            let mut next = DenyPolicy::clone(&policy);
            for field in fields {
                match field {
                    "description" => {
                        next.description = description(&input, &mut faults).unwrap_or_default();
                    }
                    "expire_time" => {
                        let kept = policy.expires_at;
                        next.expires_at = end(&input, kept, draft.now, &mut faults);
                    }
                    _ => next.disabled = input.disabled,
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

    /// Deletes a deny policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn delete_deny_policy(
        &self,
        actor: &Actor,
        id: DenyPolicyId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        let etag = etag.to_owned();
        self.commit(actor, "DeleteDenyPolicy", move |draft| {
            let policy = find(draft.state(), id)?;
            check_etag(&etag, policy.etag, || policy.resource())?;
            draft.remove(ObjectKey::DenyPolicy(id));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<DenyPolicy> = Schema {
    filter: &[
        ("api", kind::API),
        ("application", kind::APPLICATION),
        ("user", kind::USER),
        ("address", kind::ADDRESS),
        ("description", Kind::Text),
        ("disabled", Kind::Bool),
        ("expire_time", Kind::Time),
    ],
    order: &["create_time", "update_time", "expire_time"],
    default_order: "create_time",
    get: |policy, field| match field {
        "description" => Field::text(&policy.description),
        "disabled" => Field::Bool(policy.disabled),
        // What never ends comes last.
        "expire_time" => Field::Time(policy.expires_at.map_or(u64::MAX, Timestamp::millis)),
        "create_time" => Field::time(policy.created_at),
        "update_time" => Field::time(policy.updated_at),
        field => match (field, &policy.target) {
            ("api", DenyTarget::Api(id)) => Field::text(id),
            ("application", DenyTarget::Application(id)) => Field::text(id),
            ("user", DenyTarget::User(name)) => Field::text(name),
            ("address", DenyTarget::Address(range) | DenyTarget::AddressesBut(range)) => {
                Field::text(range)
            }
            _ => Field::text(""),
        },
    },
    id: |policy| policy.id.to_string(),
};

/// Removes the deny policy about what is being deleted, so that none is about nobody.
pub(super) fn remove_with(draft: &mut Draft, target: &DenyTarget) {
    if let Some(id) = draft.state().deny_policy_about(target).map(|it| it.id) {
        draft.remove(ObjectKey::DenyPolicy(id));
    }
}

fn find(state: &State, id: DenyPolicyId) -> Result<Arc<DenyPolicy>, ServiceError> {
    let policy = state.deny_policies().get(&id);
    policy
        .cloned()
        .ok_or_else(|| ServiceError::NotFound(format!("denyPolicies/{id}")))
}

/// The field of a target in the admin API's message, and its value.
fn parts(target: &DenyTarget) -> (&'static str, String) {
    match target {
        DenyTarget::Api(id) => ("api", format!("apis/{id}")),
        DenyTarget::Application(id) => ("application", format!("applications/{id}")),
        DenyTarget::User(name) => ("user", format!("users/{name}")),
        DenyTarget::Address(range) | DenyTarget::AddressesBut(range) => {
            ("address", range.to_string())
        }
    }
}

/// Reads a target, whether it exists or not.
fn target(input: &DenyPolicyInput, faults: &mut Faults) -> Option<DenyTarget> {
    let target = match input.target.clone() {
        Some(TargetInput::Api(id)) => faults.take("deny_policy.api", id).map(DenyTarget::Api),
        Some(TargetInput::Application(id)) => faults
            .take("deny_policy.application", id)
            .map(DenyTarget::Application),
        Some(TargetInput::User(name)) => {
            faults.take("deny_policy.user", name).map(DenyTarget::User)
        }
        Some(TargetInput::Address(text)) => {
            let range = faults.take("deny_policy.address", AddressRange::parse(&text));
            return range.map(if input.invert {
                DenyTarget::AddressesBut
            } else {
                DenyTarget::Address
            });
        }
        None => {
            let rule = "must name one of api, application, user and address";
            faults.add("deny_policy", reason::REQUIRED, rule);
            None
        }
    };
    if input.invert {
        let rule = "is only for addresses";
        faults.add("deny_policy.invert", reason::CONTRADICTION, rule);
    }
    target
}

/// A target that exists, spelled as it is spelled there.
fn existing(target: DenyTarget, state: &State, faults: &mut Faults) -> Option<DenyTarget> {
    let found = match &target {
        DenyTarget::Api(id) => state.apis().contains_key(id).then(|| target.clone()),
        DenyTarget::Application(id) => {
            let exists = state.applications().contains_key(id);
            exists.then(|| target.clone())
        }
        DenyTarget::User(name) => {
            let user = state.user_named(name.as_str());
            user.map(|user| DenyTarget::User(user.name.clone()))
        }
        DenyTarget::Address(_) | DenyTarget::AddressesBut(_) => Some(target.clone()),
    };
    if found.is_none() {
        let (field, name) = parts(&target);
        let rule = format!("names `{name}`, which does not exist");
        faults.add(format!("deny_policy.{field}"), reason::NOT_FOUND, rule);
    }
    found
}

/// Notes an attempt to change whom a policy is about. `invert` alone cannot be told from one that is left out.
fn keep_target(input: &DenyPolicyInput, kept: &DenyTarget, faults: &mut Faults) {
    let (_, text) = parts(kept);
    let rule = format!("never changes; the policy is about `{text}`");
    if input.target.is_none() {
        if input.invert && !matches!(kept, DenyTarget::AddressesBut(_)) {
            faults.add("deny_policy.invert", reason::IMMUTABLE, rule);
        }
        return;
    }
    if let Some(given) = target(input, faults)
        && !is_same(&given, kept)
    {
        let (field, given_text) = parts(&given);
        let field = if given_text == text { "invert" } else { field };
        faults.add(format!("deny_policy.{field}"), reason::IMMUTABLE, rule);
    }
}

/// Whether two targets are the same; letter case does not tell users apart.
fn is_same(a: &DenyTarget, b: &DenyTarget) -> bool {
    match (a, b) {
        (DenyTarget::User(a), DenyTarget::User(b)) => {
            crate::domain::name::fold(a.as_str()) == crate::domain::name::fold(b.as_str())
        }
        _ => a == b,
    }
}

fn description(input: &DenyPolicyInput, faults: &mut Faults) -> Option<String> {
    let text = free_text(&input.description, 512);
    faults.take("deny_policy.description", text)
}

/// When it ends; `None` for never, or when that is at fault. What is kept may be sent back, although it be over.
fn end(
    input: &DenyPolicyInput,
    kept: Option<Timestamp>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Timestamp> {
    const FIELD: &str = "deny_policy.expire_time";
    let end = faults.take(FIELD, input.expires_at.clone()?)?;
    if end <= now && Some(end) != kept {
        faults.add(FIELD, reason::OUT_OF_RANGE, "must lie in the future");
    }
    Some(end)
}
