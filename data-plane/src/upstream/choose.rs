//! The endpoint of a session: the production or the sandbox one, which `auth` chose by the type of the key.
//!
//! What an endpoint is comes from the snapshot. Called by `connection`.

use tidegate_proto::reason::Reason;

use crate::{
    auth::Principal,
    snapshot::model::{Api, Endpoint},
};

/// The endpoint that a principal may use.
///
/// # Errors
/// `EndpointMissing` when the API has none of this kind.
pub fn choose<'a>(api: &'a Api, principal: &Principal) -> Result<&'a Endpoint, Reason> {
    api.endpoint(principal.endpoint)
        .ok_or(Reason::EndpointMissing)
}
