//! The attributes of a handshake that policies match: the client's address, and the headers and query parameters that
//! any policy names. They are kept for the lifetime of the session, so that changed policies can be re-evaluated.
//!
//! Nothing else of the request is kept, so that idle sessions stay small: a session that was opened before the first
//! policy that names a header counts as not having sent it. Made by `connection`, read by `quota::levels` and `admit::deny`.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::HeaderMap;

use crate::{
    auth::{
        claims::{Claims, clip},
        credential,
    },
    snapshot::{
        Snapshot,
        model::policy::{Condition, Subject},
    },
};

/// The attributes of one handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The client's address; version 4 in version 6 is version 4.
    pub address: IpAddr,
    headers: Values,
    parameters: Values,
}

/// Names, shared with the snapshot, and values; several of one name among them.
type Values = Box<[(Arc<str>, Box<str>)]>;

/// How many values of one name are kept; what is beyond is as if it were not there.
const VALUES_MAX: usize = 8;

// === impl Attributes ===

impl Attributes {
    /// Takes what the policies of a snapshot look at.
    #[must_use]
    pub fn take(
        snapshot: &Snapshot,
        address: IpAddr,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Self {
        let header = |name: &Arc<str>| -> Vec<Box<str>> {
            let values = headers.get_all(&**name).iter().take(VALUES_MAX);
            let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
            texts.map(|text| clip(&text).into()).collect()
        };
        let parameter = |name: &Arc<str>| -> Vec<Box<str>> {
            let pairs = query.unwrap_or_default().split('&');
            let values = pairs.filter_map(|pair| {
                let (other, value) = pair.split_once('=').unwrap_or((pair, ""));
                (plain(other)? == **name).then(|| plain(value)).flatten()
            });
            let texts = values.take(VALUES_MAX);
            texts.map(|text| clip(&text).into()).collect()
        };
        Self {
            address: address.to_canonical(),
            headers: collect(snapshot.headers_looked_at(), header),
            parameters: collect(snapshot.parameters_looked_at(), parameter),
        }
    }

    /// Whether a condition holds for a handshake with these attributes and a token with these claims.
    #[must_use]
    pub fn meet(&self, condition: &Condition, claims: &Claims) -> bool {
        let holds = match &condition.subject {
            Subject::Address(range) => range.contains(&self.address),
            Subject::Header(sought) => sought.is_among(named(&self.headers, &sought.name)),
            Subject::Query(sought) => sought.is_among(named(&self.parameters, &sought.name)),
            Subject::Claim(sought) => sought.is_among(claims.values(&sought.name)),
        };
        holds != condition.invert
    }
}

fn collect<'a>(
    names: impl Iterator<Item = &'a Arc<str>>,
    values: impl Fn(&Arc<str>) -> Vec<Box<str>>,
) -> Values {
    let pairs = names.flat_map(|name| {
        let values = values(name).into_iter();
        values.map(move |value| (name.clone(), value))
    });
    pairs.collect()
}

fn named<'a>(values: &'a Values, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = values.iter().filter(move |(other, _)| **other == *name);
    values.map(|(_, value)| &**value)
}

/// Decodes a part of a query (`+` and percent-encoding); `None` if the encoding is invalid.
fn plain(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let text = text.replace('+', " ");
        return credential::decode(&text).map(|text| Cow::Owned(text.into_owned()));
    }
    credential::decode(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tidegate_proto::discovery::v1::{self, condition::Subject as Wire, resource::Body};

    use super::Attributes;
    use crate::{
        auth::claims::Claims,
        snapshot::fixture::{api_policy, limits, snapshot},
    };

    /// Whether one condition holds for a client at 192.0.2.7 with `X-Tier: gold` twice over and a query.
    fn holds(subject: Wire, invert: bool) -> bool {
        let condition = v1::Condition {
            subject: Some(subject),
            invert,
        };
        let group = v1::Group {
            conditions: vec![condition],
            limits: Some(limits(1)),
        };
        let mut policy = api_policy("p", v1::Per::Api, limits(1));
        policy.groups.push(group);
        let snapshot = snapshot(vec![Body::ApiPolicy(policy)]);
        let mut headers = HeaderMap::new();
        headers.append("x-tier", "silver".parse().unwrap());
        headers.append("x-tier", "gold".parse().unwrap());
        let query = Some("room=a%20b&room=c+d&flag&access_token=x");
        let address = "::ffff:192.0.2.7".parse().unwrap();
        let attributes = Attributes::take(&snapshot, address, &headers, query);
        let policy = snapshot.api_policy("p").unwrap();
        attributes.meet(&policy.groups[0].conditions[0], &Claims::default())
    }

    fn sought(name: &str, value: &str) -> v1::Match {
        v1::Match {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn conditions_hold_for_what_the_handshake_brought_and_turn_round_when_inverted() {
        for (subject, expected) in [
            (Wire::Address("192.0.2.7".to_owned()), true),
            (Wire::Address("192.0.2.0/24".to_owned()), true),
            (Wire::Address("::ffff:192.0.2.0/120".to_owned()), true),
            (Wire::Address("198.51.100.0/24".to_owned()), false),
            (Wire::Header(sought("X-TIER", "gold")), true),
            (Wire::Header(sought("X-Tier", "")), true),
            (Wire::Header(sought("X-Tier", "GOLD")), false),
            (Wire::Header(sought("X-Other", "")), false),
            (Wire::Query(sought("room", "a b")), true),
            (Wire::Query(sought("room", "c d")), true),
            (Wire::Query(sought("flag", "")), true),
            (Wire::Query(sought("Room", "")), false),
            (Wire::Claim(sought("tier", "")), false),
        ] {
            assert_eq!(holds(subject.clone(), false), expected, "{subject:?}");
            assert_eq!(holds(subject.clone(), true), !expected, "{subject:?}");
        }
    }

    #[test]
    fn only_what_a_policy_looks_at_is_kept() {
        let mut headers = HeaderMap::new();
        headers.append("x-tier", "gold".parse().unwrap());
        let nobody = snapshot(Vec::new());
        let attributes =
            Attributes::take(&nobody, "192.0.2.7".parse().unwrap(), &headers, Some("a=b"));
        assert!(attributes.headers.is_empty() && attributes.parameters.is_empty());
    }
}
