//! What subscriptions have used, as the admin API shows it.

use tidegate_proto::admin::v1::{self, QuotaUnit};

use super::convert;
use crate::{
    domain::{
        environment::Environment,
        resource::Resource as _,
        usage::{QuotaUsage, Unit},
    },
    service::usage::{EnvironmentUsage, SubscriptionUsage},
};

/// What a subscription has used.
pub(super) fn message(usage: &SubscriptionUsage) -> v1::SubscriptionUsage {
    let limits = &usage.plan.limits;
    let sessions = limits.sessions.map_or(0, |limit| limit.get().into());
    let environments = usage.environments.iter();
    v1::SubscriptionUsage {
        name: format!("{}/usage", usage.subscription.resource()),
        plan: usage.plan.resource(),
        unlimited: limits.is_unlimited(),
        stop_on_quota_reach: !limits.count_only,
        environments: environments.map(|it| environment(it, sessions)).collect(),
    }
}

fn environment(usage: &EnvironmentUsage, sessions_limit: i64) -> v1::EnvironmentUsage {
    let seen = &usage.seen;
    v1::EnvironmentUsage {
        environment: Environment::name_of(&usage.environment),
        quotas: usage.quotas.iter().map(quota).collect(),
        open_sessions: number(seen.open_sessions),
        sessions_limit,
        oldest_report_time: seen.oldest_report.and_then(convert::time),
        absent_nodes: convert::size(seen.absent_nodes),
        counted_apart: seen.counted_apart,
    }
}

fn quota(quota: &QuotaUsage) -> v1::QuotaUsage {
    let current = quota.current.as_ref();
    v1::QuotaUsage {
        unit: match quota.unit {
            Unit::Messages => QuotaUnit::Messages,
            Unit::Bytes => QuotaUnit::Bytes,
            Unit::Burst => QuotaUnit::Burst,
            Unit::Connections => QuotaUnit::Connections,
        }
        .into(),
        limit: number(quota.limit),
        window_seconds: quota.window.seconds().into(),
        window_start_time: current.and_then(|it| convert::time(it.began)),
        window_end_time: current.and_then(|it| convert::time(it.ends)),
        used: current.map(|it| number(it.used)),
        remaining: current.map(|it| number(it.remaining)),
    }
}

fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use tidegate_proto::{
        ids::{ApiId, ApplicationId, SubscriptionId},
        quota::Window,
    };

    use super::message;
    use crate::{
        domain::{
            meta::ResourceMeta,
            name::EnvironmentName,
            plan::Plan,
            subscription::{Subscription, SubscriptionState},
            time::Timestamp,
            usage::{Consumption, Figure, Unit, quotas},
        },
        service::usage::{EnvironmentUsage, SubscriptionUsage},
    };

    #[test]
    fn what_is_known_is_shown() {
        let now = Timestamp::from_millis(86_400_000);
        let mut plan = Plan::shipped(now)
            .find(|it| it.name.as_str() == "Gold")
            .unwrap();
        plan.limits.sessions = NonZeroU32::new(5);
        plan.limits.count_only = true;
        let figure = Figure {
            unit: Unit::Messages,
            window: Window::DAY,
            began: now,
            used: 60_000,
        };
        let seen = Consumption {
            figures: vec![figure],
            open_sessions: 4,
            oldest_report: Some(now),
            absent_nodes: 1,
            counted_apart: true,
            ledger_time: now,
        };
        let subscription = Subscription {
            id: SubscriptionId::generate(),
            application: ApplicationId::generate(),
            api: ApiId::generate(),
            plan: plan.name.clone(),
            state: SubscriptionState::Active,
            quota_generation: 0,
            meta: ResourceMeta::new(now),
        };
        let told = message(&SubscriptionUsage {
            subscription: Arc::new(subscription),
            environments: vec![EnvironmentUsage {
                environment: EnvironmentName::parse("default").unwrap(),
                quotas: quotas(&plan.limits, &seen),
                seen,
            }],
            plan: Arc::new(plan),
        });
        assert!(!told.stop_on_quota_reach && !told.unlimited);
        let here = &told.environments[0];
        assert_eq!((here.open_sessions, here.sessions_limit), (4, 5));
        assert_eq!((here.absent_nodes, here.counted_apart), (1, true));
        assert_eq!(here.oldest_report_time.unwrap().seconds, 86_400);
        let quota = here.quotas[0];
        assert_eq!((quota.used, quota.remaining), (Some(60_000), Some(0)));
        assert_eq!(quota.window_end_time.unwrap().seconds, 2 * 86_400);
    }
}
