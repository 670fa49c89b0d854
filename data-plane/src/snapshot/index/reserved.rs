//! Which paths are reserved for APIs that exist, and for which.
//!
//! The control plane gives no path to two APIs. Should two claim one all the same, both are kept, so that the outcome does
//! not depend on the order in which they came.

use std::sync::Arc;

use imbl::HashMap;
use tidegate_proto::ids::ApiId;

use crate::snapshot::model::{Api, ApiState, Reservation};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::snapshot) struct Reserved {
    reservations: HashMap<ApiId, Arc<Reservation>>,
    /// Whose a path is; in the order of their ids.
    owners: HashMap<Arc<str>, Vec<ApiId>>,
}

// === impl Reserved ===

impl Reserved {
    /// The reason to refuse a handshake at exactly this path while no API answers there; `None` if it isn't reserved,
    /// or not against the API that answers at a shorter path.
    pub(in crate::snapshot) fn at(&self, path: &str, shorter: Option<&Api>) -> Option<ApiState> {
        let holds = |it: &&Arc<Reservation>| {
            !it.draft || shorter.is_none_or(|shorter| shorter.context == it.context)
        };
        let owners = self.owners.get(path)?.iter();
        let reservations = owners.filter_map(|id| self.reservations.get(id));
        let mut states = reservations.filter(holds).map(|it| it.state);
        let first = states.next()?;
        let blocked = first == ApiState::Blocked || states.any(|it| it == ApiState::Blocked);
        Some(if blocked {
            ApiState::Blocked
        } else {
            ApiState::Open
        })
    }

    pub(super) fn put(&mut self, reservation: Arc<Reservation>) {
        for path in reservation.paths() {
            let owners = self.owners.entry(path.into()).or_default();
            owners.push(reservation.api);
            owners.sort_unstable();
        }
        self.reservations.insert(reservation.api, reservation);
    }

    pub(super) fn take(&mut self, id: ApiId) -> Option<Arc<Reservation>> {
        let reservation = self.reservations.remove(&id)?;
        for path in reservation.paths() {
            if let Some(owners) = self.owners.get_mut(path.as_str()) {
                owners.retain(|owner| *owner != id);
                if owners.is_empty() {
                    self.owners.remove(path.as_str());
                }
            }
        }
        Some(reservation)
    }
}
