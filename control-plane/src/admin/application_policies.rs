//! `ApplicationPolicyService`: what applications may use over all of their subscriptions.

use tidegate_proto::admin::v1::{
    ApplicationPolicy as Message, CreateApplicationPolicyRequest, DeleteApplicationPolicyRequest,
    GetApplicationPolicyRequest, ListApplicationPoliciesRequest, ListApplicationPoliciesResponse,
    UpdateApplicationPolicyRequest, application_policy_service_server::ApplicationPolicyService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, limits, names, paging, status};
use crate::{
    domain::{name::PolicyName, policy::ApplicationPolicy},
    service::{application_policies::ApplicationPolicyInput, listing::ListQuery},
};

#[async_trait]
impl ApplicationPolicyService for Admin {
    async fn create_application_policy(
        &self,
        request: Request<CreateApplicationPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let input = read(
            request.application_policy_id,
            request.application_policy.unwrap_or_default(),
        );
        let policy = self
            .service
            .create_application_policy(&actor, input)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn get_application_policy(
        &self,
        request: Request<GetApplicationPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let name = read_name("name", &request.into_inner().name)?;
        let policy = self
            .service
            .get_application_policy(&actor, name.as_str())
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn list_application_policies(
        &self,
        request: Request<ListApplicationPoliciesRequest>,
    ) -> Result<Response<ListApplicationPoliciesResponse>, Status> {
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
            .list_application_policies(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListApplicationPoliciesResponse {
            application_policies: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_application_policy(
        &self,
        request: Request<UpdateApplicationPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let policy = request.application_policy.unwrap_or_default();
        let name = read_name("application_policy.name", &policy.name)?;
        let etag = policy.etag.clone();
        let mask = convert::mask(request.update_mask);
        let policy = self
            .service
            .update_application_policy(&actor, read(name.to_string(), policy), mask, &etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn delete_application_policy(
        &self,
        request: Request<DeleteApplicationPolicyRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let name = read_name("name", &request.name)?;
        self.service
            .delete_application_policy(&actor, name.as_str(), &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }
}

fn message(policy: &ApplicationPolicy) -> Message {
    Message {
        name: policy.resource(),
        display_name: policy.display_name.clone(),
        description: policy.description.clone(),
        per_token: policy.per_token,
        limits: Some(limits::message(&policy.limits)),
        etag: policy.etag.to_string(),
        create_time: convert::time(policy.created_at),
        update_time: convert::time(policy.updated_at),
    }
}

fn read(name: String, policy: Message) -> ApplicationPolicyInput {
    ApplicationPolicyInput {
        name,
        display_name: policy.display_name,
        description: policy.description,
        per_token: policy.per_token,
        limits: policy.limits.map(limits::read),
    }
}

fn read_name(field: &str, name: &str) -> Result<PolicyName, Status> {
    convert::one(field, names::application_policy(name))
}
