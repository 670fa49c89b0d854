//! APIs, revisions and lifecycle events between the domain and protobuf. Both directions in one place, so that a field
//! that is written is also read.

use tidegate_proto::admin::v1;

use crate::{
    admin::{convert, duration},
    discovery::fleet::{NodeView, Progress},
    domain::{
        actor::Actor,
        api::{Api, Design, Visibility},
        endpoint::EndpointUrl,
        environment::Environment,
        invalid::{Faults, Rule, reason},
        lifecycle::{Action, Lifecycle, LifecycleEvent},
        plan::Plan,
        policy::ApiPolicy,
        resource::{Child as _, Resource as _, node_name, thumbnail_name},
        revision::{Deployment, Revision},
        state::State,
        thumbnail::Thumbnail,
        time::Timestamp,
        topic::{Topic, Verbs},
        user::{Permission, User},
    },
    service::{
        apis::{ApiInput, TopicInput},
        catalog::{GatewayUrls, gateway_urls},
    },
};

/// Reads an API; what protobuf can express and the domain cannot is a fault.
pub(super) fn read_api(api: v1::Api, faults: &mut Faults) -> ApiInput {
    let visible = convert::read_roles(&api.visible_roles, "api.visible_roles", faults);
    let topics = api.topics.into_iter().enumerate();
    let topics = topics
        .map(|(index, topic)| TopicInput {
            verbs: read_verbs(&topic.verbs, &format!("api.topics[{index}].verbs"), faults),
            template: topic.template,
            mapping: topic.mapping,
            policy: convert::bare::<ApiPolicy>(topic.policy),
            description: topic.description,
        })
        .collect();
    ApiInput {
        name: api.api_name,
        context: api.context,
        version: api.version,
        display_name: api.display_name,
        description: api.description,
        tags: api.tags,
        production_endpoint: api.production_endpoint,
        sandbox_endpoint: api.sandbox_endpoint,
        sandbox_keys_on_production_endpoint: api.sandbox_keys_on_production_endpoint,
        topics,
        plans: api.plans.into_iter().map(convert::bare::<Plan>).collect(),
        policy: convert::bare::<ApiPolicy>(api.policy),
        notice_subprotocols: api.notice_subprotocols,
        default_version: api.default_version,
        visibility: if visible.is_empty() {
            Visibility::Public
        } else {
            Visibility::Restricted(visible)
        },
        provider: convert::bare::<User>(api.creator),
    }
}

fn read_verbs(numbers: &[i32], field: &str, faults: &mut Faults) -> Verbs {
    let mut verbs = Verbs {
        publish: false,
        subscribe: false,
    };
    for (index, &number) in numbers.iter().enumerate() {
        match v1::TopicVerb::try_from(number) {
            Ok(v1::TopicVerb::Publish) => verbs.publish = true,
            Ok(v1::TopicVerb::Subscribe) => verbs.subscribe = true,
            Ok(v1::TopicVerb::Unspecified) | Err(_) => faults.add(
                format!("{field}[{index}]"),
                reason::MALFORMED,
                "must be TOPIC_VERB_PUBLISH or TOPIC_VERB_SUBSCRIBE",
            ),
        }
    }
    verbs
}

/// The working copy of an API as callers see it.
pub(super) fn api(state: &State, api: &Api) -> v1::Api {
    v1::Api {
        state: lifecycle(api.state) as i32,
        allowed_actions: api.state.actions().map(|a| action(a) as i32).collect(),
        plans: api.plans.iter().map(Plan::name_of).collect(),
        deployments: state
            .deployments_of(api.id)
            .map(|deployment| v1::Deployment {
                environment: Environment::name_of(&deployment.environment),
                revision: Revision::name_in(api.id, deployment.revision),
                deploy_time: convert::time(deployment.deployed_at),
            })
            .collect(),
        default_version: api.default_version,
        visible_roles: match api.visibility {
            Visibility::Public => Vec::new(),
            Visibility::Restricted(roles) => convert::roles(roles),
        },
        policy: convert::reference::<ApiPolicy>(api.policy.as_ref()),
        urls: gateway_urls(state, api).into_iter().map(urls).collect(),
        thumbnail_etag: state
            .thumbnails()
            .get(&api.id)
            .map_or_else(String::new, |it| it.etag.clone()),
        update_time: convert::time(api.meta.updated_at),
        etag: api.meta.etag.to_string(),
        ..frozen(api, &api.design)
    }
}

