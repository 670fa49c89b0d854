//! `ApiPolicyService`: what APIs and topics let through.

use tidegate_proto::admin::v1::{
    self, ApiPolicy as Message, ConditionalGroup, CreateApiPolicyRequest, DeleteApiPolicyRequest,
    GetApiPolicyRequest, ListApiPoliciesRequest, ListApiPoliciesResponse, UpdateApiPolicyRequest,
    api_policy_service_server::ApiPolicyService, condition::Subject as WireSubject,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, limits, names, paging, status};
use crate::{
    domain::{
        actor::Actor,
        name::PolicyName,
        policy::{ApiPolicy, Condition, Group, Per, Sought, Subject},
        user::Permission,
    },
    service::{
        api_policies::{ApiPolicyInput, ConditionInput, GroupInput, SoughtInput, SubjectInput},
        listing::ListQuery,
    },
};

#[async_trait]
impl ApiPolicyService for Admin {
    async fn create_api_policy(
        &self,
        request: Request<CreateApiPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let input = read(
            request.api_policy_id,
            request.api_policy.unwrap_or_default(),
        );
        let policy = self
            .service
            .create_api_policy(&actor, input)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&actor, &policy)))
    }

    async fn get_api_policy(
        &self,
        request: Request<GetApiPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let name = read_name("name", &request.into_inner().name)?;
        let policy = self
            .service
            .get_api_policy(&actor, name.as_str())
            .map_err(status::of)?;
        Ok(Response::new(message(&actor, &policy)))
    }

    async fn list_api_policies(
        &self,
        request: Request<ListApiPoliciesRequest>,
    ) -> Result<Response<ListApiPoliciesResponse>, Status> {
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
            .list_api_policies(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(&actor, it));
        Ok(Response::new(ListApiPoliciesResponse {
            api_policies: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_api_policy(
        &self,
        request: Request<UpdateApiPolicyRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let policy = request.api_policy.unwrap_or_default();
        let name = read_name("api_policy.name", &policy.name)?;
        let etag = policy.etag.clone();
        let mask = convert::mask(request.update_mask);
        let policy = self
            .service
            .update_api_policy(&actor, read(name.to_string(), policy), mask, &etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&actor, &policy)))
    }

    async fn delete_api_policy(
        &self,
        request: Request<DeleteApiPolicyRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let name = read_name("name", &request.name)?;
        self.service
            .delete_api_policy(&actor, name.as_str(), &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }
}

/// A policy as one caller sees it: who only subscribes is not told what to send for a larger limit.
fn message(actor: &Actor, policy: &ApiPolicy) -> Message {
    let groups = if actor.may(Permission::ViewApis) {
        policy.groups.iter().map(group).collect()
    } else {
        Vec::new()
    };
    Message {
        name: policy.resource(),
        display_name: policy.display_name.clone(),
        description: policy.description.clone(),
        per: match policy.per {
            Per::Api => v1::Per::Api,
            Per::Application => v1::Per::Application,
            Per::User => v1::Per::User,
            Per::Address => v1::Per::Address,
        }
        .into(),
        limits: Some(limits::message(&policy.limits)),
        groups,
        etag: policy.etag.to_string(),
        create_time: convert::time(policy.created_at),
        update_time: convert::time(policy.updated_at),
    }
}

fn group(group: &Group) -> ConditionalGroup {
    ConditionalGroup {
        description: group.description.clone(),
        conditions: group.conditions.iter().map(condition).collect(),
        limits: Some(limits::message(&group.limits)),
    }
}

fn condition(condition: &Condition) -> v1::Condition {
    v1::Condition {
        subject: Some(match &condition.subject {
            Subject::Address(range) => WireSubject::Address(range.to_string()),
            Subject::Header(it) => WireSubject::Header(sought(it)),
            Subject::Query(it) => WireSubject::Query(sought(it)),
            Subject::Claim(it) => WireSubject::Claim(sought(it)),
        }),
        invert: condition.invert,
    }
}

fn sought(sought: &Sought) -> v1::Match {
    v1::Match {
        name: sought.name.clone(),
        value: sought.value.clone().unwrap_or_default(),
    }
}

fn read(name: String, policy: Message) -> ApiPolicyInput {
    ApiPolicyInput {
        name,
        display_name: policy.display_name,
        description: policy.description,
        per: match v1::Per::try_from(policy.per) {
            Ok(v1::Per::Api) => Ok(Per::Api),
            Ok(v1::Per::Application) => Ok(Per::Application),
            Ok(v1::Per::User) => Ok(Per::User),
            Ok(v1::Per::Address) => Ok(Per::Address),
            Ok(v1::Per::Unspecified) | Err(_) => Err(policy.per),
        },
        limits: policy.limits.map(limits::read),
        groups: policy.groups.into_iter().map(read_group).collect(),
    }
}

fn read_group(group: ConditionalGroup) -> GroupInput {
    GroupInput {
        description: group.description,
        conditions: group.conditions.into_iter().map(read_condition).collect(),
        limits: group.limits.map(limits::read),
    }
}

fn read_condition(condition: v1::Condition) -> ConditionInput {
    ConditionInput {
        subject: condition.subject.map(|subject| match subject {
            WireSubject::Address(text) => SubjectInput::Address(text),
            WireSubject::Header(it) => SubjectInput::Header(read_sought(it)),
            WireSubject::Query(it) => SubjectInput::Query(read_sought(it)),
            WireSubject::Claim(it) => SubjectInput::Claim(read_sought(it)),
        }),
        invert: condition.invert,
    }
}

fn read_sought(sought: v1::Match) -> SoughtInput {
    SoughtInput {
        name: sought.name,
        value: sought.value,
    }
}

fn read_name(field: &str, name: &str) -> Result<PolicyName, Status> {
    convert::one(field, names::api_policy(name))
}
