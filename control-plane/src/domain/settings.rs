//! What holds for the whole installation: who the key manager is to gateways, and what admins allow.

use super::meta::Etag;

/// The settings of an installation. What gateways must know of the configuration is kept in the store, so that a change
/// of it reaches nodes like any other change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The `iss` of the built-in key manager's tokens; empty before the first start is over.
    pub issuer: String,
    /// The audiences of which a token must carry one.
    pub audiences: Vec<String>,
    /// Whether anonymous visitors may sign up.
    pub sign_up_allowed: bool,
    /// Changes with each change by an admin.
    pub etag: Etag,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            sign_up_allowed: false,
            etag: Etag::FIRST,
        }
    }
}
