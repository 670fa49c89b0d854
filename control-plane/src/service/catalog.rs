//! Use cases of the catalogue: what developers find, whether they have signed in or not. What it shows holds no endpoint
//! and nothing else that is the publishers' business.

use std::sync::Arc;

use tidegate_proto::{
    claims::KeyType,
    ids::ApiId,
    path::{Context, TopicTemplate, Version},
};

use super::{
    Service,
    access::{is_offered, offered},
    apis::schema::searched,
    error::ServiceError,
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
};
use crate::domain::{
    actor::Viewer,
    api::Api,
    endpoint::EndpointUrl,
    lifecycle::Lifecycle,
    name::{ApiName, EnvironmentName, UserName},
    plan::Plan,
    resource::Resource as _,
    state::State,
    time::Timestamp,
    topic::Verbs,
};

/// An API as developers see it: its working copy, without what is the publishers' business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The API.
    pub id: ApiId,
    /// Its name.
    pub name: ApiName,
    /// What people read: the display name or, where there is none, the name.
    pub display_name: String,
    /// What it is for, in Markdown.
    pub description: String,
    /// Where it lives at the gateways.
    pub context: Context,
    /// Its version.
    pub version: Version,
    /// Whether paths without a version lead here.
    pub default_version: bool,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Listed or, for subscribers, deprecated.
    pub state: Lifecycle,
    /// What paths it answers to.
    pub topics: Vec<ListedTopic>,
    /// What subscribers choose from.
    pub plans: Vec<Arc<Plan>>,
    /// Where clients reach it.
    pub urls: Vec<GatewayUrls>,
    /// Stands for its picture and changes with it; `None` when it has none.
    pub thumbnail: Option<String>,
    /// Who made it; `None` for viewers who are not signed in.
    pub provider: Option<UserName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A topic as developers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTopic {
    /// The path below the API's base path.
    pub template: TopicTemplate,
    /// Which way messages go.
    pub verbs: Verbs,
    /// What it is about.
    pub description: String,
}

/// Where clients reach an API on one environment that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrls {
    /// The environment.
    pub environment: EnvironmentName,
    /// What people call it; may be empty.
    pub display_name: String,
    /// The base path by `ws://`, where the environment has such an address.
    pub ws: Option<String>,
    /// The base path by `wss://`.
    pub wss: Option<String>,
    /// The path without a version by `ws://`, where the API is the default version.
    pub default_ws: Option<String>,
    /// The path without a version by `wss://`.
    pub default_wss: Option<String>,
}

impl Service {
    /// Lists what the catalogue shows a viewer.
    ///
    /// # Errors
    /// `Invalid` for a filter, order, page size or page token that does not read.
    pub fn list_catalog(
        &self,
        viewer: &Viewer,
        query: &ListQuery,
    ) -> Result<Page<Listing>, ServiceError> {
        let state = self.state();
        let offered = offered(&state, viewer.actor());
        let shown = state.apis().values().filter(|api| offered(api));
        let page = listing::page(shown, query, &SCHEMA)?;
        Ok(page.map(|api| listed(&state, viewer, &api)))
    }

    /// Gets what the catalogue shows a viewer of an API.
    ///
    /// # Errors
    /// `NotFound`, also when the viewer may not see it.
    pub fn get_from_catalog(&self, viewer: &Viewer, id: ApiId) -> Result<Listing, ServiceError> {
        let state = self.state();
        let api = state.apis().get(&id);
        let api = api.filter(|api| is_offered(&state, viewer.actor(), api));
        let api = api.ok_or_else(|| ServiceError::NotFound(Api::name_of(id)))?;
        Ok(listed(&state, viewer, api))
    }
}

