//! A node's view of one counter's window: what it was granted, what it has requested, and when to send the next
//! request.
//!
//! Plain state under the bucket's lock. Owns the amount and the timing of requests. The amount follows recent usage,
//! and doubles while grants are used up fast. While other nodes may still return grants, requests are repeated with a
//! growing backoff.

use crate::quota::{rules::Grant, time::Tick};

/// The maximum of one grant, so that a balance never overflows.
pub(super) const GRANT_MAX: u64 = 1 << 46;

/// How long a grant should last, and how long it may stay unused before it is returned, in milliseconds.
const GRANT_LASTS: u64 = 500;
const IDLE: u64 = 1_000;

/// The amount of the first request, when nothing is known about the demand.
const FIRST_WANT: u64 = 1;

/// The backoff, from least to most, of requests for a counter that is used up, in milliseconds: other nodes may return
/// grants.
const AGAIN: (u64, u64) = (50, 1_000);

/// How long messages wait when the ledger has nothing left but other nodes have unspent grants: a little longer than it
/// takes them to return unused ones. And the longest backoff meanwhile. Both in milliseconds.
const RECOVERY_WAIT: u64 = 2_000;
const RECOVERY_POLL: u64 = 250;

/// The state of a counter in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WindowState {
    /// The ledger hasn't answered yet.
    #[default]
    Unknown,
    /// The ledger may grant more.
    Open,
    /// The ledger has nothing left.
    Exhausted,
}

/// One counter's window on one node.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The number of the window; `None` before the first.
    pub(super) epoch: Option<u64>,
    pub(super) window_state: WindowState,
    /// The approximate end of the window.
    pub(super) ends: Tick,
    /// What was granted in the window and not returned.
    pub(super) granted: u64,
    /// What all nodes held as of the ledger's last answer, and this node's part of it.
    pub(super) total: u64,
    pub(super) reported: u64,
    /// What other nodes had not spent as of the ledger's last answer.
    pub(super) unspent_elsewhere: u64,
    /// The largest amount that a waiting message needs.
    pub(super) need: u64,
    /// The last amount that the ledger couldn't grant.
    pub(super) refused: u64,
    /// The earliest time of the next request.
    pub(super) not_before: Tick,
    /// A report is due, even if nothing is wanted.
    pub(super) report_due: bool,
    /// The ledger is available, but rejects requests for this counter.
    pub(super) faulted: bool,
    /// The earliest time of the next request after the ledger failed to answer.
    pub(super) retry_at: Tick,
    /// The last window that was reported to the ledger, or that was left for a later one.
    confirmed: Option<u64>,
    seq: u64,
    /// The request that isn't answered yet, and whether it wants a grant.
    in_flight: Option<(u64, bool)>,
    /// When the ledger was first found to have nothing left.
    exhausted_since: Option<Tick>,
    /// The next request is only sent when a message needs it: a request ahead of need got nothing, or grants were
    /// returned.
    pub(super) on_demand_only: bool,
    last_grant: u64,
    granted_at: Tick,
    backoff: u64,
    /// The unspent amount in the last report.
    reported_unspent: u64,
    /// When the ledger last answered about this window.
    pub(super) refreshed: Tick,
}

/// The varying parts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedRequest {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) need: u64,
    pub(super) want: u64,
}

// === impl Account ===

impl Account {
    /// Whether this window can be opened. A window that was reported, or that has ended here, can't: what was spent in
    /// it is forgotten.
    pub(super) fn may_open(&self, epoch: u64) -> bool {
        self.epoch != Some(epoch) && self.confirmed.is_none_or(|last| epoch > last)
    }

    /// Opens a window. Sequence numbers continue, so that each answer matches one request only.
    pub(super) fn open(&mut self, epoch: u64) {
        let left = self.epoch.filter(|left| *left < epoch);
        *self = Self {
            epoch: Some(epoch),
            need: self.need,
            faulted: self.faulted,
            retry_at: self.retry_at,
            confirmed: self.confirmed.max(left),
            seq: self.seq,
            last_grant: self.last_grant,
            granted_at: self.granted_at,
            ..Self::default()
        };
    }

    /// The limit has changed. What was refused before may be granted now. A grant in flight belongs to the old limit,
    /// so it is ignored, and the next request reports that it isn't held.
    pub(super) fn reopen(&mut self) {
        self.in_flight = None;
        if self.window_state == WindowState::Exhausted {
            self.window_state = WindowState::Open;
        }
        self.on_demand_only = false;
        self.not_before = Tick::default();
        self.backoff = 0;
    }

    /// Whether the next request may be sent.
    pub(super) fn may_ask(&self, now: Tick) -> bool {
        now >= self.not_before.max(self.retry_at)
            && (self.window_state != WindowState::Exhausted || self.unspent_elsewhere > 0)
    }

    /// The next request, if there is anything to request or to report.
    pub(super) fn plan_request(
        &mut self,
        left: u64,
        over: u64,
        is_low: bool,
        used: Tick,
        now: Tick,
    ) -> Option<PlannedRequest> {
        let epoch = self.epoch?;
        if self.in_flight.is_some() || now < self.retry_at {
            return None;
        }
        let wants = (self.need > 0 || is_low) && self.may_ask(now);
        let tells = self.report_due
            || (self.reported_unspent != left && left == 0 && !wants && now >= self.idle_at(used));
        if !wants && !tells {
            return None;
        }
        self.seq += 1;
        self.in_flight = Some((self.seq, wants));
        self.report_due = false;
        self.reported = self.granted.saturating_add(over);
        self.reported_unspent = left;
        // What is in the balance need not be granted again.
        let need = if wants {
            self.need.saturating_sub(left).max(1)
        } else {
            0
        };
        let want = if wants { self.want(now).max(need) } else { 0 };
        Some(PlannedRequest {
            epoch,
            seq: self.seq,
            need,
            want,
        })
    }