/// An API as one caller sees it: mere subscribers reach the backend through a gateway and don't see its address.
pub(super) fn api_for(actor: &Actor, state: &State, of: &Api) -> v1::Api {
    let mut seen = api(state, of);
    if !actor.may(Permission::ViewApis) {
        seen.production_endpoint.clear();
        seen.sandbox_endpoint.clear();
        seen.sandbox_keys_on_production_endpoint = false;
        for topic in &mut seen.topics {
            topic.mapping.clear();
        }
    }
    seen
}

/// A revision as callers see it.
pub(super) fn revision(state: &State, api: &Api, revision: &Revision) -> v1::Revision {
    v1::Revision {
        name: revision.resource(),
        number: revision.number,
        description: revision.description.clone(),
        api: Some(frozen(api, &revision.design)),
        environments: state
            .deployments_of(api.id)
            .filter(|deployment| deployment.revision == revision.id)
            .map(|deployment| Environment::name_of(&deployment.environment))
            .collect(),
        creator: User::name_of(&revision.created_by),
        create_time: convert::time(revision.created_at),
    }
}

/// How far nodes are with a deployment, as callers see it.
pub(super) fn progress(
    deployment: &Deployment,
    nodes: &[NodeView],
    now: Timestamp,
) -> v1::DeploymentProgress {
    let nodes = nodes.iter().map(|view| {
        let (state, reason) = match view.progress(deployment) {
            Progress::Acknowledged => (v1::NodeProgressState::Acknowledged, ""),
            Progress::Behind => (v1::NodeProgressState::Behind, ""),
            Progress::Rejected(reason) => (v1::NodeProgressState::Rejected, reason),
        };
        v1::NodeProgress {
            node: node_name(&view.environment, &view.name),
            state: state.into(),
            reason: reason.to_owned(),
            connected: view.connected(),
            last_seen_time: convert::time(view.last_seen),
            last_seen_age: duration(now.since(view.last_seen)),
        }
    });
    v1::DeploymentProgress {
        environment: Environment::name_of(&deployment.environment),
        revision: Revision::name_in(deployment.api, deployment.revision),
        deploy_time: convert::time(deployment.deployed_at),
        nodes: nodes.collect(),
    }
}

/// The picture of an API as callers see it, but for the picture.
pub(super) fn thumbnail(thumbnail: &Thumbnail) -> v1::Thumbnail {
    v1::Thumbnail {
        name: thumbnail_name(thumbnail.api),
        content_type: thumbnail.format.content_type().to_owned(),
        image: Vec::new(),
        etag: thumbnail.etag.clone(),
        update_time: convert::time(thumbnail.set_at),
    }
}

/// A step of an API's history as callers see it.
pub(super) fn event(event: &LifecycleEvent) -> v1::LifecycleEvent {
    v1::LifecycleEvent {
        action: event
            .action
            .map_or(v1::LifecycleAction::Unspecified, action) as i32,
        from: event
            .from
            .map_or(v1::LifecycleState::Unspecified, lifecycle) as i32,
        to: lifecycle(event.to) as i32,
        user: User::name_of(&event.by),
        event_time: convert::time(event.at),
    }
}

