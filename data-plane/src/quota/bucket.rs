//! A counter on this node: spends what the ledger has granted, one atomic decrement a message.
//!
//! Owns the one rule of spending: what was granted of a window is spent before that window ends, once. Asking for more is
//! `account`'s, exchanging words with the ledger is `refill`'s, and what becomes of a message that cannot be paid is
//! `meter`'s.
//!
//! # Why nothing is spent twice or too late
//!
//! What is left and the window that it is of are one 64-bit word, so that no thread pays with the rest of an old window
//! once the word was replaced. A new window is opened in three steps: the word is replaced by an empty one of the new
//! window; the deadline is moved; the grant is added. A thread reads the word first, the deadline second, and pays by
//! exchanging the word that it read: whoever saw the old word and the new deadline finds the word changed. The deadline
//! is the time of the *ask* plus what the ledger said the window had left, on the node's monotonic clock: never after the
//! ledger's own end of the window, however long the answer took and whatever the node's wall clock shows.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};
use std::{
    collections::HashMap,
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};

use tidegate_proto::quota::WithoutLedger;

use crate::{
    quota::{
        Counter,
        account::{Account, Phase},
        key::CounterKey,
        link::{Link, Visit},
        rules::{Answer, Ask},
        time::{COARSENESS, Tick},
    },
    snapshot::Edition,
};

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

/// Those who wait, by the number of their place.
#[derive(Debug, Default)]
struct Waiters {
    wakers: HashMap<u64, Waker>,
    places: u64,
}

/// A place among those who wait for a bucket; given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    bucket: Arc<Bucket>,
    number: u64,
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
    /// More is asked for than a whole window has.
    TooLarge,
    /// The ledger cannot be asked, and nothing may pass without it.
    Unavailable,
}

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

const AMOUNT_BITS: u32 = 48;
const AMOUNT_MASK: u64 = (1 << AMOUNT_BITS) - 1;

