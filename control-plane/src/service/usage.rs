//! Use case of what subscriptions have used. What nodes say of it is in the fleet view (`discovery`); here it is said who
//! may see it, and what of the plan is left.

use std::sync::Arc;

use tidegate_proto::ids::SubscriptionId;

use super::{Service, access, error::ServiceError};
use crate::domain::{
    actor::Actor,
    name::EnvironmentName,
    plan::Plan,
    resource::Resource as _,
    subscription::Subscription,
    usage::{Consumption, QuotaUsage, quotas},
};

/// What a subscription has used of its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionUsage {
    /// The subscription.
    pub subscription: Arc<Subscription>,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its use in each environment that the API is deployed to, by name.
    pub environments: Vec<EnvironmentUsage>,
}

/// What a subscription has used in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentUsage {
    /// The environment.
    pub environment: EnvironmentName,
    /// Each counter of the plan.
    pub quotas: Vec<QuotaUsage>,
    /// What the nodes say.
    pub seen: Consumption,
}

impl Service {
    /// What a subscription that the actor may see has used; `seen` says what the nodes of an environment tell of it.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn subscription_usage(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        seen: impl Fn(&EnvironmentName, &Subscription) -> Consumption,
    ) -> Result<SubscriptionUsage, ServiceError> {
        access::demand_subscriptions(actor)?;
        let state = self.state();
        let subscription = access::subscription(&state, actor, id)?.clone();
        let plan = state.plans().get(&subscription.plan);
        let plan = plan.ok_or_else(|| ServiceError::NotFound(subscription.resource()))?;
        let environments = state.deployments_of(subscription.api).map(|deployment| {
            let environment = deployment.environment.clone();
            let seen = seen(&environment, &subscription);
            EnvironmentUsage {
                environment,
                quotas: quotas(&plan.limits, &seen),
                seen,
            }
        });
        let mut environments: Vec<_> = environments.collect();
        environments.sort_by(|a, b| a.environment.cmp(&b.environment));
        Ok(SubscriptionUsage {
            plan: plan.clone(),
            environments,
            subscription,
        })
    }
}
