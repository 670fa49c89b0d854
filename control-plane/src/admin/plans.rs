//! `PlanService`: business plans.

use tidegate_proto::admin::v1::{
    CreatePlanRequest as Create, DeletePlanRequest as Delete, GetPlanRequest as Get,
    ListPlansRequest as List, ListPlansResponse as Listed, Plan as Message,
    UpdatePlanRequest as Change, plan_service_server::PlanService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, limits, names, paging};
use crate::{
    domain::{plan::Plan, resource::Resource as _},
    service::{edit::Update, plans::PlanInput},
};

#[async_trait]
impl PlanService for Admin {
    async fn create_plan(&self, request: Request<Create>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = read(req.plan.unwrap_or_default());
        let plan = self
            .service
            .create::<Plan>(&actor, &req.plan_id, input)
            .await?;
        Ok(Response::new(message(&plan)))
    }

    async fn get_plan(&self, request: Request<Get>) -> Reply<Message> {
        let (_, req) = self.caller(request)?;
        let name = convert::one("name", names::plan(&req.name))?;
        Ok(Response::new(message(&*self.service.get::<Plan>(&name)?)))
    }

    async fn list_plans(&self, request: Request<List>) -> Reply<Listed> {
        let (_, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = paging::answer(self.service.list::<Plan>(&query)?, |it| message(it));
        Ok(Response::new(Listed {
            plans: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_plan(&self, request: Request<Change>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let plan = req.plan.unwrap_or_default();
        let update = Update {
            key: convert::one("plan.name", names::plan(&plan.name))?,
            etag: plan.etag.clone(),
            input: read(plan),
            mask: convert::mask(req.update_mask),
        };
        let plan = self.service.update::<Plan>(&actor, update).await?;
        Ok(Response::new(message(&plan)))
    }

    async fn delete_plan(&self, request: Request<Delete>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let name = convert::one("name", names::plan(&req.name))?;
        self.service
            .delete::<Plan>(&actor, &name, &req.etag)
            .await?;
        Ok(Response::new(()))
    }
}

/// A plan as callers see it.
pub(super) fn message(plan: &Plan) -> Message {
    Message {
        name: plan.resource(),
        display_name: plan.display_name.clone(),
        description: plan.description.clone(),
        limits: Some(limits::message(&plan.limits)),
        etag: plan.meta.etag.to_string(),
        create_time: convert::time(plan.meta.created_at),
        update_time: convert::time(plan.meta.updated_at),
    }
}

fn read(plan: Message) -> PlanInput {
    PlanInput {
        display_name: plan.display_name,
        description: plan.description,
        limits: plan.limits.map(limits::read),
    }
}
