//! A counter on this node: spends what the ledger has granted, one atomic decrement a message.
//!
//! Owns the one rule of spending: what was granted of a window is spent before that window ends, once. How a bucket comes
//! by its grants is `refilling`'s, who waits for them `waiting`'s, and what it shows `figures`'. How much is asked for is
//! `account`'s, and what becomes of a message that cannot be paid is `meter`'s.
//!
//! # Why nothing is spent twice or too late
//!
//! What is left and the window that it is of are one 64-bit word, so that no thread pays with the rest of an old window
//! once the word was replaced. A new window is opened in three steps: the word is replaced by an empty one of the new
//! window; the deadline is moved; the grant is added. A thread reads the word first, the deadline second, and pays by
//! exchanging the word that it read: whoever saw the old word and the new deadline finds the word changed. The deadline
//! is the time of the *ask* plus what the ledger said the window had left, on the node's monotonic clock: never after the
//! ledger's own end of the window, however long the answer took and whatever the node's wall clock shows.

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
pub use waiting::Place;

use crate::{
    quota::{
        Counter, Visit,
        account::{Account, GRANT_MAX, Phase},
        key::CounterKey,
        link::Link,
        time::Tick,
    },
    snapshot::Edition,
};
use waiting::Waiters;

/// A counter on this node, shared by all sessions that count on it.
#[derive(Debug)]
pub struct Bucket {
    key: CounterKey,
    /// In the ledger.
    name: String,
    /// In milliseconds.
    window: u64,
    link: Arc<Link>,
    /// Whose terms these are.
    edition: Mutex<Edition>,
    limit: AtomicU64,
    count_only: AtomicBool,
    without_ledger: AtomicU8,
    /// The window's number (16 bits of it) above what is left of its grants (48 bits).
    purse: AtomicU64,
    /// The tick from which nothing is spent.
    deadline: AtomicU64,
    /// Below this, more is asked for ahead of need.
    low: AtomicU64,
    /// What was spent in this window without a grant.
    over: AtomicU64,
    /// When the window was begun here.
    opened: AtomicU64,
    /// When it last paid.
    last_used: AtomicU64,
    /// A visit was asked for.
    called: AtomicBool,
    account: Mutex<Account>,
    waiters: Mutex<Waiters>,
}

/// Whether a bucket pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It did.
    Taken,
    /// An answer is on its way: register and try again, at once and when woken.
    Waiting,
    /// The window is used up.
    Exhausted {
        /// After which time there may be more.
        retry: Duration,
    },
    /// More is asked for than a whole window has, or than one grant can bring.
    TooLarge,
    /// The ledger cannot be asked, and nothing may pass without it.
    Unavailable,
}

const AMOUNT_BITS: u32 = 48;
const AMOUNT_MASK: u64 = (1 << AMOUNT_BITS) - 1;

// === impl Bucket ===

impl Bucket {
    /// A counter that holds nothing yet.
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
            purse: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            low: AtomicU64::new(0),
            over: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            last_used: AtomicU64::new(0),
            called: AtomicBool::new(false),
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

    /// Goes by the terms of a counter of the same key and window, unless it has got others of a later configuration.
    pub fn go_by(self: &Arc<Self>, counter: &Counter, edition: Edition) {
        if self.set(counter, edition) {
            self.terms_changed();
        }
    }