/// What never changes of an API, with a design.
fn frozen(api: &Api, design: &Design) -> v1::Api {
    let url = |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
    v1::Api {
        name: api.resource(),
        api_name: api.name.to_string(),
        context: api.context.to_string(),
        version: api.version.to_string(),
        display_name: design.display_name.clone(),
        description: design.description.clone(),
        tags: design.tags.iter().cloned().collect(),
        production_endpoint: url(&design.endpoints.production),
        sandbox_endpoint: url(&design.endpoints.sandbox),
        sandbox_keys_on_production_endpoint: design.endpoints.sandbox_keys_on_production,
        topics: design.topics.iter().map(topic).collect(),
        notice_subprotocols: design.notice_subprotocols.clone(),
        creator: User::name_of(&api.provider),
        create_time: convert::time(api.meta.created_at),
        ..v1::Api::default()
    }
}

/// Where clients reach an API, as callers see it.
pub(in crate::admin) fn urls(urls: GatewayUrls) -> v1::GatewayUrl {
    v1::GatewayUrl {
        environment: Environment::name_of(&urls.environment),
        environment_display_name: urls.display_name,
        ws_url: urls.ws.unwrap_or_default(),
        wss_url: urls.wss.unwrap_or_default(),
        default_ws_url: urls.default_ws.unwrap_or_default(),
        default_wss_url: urls.default_wss.unwrap_or_default(),
    }
}

/// Which way messages go, as protobuf has it.
pub(in crate::admin) fn verbs(verbs: Verbs) -> Vec<i32> {
    let verbs = [
        (verbs.publish, v1::TopicVerb::Publish),
        (verbs.subscribe, v1::TopicVerb::Subscribe),
    ];
    verbs
        .into_iter()
        .filter_map(|(is_set, verb)| is_set.then_some(verb as i32))
        .collect()
}

fn topic(topic: &Topic) -> v1::Topic {
    v1::Topic {
        template: topic.template.to_string(),
        mapping: topic
            .mapping
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        verbs: verbs(topic.verbs),
        policy: convert::reference::<ApiPolicy>(topic.policy.as_ref()),
        description: topic.description.clone(),
    }
}

/// A lifecycle state as protobuf has it.
pub(in crate::admin) const fn lifecycle(state: Lifecycle) -> v1::LifecycleState {
    match state {
        Lifecycle::Created => v1::LifecycleState::Created,
        Lifecycle::Prototyped => v1::LifecycleState::Prototyped,
        Lifecycle::Published => v1::LifecycleState::Published,
        Lifecycle::Blocked => v1::LifecycleState::Blocked,
        Lifecycle::Deprecated => v1::LifecycleState::Deprecated,
        Lifecycle::Retired => v1::LifecycleState::Retired,
    }
}

const fn action(action: Action) -> v1::LifecycleAction {
    match action {
        Action::Publish => v1::LifecycleAction::Publish,
        Action::DeployAsPrototype => v1::LifecycleAction::DeployAsPrototype,
        Action::DemoteToCreated => v1::LifecycleAction::DemoteToCreated,
        Action::Block => v1::LifecycleAction::Block,
        Action::Republish => v1::LifecycleAction::Republish,
        Action::Deprecate => v1::LifecycleAction::Deprecate,
        Action::Retire => v1::LifecycleAction::Retire,
    }
}

/// Reads an action by its number.
pub(super) fn read_action(number: i32) -> Result<Action, Rule> {
    match v1::LifecycleAction::try_from(number) {
        Ok(v1::LifecycleAction::Publish) => Ok(Action::Publish),
        Ok(v1::LifecycleAction::DeployAsPrototype) => Ok(Action::DeployAsPrototype),
        Ok(v1::LifecycleAction::DemoteToCreated) => Ok(Action::DemoteToCreated),
        Ok(v1::LifecycleAction::Block) => Ok(Action::Block),
        Ok(v1::LifecycleAction::Republish) => Ok(Action::Republish),
        Ok(v1::LifecycleAction::Deprecate) => Ok(Action::Deprecate),
        Ok(v1::LifecycleAction::Retire) => Ok(Action::Retire),
        Ok(v1::LifecycleAction::Unspecified) => {
            Err(Rule::new(reason::REQUIRED, "must name an action"))
        }
        Err(_) => Err(Rule::new(reason::MALFORMED, "is no known action")),
    }
}
