//! `DenyPolicyService`: who is denied access.

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

use super::{Admin, Reply, convert, names, paging};
use crate::{
    domain::{
        api::Api,
        application::Application,
        policy::{DenyPolicy, DenyTarget},
        resource::Resource as _,
        user::User,
    },
    service::{
        deny_policies::{DenyPolicyInput, TargetInput},
        edit::Update,
    },
};

#[async_trait]
impl DenyPolicyService for Admin {
    async fn create_deny_policy(
        &self,
        request: Request<CreateDenyPolicyRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = read(req.deny_policy.unwrap_or_default());
        let policy = self.service.create_deny_policy(&actor, input).await?;
        Ok(Response::new(message(&policy)))
    }

    async fn get_deny_policy(&self, request: Request<GetDenyPolicyRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read_name("name", &req.name)?;
        let policy = self.service.get_deny_policy(&actor, id)?;
        Ok(Response::new(message(&policy)))
    }

    async fn list_deny_policies(
        &self,
        request: Request<ListDenyPoliciesRequest>,
    ) -> Reply<ListDenyPoliciesResponse> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = self.service.list_deny_policies(&actor, &query)?;
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
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let policy = req.deny_policy.unwrap_or_default();
        let update = Update {
            key: read_name("deny_policy.name", &policy.name)?,
            etag: policy.etag.clone(),
            input: read(policy),
            mask: convert::mask(req.update_mask),
        };
        let policy = self.service.update_deny_policy(&actor, update).await?;
        Ok(Response::new(message(&policy)))
    }

    async fn delete_deny_policy(&self, request: Request<DeleteDenyPolicyRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let id = read_name("name", &req.name)?;
        self.service
            .delete_deny_policy(&actor, id, &req.etag)
            .await?;
        Ok(Response::new(()))
    }
}

fn message(policy: &DenyPolicy) -> Message {
    Message {
        name: policy.resource(),
        description: policy.description.clone(),
        target: Some(match &policy.target {
            DenyTarget::Api(id) => Target::Api(Api::name_of(id)),
            DenyTarget::Application(id) => Target::Application(Application::name_of(id)),
            DenyTarget::User(name) => Target::User(User::name_of(name)),
            DenyTarget::Address(range) | DenyTarget::AddressesBut(range) => {
                Target::Address(range.to_string())
            }
        }),
        invert: matches!(policy.target, DenyTarget::AddressesBut(_)),
        expire_time: policy.expires_at.and_then(convert::time),
        disabled: policy.disabled,
        etag: policy.meta.etag.to_string(),
        create_time: convert::time(policy.meta.created_at),
        update_time: convert::time(policy.meta.updated_at),
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
