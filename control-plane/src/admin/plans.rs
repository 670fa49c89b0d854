//! `PlanService`: business plans.

use tidegate_proto::admin::v1::{
    CreatePlanRequest, DeletePlanRequest, GetPlanRequest, ListPlansRequest, ListPlansResponse,
    Plan as Message, UpdatePlanRequest, plan_service_server::PlanService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, limits, names, paging, status};
use crate::{
    domain::{name::PlanName, plan::Plan},
    service::{listing::ListQuery, plans::PlanInput},
};

#[async_trait]
impl PlanService for Admin {
    async fn create_plan(
        &self,
        request: Request<CreatePlanRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let input = read(request.plan_id, request.plan.unwrap_or_default());
        let plan = self
            .service
            .create_plan(&actor, input)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&plan)))
    }

    async fn get_plan(
        &self,
        request: Request<GetPlanRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let name = read_name("name", &request.into_inner().name)?;
        let plan = self
            .service
            .get_plan(&actor, name.as_str())
            .map_err(status::of)?;
        Ok(Response::new(message(&plan)))
    }

    async fn list_plans(
        &self,
        request: Request<ListPlansRequest>,
    ) -> Result<Response<ListPlansResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
        };
        let page = self
            .service
            .list_plans(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListPlansResponse {
            plans: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_plan(
        &self,
        request: Request<UpdatePlanRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let plan = request.plan.unwrap_or_default();
        let name = read_name("plan.name", &plan.name)?;
        let etag = plan.etag.clone();
        let mask = convert::mask(request.update_mask);
        let plan = self
            .service
            .update_plan(&actor, read(name.to_string(), plan), mask, &etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&plan)))
    }

    async fn delete_plan(
        &self,
        request: Request<DeletePlanRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let name = read_name("name", &request.name)?;
        self.service
            .delete_plan(&actor, name.as_str(), &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }
}

/// A plan as callers see it.
pub(super) fn message(plan: &Plan) -> Message {
    Message {
        name: format!("plans/{}", plan.name),
        display_name: plan.display_name.clone(),
        description: plan.description.clone(),
        limits: Some(limits::message(&plan.limits)),
        etag: plan.etag.to_string(),
        create_time: convert::time(plan.created_at),
        update_time: convert::time(plan.updated_at),
    }
}

fn read(name: String, plan: Message) -> PlanInput {
    PlanInput {
        name,
        display_name: plan.display_name,
        description: plan.description,
        limits: plan.limits.map(limits::read),
    }
}

fn read_name(field: &str, name: &str) -> Result<PlanName, Status> {
    convert::one(field, names::plan(name))
}
