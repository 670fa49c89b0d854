//! Where clients connect: the gateways' addresses of an API, the path of a topic, and which addresses a page may open.

use std::fmt::Write as _;

use tidegate_proto::path::{Segment, TopicTemplate};

use crate::service::catalog::Listing;

/// An API at one address of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GatewayAddress {
    /// Its value in forms: `default/wss`.
    pub(super) key: String,
    /// The environment, for people.
    pub(super) environment: String,
    /// The base path of the API there.
    pub(super) url: String,
    /// Whether a page that came over TLS may open it: browsers keep such a page from plain connections, but for those
    /// to the same machine.
    pub(super) opens_from_page: bool,
}

/// The addresses of an API, in each environment the secure one first: but on this machine, where nobody listens in and
/// nobody but the gateway vouches for its certificate, so that clients would refuse it.
pub(super) fn of_api(api: &Listing) -> Vec<GatewayAddress> {
    let of = |(kind, url): (&str, &Option<String>), environment: &str, name: &str| {
        let url = url.clone()?;
        Some(GatewayAddress {
            key: format!("{name}/{kind}"),
            environment: environment.to_owned(),
            opens_from_page: url.starts_with("wss://") || is_loopback(host(&url)),
            url,
        })
    };
    let addresses = api.urls.iter().flat_map(|urls| {
        let name = urls.environment.as_str();
        let shown = match urls.display_name.as_str() {
            "" => name,
            display => display,
        };
        let mut kinds = [("wss", &urls.wss), ("ws", &urls.ws)];
        if urls.ws.as_deref().is_some_and(|url| is_loopback(host(url))) {
            kinds.reverse();
        }
        kinds
            .map(|kind| of(kind, shown, name))
            .into_iter()
            .flatten()
    });
    addresses.collect()
}

/// A path of the topic for an example: parameters by their names.
pub(super) fn example(topic: &TopicTemplate) -> String {
    let mut path = String::new();
    for segment in topic.segments() {
        match segment {
            Segment::Literal(text) | Segment::Parameter(text) => {
                path.push('/');
                encode(text, &mut path);
            }
            Segment::Rest => {}
        }
    }
    path
}

/// The names of a topic's parameters.
pub(super) fn parameters(topic: &TopicTemplate) -> Vec<&str> {
    let segments = topic.segments().iter();
    let names = segments.filter_map(|segment| match segment {
        Segment::Parameter(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// Scheme, host and port, as policies of pages name them.
pub(super) fn origin(url: &str) -> String {
    let rest = url.find("://").map_or(0, |at| at + 3);
    let end = url[rest..].find('/').map_or(url.len(), |at| rest + at);
    url[..end].to_owned()
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

/// Writes a segment so that it stands in any string of any language, and in a URL.
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            write!(to, "%{byte:02X}").expect("a string takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::path::TopicTemplate;

    use super::{encode, example, host, is_loopback, origin};

    #[test]
    fn a_topic_has_a_path_that_is_safe_in_every_snippet() {
        for (template, path) in [
            ("/*", ""),
            ("/", ""),
            ("/rooms/{room}", "/rooms/room"),
            ("/files/*", "/files"),
        ] {
            assert_eq!(example(&TopicTemplate::parse(template).unwrap()), path);
        }
        let mut encoded = String::new();
        encode("a'b\"${c}\\", &mut encoded);
        assert_eq!(encoded, "a%27b%22%24%7Bc%7D%5C");
    }

    #[test]
    fn an_address_is_taken_apart() {
        let url = "ws://gateway.example:9099/echo/1.0";
        assert_eq!(origin(url), "ws://gateway.example:9099");
        assert_eq!(host(url), "gateway.example");
        assert_eq!(host("wss://[::1]:8099/x"), "::1");
        for local in ["localhost", "127.0.0.1", "127.8.0.1", "::1"] {
            assert!(is_loopback(local), "{local}");
        }
        assert!(!is_loopback("localhost.example") && !is_loopback("10.0.0.1"));
    }
}
