//! Gateway environments: groups of nodes that run the same deployments, and the addresses at which clients reach them.

use super::{
    endpoint::EndpointUrl,
    meta::ResourceMeta,
    name::{DEFAULT_ENVIRONMENT, EnvironmentName},
    time::Timestamp,
};

/// A gateway environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The name, unique but for letter case. Does not change.
    pub name: EnvironmentName,
    /// What people read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Where clients reach it by `ws://`, for example `ws://localhost:9099`.
    pub ws_url: Option<EndpointUrl>,
    /// Where clients reach it by `wss://`, for example `wss://localhost:8099`.
    pub wss_url: Option<EndpointUrl>,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

// === impl Environment ===

impl Environment {
    /// The environment of a new store.
    #[must_use]
    pub fn shipped(now: Timestamp) -> Self {
        let url = |text| EndpointUrl::parse(text).expect("shipped addresses are valid");
        Self {
            name: EnvironmentName::parse(DEFAULT_ENVIRONMENT).expect("shipped names are valid"),
            display_name: "Default".to_owned(),
            description: "the environment that ships".to_owned(),
            ws_url: Some(url("ws://localhost:9099")),
            wss_url: Some(url("wss://localhost:8099")),
            meta: ResourceMeta::new(now),
        }
    }

    /// Whether it is the one that ships, which cannot be deleted.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.as_str() == DEFAULT_ENVIRONMENT
    }
}
