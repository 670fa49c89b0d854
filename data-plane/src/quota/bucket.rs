//! A counter on this node: spends what the ledger has granted, with one atomic decrement per message.
//!
//! Owns the rule of spending: a grant is spent once, and before its window ends. `refilling` requests grants, `waiting`
//! has the waiters, and `figures` reports the usage. `account` decides how much is requested, and `meter` what happens
//! to a message over the limit.
//!
//! # Why nothing is spent twice or too late
//!
//! The balance and the number of its window share one 64-bit word, so no thread can spend the rest of an old window
//! once the word was replaced. A new window is opened in three steps: the word is replaced by an empty one of the new
//! window; the deadline is moved; the grant is added. A thread reads the word first and the deadline second, and spends
//! by a compare-and-exchange of the word that it read. A thread that saw the old word and the new deadline therefore
//! finds the word changed. The deadline is the time of the *request* plus the rest of the window according to the
//! ledger, on the node's monotonic clock. It is never later than the ledger's own end of the window, however long the
//! answer took and whatever the node's wall clock shows.

mod refilling;
mod waiting;
mod figures;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_proto::quota::WithoutLedger;

pub use figures::View;
pub use waiting::WaitHandle;

use crate::{
    quota::{
        Counter, RefillItem,
        account::{Account, GRANT_MAX, WindowState},
        key::CounterKey,
        link::Link,
        time::Tick,
    },
    snapshot::Edition,
};
use waiting::Waiters;

/// A counter on this node, shared by all sessions that use it.
#[derive(Debug)]
pub struct Bucket {
    key: CounterKey,
    /// The counter's name in the ledger.
    name: String,
    /// The length of the window in milliseconds.
    window: u64,
    link: Arc<Link>,
    /// The configuration that the limit is from.
    edition: Mutex<Edition>,
    limit: AtomicU64,
    count_only: AtomicBool,
    without_ledger: AtomicU8,
    /// The number of the window (its lower 16 bits) and the unspent rest of its grants (48 bits).
    balance: AtomicU64,
    /// The tick at which spending ends.
    deadline: AtomicU64,
    /// The balance below which the next grant is requested.
    low: AtomicU64,
    /// What was spent in this window without a grant.
    over: AtomicU64,
    /// When the window was opened here.
    opened: AtomicU64,
    /// When something was last spent.
    last_used: AtomicU64,
    /// Whether it is in the queue of the refill task.
    queued: AtomicBool,
    account: Mutex<Account>,
    waiters: Mutex<Waiters>,
}

/// The result of spending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The amount was spent.
    Taken,
    /// An answer is pending: register a waker, then retry at once and when woken.
    Waiting,
    /// The window is used up.
    Exhausted {
        /// The time after which there may be more.
        retry: Duration,
    },
    /// The amount is more than the limit of a window, or than the maximum of a grant.
    TooLarge,
    /// The ledger is unavailable, and nothing may pass without it.
    Unavailable,
}

const AMOUNT_BITS: u32 = 48;
const AMOUNT_MASK: u64 = (1 << AMOUNT_BITS) - 1;

// === impl Bucket ===

impl Bucket {
    /// A counter without grants.
    #[must_use]
    pub fn new(counter: &Counter, link: Arc<Link>) -> Self {
        let bucket = Self {
            key: counter.key.clone(),
            name: counter.key.to_string(),
            window: u64::from(counter.window.seconds()) * 1000,
            link,
            edition: Mutex::default(),
            limit: AtomicU64::new(0),
            count_only: AtomicBool::new(false),
            without_ledger: AtomicU8::new(0),
            balance: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            low: AtomicU64::new(0),
            over: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            last_used: AtomicU64::new(0),
            queued: AtomicBool::new(false),
            account: Mutex::default(),
            waiters: Mutex::default(),
        };
        bucket.set(counter, Edition::default());
        bucket
    }

    /// The name.
    #[must_use]
    pub const fn key(&self) -> &CounterKey {
        &self.key
    }

    /// Applies the limit of a counter with the same key and window, unless it already has one from a later
    /// configuration.
    pub fn go_by(self: &Arc<Self>, counter: &Counter, edition: Edition) {
        if self.set(counter, edition) {
            self.terms_changed();
        }
    }

    /// Sets the limit; returns whether it has changed.
    fn set(&self, counter: &Counter, edition: Edition) -> bool {
        let mut current = self.edition.lock().unwrap_or_else(PoisonError::into_inner);
        if edition < *current {
            return false;
        }
        *current = edition;
        let limit = counter.amount.get();
        let is_new = self.limit.swap(limit, Ordering::AcqRel) != limit;
        let count_only = !counter.stops;
        let was_counting = self.count_only.swap(count_only, Ordering::AcqRel);
        if was_counting != count_only {
            // A counter that only counts uses an estimate of the window's end. One that limits must not, so it asks the
            // ledger.
            let mut account = self.account();
            self.deadline.store(0, Ordering::Release);
            account.window_state = WindowState::Unknown;
        }
        let without = counter.without_ledger as u8;
        let was_without = self.without_ledger.swap(without, Ordering::AcqRel);
        is_new || was_counting != count_only || was_without != without
    }

    /// Makes waiting and refused messages retry under the new limit.
    fn terms_changed(self: &Arc<Self>) {
        let mut account = self.account();
        account.reopen();
        // A lower limit applies to the next message, so grants under the old limit are returned.
        self.return_unused(&mut account);
        account.report_due = true;
        drop(account);
        self.wake();
        self.enqueue();
    }

