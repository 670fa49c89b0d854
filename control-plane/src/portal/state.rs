//! What the handlers of pages share: the state of the portals' routes.

use super::navigation::Navigation;
use crate::{
    discovery::fleet::Fleet,
    oauth::{KeyManager, rotation::Rotation},
    service::Service,
};

/// What every page can reach. A clone is another handle to the same.
#[derive(Clone)]
pub struct Portal {
    /// The use cases.
    pub service: Service,
    /// What gateway nodes report; call `Service::may_view_nodes` first.
    pub fleet: Fleet,
    /// The rotation of signing keys.
    pub rotation: Rotation,
    /// Issues access tokens.
    pub key_manager: KeyManager,
    /// The pages that every page links to.
    pub(super) navigation: &'static Navigation,
}
