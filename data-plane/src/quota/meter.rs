//! The gate of one session: checks each message against the session's limits, and applies the action of the level that
//! refuses it.
//!
//! Owns verdicts and notices, and applies changed limits to the next message. `limiter` counts. Called by the relay on
//! the data path: a message that passes costs one check and the atomics of the counters.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::Context,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::task::AtomicWaker;
use http::HeaderValue;
use tidegate_proto::{
    quota::{CloseCode, OnLimit},
    reason::Reason,
};
use tokio::time::Instant;

use crate::{
    handshake::deflate::Agreed,
    message::{CloseCause, Direction, Gate, MessageStart, Verdict},
    metrics::{ApiLabels, Metrics, quota::Action},
    quota::{
        bucket::{Take, WaitHandle},
        gauge::Seat,
        key::GaugeKey,
        limiter::{Limiter, Refused},
        time::Tick,
    },
    snapshot::{Edition, model::Api},
};

/// The limits of a session, shared by its meter and by those who change them.
#[derive(Debug)]
pub struct Limited {
    limiter: ArcSwap<Limiter>,
    /// The number of changes.
    version: AtomicU32,
    /// The session's waker, while a message is delayed.
    waker: AtomicWaker,
    seats: Mutex<Seated>,
}

/// The seats of a session, and the configuration that they are from.
#[derive(Debug, Default)]
struct Seated {
    edition: Edition,
    seats: Seats,
}

/// The seats of a session under limits of open sessions.
pub type Seats = Vec<(GaugeKey, Seat)>;

/// The gate of one session. `L` leads to its limits.
#[derive(Debug)]
pub struct Meter<L> {
    limited: L,
    limiter: Arc<Limiter>,
    version: u32,
    refuser: Box<Refuser>,
}

/// Handles messages that don't pass.
#[derive(Debug)]
struct Refuser {
    terms: Terms,
    metrics: Arc<Metrics>,
    notice: Option<Box<str>>,
    noticed_at: Option<Instant>,
    /// Whether a message of each direction is delayed, so that it is counted once however often it is retried.
    waits: [bool; 2],
    /// The registrations of the delayed message of each direction.
    wait_handles: [Option<WaitHandle>; 2],
}

/// What a session's own handshake says about what may be done to its messages.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Where its messages are counted.
    pub labels: ApiLabels,
    /// Whether the client and the backend keep their compression window from one message to the next, so that no
    /// compressed message of theirs may be missing (RFC 7692, 7.1.1).
    pub keeps_window: [bool; 2],
    /// Whether a text message of the gateway's own may stand in the session.
    pub may_notice: bool,
}

/// The minimum interval of notices.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// "Message too big" (RFC 6455, 7.4.1), for a message that could never pass.
const TOO_BIG: u16 = 1009;

/// How often a message is retried while its counters change, before the session yields.
const ROUNDS: usize = 4;

// === impl Limited ===

impl Limited {
    /// A session's first limits and seats.
    #[must_use]
    pub fn new(edition: Edition, limiter: Limiter, seats: Seats) -> Self {
        Self {
            limiter: ArcSwap::from_pointee(limiter),
            version: AtomicU32::new(0),
            waker: AtomicWaker::new(),
            seats: Mutex::new(Seated { edition, seats }),
        }
    }

    /// The current limits.
    #[must_use]
    pub fn limiter(&self) -> Arc<Limiter> {
        self.limiter.load_full()
    }

