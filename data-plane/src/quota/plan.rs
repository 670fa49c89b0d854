//! What is left of a session's plan, for the client to know when its session opens.

use std::time::Duration;

use crate::{
    handshake::answer::rate_limit::RateLimit,
    quota::{
        levels::Level,
        limiter::{Limiter, Tier},
    },
};

/// How long a handshake waits for the ledger's report of what is left, where nothing else depends on it.
const REPORT_WITHIN: Duration = Duration::from_millis(100);

// === impl Limiter ===

impl Limiter {
    /// Waits a little until what is known of the plan is what the ledger reports.
    pub async fn plan_refreshed(&self) {
        if let Some(plan) = self.plan() {
            // Where no report comes in time, the client is told what this node knows.
            drop(tokio::time::timeout(REPORT_WITHIN, plan.refreshed()).await);
        }
    }

    /// The plan's message limit of which the least is left.
    #[must_use]
    pub fn plan_rate_limit(&self) -> Option<RateLimit> {
        let plan = self.plan()?;
        let (window, view) = plan.tightest()?;
        Some(RateLimit {
            plan: plan.rule.policy.to_string(),
            limit: view.limit,
            window_seconds: window.seconds(),
            remaining: view.remaining,
            resets_in: view.resets_in,
        })
    }

    fn plan(&self) -> Option<&Tier> {
        let mut tiers = self.tiers().iter();
        tiers.find(|tier| tier.level() == Level::Subscription)
    }
}
