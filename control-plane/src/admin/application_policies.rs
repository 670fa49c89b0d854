//! `ApplicationPolicyService`: what applications may use over all of their subscriptions.

use tidegate_proto::admin::v1::{
    ApplicationPolicy as Message, CreateApplicationPolicyRequest as Create,
    DeleteApplicationPolicyRequest as Delete, GetApplicationPolicyRequest as Get,
    ListApplicationPoliciesRequest as List, ListApplicationPoliciesResponse as Listed,
    UpdateApplicationPolicyRequest as Change,
    application_policy_service_server::ApplicationPolicyService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, limits, names, paging};
use crate::{
    domain::{policy::ApplicationPolicy, resource::Resource as _},
    service::{application_policies::ApplicationPolicyInput, edit::Update},
};

#[async_trait]
impl ApplicationPolicyService for Admin {
    async fn create_application_policy(&self, request: Request<Create>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = read(req.application_policy.unwrap_or_default());
        let policy = self
            .service
            .create::<ApplicationPolicy>(&actor, &req.application_policy_id, input)
            .await?;
        Ok(Response::new(message(&policy)))
    }

    async fn get_application_policy(&self, request: Request<Get>) -> Reply<Message> {
        let (_, req) = self.caller(request)?;
        let name = convert::one("name", names::application_policy(&req.name))?;
        Ok(Response::new(message(
            &*self.service.get::<ApplicationPolicy>(&name)?,
        )))
    }

    async fn list_application_policies(&self, request: Request<List>) -> Reply<Listed> {
        let (_, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = paging::answer(self.service.list::<ApplicationPolicy>(&query)?, |it| {
            message(it)
        });
        Ok(Response::new(Listed {
            application_policies: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_application_policy(&self, request: Request<Change>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let policy = req.application_policy.unwrap_or_default();
        let update = Update {
            key: convert::one(
                "application_policy.name",
                names::application_policy(&policy.name),
            )?,
            etag: policy.etag.clone(),
            input: read(policy),
            mask: convert::mask(req.update_mask),
        };
        let policy = self
            .service
            .update::<ApplicationPolicy>(&actor, update)
            .await?;
        Ok(Response::new(message(&policy)))
    }

    async fn delete_application_policy(&self, request: Request<Delete>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let name = convert::one("name", names::application_policy(&req.name))?;
        self.service
            .delete::<ApplicationPolicy>(&actor, &name, &req.etag)
            .await?;
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
        etag: policy.meta.etag.to_string(),
        create_time: convert::time(policy.meta.created_at),
        update_time: convert::time(policy.meta.updated_at),
    }
}

fn read(policy: Message) -> ApplicationPolicyInput {
    ApplicationPolicyInput {
        display_name: policy.display_name,
        description: policy.description,
        per_token: policy.per_token,
        limits: policy.limits.map(limits::read),
    }
}
