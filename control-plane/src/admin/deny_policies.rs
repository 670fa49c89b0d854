//! `DenyPolicyService`: who is kept out.

use tidegate_proto::{
    admin::v1::{
        CreateDenyPolicyRequest, DeleteDenyPolicyRequest, DenyPolicy as Message,
        GetDenyPolicyRequest, ListDenyPoliciesRequest, ListDenyPoliciesResponse,
        UpdateDenyPolicyRequest, deny_policy::Target,
        deny_policy_service_server::DenyPolicyService,
    },
    ids::DenyPolicyId,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, names, paging, status};
use crate::{
    domain::policy::{DenyPolicy, DenyTarget},
    service::{
        deny_policies::{DenyPolicyInput, TargetInput},
        listing::ListQuery,
    },
};

#[async_trait]
impl DenyPolicyService for Admin {
    async fn create_deny_policy(
        &self,
        request: Request<CreateDenyPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let input = read(request.into_inner().deny_policy.unwrap_or_default());
        let policy = self
            .service
            .create_deny_policy(&actor, input)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn get_deny_policy(
        &self,
        request: Request<GetDenyPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let id = read_name("name", &request.into_inner().name)?;
        let policy = self
            .service
            .get_deny_policy(&actor, id)
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn list_deny_policies(
        &self,
        request: Request<ListDenyPoliciesRequest>,
    ) -> Result<Response<ListDenyPoliciesResponse>, Status> {
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
            .list_deny_policies(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListDenyPoliciesResponse {
            deny_policies: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_deny_policy(
        &self,
        request: Request<UpdateDenyPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let policy = request.deny_policy.unwrap_or_default();
        let id = read_name("deny_policy.name", &policy.name)?;
        let etag = policy.etag.clone();
        let mask = convert::mask(request.update_mask);
        let policy = self
            .service
            .update_deny_policy(&actor, id, read(policy), mask, &etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&policy)))
    }

    async fn delete_deny_policy(
        &self,
        request: Request<DeleteDenyPolicyRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_name("name", &request.name)?;
        self.service
            .delete_deny_policy(&actor, id, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }
}

fn message(policy: &DenyPolicy) -> Message {
    Message {
        name: policy.resource(),
        description: policy.description.clone(),
        target: Some(match &policy.target {
            DenyTarget::Api(id) => Target::Api(format!("apis/{id}")),
            DenyTarget::Application(id) => Target::Application(format!("applications/{id}")),
            DenyTarget::User(name) => Target::User(format!("users/{name}")),
            DenyTarget::Address(range) | DenyTarget::AddressesBut(range) => {
                Target::Address(range.to_string())
            }
        }),
        invert: matches!(policy.target, DenyTarget::AddressesBut(_)),
        expire_time: policy.expires_at.and_then(convert::time),
        disabled: policy.disabled,
        etag: policy.etag.to_string(),
        create_time: convert::time(policy.created_at),
        update_time: convert::time(policy.updated_at),
    }
}

fn read(policy: Message) -> DenyPolicyInput {
    DenyPolicyInput {
        description: policy.description,
        target: policy.target.map(|target| match target {
            Target::Api(name) => TargetInput::Api(names::api(&name)),
            Target::Application(name) => TargetInput::Application(names::application(&name)),
            Target::User(name) => TargetInput::User(names::user(&name)),
            Target::Address(text) => TargetInput::Address(text),
        }),
        invert: policy.invert,
        expires_at: policy.expire_time.as_ref().map(convert::read_time),
        disabled: policy.disabled,
    }
}

fn read_name(field: &str, name: &str) -> Result<DenyPolicyId, Status> {
    convert::one(field, names::deny_policy(name))
}