/// The most that one grant brings, so that a purse never overflows.
pub(super) const GRANT_MAX: u64 = 1 << 46;

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

    /// Waits until the ledger has said something about the current window, or cannot be asked.
    pub async fn known(self: &Arc<Self>) {
        let mut place = None;
        poll_fn(|cx| {
            if self.is_known(Tick::now()) {
                return Poll::Ready(());
            }
            Place::wait_at(&mut place, self, cx.waker());
            let mut account = self.account();
            account.need = account.need.max(1);
            drop(account);
            self.call();
            // An answer in between woke nobody.
            if self.is_known(Tick::now()) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

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
    fn used(&self, account: &Account) -> u64 {
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let over = self.over.load(Ordering::Acquire);
        account.granted.saturating_add(over).saturating_sub(left)
    }

    /// Whether the ledger has said something about the current window, or cannot be asked.
    fn is_known(&self, now: Tick) -> bool {
        if self.count_only.load(Ordering::Relaxed) || self.link.is_away() || self.link.is_local() {
            return true;
        }
        let mut account = self.account();
        self.roll(&mut account, now);
        account.phase != Phase::Unknown
    }

    /// Asks for a visit.
    pub(super) fn call(self: &Arc<Self>) {
        if !self.called.swap(true, Ordering::AcqRel) {
            self.link.call(Visit::Bucket(self.clone()));
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
        if amount > limit {
            return Take::TooLarge;
        }
        let retry = Duration::from_millis(account.ends.since(now).max(1));
        if self.link.is_away() || account.ails {
            self.call();
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

    /// Asks the ledger in this process; whether there was any use in asking.
    fn ask_here(&self, account: &mut Account, now: Tick) -> bool {
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

    /// Turns to the next window where the last one is over.
    fn roll(&self, account: &mut Account, now: Tick) {
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

    /// A visit: what the ledger is to be asked, if anything, and when to come again.
    pub(super) fn visit(&self, now: Tick) -> (Option<Ask>, Option<Tick>) {
        self.called.store(false, Ordering::Release);
        let mut account = self.account();
        let before = account.epoch;
        self.roll(&mut account, now);
        if before != account.epoch || (account.phase == Phase::Spent && account.may_ask(now)) {
            // Those who wait show their messages again, which says what is needed.
            drop(account);
            self.wake();
            account = self.account();
        }
        let waits = !self.waiters().wakers.is_empty();
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
        let next = account.next_visit(left, waits, self.last_used(), now);
        (ask, next)
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
        self.link.stats.asks.inc();
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

    /// Takes back into the ledger what nobody has used for a while.
    fn give_back(&self, account: &mut Account) {
        let mut purse = self.purse.load(Ordering::Acquire);
        loop {
            let left = purse & AMOUNT_MASK;
            match self.exchange(purse, purse - left) {
                Ok(()) => {
                    account.granted = account.granted.saturating_sub(left);
                    // Who gives back does not take again before somebody needs it.
                    account.dry = true;
                    self.low.store(0, Ordering::Release);
                    self.link.stats.given_back.inc_by(left);
                    return;
                }
                Err(changed) => purse = changed,
            }
        }
    }

    /// The ledger's answer to the ask of this number, which was sent at `sent`; when to come again.
    pub(super) fn answered(
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
        let waits = !self.waiters().wakers.is_empty();
        let left = self.purse.load(Ordering::Acquire) & AMOUNT_MASK;
        let asks_again = is_final && account.need > 0;
        let next = account.next_visit(left, waits, self.last_used(), now);
        drop(account);
        if is_final {
            self.wake();
        }
        if asks_again {
            self.call();
        }
        next
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

    /// The ask of this number got no answer.
    pub(super) fn unanswered(&self, seq: u64) {
        // Whatever it wanted, the next will want.
        let _ = self.account().settle(seq);
    }

    /// The ledger cannot keep this counter, though it answers: it goes by its own policy until it can.
    pub(super) fn ails(&self, seq: u64) {
        let mut account = self.account();
        let _ = account.settle(seq);
        account.ails = true;
        drop(account);
        self.wake();
    }

    /// Everything is to be told to the ledger anew.
    pub(super) fn tell_again(self: &Arc<Self>) {
        let mut account = self.account();
        let holds = account.granted > 0 || self.over.load(Ordering::Acquire) > 0;
        if account.epoch.is_some() && (holds || account.need > 0) {
            account.tell |= holds;
            drop(account);
            self.call();
        }
    }

    /// Gives everything back: the node stops.
    pub(super) fn settle(self: &Arc<Self>) {
        let mut account = self.account();
        self.give_back(&mut account);
        account.tell = true;
        drop(account);
        self.call();
    }

    /// Whether anything of it is still of use at `now`, once no session counts on it.
    pub(super) fn is_over(&self, now: Tick) -> bool {
        let account = self.account();
        now.millis() >= self.deadline.load(Ordering::Acquire) && now >= account.ends
    }

    /// Wakes all who wait.
    pub(super) fn wake(&self) {
        let wakers = std::mem::take(&mut self.waiters().wakers);
        wakers.into_values().for_each(Waker::wake);
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

// === impl Place ===

impl Place {
    /// Has a waker woken once, when [`Bucket::take`] may answer otherwise; in the place that there is, or in a new one
    /// where that is at another bucket. Try again after this: an answer may have come before.
    pub fn wait_at(place: &mut Option<Self>, bucket: &Arc<Bucket>, waker: &Waker) {
        place.take_if(|place| !Arc::ptr_eq(&place.bucket, bucket));
        place.get_or_insert_with(|| Self::at(bucket)).wait(waker);
    }

    fn at(bucket: &Arc<Bucket>) -> Self {
        let mut waiters = bucket.waiters();
        waiters.places += 1;
        Self {
            number: waiters.places,
            bucket: bucket.clone(),
        }
    }

    fn wait(&self, waker: &Waker) {
        let is_first = {
            let mut waiters = self.bucket.waiters();
            waiters.wakers.insert(self.number, waker.clone());
            waiters.wakers.len() == 1
        };
        // Who waits for the window to turn wants to be visited then.
        if is_first {
            self.bucket.call();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waker = self.bucket.waiters().wakers.remove(&self.number);
        // Outside the lock: it may be the last that holds its task.
        drop(waker);
    }
}