    /// Changes the limits for the next message, and for a delayed one at once. `fresh` are seats that the session
    /// didn't have. Limits of an older configuration than the current one are ignored.
    pub fn change(&self, edition: Edition, limiter: Limiter, fresh: Seats) {
        let mut seated = self.lock();
        if edition < seated.edition {
            return;
        }
        let stays = |key: &GaugeKey| {
            let mut tiers = limiter.tiers().iter();
            tiers.any(|tier| tier.sessions().is_some() && tier.seat() == *key)
        };
        let (mut kept, left): (Seats, Seats) = mem::take(&mut seated.seats)
            .into_iter()
            .partition(|(key, _)| stays(key));
        // Whoever judged the session at the same time may have been first.
        let is_kept = |key: &GaugeKey| kept.iter().any(|(held, _)| held == key);
        let (twice, fresh): (Seats, Seats) = fresh.into_iter().partition(|(key, _)| is_kept(key));
        kept.extend(fresh);
        *seated = Seated {
            edition,
            seats: kept,
        };
        self.limiter.store(Arc::new(limiter));
        drop(seated);
        drop((left, twice));
        // After the store, so that a reader of the new version sees the new limits.
        self.version.fetch_add(1, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the session is counted among the open ones of a key.
    #[must_use]
    pub fn is_seated(&self, key: &GaugeKey) -> bool {
        self.lock().seats.iter().any(|(held, _)| held == key)
    }

    /// Frees the seats of a session that has ended, even if its record is still referenced.
    pub fn leave(&self) {
        drop(mem::take(&mut self.lock().seats));
    }

    fn lock(&self) -> MutexGuard<'_, Seated> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Terms ===

impl Terms {
    /// The terms of a session on an API whose backend chose this subprotocol and agreed on this compression.
    #[must_use]
    pub fn new(api: &Api, subprotocol: Option<&HeaderValue>, deflate: Option<Agreed>) -> Self {
        Self {
            labels: ApiLabels {
                api: api.name.clone(),
                version: Arc::from(api.version.as_str()),
            },
            keeps_window: deflate.map_or([false; 2], |it| [it.client_keeps, it.backend_keeps]),
            may_notice: subprotocol.is_none_or(|chosen| {
                let mut listed = api.notice_subprotocols.iter();
                listed.any(|name| chosen == &**name)
            }),
        }
    }
}

// === impl Meter ===

impl<L: AsRef<Limited>> Meter<L> {
    /// The gate of a session under these limits.
    #[must_use]
    pub fn new(limited: L, terms: Terms, metrics: Arc<Metrics>) -> Self {
        let version = limited.as_ref().version.load(Ordering::Acquire);
        Self {
            limiter: limited.as_ref().limiter(),
            limited,
            version,
            refuser: Box::new(Refuser {
                terms,
                metrics,
                notice: None,
                noticed_at: None,
                waits: [false; 2],
                wait_handles: [None, None],
            }),
        }
    }

    #[inline]
    fn follow(&mut self) {
        let version = self.limited.as_ref().version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.limiter = self.limited.as_ref().limiter();
        }
    }

    /// Decides about a message that is refused or has to be retried.
    #[cold]
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        message: MessageStart,
    ) -> Verdict {
        self.limited.as_ref().waker.register(cx.waker());
        let mut registered = None;
        for _ in 0..ROUNDS {
            self.follow();
            let limiter = self.limiter.clone();
            let refused = match limiter.take(direction, message.length, Tick::now()) {
                Ok(()) => return Verdict::Pass,
                Err(refused) => refused,
            };
            let verdict = self.refuser.verdict(direction, message, &refused);
            let handle = &mut self.refuser.wait_handles[index(direction)];
            if verdict != Verdict::Wait {
                *handle = None;
                return verdict;
            }
            // Whoever registers looks once more: room that came in between woke nobody.
            if registered.replace(Arc::as_ptr(refused.bucket)) == Some(Arc::as_ptr(refused.bucket))
            {
                if matches!(refused.take, Take::Exhausted { .. }) {
                    self.refuser.told(&refused, direction, Action::Delay);
                }
                return Verdict::Wait;
            }
            WaitHandle::wait_at(handle, refused.bucket, cx.waker());
        }
        cx.waker().wake_by_ref();
        Verdict::Wait
    }
}

impl Refuser {
    fn verdict(
        &mut self,
        direction: Direction,
        message: MessageStart,
        refused: &Refused<'_>,
    ) -> Verdict {
        let (reason, retry) = match refused.take {
            Take::Taken | Take::Waiting => return Verdict::Wait,
            Take::Exhausted { retry } => (refused.tier.level().reason(), Some(retry)),
            Take::TooLarge => (refused.tier.level().reason(), None),
            Take::Unavailable => (Reason::LedgerUnavailable, None),
        };
        let mut on_limit = refused.tier.rule.limits.on_limit;
        // The receiver could not read what follows a compressed message that is missing.
        if matches!(on_limit, OnLimit::Notify | OnLimit::Drop)
            && message.compressed
            && self.terms.keeps_window[index(direction)]
        {
            on_limit = OnLimit::Delay;
        }
        let farewell = |code| {
            Verdict::Close(CloseCause {
                reason,
                code,
                retry_seconds: retry.and_then(whole_seconds),
            })
        };
        match on_limit {
            OnLimit::Notify => {
                self.told(refused, direction, Action::Notify);
                self.note(reason, retry);
                Verdict::Drop
            }
            OnLimit::Drop => {
                self.told(refused, direction, Action::Drop);
                Verdict::Drop
            }
            OnLimit::Delay if refused.take == Take::TooLarge => {
                self.told(refused, direction, Action::Close);
                farewell(Some(TOO_BIG))
            }
            OnLimit::Delay => Verdict::Wait,
            OnLimit::Close(code) => {
                self.told(refused, direction, Action::Close);
                let code = match code {
                    // Without a ledger the reason has a code of its own.
                    CloseCode::Throttled => None,
                    CloseCode::PolicyViolation => Some(code.code()),
                };
                farewell(code)
            }
        }
    }

