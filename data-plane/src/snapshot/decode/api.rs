//! Decodes APIs: paths, endpoints, topics and their mappings.

use std::cmp::Ordering;

use http::Uri;
use tidegate_proto::{
    discovery::v1,
    path::{Context, InvalidPath, Segment, TopicTemplate, Version},
};

use super::{InvalidEndpoint, InvalidMapping, InvalidResource, optional, text, unknown, within};
use crate::snapshot::model::{Api, ApiState, Endpoint, Mapping, MappingPart, Reservation, Topic};

const TOPICS_MAX: usize = 1000;
const URL_MAX: usize = 2048;
const SUBPROTOCOLS_MAX: usize = 100;

pub(super) fn decode(api: &v1::Api) -> Result<Api, InvalidResource> {
    let state = match v1::ApiState::try_from(api.state) {
        Ok(v1::ApiState::Open) => ApiState::Open,
        Ok(v1::ApiState::Blocked) => ApiState::Blocked,
        Ok(v1::ApiState::Unspecified) | Err(_) => return unknown("state", api.state),
    };
    within(
        "notice_subprotocols",
        api.notice_subprotocols.len(),
        SUBPROTOCOLS_MAX,
        "names",
    )?;
    let production = endpoint("production_endpoint", &api.production_endpoint)?;
    // A control plane without the setting for sandbox keys fills the production endpoint in here, and a cache on disk may
    // hold what it sent. What lets sandbox keys reach the production endpoint is the setting alone.
    let sandbox = endpoint("sandbox_endpoint", &api.sandbox_endpoint)?
        .filter(|sandbox| Some(sandbox) != production.as_ref());
    Ok(Api {
        id: api.id.parse()?,
        name: text("name", &api.name)?,
        context: Context::parse(&api.context).map_err(path("context", &api.context))?,
        version: Version::parse(&api.version).map_err(path("version", &api.version))?,
        default_version: api.default_version,
        revision: api.revision.parse()?,
        state,
        production,
        sandbox,
        sandbox_keys_on_production_endpoint: api.sandbox_keys_on_production_endpoint,
        topics: topics(&api.topics)?,
        policy: optional("policy", &api.policy)?,
        notice_subprotocols: api
            .notice_subprotocols
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        quota_generation: api.quota_generation,
    })
}

pub(super) fn decode_reservation(wire: &v1::Reservation) -> Result<Reservation, InvalidResource> {
    Ok(Reservation {
        api: wire.api.parse()?,
        context: Context::parse(&wire.context).map_err(path("context", &wire.context))?,
        version: Version::parse(&wire.version).map_err(path("version", &wire.version))?,
        default_version: wire.default_version,
        state: if wire.blocked {
            ApiState::Blocked
        } else {
            ApiState::Open
        },
        draft: wire.draft,
    })
}

fn topics(wire: &[v1::Topic]) -> Result<Vec<Topic>, InvalidResource> {
    within("topics", wire.len(), TOPICS_MAX, "topics")?;
    let mut topics = wire.iter().map(topic).collect::<Result<Vec<_>, _>>()?;
    topics.sort_by(|a, b| most_specific(&a.template, &b.template));
    let twice = topics
        .windows(2)
        .find(|pair| pair[0].template == pair[1].template);
    match twice {
        Some(pair) => Err(InvalidResource::DuplicateTopic(
            pair[0].template.to_string(),
        )),
        None => Ok(topics),
    }
}

fn topic(wire: &v1::Topic) -> Result<Topic, InvalidResource> {
    let template =
        TopicTemplate::parse(&wire.template).map_err(path("template", &wire.template))?;
    let mapping = if wire.mapping.is_empty() {
        None
    } else {
        within("mapping", wire.mapping.len(), URL_MAX, "bytes")?;
        let parsed = mapping(&wire.mapping, &template);
        Some(parsed.map_err(|fault| InvalidResource::Mapping {
            text: wire.mapping.clone(),
            fault,
        })?)
    };
    Ok(Topic {
        template,
        mapping,
        policy: optional("policy", &wire.policy)?,
    })
}

