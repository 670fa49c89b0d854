//! Business plans: what a subscription may use.

use super::{
    limit_fields,
    limited::{Facets, Limited, Listed, Texts},
    resource::{Found, UseCases, every_field},
};
use crate::{
    domain::{actor::Actor, plan::Plan, user::Permission},
    portal::{Fields, Form, NavItem},
    service::{
        Service, edit::Update, error::ServiceError, listing::ListQuery, plans::PlanInput,
        standard::read_key,
    },
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
            updated_at: plan.meta.updated_at,
            etag: plan.meta.etag,
        }
    }

    fn list(service: &Service, _: &Actor, query: &ListQuery) -> Listed<Self> {
        service.list(query)
    }
}

impl UseCases for Plans {
    type Key = String;
    type Object = Plan;

    fn get(service: &Service, _: &Actor, name: &String) -> Found<Self> {
        service.get(&read_key::<Plan>(name)?)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let name = fields.text("name").trim();
        service.create(actor, name, input(fields)).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let update = Update {
            key: read_key::<Plan>(name)?,
            input: input(form.fields()),
            mask: every_field(),
            etag: form.etag().to_owned(),
        };
        service.update(actor, update).await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        let key = read_key::<Plan>(name)?;
        service.delete::<Plan>(actor, &key, etag).await
    }
}

fn input(fields: &Fields) -> PlanInput {
    PlanInput {
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        limits: Some(limit_fields::read(fields, "limits")),
    }
}