    /// Counts the action for a message, once.
    fn told(&mut self, refused: &Refused<'_>, direction: Direction, action: Action) {
        let delays = action == Action::Delay;
        if !(delays && self.waits[index(direction)]) {
            let rule = &refused.tier.rule;
            let by = (rule.level.label(), &rule.policy);
            self.metrics.message_limited(&self.terms.labels, by, action);
        }
        self.waits[index(direction)] = delays;
    }

    fn note(&mut self, reason: Reason, retry: Option<Duration>) {
        let now = Instant::now();
        let too_soon = self.noticed_at.is_some_and(|at| now < at + NOTICE_EVERY);
        if !self.terms.may_notice || too_soon {
            return;
        }
        self.noticed_at = Some(now);
        let code = reason.close_code().unwrap_or(CloseCode::Throttled.code());
        let mut text = format!("Error code: {code} reason: {}", reason.message());
        if let Some(seconds) = retry.and_then(whole_seconds) {
            text.push_str(&format!("; retry in {seconds} s"));
        }
        self.notice = Some(text.into());
    }
}

impl<L: AsRef<Limited>> Gate for Meter<L> {
    #[inline]
    fn admit(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        message: MessageStart,
    ) -> Verdict {
        self.follow();
        if self.limiter.tiers().is_empty() {
            return Verdict::Pass;
        }
        let taken = self.limiter.take(direction, message.length, Tick::coarse());
        let verdict = match taken {
            Ok(()) => Verdict::Pass,
            Err(_) => self.refuse(cx, direction, message),
        };
        if verdict != Verdict::Wait {
            self.refuser.waits[index(direction)] = false;
        }
        verdict
    }

    fn more(&mut self, direction: Direction, length: u64) {
        self.follow();
        self.limiter.more(direction, length, Tick::coarse());
    }

    fn notice(&mut self) -> Option<Box<str>> {
        self.refuser.notice.take()
    }
}

const fn index(direction: Direction) -> usize {
    match direction {
        Direction::ToBackend => 0,
        Direction::ToClient => 1,
    }
}

/// Rounded up, so that clients don't retry too early.
#[must_use]
pub fn whole_seconds(time: Duration) -> Option<std::num::NonZeroU32> {
    let seconds = u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
    std::num::NonZeroU32::new(seconds.max(1))
}

#[cfg(test)]
mod tests;
