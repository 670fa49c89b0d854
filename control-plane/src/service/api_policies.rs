//! API policies: what is their own in the standard methods.

use tidegate_proto::quota::Limits;

mod groups;

use super::{
    edit::{EditableField, EditableFields},
    error::ServiceError,
    guard::refuse_used,
    limits::{self, LimitsInput},
    listing::{Kind, Schema, Value, kind},
    standard::Standard,
};
use crate::domain::{
    invalid::{Rule, reason},
    meta::ResourceMeta,
    name::PolicyName,
    policy::{ApiPolicy, Per},
    resource::Resource as _,
    state::State,
    user::Permission,
};

/// The fields of an API policy, as they are sent. An `Err` is an enum value that does not exist, or is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPolicyInput {
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

/// A conditional group, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInput {
    /// `description`.
    pub description: String,
    /// `conditions`.
    pub conditions: Vec<ConditionInput>,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

/// A condition, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionInput {
    /// `subject`.
    pub subject: Option<SubjectInput>,
    /// `invert`.
    pub invert: bool,
}

/// What a condition looks at, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectInput {
    /// `address`.
    Address(String),
    /// `header`.
    Header(NameValueInput),
    /// `query`.
    Query(NameValueInput),
    /// `claim`.
    Claim(NameValueInput),
}

/// A name and a value, as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameValueInput {
    /// `name`.
    pub name: String,
    /// `value`; empty for any.
    pub value: String,
}

impl Standard for ApiPolicy {
    type Input = ApiPolicyInput;

    const KIND: &'static str = "ApiPolicy";
    const MANAGE: Permission = Permission::ManagePolicies;
    const FIELDS: EditableFields<Self, ApiPolicyInput> = EditableFields {
        root: "api_policy",
        all: &[
            EditableField {
                name: "display_name",
                is_given: |input| !input.display_name.is_empty(),
                set: |policy, input, at| {
                    at.text(&mut policy.display_name, &input.display_name, 100)
                },
            },
            EditableField {
                name: "description",
                is_given: |input| !input.description.is_empty(),
                set: |policy, input, at| at.text(&mut policy.description, &input.description, 512),
            },
            EditableField {
                name: "per",
                is_given: |input| input.per != Err(0),
                set: |policy, input, at| at.set(&mut policy.per, per(input)),
            },
            EditableField {
                name: "limits",
                is_given: |input| input.limits.is_some(),
                set: |policy, input, at| limits::set(&mut policy.limits, input.limits.as_ref(), at),
            },
            EditableField {
                name: "groups",
                is_given: |input| !input.groups.is_empty(),
                set: |policy, input, at| {
                    policy.groups = groups::read(&input.groups, &at.path, at.faults);
                },
            },
        ],
        fixed: &["name"],
    };
    const SCHEMA: Schema<Self> = Schema {
        filter: &[
            ("name", kind::API_POLICY),
            ("display_name", Kind::Text),
            ("description", Kind::Text),
            ("per", Kind::Word(|| Per::ALL.map(Per::as_str).to_vec())),
        ],
        order: &["name", "create_time", "update_time"],
        default_order: "name",
        get: |policy, field| match field {
            "name" => Value::text(&policy.name),
            "display_name" => Value::text(&policy.display_name),
            "description" => Value::text(&policy.description),
            "per" => Value::text(policy.per),
            _ => Value::of_meta(&policy.meta, field),
        },
        id: |policy| policy.name.to_string(),
    };

    fn new(name: PolicyName, meta: ResourceMeta) -> Self {
        Self {
            name,
            display_name: String::new(),
            description: String::new(),
            per: Per::Api,
            limits: Limits::default(),
            groups: Vec::new(),
            meta,
        }
    }

    /// Revisions count as users, deployed or not: each may be deployed again.
    fn check_unused(&self, state: &State) -> Result<(), ServiceError> {
        let apis = state.apis_under(&self.name).map(|it| it.resource());
        let revisions = state.revisions_under(&self.name).map(|it| it.resource());
        refuse_used(self, apis.chain(revisions))
    }
}

fn per(input: &ApiPolicyInput) -> Result<Per, Rule> {
    let reason = match input.per {
        Ok(per) => return Ok(per),
        Err(0) => reason::REQUIRED,
        Err(_) => reason::MALFORMED,
    };
    let rule = "must be PER_API, PER_APPLICATION, PER_USER or PER_ADDRESS";
    Err(Rule::new(reason, rule))
}
