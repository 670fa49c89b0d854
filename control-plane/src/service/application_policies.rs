//! Application policies: what is their own in the standard methods.

use tidegate_proto::quota::Limits;

use super::{
    edit::{EditableField, EditableFields},
    error::ServiceError,
    guard::refuse_used,
    limits::{self, LimitsInput},
    listing::{Kind, Schema, Value, kind},
    standard::Standard,
};
use crate::domain::{
    meta::ResourceMeta, name::PolicyName, policy::ApplicationPolicy, resource::Resource as _,
    state::State, user::Permission,
};

/// The fields of an application policy, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationPolicyInput {
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `per_token`.
    pub per_token: bool,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

impl Standard for ApplicationPolicy {
    type Input = ApplicationPolicyInput;

    const KIND: &'static str = "ApplicationPolicy";
    const MANAGE: Permission = Permission::ManagePolicies;
    const FIELDS: EditableFields<Self, ApplicationPolicyInput> = EditableFields {
        root: "application_policy",
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
                name: "per_token",
                is_given: |input| input.per_token,
                set: |policy, input, _| policy.per_token = input.per_token,
            },
            EditableField {
                name: "limits",
                is_given: |input| input.limits.is_some(),
                set: |policy, input, at| limits::set(&mut policy.limits, input.limits.as_ref(), at),
            },
        ],
        fixed: &["name"],
    };
    const SCHEMA: Schema<Self> = Schema {
        filter: &[
            ("name", kind::APPLICATION_POLICY),
            ("display_name", Kind::Text),
            ("description", Kind::Text),
            ("per_token", Kind::Bool),
        ],
        order: &["name", "create_time", "update_time"],
        default_order: "name",
        get: |policy, field| match field {
            "name" => Value::text(&policy.name),
            "display_name" => Value::text(&policy.display_name),
            "description" => Value::text(&policy.description),
            "per_token" => Value::Bool(policy.per_token),
            _ => Value::of_meta(&policy.meta, field),
        },
        id: |policy| policy.name.to_string(),
    };

    fn new(name: PolicyName, meta: ResourceMeta) -> Self {
        Self {
            name,
            display_name: String::new(),
            description: String::new(),
            per_token: false,
            limits: Limits::default(),
            meta,
        }
    }

    fn check_unused(&self, state: &State) -> Result<(), ServiceError> {
        let users = state.applications_under(&self.name);
        refuse_used(self, users.map(|it| it.resource()))
    }
}
