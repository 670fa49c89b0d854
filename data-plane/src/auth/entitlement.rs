//! What a verified token entitles to: from the client id over the application and its subscription to the plan.
//!
//! Judged at every handshake and again when the snapshot moves; never remembered.

use std::sync::Arc;

use tidegate_kit::fault_log::FaultLog;
use tidegate_proto::{claims::KeyType, reason::Reason};

use super::{Principal, Token};
use crate::snapshot::{
    Snapshot,
    model::{Api, KeyManager, Plan, SubscriptionState},
};

/// About plans that are named and not held.
static NOT_HELD: FaultLog = FaultLog::new(6);

/// Leads a token of a key manager to the plan under which it may use the API. `held` is the plan that an open session has already: it
/// stays where the new one is not held.
pub(super) fn judge(
    snapshot: &Snapshot,
    api: &Api,
    manager: &KeyManager,
    token: &Arc<Token>,
    held: Option<&Arc<Plan>>,
) -> Result<Principal, Reason> {
    let key = snapshot
        .application_key(&token.client_id)
        // What one key manager calls by this name is nobody that another knows.
        .filter(|key| key.key_manager == manager.name)
        .ok_or(Reason::ApplicationUnknown)?;
    let application = snapshot
        .application(key.application)
        .ok_or(Reason::ApplicationUnknown)?;
    let subscription = snapshot
        .subscription(application.id, api.id)
        .ok_or(Reason::SubscriptionMissing)?;
    match (subscription.state, key.key_type) {
        (SubscriptionState::Active, _)
        | (SubscriptionState::ProductionBlocked, KeyType::Sandbox) => {}
        (SubscriptionState::Blocked, _)
        | (SubscriptionState::ProductionBlocked, KeyType::Production) => {
            return Err(Reason::SubscriptionBlocked);
        }
    }
    // The control plane sends a plan with its subscriptions; if it was rejected, nobody knows what to let through.
    let plan = snapshot.plan(&subscription.plan).or(held).ok_or_else(|| {
        // Clients try again.
        if let Some(line) = NOT_HELD.fault(&subscription.plan) {
            tracing::error!(
                plan = &*subscription.plan,
                subscription = %subscription.id,
                suppressed = line.suppressed,
                "the plan is not held, and without it nobody is let in"
            );
        }
        Reason::GatewayFault
    })?;
    if api.endpoint(key.key_type).is_none() {
        return Err(Reason::EndpointMissing);
    }
    Ok(Principal {
        application: application.clone(),
        subscription: subscription.clone(),
        plan: plan.clone(),
        key_type: key.key_type,
        token: token.clone(),
    })
}
