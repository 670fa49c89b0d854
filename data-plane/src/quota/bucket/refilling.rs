//! The ledger side of a bucket: opens windows, requests grants, applies the answers, and returns what isn't used.
//!
//! Runs under the account's lock while other threads spend. Balance, deadline and grant change in the order that the
//! bucket's header describes. Called by `refill`, and by the bucket when nothing is left.

use std::sync::{Arc, atomic::Ordering};

use super::{AMOUNT_BITS, AMOUNT_MASK, Bucket};
use crate::quota::{
    account::{Account, WindowState},
    rules::{GrantRequest, GrantResponse},
    time::{COARSENESS, Tick},
};

/// The pause after a request that the ledger did not answer, in milliseconds, unless it recovers before.
const SILENCE: u64 = 50;

// === impl Bucket ===

impl Bucket {
    /// Refreshes the bucket: returns the next request, if any, and when to refresh it again.
    pub(in crate::quota) fn refresh(&self, now: Tick) -> (Option<GrantRequest>, Option<Tick>) {
        self.queued.store(false, Ordering::Release);
        let mut account = self.account();
        let before = account.epoch;
        self.roll(&mut account, now);
        let has_no_ledger = self.has_no_ledger(&account);
        let asks_anew = account.window_state == WindowState::Exhausted
            && account.may_ask(now)
            && !has_no_ledger;
        if before != account.epoch || asks_anew {
            // Waiters retry, which updates what is needed.
            drop(account);
            self.wake();
            account = self.account();
        }
        let waits = !self.waiters().is_empty();
        if self.count_only.load(Ordering::Relaxed) {
            return (None, None);
        }
        if self.link.is_local() {
            // With a local ledger, callers request grants themselves and nothing is returned. Only the end of the
            // window is awaited.
            let turn = account.ends.plus(1).max(now.plus(1));
            return (None, waits.then_some(turn));
        }
        if self.is_too_late(&account, now) {
            let turn = account.ends.plus(1).max(now.plus(1));
            return (None, (waits || account.need > 0).then_some(turn));
        }
        let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
        if account.is_idle(left, self.last_used(), now) {
            self.return_unused(&mut account);
        }
        let request = self.next_request(&mut account, now);
        let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
        let turn = waits.then(|| account.turn(has_no_ledger));
        let next = account.next_refresh(left, turn, self.last_used(), now);
        (request, next)
    }

    /// Applies the ledger's answer to the request with this number, which was sent at `sent`. Returns when to refresh
    /// again.
    pub(in crate::quota) fn answered(
        self: &Arc<Self>,
        seq: u64,
        sent: Tick,
        answer: GrantResponse,
        now: Tick,
    ) -> Option<Tick> {
        let mut account = self.account();
        let wanted = account.complete(seq)?;
        account.faulted = false;
        let is_final = self.apply(&mut account, wanted, sent, answer, now);
        let waits = !self.waiters().is_empty();
        let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
        let asks_again = is_final && account.need > 0;
        let turn = waits.then(|| account.turn(self.link.is_unavailable()));
        let next = account.next_refresh(left, turn, self.last_used(), now);
        drop(account);
        if is_final {
            self.wake();
        }
        if asks_again {
            self.enqueue();
        }
        next
    }

    /// The request with this number got no answer.
    pub(in crate::quota) fn unanswered(&self, seq: u64, now: Tick) {
        self.account().unanswered(seq, now.plus(SILENCE));
    }

    /// The ledger is available but rejects this counter, which applies its `without_ledger` until that changes.
    pub(in crate::quota) fn mark_faulted(&self, seq: u64, again: Tick) {
        let mut account = self.account();
        account.unanswered(seq, again);
        account.faulted = true;
        drop(account);
        self.wake();
    }

    /// Reports everything to the ledger again.
    pub(in crate::quota) fn report_all(self: &Arc<Self>) {
        let mut account = self.account();
        account.retry_at = Tick::default();
        account.report_due |= account.granted > 0 || self.over.load(Ordering::Acquire) > 0;
        if account.epoch.is_some() && (account.report_due || account.need > 0) {
            drop(account);
            self.enqueue();
        }
    }

    /// Returns everything, because the node shuts down.
    pub(in crate::quota) fn settle(self: &Arc<Self>) {
        let mut account = self.account();
        self.return_unused(&mut account);
        account.report_due = true;
        drop(account);
        self.enqueue();
    }

    /// Whether its window has ended at `now`, so that it can be dropped once no session uses it.
    pub(in crate::quota) fn is_over(&self, now: Tick) -> bool {
        let account = self.account();
        now.millis() >= self.deadline.load(Ordering::Acquire) && now >= account.ends
    }

