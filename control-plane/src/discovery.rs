//! The configuration stream: what each gateway node holds, what it should hold, and the difference on its way.
//!
//! Owns streams, batches, the view of the fleet and the sums of what it has used. Refuses to know the store (it is fed states) and what an object
//! looks like on the wire (`projection`). `app` mounts [`router`] at the gateways' door; `admin` reads the [`fleet`].

use std::{fmt, sync::Arc, time::Duration};

use tidegate_kit::{fault_log::FaultLog, tasks::Tasks};
use tidegate_proto::{discovery::v1::discovery_server::DiscoveryServer, revision::RevisionNumber};
use tokio::sync::watch;
use tonic::service::Routes;

use crate::domain::state::State;

mod server;
mod stream;
mod diff;
mod projector;
mod usage;
pub mod fleet;
pub mod join;

use fleet::Fleet;
use join::JoinTokens;
use projector::Projector;
use server::Server;

/// How the stream behaves.
#[derive(Debug)]
pub struct Settings {
    /// What nodes show to be let in.
    pub join_tokens: JoinTokens,
    /// For how long after a change further ones are gathered before they are sent. The first goes at once.
    pub debounce: Duration,
}

/// Where states come from: the current one, and a signal that there is a later one (latest wins).
#[derive(Clone)]
pub struct Feed {
    /// Gives the current state.
    pub current: Arc<dyn Fn() -> Arc<State> + Send + Sync>,
    /// The number of the current state; when it fires, `current` gives that state or a later one.
    pub number: watch::Receiver<RevisionNumber>,
}

/// The largest message that a node may send: its `Hello` names every resource that it holds, in about 60 bytes each.
const MESSAGE_MAX: usize = 128 * 1024 * 1024;

/// What the log tells of nodes. Two that share a name take over from each other without end.
static NODES: FaultLog = FaultLog::new(120);

/// The service of the gateways' door, to be mounted there. Its tasks end with `tasks`.
pub fn router(settings: Settings, feed: Feed, fleet: Fleet, tasks: &Tasks) -> axum::Router {
    let projector = Projector::start(feed, settings.debounce, tasks);
    let server = Server::new(settings.join_tokens, projector, fleet, tasks.clone());
    let service = DiscoveryServer::new(server).max_decoding_message_size(MESSAGE_MAX);
    Routes::new(service).into_axum_router()
}

// === impl Feed ===

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("number", &*self.number.borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
