//! Which endpoint of an API a session goes to: the production or the sandbox one, by the kind of key.
//!
//! Owns the choice only; what an endpoint is comes from the snapshot. Called by `session`.

use tidegate_proto::reason::Reason;

use crate::{
    auth::Principal,
    snapshot::model::{Api, Endpoint},
};

/// Chooses the endpoint.
///
/// # Errors
/// `EndpointMissing` when the API has none for this kind of key.
pub fn choose<'a>(api: &'a Api, principal: &Principal) -> Result<&'a Endpoint, Reason> {
    api.endpoint(principal.key_type)
        .ok_or(Reason::EndpointMissing)
}
