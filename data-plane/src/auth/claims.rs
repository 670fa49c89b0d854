//! The custom claims of a token, as texts that conditions of policies are compared with.
//!
//! Owns what of a claim is kept, and how much. Numbers and booleans are kept as JSON writes them, a list of scalars as one
//! value each; objects and the registered claims (RFC 7519, 4.1) are not kept.

use std::collections::HashMap;

use serde_json::Value;
use tidegate_proto::claims::RESERVED;

use crate::snapshot::model::policy::NameValueMatch;

/// Claims by name, several values of one name among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(Box<[(Box<str>, Box<str>)]>);

/// How many values are kept of one token, and how many bytes in all: what is beyond is as if it were not there. Tokens
/// are remembered by the ten thousand.
const VALUES_MAX: usize = 64;
const BYTES_MAX: usize = 4096;

// === impl Claims ===

impl Claims {
    /// Reads them from a token's payload.
    #[must_use]
    pub(super) fn read(payload: &[u8]) -> Self {
        let claims: HashMap<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
        let mut claims: Vec<_> = claims.into_iter().collect();
        // Sorted, so that all nodes leave out the same claims when there are too many.
        claims.sort_by(|(a, _), (b, _)| a.cmp(b));
        let claims = claims
            .iter()
            .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
            .flat_map(|(name, value)| texts(value).map(move |text| (name, text)));
        let mut bytes = 0;
        let kept = claims.take(VALUES_MAX).take_while(|(name, text)| {
            bytes += name.len() + text.len();
            bytes <= BYTES_MAX
        });
        Self(
            kept.map(|(name, text)| (name.as_str().into(), text))
                .collect(),
        )
    }

    /// The values of a claim.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let claims = self.0.iter();
        claims
            .filter(move |(other, _)| **other == *name)
            .map(|(_, value)| &**value)
    }
}

/// A value of a claim as texts. One that is too long for any condition is cut, which keeps it unequal to all of them.
fn texts(value: &Value) -> impl Iterator<Item = Box<str>> {
    let (one, many) = match value {
        Value::Array(values) => (None, values.as_slice()),
        value => (Some(value), [].as_slice()),
    };
    one.into_iter().chain(many).filter_map(|value| match value {
        Value::String(text) => Some(clip(text).into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(flag.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

/// At most one byte more than a condition's value can have, to a character's boundary.
pub(crate) fn clip(text: &str) -> &str {
    &text[..text
        .ceil_char_boundary(NameValueMatch::VALUE_MAX + 1)
        .min(text.len())]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BYTES_MAX, Claims, VALUES_MAX};
    use crate::snapshot::model::policy::NameValueMatch;

    fn read(claims: &Value) -> Claims {
        Claims::read(claims.to_string().as_bytes())
    }

    fn values<'a>(claims: &'a Claims, name: &'a str) -> Vec<&'a str> {
        claims.values(name).collect()
    }

    #[test]
    fn scalars_and_lists_of_them_are_kept_as_texts() {
        let claims = read(&json!({
            "tier": "gold", "level": 7, "beta": true, "roles": ["a", 2, null, {"x": 1}, "b"],
            "nested": {"x": 1}, "nothing": null, "sub": "somebody", "exp": 5,
        }));
        assert_eq!(values(&claims, "tier"), ["gold"]);
        assert_eq!(values(&claims, "level"), ["7"]);
        assert_eq!(values(&claims, "beta"), ["true"]);
        assert_eq!(values(&claims, "roles"), ["a", "2", "b"]);
        for name in ["nested", "nothing", "sub", "exp", "other"] {
            assert!(values(&claims, name).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_value_too_long_for_any_condition_equals_none_and_is_still_there() {
        for long in ["x".repeat(5000), "ü".repeat(200)] {
            let claims = read(&json!({ "long": long }));
            let sought = |value: Option<&str>| NameValueMatch {
                name: "long".into(),
                value: value.map(Into::into),
            };
            assert!(sought(None).is_among(claims.values("long")));
            let longest = &long[..NameValueMatch::VALUE_MAX];
            assert!(!sought(Some(longest)).is_among(claims.values("long")));
            assert!(values(&claims, "long")[0].len() > NameValueMatch::VALUE_MAX);
        }
    }

    #[test]
    fn a_lavish_token_is_kept_in_part() {
        let many: Vec<_> = (0..1000).collect();
        let claims = read(&json!({ "many": many }));
        assert_eq!(claims.values("many").count(), VALUES_MAX);
        let long = vec!["x".repeat(200); 60];
        let claims = read(&json!({ "long": long }));
        let bytes: usize = claims.values("long").map(str::len).sum();
        assert!(bytes <= BYTES_MAX, "{bytes}");
    }
}
