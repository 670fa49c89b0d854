//! Business plans: what is their own in the standard methods.

use tidegate_proto::quota::Limits;

use super::{
    edit::{EditableField, EditableFields},
    error::{ServiceError, reason},
    limits::{self, LimitsInput},
    listing::{Kind, Schema, Value, kind},
    standard::Standard,
};
use crate::domain::{
    meta::ResourceMeta, name::PlanName, plan::Plan, resource::Resource as _, state::State,
    user::Permission,
};

/// The fields of a plan, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanInput {
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

impl Standard for Plan {
    type Input = PlanInput;

    const KIND: &'static str = "Plan";
    const MANAGE: Permission = Permission::ManagePlans;
    const FIELDS: EditableFields<Self, PlanInput> = EditableFields {
        root: "plan",
        all: &[
            EditableField {
                name: "display_name",
                is_given: |input| !input.display_name.is_empty(),
                set: |plan, input, at| at.text(&mut plan.display_name, &input.display_name, 100),
            },
            EditableField {
                name: "description",
                is_given: |input| !input.description.is_empty(),
                set: |plan, input, at| at.text(&mut plan.description, &input.description, 512),
            },
            EditableField {
                name: "limits",
                is_given: |input| input.limits.is_some(),
                set: |plan, input, at| limits::set(&mut plan.limits, input.limits.as_ref(), at),
            },
        ],
        fixed: &["name"],
    };
    const SCHEMA: Schema<Self> = Schema {
        filter: &[
            ("name", kind::PLAN),
            ("display_name", Kind::Text),
            ("description", Kind::Text),
            ("messages", Kind::Number),
        ],
        order: &["name", "messages", "create_time", "update_time"],
        default_order: "name",
        get: |plan, field| match field {
            "name" => Value::text(&plan.name),
            "display_name" => Value::text(&plan.display_name),
            "description" => Value::text(&plan.description),
            "messages" => Value::Number(plan.limits.messages.map_or(0, |it| it.amount.get())),
            _ => Value::of_meta(&plan.meta, field),
        },
        id: |plan| plan.name.to_string(),
    };

    fn new(name: PlanName, meta: ResourceMeta) -> Self {
        Self {
            name,
            display_name: String::new(),
            description: String::new(),
            limits: Limits::default(),
            meta,
        }
    }

    fn check_unused(&self, state: &State) -> Result<(), ServiceError> {
        let n_offers = state.offers_of(&self.name).count();
        let n_consumers = state.consumers_of(&self.name).count();
        if n_offers + n_consumers == 0 {
            return Ok(());
        }
        Err(ServiceError::FailedPrecondition {
            reason: reason::PLAN_IN_USE,
            resource: self.resource(),
            description: format!(
                "the plan is offered by {n_offers} APIs and used by {n_consumers} subscriptions; move them to another \
                 one first"
            ),
        })
    }
}
