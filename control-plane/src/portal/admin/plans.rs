//! Business plans: what a subscription may use.

use super::{
    limit_fields,
    limited::{Facets, Limited, Listed, Texts},
    resource::{Found, UseCases, every_field},
};
use crate::{
    domain::{actor::Actor, plan::Plan, user::Permission},
    portal::{Fields, Form, NavItem},
    service::{Service, error::ServiceError, listing::ListQuery, plans::PlanInput},
};

/// The resource.
pub(super) struct Plans;

impl Limited for Plans {
    const NAV: NavItem = NavItem::new("Business plans", "/admin/plans", Permission::ManagePlans);
    const NEEDS: &'static [Permission] = &[Permission::ManagePlans];
    const INPUTS: &'static [(&'static str, &'static str)] = &[("plan_id", "name")];
    const TEXTS: Texts = Texts {
        noun: "plan",
        plural: "plans",
        lead: "A plan limits what a subscription may use. Publishers offer plans with their APIs, and developers choose one of them. An API can't be published without a plan.",
        limits: "Each subscription may use",
        deletion: "You can't delete a plan that an API offers or a subscription uses.",
        checkbox: None,
    };

    fn facets(plan: &Plan) -> Facets<'_> {
        Facets {
            name: plan.name.as_str(),
            display_name: &plan.display_name,
            description: &plan.description,
            limits: &plan.limits,
            is_checked: false,
            updated_at: plan.updated_at,
            etag: plan.etag,
        }
    }

    fn list(service: &Service, viewer: &Actor, query: &ListQuery) -> Listed<Self> {
        service.list_plans(viewer, query)
    }
}

impl UseCases for Plans {
    type Key = String;
    type Object = Plan;

    fn get(service: &Service, viewer: &Actor, name: &String) -> Found<Self> {
        service.get_plan(viewer, name)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let input = input(fields.text("name").trim(), fields);
        service.create_plan(actor, input).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let input = input(name, form.fields());
        service
            .update_plan(actor, input, every_field(), form.etag())
            .await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        service.delete_plan(actor, name, etag).await
    }
}

fn input(name: &str, fields: &Fields) -> PlanInput {
    PlanInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        limits: Some(limit_fields::read(fields, "limits")),
    }
}
