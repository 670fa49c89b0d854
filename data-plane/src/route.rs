//! ROUTE: which API and which topic a path means, and what path the backend is asked for.
//!
//! Owns matching and the safety of paths; knows nothing of callers. Called once per handshake; the cost doesn't depend
//! on the number of APIs.

mod path;
mod topic;

use std::sync::Arc;

use tidegate_proto::reason::Reason;

use crate::snapshot::{
    Snapshot,
    model::{Api, ApiState, Endpoint, MappingPart, Topic},
};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The API.
    pub api: Arc<Api>,
    /// Which of the API's topics, as an index.
    pub topic_index: usize,
    /// The topic's own path as the client sent it, without a trailing slash: empty, or `/rooms/7`.
    path: String,
    /// Path parameters by name, percent-encoded.
    params: topic::Params,
}

/// No context and version make a path longer than this, so no longer prefix is looked up.
const BASE_PATH_MAX: usize = 256;

/// Finds the API and the topic that a request's path (without query) means.
///
/// Of the APIs whose base path (or default path) is a prefix of the path, the longest wins, and only its topics are
/// tried. Reserved paths of APIs that aren't deployed here take part, so that no other API answers below them.
///
/// # Errors
/// `MalformedRequest` for a path that could mean something else to the backend, `ApiNotFound`, `TopicNotFound`, or
/// `ApiBlocked`.
pub fn route(snapshot: &Snapshot, path: &str) -> Result<Match, Reason> {
    let raw = path.strip_suffix('/').unwrap_or(path);
    let normal = path::normalise(raw).ok_or(Reason::MalformedRequest)?;
    let mut found: Option<(Result<&Arc<Api>, Reason>, usize)> = None;
    for end in prefix_ends(&normal) {
        let prefix = &normal[..end];
        if let Some(api) = snapshot.api_at(prefix) {
            found = Some((Ok(api), end));
            continue;
        }
        let shorter = found.as_ref().and_then(|(found, _)| found.as_ref().ok());
        if let Some(state) = snapshot.reserved_at(prefix, shorter.map(|api| &***api)) {
            let reason = match state {
                ApiState::Blocked => Reason::ApiBlocked,
                ApiState::Open => Reason::ApiNotFound,
            };
            found = Some((Err(reason), end));
        }
    }
    let (api, end) = found.ok_or(Reason::ApiNotFound)?;
    let api = api?;
    let below = normal[end..].strip_prefix('/');
    let segments: Vec<&str> = below.map_or_else(Vec::new, |below| below.split('/').collect());
    let (topic, params) = topic::find(&api.topics, &segments).ok_or(Reason::TopicNotFound)?;
    match api.state {
        ApiState::Blocked => Err(Reason::ApiBlocked),
        ApiState::Open => Ok(Match {
            api: api.clone(),
            topic_index: topic,
            path: path::last_segments(raw, segments.len()).to_owned(),
            params,
        }),
    }
}

/// Where the prefixes of whole segments end, the shortest first.
fn prefix_ends(path: &str) -> impl Iterator<Item = usize> {
    let slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
    slashes
        .chain([path.len()])
        .take_while(|&end| end <= BASE_PATH_MAX)
}

// === impl Match ===

impl Match {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.api.topics[self.topic_index]
    }

    /// Path parameters by name, percent-encoded.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// The path and query to ask the backend for: the endpoint's path with the topic's mapping or own path appended,
    /// and the queries of endpoint, mapping and client (the latter without its credential) in this order.
    #[must_use]
    pub fn backend_path(&self, endpoint: &Endpoint, query: Option<&str>) -> String {
        let mut target = String::with_capacity(64);
        let mut queries = Vec::with_capacity(3);
        queries.extend(endpoint.query.as_deref().map(str::to_owned));
        let below = match &self.topic().mapping {
            None => self.path.clone(),
            Some(mapping) => {
                if !mapping.query.is_empty() {
                    queries.push(self.fill(&mapping.query, path::escape_for_query));
                }
                self.fill(&mapping.path, str::to_owned)
            }
        };
        if below.is_empty() {
            target.push_str(&endpoint.path);
        } else {
            target.push_str(endpoint.path.trim_end_matches('/'));
            target.push_str(&below);
        }
        queries.extend(query.filter(|q| !q.is_empty()).map(str::to_owned));
        if !queries.is_empty() {
            target.push('?');
            target.push_str(&queries.join("&"));
        }
        target
    }

    fn fill(&self, parts: &[MappingPart], escape: fn(&str) -> String) -> String {
        let mut filled = String::new();
        for part in parts {
            match part {
                MappingPart::Literal(text) => filled.push_str(text),
                MappingPart::Parameter(name) => {
                    let value = self.params.iter().find(|(other, _)| other == name);
                    let (_, value) = value.expect("a mapping names parameters of its topic only");
                    filled.push_str(&escape(value));
                }
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests;
