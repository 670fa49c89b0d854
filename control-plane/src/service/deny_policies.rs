//! Use cases of deny policies.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, DenyPolicyId};

use super::{
    Service,
    draft::Draft,
    edit::{EditableField, EditableFields, FieldContext, Update, placeholder},
    error::ServiceError,
    guard::{demand, find},
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
};
use crate::domain::{
    actor::Actor,
    address::AddressRange,
    api::Api,
    application::Application,
    invalid::{Faults, Rule, reason},
    name::{UserName, fold},
    policy::{DenyPolicy, DenyTarget},
    resource::Resource as _,
    state::State,
    time::Timestamp,
    user::{Permission, User},
};

/// The fields of a deny policy, as they are sent. An `Err` is a value that does not read.
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

/// Whom a deny policy is about, as it is sent.
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
            let new = DenyPolicy {
                id: DenyPolicyId::generate(),
                description: String::new(),
                target: target.unwrap_or_else(|| DenyTarget::User(placeholder())),
                expires_at: None,
                disabled: false,
                meta: draft.meta(),
            };
            let new = FIELDS.create(new, &input, draft, &mut faults);
            faults.finish()?;
            if let Some(other) = draft.state().deny_policy_about(&new.target) {
                return Err(ServiceError::AlreadyExists {
                    resource: other.resource(),
                    description: "it has the same target; change until when it is in force"
                        .to_owned(),
                });
            }
            Ok(draft.put(new))
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
        find::<DenyPolicy>(&self.state(), &id).cloned()
    }

    /// Lists deny policies.
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

    /// Changes a deny policy.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (with `IMMUTABLE` for the target), `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_deny_policy(
        &self,
        actor: &Actor,
        update: Update<DenyPolicyId, DenyPolicyInput>,
    ) -> Result<Arc<DenyPolicy>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "UpdateDenyPolicy", move |draft| {
            let before = draft.fetch::<DenyPolicy>(&update.key, &update.etag)?;
            let mut faults = Faults::new();
            keep_target(&update.input, &before.target, &mut faults);
            let next = FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            Ok(draft.replace(&before, next))
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
            let policy = draft.fetch::<DenyPolicy>(&id, &etag)?;
            draft.remove(&policy);
            Ok(())
        })
        .await
    }
}

const FIELDS: EditableFields<DenyPolicy, DenyPolicyInput> = EditableFields {
    root: "deny_policy",
    all: &[
        EditableField {
            name: "description",
            is_given: |input| !input.description.is_empty(),
            set: |it, input, at| at.text(&mut it.description, &input.description, 512),
        },
        EditableField {
            name: "expire_time",
            is_given: |input| input.expires_at.is_some(),
            set: |it, input, at| it.expires_at = end(input, it.expires_at, at),
        },
        EditableField {
            name: "disabled",
            is_given: |input| input.disabled,
            set: |it, input, _| it.disabled = input.disabled,
        },
    ],
    fixed: &["name", "api", "application", "user", "address", "invert"],
};

pub(super) const SCHEMA: Schema<DenyPolicy> = Schema {
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
        "description" => Value::text(&policy.description),
        "disabled" => Value::Bool(policy.disabled),
        // What never ends comes last.
        "expire_time" => Value::Time(policy.expires_at.map_or(u64::MAX, Timestamp::millis)),
        "create_time" | "update_time" => Value::of_meta(&policy.meta, field),
        field => match (field, &policy.target) {
            ("api", DenyTarget::Api(id)) => Value::text(id),
            ("application", DenyTarget::Application(id)) => Value::text(id),
            ("user", DenyTarget::User(name)) => Value::text(name),
            ("address", DenyTarget::Address(range) | DenyTarget::AddressesBut(range)) => {
                Value::text(range)
            }
            _ => Value::text(""),
        },
    },
    id: |policy| policy.id.to_string(),
};

/// Removes the deny policy about what is being deleted, so that none is about nobody.
pub(super) fn remove_with(draft: &mut Draft, target: &DenyTarget) {
    if let Some(policy) = draft.state().deny_policy_about(target).cloned() {
        draft.remove(&policy);
    }
}

/// The field of a target in the admin API's message, and its value.
fn parts(target: &DenyTarget) -> (&'static str, String) {
    match target {
        DenyTarget::Api(id) => ("api", Api::name_of(id)),
        DenyTarget::Application(id) => ("application", Application::name_of(id)),
        DenyTarget::User(name) => ("user", User::name_of(name)),
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
        (DenyTarget::User(a), DenyTarget::User(b)) => fold(a.as_str()) == fold(b.as_str()),
        _ => a == b,
    }
}

/// When it ends; `None` for never, or when that is at fault. The current end may be sent back, even if it has passed.
fn end(
    input: &DenyPolicyInput,
    current: Option<Timestamp>,
    at: &mut FieldContext<'_>,
) -> Option<Timestamp> {
    let end = at.take(input.expires_at.clone()?)?;
    if end <= at.now && Some(end) != current {
        let rule = Rule::new(reason::OUT_OF_RANGE, "must lie in the future");
        at.take::<()>(Err(rule));
    }
    Some(end)
}