    /// Spends `amount` if the balance covers it. Doesn't block, and requests a grant when needed.
    #[inline]
    pub fn take(self: &Arc<Self>, amount: u64, now: Tick) -> Take {
        if self.count_only.load(Ordering::Relaxed) {
            return self.count(amount, now);
        }
        match self.pay(amount, now) {
            Some(left) => {
                if left < self.low.load(Ordering::Relaxed) {
                    self.enqueue();
                }
                Take::Taken
            }
            None => self.take_slowly(amount, now),
        }
    }

    /// Refunds what was spent at `taken`, because another level refused the message. What was spent in an earlier
    /// window is void.
    pub fn refund(&self, amount: u64, taken: Tick) {
        if self.count_only.load(Ordering::Relaxed) {
            let is_current = self.opened.load(Ordering::Acquire) <= taken.millis();
            let less = |over: u64| is_current.then(|| over.saturating_sub(amount));
            // In a new window there is nothing to refund.
            let _ = self
                .over
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            return;
        }
        let mut balance = self.balance.load(Ordering::Acquire);
        // Read after the balance: a thread that sees a new window's balance also sees when it was opened.
        while self.opened.load(Ordering::Acquire) <= taken.millis() {
            match self.exchange(balance, balance + amount) {
                Ok(()) => return,
                Err(changed) => balance = changed,
            }
        }
    }

    /// Charges further fragments of an admitted message, which can't be refused any more. What the balance doesn't
    /// cover is a debt, which the next grants pay.
    pub fn charge(self: &Arc<Self>, amount: u64, now: Tick) {
        let mut debt = amount;
        let mut balance = self.balance.load(Ordering::Acquire);
        // Read after the balance, as in `pay`.
        while !self.count_only.load(Ordering::Relaxed)
            && now.millis() < self.deadline.load(Ordering::Acquire)
        {
            let paid = (balance & AMOUNT_MASK).min(amount);
            match self.exchange(balance, balance - paid) {
                Ok(()) => {
                    debt -= paid;
                    break;
                }
                Err(changed) => balance = changed,
            }
        }
        if debt > 0 {
            let _ = self.count(debt, now);
        }
    }

    /// Spends from the balance. Returns the rest, or `None` if it didn't cover the amount.
    #[inline]
    fn pay(&self, amount: u64, now: Tick) -> Option<u64> {
        let mut balance = self.balance.load(Ordering::Acquire);
        loop {
            // Read after the balance: see the module's header.
            if now.millis() >= self.deadline.load(Ordering::Acquire) {
                return None;
            }
            let left = (balance & AMOUNT_MASK).checked_sub(amount)?;
            match self.exchange(balance, balance - amount) {
                Ok(()) => {
                    self.last_used.store(now.millis(), Ordering::Relaxed);
                    return Some(left);
                }
                Err(changed) => balance = changed,
            }
        }
    }

    #[inline]
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        self.balance
            .compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Counts what no grant covers. Clients declare the lengths of messages, so the sum must not wrap.
    fn add_over(&self, amount: u64) {
        let more = |over: u64| Some(over.saturating_add(amount).min(AMOUNT_MASK));
        // It is always `Some`.
        let _ = self
            .over
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }

    /// Counts without a limit.
    fn count(&self, amount: u64, now: Tick) -> Take {
        if now.millis() >= self.deadline.load(Ordering::Acquire) {
            let mut account = self.account();
            self.roll(&mut account, now);
        }
        self.add_over(amount);
        Take::Taken
    }

    #[cold]
    fn take_slowly(self: &Arc<Self>, amount: u64, now: Tick) -> Take {
        let mut account = self.account();
        self.roll(&mut account, now);
        if self.pay(amount, now).is_some() {
            return Take::Taken;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        if amount > limit.min(GRANT_MAX) {
            return Take::TooLarge;
        }
        let retry = Duration::from_millis(account.ends.since(now).max(1));
        if self.has_no_ledger(&account) {
            if now >= account.retry_at {
                self.enqueue();
            }
            return self.take_without_ledger(&account, amount, limit, retry);
        }
        if account.window_state == WindowState::Exhausted && account.refused <= amount {
            // Other nodes may return grants.
            if account.may_recover(now) {
                account.need = account.need.max(amount);
                drop(account);
                self.enqueue();
                return Take::Waiting;
            }
            if account.unspent_elsewhere > 0 && now >= account.not_before {
                account.need = account.need.max(amount);
                self.enqueue();
            }
            return Take::Exhausted { retry };
        }
        if account.window_state == WindowState::Exhausted {
            account.window_state = WindowState::Open;
            account.not_before = Tick::default();
        }
        account.need = account.need.max(amount);
        if self.link.is_local() && self.request_local(&mut account, now) {
            return match self.pay(amount, now) {
                Some(_) => Take::Taken,
                None => Take::Exhausted { retry },
            };
        }
        drop(account);
        self.enqueue();
        Take::Waiting
    }

    /// Whether this counter currently has no ledger.
    fn has_no_ledger(&self, account: &Account) -> bool {
        self.link.is_unavailable() || account.faulted
    }

    /// Applies `without_ledger`.
    fn take_without_ledger(
        &self,
        account: &Account,
        amount: u64,
        limit: u64,
        retry: Duration,
    ) -> Take {
        let without = self.without_ledger.load(Ordering::Relaxed);
        let is_in_share = || {
            let used = self.used(account).saturating_add(amount);
            used <= limit / self.link.nodes()
        };
        if without == WithoutLedger::Deny as u8 {
            return Take::Unavailable;
        }
        if without == WithoutLedger::Share as u8 && !is_in_share() {
            return Take::Exhausted { retry };
        }
        self.add_over(amount);
        Take::Taken
    }

    /// Queues the bucket for the refill task.
    pub(super) fn enqueue(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.link.enqueue(RefillItem::Bucket(self.clone()));
        }
    }

    fn last_used(&self) -> Tick {
        Tick::from_millis(self.last_used.load(Ordering::Relaxed))
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
