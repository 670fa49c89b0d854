//! The ledger's side of a bucket: opens its windows, asks for grants, takes in the answers and gives back what is not
//! used.
//!
//! All of it under the account's lock, while others spend. The order in which purse, deadline and grant change is the one
//! that the bucket's header gives. Called by `refill`, and by the bucket itself where nothing is left.

use std::sync::{Arc, atomic::Ordering};

use super::{AMOUNT_BITS, AMOUNT_MASK, Bucket};
use crate::quota::{
    account::{Account, Phase},
    rules::{Answer, Ask},
    time::{COARSENESS, Tick},
};

/// For how long a ledger that did not answer is not asked again, in milliseconds, unless it is heard of before.
const SILENCE: u64 = 50;

// === impl Bucket ===

impl Bucket {
    /// A visit: what the ledger is to be asked, if anything, and when to come again.
    pub(in crate::quota) fn visit(&self, now: Tick) -> (Option<Ask>, Option<Tick>) {
        self.called.store(false, Ordering::Release);
        let mut account = self.account();
        let before = account.epoch;
        self.roll(&mut account, now);
        let is_alone = self.is_alone(&account);
        let asks_anew = account.phase == Phase::Spent && account.may_ask(now) && !is_alone;
        if before != account.epoch || asks_anew {
            // Those who wait show their messages again, which says what is needed.
            drop(account);
            self.wake();
            account = self.account();
        }
        let waits = !self.waiters().is_empty();
        if self.count_only.load(Ordering::Relaxed) {
            return (None, None);
        }
        if self.link.is_local() {
            // Everybody asks for himself, and has nobody to give back to; only a window that turns is waited for.
            let turn = account.ends.plus(1).max(now.plus(1));
            return (None, waits.then_some(turn));
        }
        if self.is_too_late(&account, now) {
            let turn = account.ends.plus(1).max(now.plus(1));
            return (None, (waits || account.need > 0).then_some(turn));
        }
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        if account.is_idle(left, self.last_used(), now) {
            self.give_back(&mut account);
        }
        let ask = self.ask(&mut account, now);
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let turn = waits.then(|| account.turn(is_alone));
        let next = account.next_visit(left, turn, self.last_used(), now);
        (ask, next)
    }

    /// The ledger's answer to the ask of this number, which was sent at `sent`; when to come again.
    pub(in crate::quota) fn answered(
        self: &Arc<Self>,
        seq: u64,
        sent: Tick,
        answer: Answer,
        now: Tick,
    ) -> Option<Tick> {
        let mut account = self.account();
        let wanted = account.settle(seq)?;
        account.ails = false;
        let is_final = self.apply(&mut account, wanted, sent, answer, now);
        let waits = !self.waiters().is_empty();
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let asks_again = is_final && account.need > 0;
        let turn = waits.then(|| account.turn(self.link.is_away()));
        let next = account.next_visit(left, turn, self.last_used(), now);
        drop(account);
        if is_final {
            self.wake();
        }
        if asks_again {
            self.call();
        }
        next
    }

    /// The ask of this number got no answer.
    pub(in crate::quota) fn unanswered(&self, seq: u64, now: Tick) {
        self.account().unanswered(seq, now.plus(SILENCE));
    }

    /// The ledger cannot keep this counter, though it answers: it goes by its own policy until it can.
    pub(in crate::quota) fn ails(&self, seq: u64, again: Tick) {
        let mut account = self.account();
        account.unanswered(seq, again);
        account.ails = true;
        drop(account);
        self.wake();
    }

    /// Everything is to be told to the ledger anew.
    pub(in crate::quota) fn tell_again(self: &Arc<Self>) {
        let mut account = self.account();
        account.silent = Tick::default();
        account.tell |= account.granted > 0 || self.over.load(Ordering::Acquire) > 0;
        if account.epoch.is_some() && (account.tell || account.need > 0) {
            drop(account);
            self.call();
        }
    }

    /// Gives everything back: the node stops.
    pub(in crate::quota) fn settle(self: &Arc<Self>) {
        let mut account = self.account();
        self.give_back(&mut account);
        account.tell = true;
        drop(account);
        self.call();
    }

    /// Whether anything of it is still of use at `now`, once no session counts on it.
    pub(in crate::quota) fn is_over(&self, now: Tick) -> bool {
        let account = self.account();
        now.millis() >= self.deadline.load(Ordering::Acquire) && now >= account.ends
    }