    /// Takes over terms; returns whether they are new.
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
            // What only counts goes by an estimate of the window's end; what spends must not, and asks for it anew.
            let mut account = self.account();
            self.deadline.store(0, Ordering::Release);
            account.phase = Phase::Unknown;
        }
        let without = counter.without_ledger as u8;
        let was_without = self.without_ledger.swap(without, Ordering::AcqRel);
        is_new || was_counting != count_only || was_without != without
    }

    /// Has those who wait, and those who were refused, ask again: the terms are others now.
    fn terms_changed(self: &Arc<Self>) {
        let mut account = self.account();
        account.reopen();
        // A lower limit rules from the next message: what was granted under the old one is asked for anew.
        self.give_back(&mut account);
        account.tell = true;
        drop(account);
        self.wake();
        self.call();
    }

    /// Pays `amount`, if it can. Does not block, and asks for more where that is needed.
    #[inline]
    pub fn take(self: &Arc<Self>, amount: u64, now: Tick) -> Take {
        if self.count_only.load(Ordering::Relaxed) {
            return self.count(amount, now);
        }
        match self.pay(amount, now) {
            Some(left) => {
                if left < self.low.load(Ordering::Relaxed) {
                    self.call();
                }
                Take::Taken
            }
            None => self.take_slowly(amount, now),
        }
    }

    /// Gives back what was taken at `taken`, since another level has refused. What was taken of a window that has turned is
    /// worth nothing.
    pub fn refund(&self, amount: u64, taken: Tick) {
        if self.count_only.load(Ordering::Relaxed) {
            let is_current = self.opened.load(Ordering::Acquire) <= taken.millis();
            let less = |over: u64| is_current.then(|| over.saturating_sub(amount));
            // Where the window has turned, nothing is to be done.
            let _ = self
                .over
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            return;
        }
        let mut purse = self.purse.load(Ordering::Acquire);
        // After the purse: whoever sees a new window's purse sees when it was opened, too.
        while self.opened.load(Ordering::Acquire) <= taken.millis() {
            match self.exchange(purse, purse + amount) {
                Ok(()) => return,
                Err(changed) => purse = changed,
            }
        }
    }

    /// Charges what cannot be refused any more: further fragments of a message that was let in. What no grant covers is a
    /// debt, which the next grants pay.
    pub fn charge(self: &Arc<Self>, amount: u64, now: Tick) {
        let mut debt = amount;
        let mut purse = self.purse.load(Ordering::Acquire);
        // After the purse, as in `pay`.
        while !self.count_only.load(Ordering::Relaxed)
            && now.millis() < self.deadline.load(Ordering::Acquire)
        {
            let paid = (purse & AMOUNT_MASK).min(amount);
            match self.exchange(purse, purse - paid) {
                Ok(()) => {
                    debt -= paid;
                    break;
                }
                Err(changed) => purse = changed,
            }
        }
        if debt > 0 {
            let _ = self.count(debt, now);
        }
    }

    /// Pays out of the purse; what is left, when it could.
    #[inline]
    fn pay(&self, amount: u64, now: Tick) -> Option<u64> {
        let mut purse = self.purse.load(Ordering::Acquire);
        loop {
            // After the purse: see the module's header.
            if now.millis() >= self.deadline.load(Ordering::Acquire) {
                return None;
            }
            let left = (purse & AMOUNT_MASK).checked_sub(amount)?;
            match self.exchange(purse, purse - amount) {
                Ok(()) => {
                    self.last_used.store(now.millis(), Ordering::Relaxed);
                    return Some(left);
                }
                Err(changed) => purse = changed,
            }
        }
    }

    #[inline]
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        self.purse
            .compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Counts what no grant covers. Strangers declare how long a message is, so the sum must not wrap.
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
        if self.is_alone(&account) {
            if now >= account.silent {
                self.call();
            }
            return self.take_alone(&account, amount, limit, retry);
        }
        if account.phase == Phase::Spent && account.refused <= amount {
            // Others may give back.
            if account.hopes(now) {
                account.need = account.need.max(amount);
                drop(account);
                self.call();
                return Take::Waiting;
            }
            if account.loose > 0 && now >= account.again {
                account.need = account.need.max(amount);
                self.call();
            }
            return Take::Exhausted { retry };
        }
        if account.phase == Phase::Spent {
            account.phase = Phase::Open;
            account.again = Tick::default();
        }
        account.need = account.need.max(amount);
        if self.link.is_local() && self.ask_here(&mut account, now) {
            return match self.pay(amount, now) {
                Some(_) => Take::Taken,
                None => Take::Exhausted { retry },
            };
        }
        drop(account);
        self.call();
        Take::Waiting
    }

    /// Whether the ledger cannot be asked about this counter.
    fn is_alone(&self, account: &Account) -> bool {
        self.link.is_away() || account.ails
    }

    /// Decides without the ledger.
    fn take_alone(&self, account: &Account, amount: u64, limit: u64, retry: Duration) -> Take {
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

    /// Asks for a visit.
    pub(super) fn call(self: &Arc<Self>) {
        if !self.called.swap(true, Ordering::AcqRel) {
            self.link.call(Visit::Bucket(self.clone()));
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
