//! Use cases that begin counters anew: gateways count what is of another generation in another counter. Those of plans are
//! counted by application and API, so their generation outlives the subscription.
//!
//! Nobody who changes the object meanwhile has missed anything, so its etag and time stay.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId};

use super::{Service, draft::Draft, error::ServiceError, guard::demand};
use crate::domain::{
    actor::Actor, api::Api, application::Application, subscription::Subscription, user::Permission,
};

impl Service {
    /// Begins the counters of an API and its topics anew.
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
            let api = draft.state().apis().get(&id);
            let api = api.ok_or_else(|| ServiceError::NotFound(format!("apis/{id}")))?;
            let mut next = Api::clone(api);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }

    /// Begins the counters of an application anew.
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
            let application = draft.state().applications().get(&id);
            let application =
                application.ok_or_else(|| ServiceError::NotFound(format!("applications/{id}")))?;
            let mut next = Application::clone(application);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }

    /// Begins the counters of a subscription anew.
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
            let subscription = draft.state().subscriptions().get(&id);
            let subscription = subscription
                .ok_or_else(|| ServiceError::NotFound(format!("subscriptions/{id}")))?;
            let mut next = Subscription::clone(subscription);
            next.quota_generation += 1;
            Ok(draft.put(next))
        })
        .await
    }
}

/// Notes with the application how often the counters of a subscription that ends were begun anew. Nobody who changes the
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
