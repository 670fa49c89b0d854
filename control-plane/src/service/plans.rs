//! Use cases of business plans.

use std::sync::Arc;

use super::{
    Service,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    limits::{self, LimitsInput},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
};
use crate::domain::{
    actor::Actor,
    invalid::Faults,
    name::{PlanName, free_text},
    object::{Etag, ObjectKey},
    plan::Plan,
    state::State,
    user::Permission,
};

/// A plan as somebody typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanInput {
    /// The name, without `plans/`.
    pub name: String,
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `limits`.
    pub limits: Option<LimitsInput>,
}

impl Service {
    /// Creates a plan.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_plan(
        &self,
        actor: &Actor,
        input: PlanInput,
    ) -> Result<Arc<Plan>, ServiceError> {
        demand(actor, Permission::ManagePlans)?;
        self.commit(actor, "CreatePlan", move |draft| {
            let mut faults = Faults::new();
            let name = faults.take("plan_id", PlanName::parse(&input.name));
            let limits = limits::take(input.limits.as_ref(), "plan.limits", &mut faults);
            let display_name =
                faults.take("plan.display_name", free_text(&input.display_name, 100));
            let description = faults.take("plan.description", free_text(&input.description, 512));
            faults.finish()?;
            let (Some(name), Some(limits), Some(display_name), Some(description)) =
                (name, limits, display_name, description)
            else {
                unreachable!("a value that is missing has left a fault");
            };
            if let Some(other) = draft.state().plan_named(name.as_str()) {
                return Err(ServiceError::AlreadyExists {
                    resource: format!("plans/{}", other.name),
                    description: "letter case does not tell names apart".to_owned(),
                });
            }
            Ok(draft.put(Plan {
                name,
                display_name,
                description,
                limits,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets a plan by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_plan(&self, actor: &Actor, name: &str) -> Result<Arc<Plan>, ServiceError> {
        let _ = actor;
        find(&self.state(), name)
    }

    /// Lists plans. Filter fields: `name`, `display_name`, `description`, `messages`. Order fields: `name`,
    /// `messages`, `create_time`, `update_time`.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn list_plans(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Plan>>, ServiceError> {
        let _ = actor;
        listing::page(self.state().plans().values(), query, &SCHEMA)
    }

    /// Changes a plan; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_plan(
        &self,
        actor: &Actor,
        input: PlanInput,
        mask: Vec<String>,
        etag: &str,
    ) -> Result<Arc<Plan>, ServiceError> {
        demand(actor, Permission::ManagePlans)?;
        let etag = etag.to_owned();
        self.commit(actor, "UpdatePlan", move |draft| {
            let plan = find(draft.state(), &input.name)?;
            check_etag(&etag, plan.etag, || format!("plans/{}", plan.name))?;
            let mut faults = Faults::new();
            let populated = |field: &str| match field {
                "display_name" => !input.display_name.is_empty(),
                "description" => !input.description.is_empty(),
                _ => input.limits.is_some(),
            };
            let known = ["display_name", "description", "limits"];
            let fields = mask::resolve(&mask, &known, &["name"], populated, &mut faults);
            let mut next = Plan::clone(&plan);
            for field in fields {
                match field {
                    "display_name" => {
                        let text = free_text(&input.display_name, 100);
                        next.display_name =
                            faults.take("plan.display_name", text).unwrap_or_default();
                    }
                    "description" => {
                        let text = free_text(&input.description, 512);
                        next.description =
                            faults.take("plan.description", text).unwrap_or_default();
                    }
                    _ => {
                        let limits =
                            limits::take(input.limits.as_ref(), "plan.limits", &mut faults);
                        next.limits = limits.unwrap_or_default();
                    }
                }
            }
            faults.finish()?;
            if next == *plan {
                return Ok(plan);
            }
            next.updated_at = draft.now;
            next.etag = plan.etag.next();
            Ok(draft.put(next))
        })
        .await
    }

    /// Deletes a plan.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`PLAN_IN_USE`), `Storage`, `Unavailable`.
    pub async fn delete_plan(
        &self,
        actor: &Actor,
        name: &str,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManagePlans)?;
        let (name, etag) = (name.to_owned(), etag.to_owned());
        self.commit(actor, "DeletePlan", move |draft| {
            let plan = find(draft.state(), &name)?;
            check_etag(&etag, plan.etag, || format!("plans/{}", plan.name))?;
            let n_offers = draft.state().offers_of(&plan.name).count();
            let n_consumers = draft.state().consumers_of(&plan.name).count();
            if n_offers + n_consumers > 0 {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::PLAN_IN_USE,
                    resource: format!("plans/{}", plan.name),
                    description: format!(
                        "the plan is offered by {n_offers} APIs and used by {n_consumers} subscriptions; move them to another one first"
                    ),
                });
            }
            draft.remove(ObjectKey::Plan(plan.name.clone()));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<Plan> = Schema {
    filter: &[
        ("name", kind::PLAN),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("messages", Kind::Number),
    ],
    order: &["name", "messages", "create_time", "update_time"],
    default_order: "name",
    get: |plan, field| match field {
        "name" => Field::text(&plan.name),
        "display_name" => Field::text(&plan.display_name),
        "description" => Field::text(&plan.description),
        "messages" => Field::Number(plan.limits.messages.map_or(0, |it| it.amount.get())),
        "create_time" => Field::time(plan.created_at),
        _ => Field::time(plan.updated_at),
    },
    id: |plan| plan.name.to_string(),
};

fn find(state: &State, name: &str) -> Result<Arc<Plan>, ServiceError> {
    let plan = PlanName::parse(name)
        .ok()
        .and_then(|name| state.plans().get(&name));
    plan.cloned()
        .ok_or_else(|| ServiceError::NotFound(format!("plans/{name}")))
}
