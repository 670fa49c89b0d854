//! What gateways must know of this control plane's configuration.

/// Who the built-in key manager is to gateways. Kept in the store so that a change of configuration reaches nodes like
/// any other change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The `iss` of its tokens; empty before the first start is over.
    pub issuer: String,
    /// The audiences of which a token must carry one.
    pub audiences: Vec<String>,
}
