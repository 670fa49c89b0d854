//! Use cases that reset counters: gateways count each generation in a counter of its own. Those of plans are
//! counted by application and API, so their generation outlives the subscription.
//!
//! Nobody who changes the object meanwhile has missed anything, so its etag and time stay.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId};

use super::{
    Service,
    draft::Draft,
    error::ServiceError,
    guard::{demand, find},
};
use crate::domain::{
    actor::Actor, api::Api, application::Application, subscription::Subscription, user::Permission,
};

impl Service {
    /// Resets the counters of an API and its topics.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn reset_api_quota(
        &self,
        actor: &Actor,
        id: ApiId,
    ) -> Result<Arc<Api>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "ResetApiQuota", move |draft| {
            let mut next = Api::clone(find::<Api>(draft.state(), &id)?);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }

    /// Resets the counters of an application.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn reset_application_quota(
        &self,
        actor: &Actor,
        id: ApplicationId,
    ) -> Result<Arc<Application>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "ResetApplicationQuota", move |draft| {
            let mut next = Application::clone(find::<Application>(draft.state(), &id)?);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }

    /// Resets the counters of a subscription.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Storage`, `Unavailable`.
    pub async fn reset_subscription_quota(
        &self,
        actor: &Actor,
        id: SubscriptionId,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand(actor, Permission::ManagePolicies)?;
        self.commit(actor, "ResetSubscriptionQuota", move |draft| {
            let mut next = Subscription::clone(find::<Subscription>(draft.state(), &id)?);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }
}

/// Keeps with the application how often the counters of a subscription that ends were reset. Nobody who changes the
/// application meanwhile has missed anything, so its etag and time stay.
pub(super) fn keep_generation(draft: &mut Draft, ended: &Subscription) {
    let state = draft.state();
    let Some(application) = state.applications().get(&ended.application) else {
        return;
    };
    if application.ended_generation(ended.api) == ended.quota_generation {
        return;
    }
    let mut next = Application::clone(application);
    // No API gets the id of one that is gone.
    next.ended_generations
        .retain(|api, _| state.apis().contains_key(api));
    next.ended_generations
        .insert(ended.api, ended.quota_generation);
    draft.put(next);
}