/// Exact templates come before those with parameters, and these before those with a rest; among equals, the one that
/// is literal for longer.
fn most_specific(a: &TopicTemplate, b: &TopicTemplate) -> Ordering {
    fn class(template: &TopicTemplate) -> u8 {
        let has = |kind: fn(&Segment) -> bool| template.segments().iter().any(kind);
        match () {
            () if has(|s| matches!(s, Segment::Rest)) => 2,
            () if has(|s| matches!(s, Segment::Parameter(_))) => 1,
            () => 0,
        }
    }
    fn ranks(template: &TopicTemplate) -> impl Iterator<Item = u8> {
        template.segments().iter().map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Rest => 2,
        })
    }
    class(a)
        .cmp(&class(b))
        .then_with(|| ranks(a).cmp(ranks(b)))
        .then_with(|| a.as_str().cmp(b.as_str()))
}

fn mapping(text: &str, template: &TopicTemplate) -> Result<Mapping, InvalidMapping> {
    if let Some(c) = text
        .chars()
        .find(|&c| !c.is_ascii_graphic() || "#\\\"<>^`|".contains(c))
    {
        return Err(InvalidMapping::Forbidden(c));
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = match path {
        "" => String::new(),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("/{path}"),
    };
    Ok(Mapping {
        path: parts(&path, template)?,
        query: parts(query, template)?,
    })
}

fn parts(mut text: &str, template: &TopicTemplate) -> Result<Vec<MappingPart>, InvalidMapping> {
    let mut parts = Vec::new();
    while let Some((literal, rest)) = text.split_once('{') {
        let (name, rest) = rest.split_once('}').ok_or(InvalidMapping::Unclosed)?;
        let parameter = name
            .strip_prefix("uri.var.")
            .ok_or_else(|| InvalidMapping::Unknown(name.to_owned()))?;
        let known = template
            .segments()
            .contains(&Segment::Parameter(parameter.to_owned()));
        if !known {
            return Err(InvalidMapping::NoParameter(parameter.to_owned()));
        }
        if !literal.is_empty() {
            parts.push(MappingPart::Literal(literal.to_owned()));
        }
        parts.push(MappingPart::Parameter(parameter.to_owned()));
        text = rest;
    }
    if text.contains('}') {
        return Err(InvalidMapping::Forbidden('}'));
    }
    if !text.is_empty() {
        parts.push(MappingPart::Literal(text.to_owned()));
    }
    Ok(parts)
}

fn endpoint(field: &'static str, url: &str) -> Result<Option<Endpoint>, InvalidResource> {
    if url.is_empty() {
        return Ok(None);
    }
    within(field, url.len(), URL_MAX, "bytes")?;
    let parsed = parse_endpoint(url).map_err(|fault| InvalidResource::Endpoint {
        field,
        url: url.to_owned(),
        fault,
    })?;
    Ok(Some(parsed))
}

fn parse_endpoint(url: &str) -> Result<Endpoint, InvalidEndpoint> {
    if url.contains('#') {
        return Err(InvalidEndpoint::Fragment);
    }
    let uri: Uri = url.parse().map_err(|_| InvalidEndpoint::NotAUrl)?;
    let secure = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        Some(_) => return Err(InvalidEndpoint::Scheme),
        None => return Err(InvalidEndpoint::NotAUrl),
    };
    let authority = uri.authority().ok_or(InvalidEndpoint::NotAUrl)?;
    if authority.as_str().contains('@') {
        return Err(InvalidEndpoint::UserInfo);
    }
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if bare.is_empty() {
        return Err(InvalidEndpoint::NotAUrl);
    }
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => {
            if secure {
                443
            } else {
                80
            }
        }
        _ => authority
            .port_u16()
            .filter(|&port| port != 0)
            .ok_or(InvalidEndpoint::Port)?,
    };
    Ok(Endpoint {
        secure,
        host: bare.into(),
        port,
        authority: authority.as_str().into(),
        path: uri.path().into(),
        query: uri.query().map(Into::into),
    })
}

fn path(field: &'static str, text: &str) -> impl FnOnce(InvalidPath) -> InvalidResource {
    let text = text.chars().take(200).collect();
    move |fault| InvalidResource::Path { field, text, fault }
}
