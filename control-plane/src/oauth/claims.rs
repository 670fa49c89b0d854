//! What an access token says (RFC 9068, 2.2): pure, from a client and a moment.

use std::time::Duration;

use tidegate_proto::claims::AccessClaims;
use uuid::Uuid;

use crate::domain::{
    application::{Application, ApplicationKey},
    time::Timestamp,
};

/// What a token is made of besides the client.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The `iss`.
    pub issuer: &'a str,
    /// The `aud`.
    pub audience: &'a str,
    /// For how long it is valid.
    pub lifetime: Duration,
    /// The scopes that are granted.
    pub scope: &'a str,
}

/// The claims of a token for a client.
#[must_use]
pub fn claims(
    key: &ApplicationKey,
    application: &Application,
    terms: Terms<'_>,
    now: Timestamp,
) -> AccessClaims {
    AccessClaims {
        iss: terms.issuer.to_owned(),
        sub: key.client_id.to_string(),
        aud: vec![terms.audience.to_owned()],
        exp: now.after(terms.lifetime).seconds(),
        nbf: None,
        iat: Some(now.seconds()),
        // Not version 7: an id that tells the time would add nothing to `iat` and could be guessed in part.
        jti: Some(Uuid::new_v4().to_string()),
        client_id: key.client_id.to_string(),
        application: Some(application.id.to_string()),
        key_type: key.key_type,
        scope: terms.scope.to_owned(),
    }
}
