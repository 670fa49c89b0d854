//! The design of an API inside the records of APIs and revisions.

use serde::{Deserialize, Serialize};
use tidegate_proto::path::TopicTemplate;

use super::{Unreadable, part};
use crate::domain::{
    api::Design,
    endpoint::{EndpointUrl, Endpoints},
    name::PolicyName,
    topic::{Mapping, Topic, Verbs},
};

/// Knew no policies of topics, and no subprotocols.
#[derive(Serialize, Deserialize)]
pub(super) struct DesignV1 {
    display_name: String,
    description: String,
    tags: Vec<String>,
    production: Option<String>,
    sandbox: Option<String>,
    topics: Vec<TopicV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DesignV2 {
    display_name: String,
    description: String,
    tags: Vec<String>,
    production: Option<String>,
    sandbox: Option<String>,
    topics: Vec<TopicV2>,
    notice_subprotocols: Vec<String>,
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
struct TopicV2 {
    template: String,
    mapping: Option<String>,
    publish: bool,
    subscribe: bool,
    policy: Option<String>,
    description: String,
}

/// Reads the name of a policy, where there is one.
pub(super) fn policy(name: Option<String>) -> Result<Option<PolicyName>, Unreadable> {
    name.map(|name| part("policy", PolicyName::parse(&name)))
        .transpose()
}

// === impl DesignV1 ===

impl DesignV1 {
    pub(super) fn next(self) -> DesignV2 {
        DesignV2 {
            display_name: self.display_name,
            description: self.description,
            tags: self.tags,
            production: self.production,
            sandbox: self.sandbox,
            topics: self.topics.into_iter().map(TopicV1::next).collect(),
            notice_subprotocols: Vec::new(),
        }
    }
}

// === impl DesignV2 ===

impl From<&Design> for DesignV2 {
    fn from(design: &Design) -> Self {
        let url = |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string);
        Self {
            display_name: design.display_name.clone(),
            description: design.description.clone(),
            tags: design.tags.iter().cloned().collect(),
            production: url(&design.endpoints.production),
            sandbox: url(&design.endpoints.sandbox),
            topics: design.topics.iter().map(TopicV2::from).collect(),
            notice_subprotocols: design.notice_subprotocols.clone(),
        }
    }
}

impl DesignV2 {
    /// The design; whether sandbox keys may use the production endpoint stands beside it in the records.
    pub(super) fn design(self, sandbox_keys_on_production: bool) -> Result<Design, Unreadable> {
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
                sandbox_keys_on_production,
            },
            topics: self
                .topics
                .into_iter()
                .map(TopicV2::topic)
                .collect::<Result<_, _>>()?,
            notice_subprotocols: self.notice_subprotocols,
        })
    }
}

// === impl TopicV1 ===

impl TopicV1 {
    fn next(self) -> TopicV2 {
        TopicV2 {
            template: self.template,
            mapping: self.mapping,
            publish: self.publish,
            subscribe: self.subscribe,
            policy: None,
            description: self.description,
        }
    }
}

// === impl TopicV2 ===

impl From<&Topic> for TopicV2 {
    fn from(topic: &Topic) -> Self {
        Self {
            template: topic.template.to_string(),
            mapping: topic.mapping.as_ref().map(ToString::to_string),
            publish: topic.verbs.publish,
            subscribe: topic.verbs.subscribe,
            policy: topic.policy.as_ref().map(ToString::to_string),
            description: topic.description.clone(),
        }
    }
}

impl TopicV2 {
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
            policy: policy(self.policy)?,
            description: self.description,
        })
    }
}
