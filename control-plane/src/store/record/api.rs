//! The records of APIs, revisions and deployments.

use serde::{Deserialize, Serialize};
use tidegate_proto::{
    ids::{ApiId, RevisionId, UserId},
    path::{Context, TopicTemplate, Version},
};
use uuid::Uuid;

use super::{Unreadable, part};
use crate::domain::{
    api::{Api, Design, Visibility},
    endpoint::{EndpointUrl, Endpoints},
    lifecycle::{Action, Lifecycle, LifecycleEvent},
    name::{ApiName, EnvironmentName, PlanName, UserName},
    object::Etag,
    revision::{Deployment, Revision},
    time::Timestamp,
    topic::{Mapping, Topic, Verbs},
    user::{Role, Roles},
};

#[derive(Serialize, Deserialize)]
pub(super) enum ApiRecord {
    V1(ApiV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum RevisionRecord {
    V1(RevisionV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum DeploymentRecord {
    V1(DeploymentV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApiV1 {
    id: Uuid,
    name: String,
    context: String,
    version: String,
    owner: Option<Uuid>,
    provider: String,
    design: DesignV1,
    plans: Vec<String>,
    visible_roles: Option<Vec<String>>,
    default_version: bool,
    state: String,
    history: Vec<EventV1>,
    last_revision: u32,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
struct DesignV1 {
    display_name: String,
    description: String,
    tags: Vec<String>,
    production: Option<String>,
    sandbox: Option<String>,
    topics: Vec<TopicV1>,
}

#[derive(Serialize, Deserialize)]
struct TopicV1 {
    template: String,
    mapping: Option<String>,
    publish: bool,
    subscribe: bool,
    description: String,
}

#[derive(Serialize, Deserialize)]
struct EventV1 {
    at: u64,
    by: String,
    action: Option<String>,
    from: Option<String>,
    to: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RevisionV1 {
    id: Uuid,
    api: Uuid,
    number: u32,
    description: String,
    design: DesignV1,
    created_by: String,
    created_at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeploymentV1 {
    api: Uuid,
    environment: String,
    revision: Uuid,
    deployed_by: String,
    deployed_at: u64,
}

// === impl ApiRecord ===

impl From<&Api> for ApiRecord {
    fn from(api: &Api) -> Self {
        Self::V1(ApiV1 {
            id: uuid(api.id.as_bytes()),
            name: api.name.to_string(),
            context: api.context.to_string(),
            version: api.version.to_string(),
            owner: api.owner.map(|id| uuid(id.as_bytes())),
            provider: api.provider.to_string(),
            design: DesignV1::from(&api.design),
            plans: api.plans.iter().map(ToString::to_string).collect(),
            visible_roles: match api.visibility {
                Visibility::Public => None,
                Visibility::Restricted(roles) => {
                    Some(roles.iter().map(|role| role.as_str().to_owned()).collect())
                }
            },
            default_version: api.default_version,
            state: api.state.to_string(),
            history: api.history.iter().map(EventV1::from).collect(),
            last_revision: api.last_revision,
            created_at: api.created_at.millis(),
            updated_at: api.updated_at.millis(),
            etag: api.etag.get(),
        })
    }
}

impl ApiRecord {
    pub(super) fn object(self) -> Result<Api, Unreadable> {
        let Self::V1(it) = self;
        Ok(Api {
            id: ApiId::new(it.id),
            name: part("name", ApiName::parse(&it.name))?,
            context: part("context", Context::parse(&it.context))?,
            version: part("version", Version::parse(&it.version))?,
            owner: it.owner.map(UserId::new),
            provider: part("provider", UserName::parse(&it.provider))?,
            design: it.design.design()?,
            plans: it
                .plans
                .iter()
                .map(|name| part("plans", PlanName::parse(name)))
                .collect::<Result<_, _>>()?,
            visibility: match it.visible_roles {
                None => Visibility::Public,
                Some(roles) => Visibility::Restricted(
                    roles
                        .iter()
                        .map(|role| part("visible_roles", Role::parse(role)))
                        .collect::<Result<Roles, _>>()?,
                ),
            },
            default_version: it.default_version,
            state: lifecycle(&it.state)?,
            history: it
                .history
                .into_iter()
                .map(EventV1::event)
                .collect::<Result<_, _>>()?,
            last_revision: it.last_revision,
            created_at: Timestamp::from_millis(it.created_at),
            updated_at: Timestamp::from_millis(it.updated_at),
            etag: Etag::new(it.etag),
        })
    }
}

// === impl DesignV1 ===

impl From<&Design> for DesignV1 {
    fn from(design: &Design) -> Self {
        let url = |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string);
        Self {
            display_name: design.display_name.clone(),
            description: design.description.clone(),
            tags: design.tags.iter().cloned().collect(),
            production: url(&design.endpoints.production),
            sandbox: url(&design.endpoints.sandbox),
            topics: design.topics.iter().map(TopicV1::from).collect(),
        }
    }
}

impl DesignV1 {
    fn design(self) -> Result<Design, Unreadable> {
        let url = |name, url: Option<String>| {
            url.map(|url| part(name, EndpointUrl::parse(&url)))
                .transpose()
        };
        Ok(Design {
            display_name: self.display_name,
            description: self.description,
            tags: self.tags.into_iter().collect(),
            endpoints: Endpoints {
                production: url("production", self.production)?,
                sandbox: url("sandbox", self.sandbox)?,
            },
            topics: self
                .topics
                .into_iter()
                .map(TopicV1::topic)
                .collect::<Result<_, _>>()?,
        })
    }
}

// === impl TopicV1 ===

impl From<&Topic> for TopicV1 {
    fn from(topic: &Topic) -> Self {
        Self {
            template: topic.template.to_string(),
            mapping: topic.mapping.as_ref().map(ToString::to_string),
            publish: topic.verbs.publish,
            subscribe: topic.verbs.subscribe,
            description: topic.description.clone(),
        }
    }
}

impl TopicV1 {
    fn topic(self) -> Result<Topic, Unreadable> {
        let template = part("template", TopicTemplate::parse(&self.template))?;
        let mapping = self
            .mapping
            .map(|mapping| part("mapping", Mapping::parse(&mapping, &template)))
            .transpose()?;
        Ok(Topic {
            template,
            verbs: Verbs {
                publish: self.publish,
                subscribe: self.subscribe,
            },
            mapping,
            description: self.description,
        })
    }
}

// === impl EventV1 ===

impl From<&LifecycleEvent> for EventV1 {
    fn from(event: &LifecycleEvent) -> Self {
        Self {
            at: event.at.millis(),
            by: event.by.clone(),
            action: event.action.map(|action| action.to_string()),
            from: event.from.map(|state| state.to_string()),
            to: event.to.to_string(),
        }
    }
}

impl EventV1 {
    fn event(self) -> Result<LifecycleEvent, Unreadable> {
        let action = |name: String| {
            Action::ALL
                .into_iter()
                .find(|action| action.as_str() == name)
                .ok_or_else(|| format!("its `action` does not read: `{name}`"))
        };
        Ok(LifecycleEvent {
            at: Timestamp::from_millis(self.at),
            by: self.by,
            action: self.action.map(action).transpose()?,
            from: self.from.as_deref().map(lifecycle).transpose()?,
            to: lifecycle(&self.to)?,
        })
    }
}

// === impl RevisionRecord ===

impl From<&Revision> for RevisionRecord {
    fn from(revision: &Revision) -> Self {
        Self::V1(RevisionV1 {
            id: uuid(revision.id.as_bytes()),
            api: uuid(revision.api.as_bytes()),
            number: revision.number,
            description: revision.description.clone(),
            design: DesignV1::from(&revision.design),
            created_by: revision.created_by.clone(),
            created_at: revision.created_at.millis(),
        })
    }
}

impl RevisionRecord {
    pub(super) fn object(self) -> Result<Revision, Unreadable> {
        let Self::V1(it) = self;
        Ok(Revision {
            id: RevisionId::new(it.id),
            api: ApiId::new(it.api),
            number: it.number,
            description: it.description,
            design: it.design.design()?,
            created_by: it.created_by,
            created_at: Timestamp::from_millis(it.created_at),
        })
    }
}

// === impl DeploymentRecord ===

impl From<&Deployment> for DeploymentRecord {
    fn from(deployment: &Deployment) -> Self {
        Self::V1(DeploymentV1 {
            api: uuid(deployment.api.as_bytes()),
            environment: deployment.environment.to_string(),
            revision: uuid(deployment.revision.as_bytes()),
            deployed_by: deployment.deployed_by.clone(),
            deployed_at: deployment.deployed_at.millis(),
        })
    }
}

impl DeploymentRecord {
    pub(super) fn object(self) -> Result<Deployment, Unreadable> {
        let Self::V1(it) = self;
        Ok(Deployment {
            api: ApiId::new(it.api),
            environment: part("environment", EnvironmentName::parse(&it.environment))?,
            revision: RevisionId::new(it.revision),
            deployed_by: it.deployed_by,
            deployed_at: Timestamp::from_millis(it.deployed_at),
        })
    }
}

fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

fn lifecycle(name: &str) -> Result<Lifecycle, Unreadable> {
    Lifecycle::ALL
        .into_iter()
        .find(|state| state.as_str() == name)
        .ok_or_else(|| format!("its `state` does not read: `{name}`"))
}