    /// Opens the next window if the current one has ended.
    pub(super) fn roll(&self, account: &mut Account, now: Tick) {
        if now.millis() < self.deadline.load(Ordering::Acquire) {
            return;
        }
        let unix = self.link.clock.at(now);
        let epoch = unix / self.window;
        // Only the ledger may lead back to an earlier window; a local clock that is behind would do so again and again.
        if !account.may_open(epoch) || account.epoch.is_some_and(|current| epoch < current) {
            return;
        }
        self.open(account, epoch, now);
        account.ends = now.plus(self.window - unix % self.window);
        if self.count_only.load(Ordering::Relaxed) {
            self.deadline
                .store(account.ends.millis(), Ordering::Release);
        }
    }

    /// Empties the balance, so that the next report returns it.
    pub(super) fn return_unused(&self, account: &mut Account) {
        let mut balance = self.balance.load(Ordering::Acquire);
        loop {
            let left = balance & AMOUNT_MASK;
            match self.exchange(balance, balance - left) {
                Ok(()) => {
                    account.granted = account.granted.saturating_sub(left);
                    // Don't request again before a message needs it.
                    account.on_demand_only = true;
                    self.low.store(0, Ordering::Release);
                    self.link.stats.returned.inc_by(left);
                    return;
                }
                Err(changed) => balance = changed,
            }
        }
    }

    /// Requests a grant from the ledger in this process. Returns whether a request was possible.
    pub(super) fn request_local(&self, account: &mut Account, now: Tick) -> bool {
        if self.is_too_late(account, now) {
            return false;
        }
        let Some(request) = self.next_request(account, now) else {
            return false;
        };
        let answer = self
            .link
            .local()
            .map(|mut rules| rules.grant(0, &request, self.link.clock.at(now)));
        if let Some(answer) = answer
            && let Some(wanted) = account.complete(request.seq)
        {
            self.apply(account, wanted, now, answer, now);
        }
        true
    }

    /// Opens a window, with nothing granted and nothing spent.
    fn open(&self, account: &mut Account, epoch: u64, now: Tick) {
        self.opened.store(now.millis(), Ordering::Release);
        self.balance
            .store(u64::from(epoch as u16) << AMOUNT_BITS, Ordering::Release);
        self.low.store(0, Ordering::Release);
        self.over.store(0, Ordering::Release);
        account.open(epoch);
        // Waiters for the new window retry.
        self.wake();
    }

    /// Whether a grant would come too late to be spent, in the last moments of a window.
    fn is_too_late(&self, account: &Account, now: Tick) -> bool {
        account.window_state != WindowState::Unknown
            && now.millis() >= self.deadline.load(Ordering::Acquire)
    }

    fn next_request(&self, account: &mut Account, now: Tick) -> Option<GrantRequest> {
        let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
        let over = self.over.load(Ordering::Acquire);
        let is_low = left < self.low.load(Ordering::Relaxed);
        let words = account.plan_request(left, over, is_low, self.last_used(), now)?;
        self.link.stats.requests.inc();
        Some(GrantRequest {
            key: self.name.clone(),
            window: self.window,
            epoch: words.epoch,
            limit: self.limit.load(Ordering::Relaxed),
            seq: words.seq,
            net: account.granted.saturating_add(over),
            unspent: left,
            need: words.need,
            want: words.want,
        })
    }

    /// Applies an answer. Returns whether waiters should retry.
    fn apply(
        &self,
        account: &mut Account,
        wanted: bool,
        sent: Tick,
        answer: GrantResponse,
        now: Tick,
    ) -> bool {
        match answer {
            GrantResponse::Granted(grant) => {
                self.link.clock.learn(now, grant.now);
                // One more, because clocks show whole milliseconds: the ledger's may advance up to one before this
                // node's.
                let deadline = sent.plus(grant.lasts).millis();
                let deadline = deadline.saturating_sub(COARSENESS + 1);
                account.ends = now.plus(grant.lasts);
                // Within a window, the deadline only moves forward; each value is early enough.
                self.deadline.fetch_max(deadline, Ordering::AcqRel);
                self.balance.fetch_add(grant.granted, Ordering::AcqRel);
                let left = self.balance.load(Ordering::Acquire) & AMOUNT_MASK;
                account.granted(grant, wanted, left, now);
                self.low.store(account.low(), Ordering::Release);
                let stats = &self.link.stats;
                stats.grants.inc();
                stats.granted.inc_by(grant.granted);
                true
            }
            GrantResponse::Stale { now: unix } => {
                self.link.clock.learn(now, unix);
                let epoch = unix / self.window;
                if account.may_open(epoch) {
                    self.deadline.store(0, Ordering::Release);
                    self.open(account, epoch, now);
                    account.ends = now.plus(self.window - unix % self.window);
                    return true;
                }
                // The node opened the window a moment before the ledger. It can't go back, because it has forgotten
                // what it spent.
                let begins = account.epoch.unwrap_or_default() * self.window;
                account.not_before = now.plus(begins.saturating_sub(unix) + 1);
                false
            }
            GrantResponse::Learning { now: unix, wait } => {
                self.link.clock.learn(now, unix);
                account.learning(now.plus(wait));
                false
            }
            GrantResponse::Outdated => true,
        }
    }
}