/// Whether no gateway takes keys of this type for an API: it runs somewhere, and nowhere with an endpoint for them.
#[must_use]
pub fn refuses_keys(state: &State, api: ApiId, key_type: KeyType) -> bool {
    let deployed = state
        .deployments_of(api)
        .filter_map(|deployment| state.revisions().get(&deployment.revision));
    let mut takes = deployed.map(|revision| revision.design.endpoints.takes(key_type));
    // Of what runs nowhere, nothing is known.
    takes
        .next()
        .is_some_and(|first| !first && !takes.any(|takes| takes))
}

/// Where clients reach an API, by environment.
#[must_use]
pub fn gateway_urls(state: &State, api: &Api) -> Vec<GatewayUrls> {
    let at = |gateway: &Option<EndpointUrl>, path: &str| {
        let gateway = gateway.as_ref()?.as_str().trim_end_matches('/');
        Some(format!("{gateway}{path}"))
    };
    let base = api.base_path();
    let default = api.default_version.then(|| api.context.default_path());
    let environments = state
        .deployments_of(api.id)
        .filter_map(|deployment| state.environments().get(&deployment.environment));
    environments
        .map(|environment| GatewayUrls {
            environment: environment.name.clone(),
            display_name: environment.display_name.clone(),
            ws: at(&environment.ws_url, &base),
            wss: at(&environment.wss_url, &base),
            default_ws: default
                .as_ref()
                .and_then(|path| at(&environment.ws_url, path)),
            default_wss: default
                .as_ref()
                .and_then(|path| at(&environment.wss_url, path)),
        })
        .collect()
}

/// Neither the creator nor the policy is a field: by filters, anyone could find them out letter by letter.
pub(super) const SCHEMA: Schema<Api> = Schema {
    filter: &[
        ("text", Kind::Text),
        ("api_name", Kind::Text),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("context", Kind::Text),
        ("version", Kind::Text),
        ("tags", Kind::Text),
        (
            "state",
            Kind::Word(|| Lifecycle::ALL.map(Lifecycle::as_str).to_vec()),
        ),
        ("plans", kind::PLAN),
        ("default_version", Kind::Bool),
        ("create_time", Kind::Time),
        ("update_time", Kind::Time),
    ],
    order: &[
        "api_name",
        "display_name",
        "version",
        "create_time",
        "update_time",
    ],
    default_order: "display_name",
    get: |api, field| match field {
        "text" => searched(api),
        "api_name" => Value::text(&api.name),
        "display_name" => Value::text(display_name(api)),
        "description" => Value::text(&api.design.description),
        "context" => Value::text(&api.context),
        "version" => Value::text(&api.version),
        "tags" => Value::Texts(api.design.tags.iter().cloned().collect()),
        "state" => Value::text(api.state),
        "plans" => Value::Texts(api.plans.iter().map(Plan::name_of).collect()),
        "default_version" => Value::Bool(api.default_version),
        _ => Value::of_meta(&api.meta, field),
    },
    id: |api| api.id.to_string(),
};

fn display_name(api: &Api) -> &str {
    match api.design.display_name.as_str() {
        "" => api.name.as_str(),
        name => name,
    }
}

fn listed(state: &State, viewer: &Viewer, api: &Api) -> Listing {
    let topics = api.design.topics.iter();
    let topics = topics.map(|topic| ListedTopic {
        template: topic.template.clone(),
        verbs: topic.verbs,
        description: topic.description.clone(),
    });
    let plans = api.plans.iter().filter_map(|name| state.plans().get(name));
    Listing {
        id: api.id,
        name: api.name.clone(),
        display_name: display_name(api).to_owned(),
        description: api.design.description.clone(),
        context: api.context.clone(),
        version: api.version.clone(),
        default_version: api.default_version,
        tags: api.design.tags.iter().cloned().collect(),
        state: api.state,
        topics: topics.collect(),
        plans: plans.cloned().collect(),
        urls: gateway_urls(state, api),
        thumbnail: state.thumbnails().get(&api.id).map(|it| it.etag.clone()),
        provider: viewer.actor().map(|_| api.provider.clone()),
        created_at: api.meta.created_at,
        updated_at: api.meta.updated_at,
    }
}
