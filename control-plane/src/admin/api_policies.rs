//! `ApiPolicyService`: what APIs and topics let through.

use tidegate_proto::admin::v1::{
    self, ApiPolicy as Message, ConditionalGroup, CreateApiPolicyRequest as Create,
    DeleteApiPolicyRequest as Delete, GetApiPolicyRequest as Get, ListApiPoliciesRequest as List,
    ListApiPoliciesResponse as Listed, UpdateApiPolicyRequest as Change,
    api_policy_service_server::ApiPolicyService, condition::Subject as WireSubject,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, limits, names, paging};
use crate::{
    domain::{
        actor::Actor,
        policy::{ApiPolicy, Condition, Group, NameValueMatch, Per, Subject},
        resource::Resource as _,
        user::Permission,
    },
    service::{
        api_policies::{ApiPolicyInput, ConditionInput, GroupInput, NameValueInput, SubjectInput},
        edit::Update,
    },
};

#[async_trait]
impl ApiPolicyService for Admin {
    async fn create_api_policy(&self, request: Request<Create>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = read(req.api_policy.unwrap_or_default());
        let policy = self
            .service
            .create::<ApiPolicy>(&actor, &req.api_policy_id, input)
            .await?;
        Ok(Response::new(message(&actor, &policy)))
    }

    async fn get_api_policy(&self, request: Request<Get>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let name = convert::one("name", names::api_policy(&req.name))?;
        Ok(Response::new(message(
            &actor,
            &*self.service.get::<ApiPolicy>(&name)?,
        )))
    }

    async fn list_api_policies(&self, request: Request<List>) -> Reply<Listed> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = paging::answer(self.service.list::<ApiPolicy>(&query)?, |it| {
            message(&actor, it)
        });
        Ok(Response::new(Listed {
            api_policies: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_api_policy(&self, request: Request<Change>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let policy = req.api_policy.unwrap_or_default();
        let update = Update {
            key: convert::one("api_policy.name", names::api_policy(&policy.name))?,
            etag: policy.etag.clone(),
            input: read(policy),
            mask: convert::mask(req.update_mask),
        };
        let policy = self.service.update::<ApiPolicy>(&actor, update).await?;
        Ok(Response::new(message(&actor, &policy)))
    }

    async fn delete_api_policy(&self, request: Request<Delete>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let name = convert::one("name", names::api_policy(&req.name))?;
        self.service
            .delete::<ApiPolicy>(&actor, &name, &req.etag)
            .await?;
        Ok(Response::new(()))
    }
}

/// A policy as one caller sees it: mere subscribers don't see what to send for a larger limit.
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
        etag: policy.meta.etag.to_string(),
        create_time: convert::time(policy.meta.created_at),
        update_time: convert::time(policy.meta.updated_at),
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
            Subject::Header(it) => WireSubject::Header(name_value(it)),
            Subject::Query(it) => WireSubject::Query(name_value(it)),
            Subject::Claim(it) => WireSubject::Claim(name_value(it)),
        }),
        invert: condition.invert,
    }
}

fn name_value(it: &NameValueMatch) -> v1::Match {
    v1::Match {
        name: it.name.clone(),
        value: it.value.clone().unwrap_or_default(),
    }
}

fn read(policy: Message) -> ApiPolicyInput {
    ApiPolicyInput {
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
            WireSubject::Header(it) => SubjectInput::Header(read_name_value(it)),
            WireSubject::Query(it) => SubjectInput::Query(read_name_value(it)),
            WireSubject::Claim(it) => SubjectInput::Claim(read_name_value(it)),
        }),
        invert: condition.invert,
    }
}

fn read_name_value(it: v1::Match) -> NameValueInput {
    NameValueInput {
        name: it.name,
        value: it.value,
    }
}
