//! Addresses of backends: `ws://` or `wss://`, a host, and nothing that does not belong to an address.

use std::fmt;

use http::Uri;
use tidegate_proto::claims::KeyType;

use super::invalid::{Rule, reason};

/// The backend of an API: one address for production keys, one for sandbox keys. A key is refused where there is none of
/// its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Where sessions with production keys go.
    pub production: Option<EndpointUrl>,
    /// Where sessions with sandbox keys go.
    pub sandbox: Option<EndpointUrl>,
    /// Whether sandbox keys may use the production endpoint when there is no sandbox endpoint.
    pub sandbox_keys_on_production: bool,
}

/// A `ws://` or `wss://` URL without credentials, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl(String);

const URL_MAX: usize = 2000;

// === impl Endpoints ===

impl Endpoints {
    /// Whether there is neither.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.production.is_none() && self.sandbox.is_none()
    }

    /// Whether keys of this type reach a backend.
    #[must_use]
    pub fn takes(&self, key_type: KeyType) -> bool {
        match key_type {
            KeyType::Production => self.production.is_some(),
            KeyType::Sandbox => {
                let on_production = self.sandbox_keys_on_production && self.production.is_some();
                on_production || self.distinct_sandbox().is_some()
            }
        }
    }

    /// The sandbox endpoint, unless its address is that of the production endpoint: sandbox keys reach that one by the
    /// setting alone.
    #[must_use]
    pub fn distinct_sandbox(&self) -> Option<&EndpointUrl> {
        let sandbox = self.sandbox.as_ref();
        sandbox.filter(|_| self.sandbox != self.production)
    }
}

// === impl EndpointUrl ===

impl EndpointUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let malformed = |description: &str| Rule::new(reason::MALFORMED, description);
        if text.len() > URL_MAX {
            return Err(Rule::new(
                reason::TOO_LONG,
                format!("must have at most {URL_MAX} characters"),
            ));
        }
        // `Uri` drops a fragment in silence, so it is looked for first.
        if text.contains('#') {
            return Err(malformed("must not have a fragment (`#`)"));
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return Err(malformed(
                "must be a URL, for example ws://backend:8080/path",
            ));
        };
        match uri.scheme_str() {
            Some("ws" | "wss") => {}
            Some(_) => {
                return Err(Rule::new(
                    reason::SCHEME_NOT_ALLOWED,
                    "must begin with ws:// or wss://",
                ));
            }
            None => {
                return Err(malformed(
                    "must be a URL, for example ws://backend:8080/path",
                ));
            }
        }
        let Some(authority) = uri.authority() else {
            return Err(malformed("must name a host"));
        };
        if authority.as_str().contains('@') {
            return Err(malformed("must not contain credentials (`user@`)"));
        }
        if authority.host().is_empty() {
            return Err(malformed("must name a host"));
        }
        let after_host = &authority.as_str()[authority.host().len()..];
        if !after_host.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(malformed("must have a port between 1 and 65535, or none"));
        }
        if uri.query().is_some() {
            return Err(malformed(
                "must not have a query; give it in the mapping of a topic",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
