//! How the token endpoint refuses (RFC 6749, 5.2): a status, a code, a sentence for developers. Nothing of a request is
//! repeated in it, so that no secret can be.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A parameter is missing, repeated or contradictory.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The client is unknown, shows no or a wrong secret, or in a way that is not supported.
    #[error("the client is unknown or its secret is wrong")]
    InvalidClient,
    /// A grant other than client credentials.
    #[error("only the grant `client_credentials` is supported")]
    UnsupportedGrantType,
    /// A scope that does not follow the grammar, or too many.
    #[error(
        "the scope does not follow RFC 6749, section 3.3, is longer than 1000 characters, or has a word longer than 100"
    )]
    InvalidScope,
    /// Scopes of which the key is allowed none.
    #[error("the key is allowed none of the requested scopes; an admin allows scopes on a key")]
    ScopeNotAllowed,
    /// Too many wrong secrets.
    #[error("too many failed attempts; try again later")]
    SlowDown {
        /// After how long.
        after: Duration,
    },
    /// The body is longer than any token request.
    #[error("the request is too long")]
    TooLong,
    /// The key manager has no key to sign with, or the store failed. The log says more.
    #[error("the key manager cannot issue tokens for now")]
    Unavailable,
}

impl TokenError {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            // 401 whether or not the client used a header: RFC 6749 allows it, and it is what clients look for.
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidScope | Self::ScopeNotAllowed => {
                (StatusCode::BAD_REQUEST, "invalid_scope")
            }
            Self::SlowDown { .. } => (StatusCode::TOO_MANY_REQUESTS, "invalid_client"),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let body = json!({ "error": code, "error_description": self.to_string() });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            // RFC 9110, 15.5.2: a 401 carries a challenge in any case.
            Self::InvalidClient => {
                let challenge =
                    HeaderValue::from_static(r#"Basic realm="tidegate", charset="UTF-8""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::SlowDown { after } => {
                let seconds = after.as_secs().max(1);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}
