//! The built-in key manager's side of HTTP (RFC 6749, 7517, 8414) and its keys: what tokens say and who gets one. Clients
//! and keys are kept by `service`; nodes get the public keys by the configuration stream, not from here.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

pub mod error;
pub mod request;
pub mod claims;
pub mod signer;
pub mod token;
pub mod issue;
pub mod jwks;
pub mod well_known;
pub mod rotation;

use token::Signing;

use crate::{config::OauthConfig, service::Service, throttle::client::ClientThrottle};

/// The bytes that a token request may have; the longest valid one has less.
const REQUEST_BYTES: usize = 16 * 1024;

/// The endpoints of the key manager.
#[derive(Clone)]
pub struct KeyManager {
    shared: Arc<Shared>,
}

struct Shared {
    service: Service,
    issuer: String,
    audience: String,
    lifetime: Duration,
    throttle: ClientThrottle,
    signing: Signing,
}

/// A setting of the key manager that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthConfigError {
    /// The issuer is no issuer.
    #[error(
        "`oauth.issuer` is `{0}`; it must be an https URL without query and fragment (RFC 8414, section 2)"
    )]
    Issuer(String),
    /// The audience is empty.
    #[error("`oauth.audience` must not be empty")]
    Audience,
    /// The lifetime is out of range.
    #[error("`oauth.token_lifetime_seconds` is {0}; it must be between 1 and 2678400 (31 days)")]
    Lifetime(u32),
}

const LIFETIME_MAX: u32 = 31 * 86_400;

// === impl KeyManager ===

impl KeyManager {
    /// The key manager over the use cases.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(service: Service, config: &OauthConfig) -> Result<Self, OauthConfigError> {
        let issuer = issuer(&config.issuer)?;
        if config.audience.is_empty() {
            return Err(OauthConfigError::Audience);
        }
        if !(1..=LIFETIME_MAX).contains(&config.token_lifetime_seconds) {
            return Err(OauthConfigError::Lifetime(config.token_lifetime_seconds));
        }
        let shared = Shared {
            service,
            issuer,
            audience: config.audience.clone(),
            lifetime: Duration::from_secs(u64::from(config.token_lifetime_seconds)),
            throttle: ClientThrottle::default(),
            signing: Signing::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Where clients get tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        let base = self.shared.issuer.trim_end_matches('/');
        format!("{base}/oauth2/token")
    }

    /// For how long a token is valid where nobody asks for less.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.shared.lifetime
    }

    /// The routes of all endpoints.
    pub fn routes(&self) -> Router {
        Router::new()
            .route(
                "/oauth2/token",
                post(token::endpoint).layer(DefaultBodyLimit::max(REQUEST_BYTES)),
            )
            .route("/oauth2/jwks", get(jwks::endpoint))
            .route(
                "/.well-known/oauth-authorization-server",
                get(well_known::endpoint),
            )
            .with_state(self.clone())
    }
}

/// Checks an issuer. A trailing `/` is kept: issuers are compared letter by letter (RFC 8414, 3.3).
fn issuer(text: &str) -> Result<String, OauthConfigError> {
    let refused = || OauthConfigError::Issuer(text.to_owned());
    let uri: http::Uri = text.parse().map_err(|_| refused())?;
    if uri.scheme_str() != Some("https") || uri.query().is_some() || text.contains('#') {
        return Err(refused());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
