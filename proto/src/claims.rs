//! The claims of an access token (RFC 9068) as the built-in key manager writes them and the data plane reads them.

use serde::{Deserialize, Serialize};

/// The body of a JWT access token. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued the token; must equal a key manager that the data plane holds.
    pub iss: String,
    /// Whom the token speaks for; for client credentials the client id itself. Empty where an issuer leaves it out.
    #[serde(default)]
    pub sub: String,
    /// Whom the token is for; one string or several on the wire (RFC 7519, 4.1.3).
    #[serde(with = "one_or_many")]
    pub aud: Vec<String>,
    /// The second at which the token stops being valid.
    pub exp: u64,
    /// The second before which the token is not valid, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When the token was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// The token's own id, by which it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The key of the application that asked for the token (RFC 8693, 4.3).
    pub client_id: String,
    /// The application, for readers of the token; the data plane goes by `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Whether the key is for production or for sandbox endpoints.
    #[serde(default)]
    pub key_type: KeyType,
    /// Scopes, separated by one blank (RFC 6749, 3.3).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

/// Claims that say something about the token itself, or that have a place of their own: no condition of a policy can look
/// at them.
pub const RESERVED: [&str; 10] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "application",
    "key_type",
];

/// Which endpoints a key of an application reaches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyType {
    /// The production endpoint.
    #[default]
    Production,
    /// The sandbox endpoint.
    Sandbox,
}

/// `aud` may be a string or an array of strings.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(d)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }

    pub(super) fn serialize<S: Serializer>(value: &[String], s: S) -> Result<S::Ok, S::Error> {
        match value {
            [one] => one.serialize(s),
            many => many.serialize(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessClaims, KeyType};

    fn claims(aud: &[&str]) -> AccessClaims {
        AccessClaims {
            iss: "https://localhost:9443".to_owned(),
            sub: "client".to_owned(),
            aud: aud.iter().map(|&a| a.to_owned()).collect(),
            exp: 2,
            nbf: None,
            iat: Some(1),
            jti: None,
            client_id: "client".to_owned(),
            application: None,
            key_type: KeyType::Sandbox,
            scope: String::new(),
        }
    }

    #[test]
    fn an_audience_is_written_as_one_string_or_as_several_and_reads_back() {
        for aud in [&["tidegate"][..], &["tidegate", "other"]] {
            let text = serde_json::to_string(&claims(aud)).unwrap();
            assert_eq!(
                serde_json::from_str::<AccessClaims>(&text).unwrap(),
                claims(aud)
            );
        }
        assert!(
            serde_json::to_string(&claims(&["tidegate"]))
                .unwrap()
                .contains(r#""aud":"tidegate""#)
        );
    }
}
