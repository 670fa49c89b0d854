//! What a verified token entitles to: from the client id over the application and its subscription to the plan.
//!
//! Judged at every handshake and again when the snapshot moves; never remembered.

use std::sync::Arc;

use tidegate_kit::fault_log::FaultLog;
use tidegate_proto::{claims::KeyType, reason::Reason};

use super::{Principal, Token};
use crate::snapshot::{
    Snapshot,
    model::{Api, EndpointKind, KeyManager, SubscriptionState},
};

/// About plans that are named and not held.
static NOT_HELD: FaultLog = FaultLog::new(6);

/// Maps a token of a key manager to the plan under which it may use the API, and to the API's endpoint. `held` is the
/// principal of an open session: it stays with its endpoint, and keeps its plan if the new one is missing.
pub(super) fn judge(
    snapshot: &Snapshot,
    api: &Api,
    manager: &KeyManager,
    token: &Arc<Token>,
    held: Option<&Principal>,
) -> Result<Principal, Reason> {
    let key = snapshot
        .application_key(&token.client_id)
        // Client ids of different key managers are unrelated.
        .filter(|key| key.key_manager == manager.name)
        .ok_or(Reason::ApplicationUnknown)?;
    let application = snapshot
        .application(key.application)
        // Changes find open sessions by the application that they were admitted with.
        .filter(|it| held.is_none_or(|held| held.application.id == it.id))
        .ok_or(Reason::ApplicationUnknown)?;
    let subscription = snapshot
        .subscription(application.id, api.id)
        .ok_or(Reason::SubscriptionMissing)?;
    let endpoint = match held {
        None => api.endpoint_for(key.key_type),
        Some(held) => Some(held.endpoint).filter(|&kind| api.takes(key.key_type, kind)),
    };
    // What is blocked for production is kept from the production endpoint by whatever key.
    let is_production =
        key.key_type == KeyType::Production || endpoint == Some(EndpointKind::Production);
    match subscription.state {
        SubscriptionState::Active => {}
        SubscriptionState::ProductionBlocked if !is_production => {}
        SubscriptionState::ProductionBlocked | SubscriptionState::Blocked => {
            return Err(Reason::SubscriptionBlocked);
        }
    }
    // The control plane sends a plan with its subscriptions. If the plan was rejected, its limits are unknown.
    let held = held.map(|held| &held.plan);
    let plan = snapshot.plan(&subscription.plan).or(held).ok_or_else(|| {
        // Clients try again.
        if let Some(line) = NOT_HELD.fault(&subscription.plan) {
            tracing::error!(
                plan = &*subscription.plan,
                subscription = %subscription.id,
                suppressed = line.suppressed,
                "plan not found in the snapshot; refusing handshakes of its subscriptions"
            );
        }
        Reason::GatewayFault
    })?;
    let endpoint = endpoint.ok_or(Reason::EndpointMissing)?;
    Ok(Principal {
        application: application.clone(),
        subscription: subscription.clone(),
        plan: plan.clone(),
        key_type: key.key_type,
        endpoint,
        token: token.clone(),
    })
}