    /// The amount that is expected to be spent in the next half second.
    fn want(&self, now: Tick) -> u64 {
        if self.last_grant == 0 {
            return FIRST_WANT;
        }
        // The time in which the last grant was used up, or nearly so.
        let took = now.since(self.granted_at).max(1);
        let rate = self.last_grant.saturating_mul(GRANT_LASTS) / took;
        rate.clamp(1, self.last_grant.saturating_mul(2))
            .min(GRANT_MAX)
    }

    /// Completes the request with this number. Returns whether it wanted a grant, or `None` if it isn't the one in
    /// flight.
    pub(super) fn complete(&mut self, seq: u64) -> Option<bool> {
        let (_, wanted) = self.in_flight.take_if(|(in_flight, _)| *in_flight == seq)?;
        Some(wanted)
    }

    /// The request got no answer. The next one, at `again` or later, reports the same.
    pub(super) fn unanswered(&mut self, seq: u64, again: Tick) {
        if self.complete(seq).is_some() {
            self.report_due = true;
            self.retry_at = again;
        }
    }

    /// The ledger has recorded the report and grants nothing before `again`.
    pub(super) fn learning(&mut self, again: Tick) {
        self.confirmed = self.epoch;
        self.not_before = again;
    }

    /// Applies a grant; `left` is the balance now.
    pub(super) fn granted(&mut self, grant: Grant, wanted: bool, left: u64, now: Tick) {
        self.confirmed = self.epoch;
        self.granted += grant.granted;
        self.reported += grant.granted;
        self.reported_unspent += grant.granted;
        self.total = grant.total;
        self.unspent_elsewhere = grant.unspent_elsewhere;
        self.refreshed = now;
        if grant.granted > 0 {
            self.last_grant = grant.granted;
            self.granted_at = now;
            self.backoff = 0;
            self.exhausted_since = None;
        }
        let refused = wanted && grant.granted == 0;
        if wanted {
            self.on_demand_only = refused;
        }
        if self.need <= left {
            self.need = 0;
            self.window_state = WindowState::Open;
        } else if refused {
            self.window_state = WindowState::Exhausted;
            self.refused = std::mem::take(&mut self.need);
            self.exhausted_since.get_or_insert(now);
            let most = if self.may_recover(now) {
                RECOVERY_POLL
            } else {
                AGAIN.1
            };
            self.backoff = (self.backoff * 2).clamp(AGAIN.0, most);
            self.not_before = now.plus(self.backoff);
        } else if self.window_state == WindowState::Unknown {
            self.window_state = WindowState::Open;
        }
    }

    /// Whether other nodes may still return grants. Not at the end of a window, and never in a short one: unused grants
    /// expire with it.
    pub(super) fn may_recover(&self, now: Tick) -> bool {
        let in_time = self.ends.since(now) > IDLE;
        let lately = self
            .exhausted_since
            .is_some_and(|since| now.since(since) < RECOVERY_WAIT);
        self.window_state == WindowState::Exhausted
            && self.unspent_elsewhere > 0
            && lately
            && in_time
    }

    /// The balance below which the next grant is requested; 0 once there is nothing left.
    pub(super) fn low(&self) -> u64 {
        if self.on_demand_only || self.window_state == WindowState::Exhausted {
            0
        } else {
            self.last_grant / 4
        }
    }

    /// Whether the balance, last used at `used`, has been idle for so long that it should be returned.
    pub(super) fn is_idle(&mut self, left: u64, used: Tick, now: Tick) -> bool {
        if now >= self.idle_at(used) && left > 0 && self.in_flight.is_none() {
            self.report_due = true;
            return true;
        }
        false
    }

    fn idle_at(&self, used: Tick) -> Tick {
        used.max(self.refreshed).plus(IDLE)
    }

    /// When waiting messages should retry: at the end of the window, or earlier if other nodes may return grants.
    pub(super) fn turn(&self, has_no_ledger: bool) -> Tick {
        if self.window_state == WindowState::Exhausted
            && self.unspent_elsewhere > 0
            && !has_no_ledger
        {
            self.not_before.min(self.ends)
        } else {
            self.ends
        }
    }

    /// When to refresh next unless it is queued before; `turn` if there are waiters.
    pub(super) fn next_refresh(
        &self,
        left: u64,
        turn: Option<Tick>,
        used: Tick,
        now: Tick,
    ) -> Option<Tick> {
        let has_to_tell = left > 0 || self.reported_unspent != left;
        let idle = has_to_tell.then(|| self.idle_at(used));
        let need = (self.need > 0 && self.in_flight.is_none()).then_some(self.not_before);
        let next = [idle, turn.map(|at| at.plus(1)), need];
        let next = next.into_iter().flatten().min();
        next.map(|at| at.max(self.retry_at).max(now.plus(1)))
    }
}
