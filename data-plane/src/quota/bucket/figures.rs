//! The usage of a bucket, for clients, for the control plane and for the bucket itself.

use std::{sync::atomic::Ordering, time::Duration};

use super::{AMOUNT_MASK, Bucket};
use crate::quota::{account::Account, time::Tick};

/// The public figures of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The limit of a window.
    pub limit: u64,
    /// An estimate of what is left in the current window, over all nodes.
    pub remaining: u64,
    /// The time until the window ends.
    pub resets_in: Duration,
}

// === impl Bucket ===

impl Bucket {
    /// The current figures.
    #[must_use]
    pub fn view(&self) -> View {
        let now = Tick::now();
        let mut account = self.account();
        self.roll(&mut account, now);
        let limit = self.limit.load(Ordering::Relaxed);
        let used = self.used(&account);
        // What other nodes hold; what this node has spent since the ledger's last answer is in `used`.
        let elsewhere = account.total.saturating_sub(account.reported);
        let unix = self.link.clock.at(now);
        View {
            limit,
            remaining: limit.saturating_sub(elsewhere.saturating_add(used)),
            resets_in: Duration::from_millis(self.window - unix % self.window),
        }
    }

    /// When the current window began (by the ledger's clock, in seconds of Unix time) and what this node has spent in
    /// it; `None` if it has spent nothing in it.
    #[must_use]
    pub fn spent(&self, now: Tick) -> Option<(u64, u64)> {
        let account = self.account();
        // The node may have opened the window a moment before the ledger.
        let current = |epoch: &u64| *epoch >= self.link.clock.at(now) / self.window;
        let epoch = account.epoch.filter(current)?;
        Some((epoch * self.window / 1000, self.used(&account)))
    }

    /// What was spent in the account's window, with or without a grant.
    pub(super) fn used(&self, account: &Account) -> u64 {
        let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
        let over = self.over.load(Ordering::Acquire);
        account.granted.saturating_add(over).saturating_sub(left)
    }
}
