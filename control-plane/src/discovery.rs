//! The configuration stream: what each gateway node holds, what it should hold, and the difference on its way.
//!
//! Owns streams, batches, the view of the fleet and the sums of what it has used. Refuses to know the store (it is given
//! states) and what an object looks like on the wire (`projection`). `app` mounts [`router`] at the discovery listener;
//! `admin` reads the [`fleet`].

use std::{sync::Arc, time::Duration};

use tidegate_kit::{fault_log::FaultLog, tasks::Tasks};
use tidegate_proto::discovery::v1::discovery_server::DiscoveryServer;
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
pub struct StreamSettings {
    /// The tokens that nodes join with.
    pub join_tokens: JoinTokens,
    /// For how long after a change further ones are gathered before they are sent. The first goes at once.
    pub debounce: Duration,
}

/// The states of the control plane: the current one, and each later one (latest wins).
pub type States = watch::Receiver<Arc<State>>;

/// The largest message that a node may send: its `Hello` names every resource that it holds, in about 60 bytes each.
const MESSAGE_MAX: usize = 128 * 1024 * 1024;

/// What the log tells of nodes. Two that share a name take over from each other without end.
static NODES: FaultLog = FaultLog::new(120);

/// The service of the discovery listener. Its tasks end with `tasks`.
pub fn router(
    settings: StreamSettings,
    states: States,
    fleet: Fleet,
    tasks: &Tasks,
) -> axum::Router {
    let projector = Projector::start(states, settings.debounce, tasks);
    let server = Server::new(settings.join_tokens, projector, fleet, tasks.clone());
    let service = DiscoveryServer::new(server).max_decoding_message_size(MESSAGE_MAX);
    Routes::new(service).into_axum_router()
}

#[cfg(test)]
mod tests;
