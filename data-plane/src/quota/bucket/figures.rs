//! What a bucket shows of itself: to clients, to the control plane, and to its own judgement of what was used.

use std::{sync::atomic::Ordering, time::Duration};

use super::{AMOUNT_MASK, Bucket};
use crate::quota::{account::Account, time::Tick};

/// What a counter shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The limit of a window.
    pub limit: u64,
    /// What is probably left in the current window, over all nodes.
    pub remaining: u64,
    /// After which time it ends.
    pub resets_in: Duration,
}

// === impl Bucket ===

impl Bucket {
    /// What it shows now.
    #[must_use]
    pub fn view(&self) -> View {
        let now = Tick::now();
        let mut account = self.account();
        self.roll(&mut account, now);
        let limit = self.limit.load(Ordering::Relaxed);
        let used = self.used(&account);
        // What others hold, and what this node has spent since the ledger's last word.
        let elsewhere = account.total.saturating_sub(account.told);
        let unix = self.link.clock.at(now);
        View {
            limit,
            remaining: limit.saturating_sub(elsewhere.saturating_add(used)),
            resets_in: Duration::from_millis(self.window - unix % self.window),
        }
    }

    /// When the current window began (seconds of Unix time, by the ledger's clock) and what this node has spent in it;
    /// nothing where it has not spent since the window turned.
    #[must_use]
    pub fn spent(&self, now: Tick) -> Option<(u64, u64)> {
        let account = self.account();
        // The node may have turned a moment before the ledger.
        let current = |epoch: &u64| *epoch >= self.link.clock.at(now) / self.window;
        let epoch = account.epoch.filter(current)?;
        Some((epoch * self.window / 1000, self.used(&account)))
    }

    /// What was spent in the account's window, with a grant or without.
    pub(super) fn used(&self, account: &Account) -> u64 {
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let over = self.over.load(Ordering::Acquire);
        account.granted.saturating_add(over).saturating_sub(left)
    }
}