    /// Turns to the next window where the last one is over.
    pub(super) fn roll(&self, account: &mut Account, now: Tick) {
        if now.millis() < self.deadline.load(Ordering::Acquire) {
            return;
        }
        let unix = self.link.clock.at(now);
        let epoch = unix / self.window;
        // Only the ledger leads back to an earlier one: a clock that lies behind would, time and again.
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

    /// Takes back into the ledger what nobody has used for a while.
    pub(super) fn give_back(&self, account: &mut Account) {
        let mut purse = self.purse.load(Ordering::Acquire);
        loop {
            let left = purse & AMOUNT_MASK;
            match self.exchange(purse, purse - left) {
                Ok(()) => {
                    account.granted = account.granted.saturating_sub(left);
                    // Who gives back does not take again before somebody needs it.
                    account.dry = true;
                    self.low.store(0, Ordering::Release);
                    self.link.stats.returned.inc_by(left);
                    return;
                }
                Err(changed) => purse = changed,
            }
        }
    }

    /// Asks the ledger in this process; whether there was any use in asking.
    pub(super) fn ask_here(&self, account: &mut Account, now: Tick) -> bool {
        if self.is_too_late(account, now) {
            return false;
        }
        let Some(ask) = self.ask(account, now) else {
            return false;
        };
        let answer = self
            .link
            .local()
            .map(|mut rules| rules.grant(0, &ask, self.link.clock.at(now)));
        if let Some(answer) = answer
            && let Some(wanted) = account.settle(ask.seq)
        {
            self.apply(account, wanted, now, answer, now);
        }
        true
    }

    /// Begins a window: nothing is granted, nothing is spent.
    fn open(&self, account: &mut Account, epoch: u64, now: Tick) {
        self.opened.store(now.millis(), Ordering::Release);
        self.purse
            .store(u64::from(epoch as u16) << AMOUNT_BITS, Ordering::Release);
        self.low.store(0, Ordering::Release);
        self.over.store(0, Ordering::Release);
        account.open(epoch);
        // Whoever waited for the window to turn looks again, whoever it was that noticed.
        self.wake();
    }

    /// What is granted in the last moments of a window is too late to spend.
    fn is_too_late(&self, account: &Account, now: Tick) -> bool {
        account.phase != Phase::Unknown && now.millis() >= self.deadline.load(Ordering::Acquire)
    }

    fn ask(&self, account: &mut Account, now: Tick) -> Option<Ask> {
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let over = self.over.load(Ordering::Acquire);
        let is_low = left < self.low.load(Ordering::Relaxed);
        let words = account.ask(left, over, is_low, self.last_used(), now)?;
        self.link.stats.requests.inc();
        Some(Ask {
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

    /// Takes in an answer; whether it is one to those who wait.
    fn apply(
        &self,
        account: &mut Account,
        wanted: bool,
        sent: Tick,
        answer: Answer,
        now: Tick,
    ) -> bool {
        match answer {
            Answer::Granted(grant) => {
                self.link.clock.learn(now, grant.now);
                // One more, for clocks show whole milliseconds: the ledger's may turn up to one before this node's.
                let deadline = sent.plus(grant.lasts).millis();
                let deadline = deadline.saturating_sub(COARSENESS + 1);
                account.ends = now.plus(grant.lasts);
                // A deadline of the same window only ever moves on: each is early enough.
                self.deadline.fetch_max(deadline, Ordering::AcqRel);
                self.purse.fetch_add(grant.granted, Ordering::AcqRel);
                let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
                account.granted(grant, wanted, left, now);
                self.low.store(account.low(), Ordering::Release);
                let stats = &self.link.stats;
                stats.grants.inc();
                stats.granted.inc_by(grant.granted);
                true
            }
            Answer::Stale { now: unix } => {
                self.link.clock.learn(now, unix);
                let epoch = unix / self.window;
                if account.may_open(epoch) {
                    self.deadline.store(0, Ordering::Release);
                    self.open(account, epoch, now);
                    account.ends = now.plus(self.window - unix % self.window);
                    return true;
                }
                // The node has turned a moment before the ledger; it cannot go back, for it has forgotten what it spent.
                let begins = account.epoch.unwrap_or_default() * self.window;
                account.again = now.plus(begins.saturating_sub(unix) + 1);
                false
            }
            Answer::Learning { now: unix, wait } => {
                self.link.clock.learn(now, unix);
                account.learning(now.plus(wait));
                false
            }
            Answer::Outdated => true,
        }
    }
}
