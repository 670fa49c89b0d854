//! What a node knows of one counter's window: what it was granted, what it has asked, and when it is worth asking again.
//!
//! Plain state under the bucket's lock. Owns how much is asked for and when: what was used lately, at once doubled while
//! a grant is used up fast; again and again, but ever more rarely, while others may still give back.

use crate::quota::{rules::Grant, time::Tick};

/// The most that one grant brings, so that a purse never overflows.
pub(super) const GRANT_MAX: u64 = 1 << 46;

/// For how long a grant should last, and after how long without use it is given back, in milliseconds.
const GRANT_LASTS: u64 = 500;
const IDLE: u64 = 1_000;

/// What is asked for first, when nothing is known of the demand.
const FIRST_WANT: u64 = 1;

/// How long a counter that is used up waits before it asks whether others have given back, in milliseconds.
const AGAIN: (u64, u64) = (50, 1_000);

/// For how long messages wait when the ledger has nothing left but others have not spent what they hold: a little longer
/// than it takes them to give back what they do not use. In milliseconds; and how often it is asked for meanwhile.
const HOPE: u64 = 2_000;
const HOPE_AGAIN: u64 = 250;

/// How a counter stands in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The ledger has said nothing yet.
    #[default]
    Unknown,
    /// There may be more.
    Open,
    /// The ledger had nothing left.
    Spent,
}

/// One counter's window on one node.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The window; `None` before the first.
    pub(super) epoch: Option<u64>,
    pub(super) phase: Phase,
    /// About when the window ends.
    pub(super) ends: Tick,
    /// What was granted in it and not given back.
    pub(super) granted: u64,
    /// What all nodes held, by the ledger's last word, and this node's part of it.
    pub(super) total: u64,
    pub(super) told: u64,
    /// What others had not spent, by the ledger's last word.
    pub(super) loose: u64,
    /// The largest payment that waits.
    pub(super) need: u64,
    /// The need for which nothing was left.
    pub(super) refused: u64,
    /// Not before this is there any use in asking.
    pub(super) again: Tick,
    /// Something is to be told even if nothing is wanted.
    pub(super) tell: bool,
    /// The ledger answers, but not about this counter.
    pub(super) ails: bool,
    /// The ledger did not answer: not before this is it asked again.
    pub(super) silent: Tick,
    /// The last window of which the ledger has heard, or that was left for a later one.
    confirmed: Option<u64>,
    seq: u64,
    /// The ask that is not answered yet, and whether it wants something.
    flying: Option<(u64, bool)>,
    /// Since when the ledger has had nothing left.
    spent_since: Option<Tick>,
    /// Nothing was left for an ask ahead of need, or nothing is to be held: the next ask comes with the need.
    pub(super) dry: bool,
    last_grant: u64,
    granted_at: Tick,
    patience: u64,
    /// What was unspent when the ledger was last told.
    told_unspent: u64,
    /// When the ledger last said how the window stands.
    pub(super) heard: Tick,
}

/// What is to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) need: u64,
    pub(super) want: u64,
}

// === impl Account ===

impl Account {
    /// Whether this window can be begun: never one of which the ledger has heard, nor one that is over here, for what was
    /// spent in it is forgotten.
    pub(super) fn may_open(&self, epoch: u64) -> bool {
        self.epoch != Some(epoch) && self.confirmed.is_none_or(|last| epoch > last)
    }

    /// Begins a window. Numbers of asks go on, so that no answer is taken for another's.
    pub(super) fn open(&mut self, epoch: u64) {
        let left = self.epoch.filter(|left| *left < epoch);
        *self = Self {
            epoch: Some(epoch),
            need: self.need,
            ails: self.ails,
            silent: self.silent,
            confirmed: self.confirmed.max(left),
            seq: self.seq,
            last_grant: self.last_grant,
            granted_at: self.granted_at,
            ..Self::default()
        };
    }

    /// The terms have changed: what was refused may be granted now, and what is on its way was granted under the old ones.
    /// It is taken for lost, and the next ask says that it is not held.
    pub(super) fn reopen(&mut self) {
        self.flying = None;
        if self.phase == Phase::Spent {
            self.phase = Phase::Open;
        }
        self.dry = false;
        self.again = Tick::default();
        self.patience = 0;
    }

    /// Whether it is time to ask again.
    pub(super) fn may_ask(&self, now: Tick) -> bool {
        now >= self.again.max(self.silent) && (self.phase != Phase::Spent || self.loose > 0)
    }

    /// What to ask, if there is anything to ask or to tell.
    pub(super) fn ask(
        &mut self,
        left: u64,
        over: u64,
        is_low: bool,
        used: Tick,
        now: Tick,
    ) -> Option<Words> {
        let epoch = self.epoch?;
        if self.flying.is_some() || now < self.silent {
            return None;
        }
        let wants = (self.need > 0 || is_low) && self.may_ask(now);
        let tells = self.tell
            || (self.told_unspent != left && left == 0 && !wants && now >= self.idle_at(used));
        if !wants && !tells {
            return None;
        }
        self.seq += 1;
        self.flying = Some((self.seq, wants));
        self.tell = false;
        self.told = self.granted.saturating_add(over);
        self.told_unspent = left;
        // What is in the purse already need not be granted.
        let need = if wants {
            self.need.saturating_sub(left).max(1)
        } else {
            0
        };
        let want = if wants { self.want(now).max(need) } else { 0 };
        Some(Words {
            epoch,
            seq: self.seq,
            need,
            want,
        })
    }

    /// What is expected to be spent in the next half second.
    fn want(&self, now: Tick) -> u64 {
        if self.last_grant == 0 {
            return FIRST_WANT;
        }
        // The last grant was used up, or nearly so, in this time.
        let took = now.since(self.granted_at).max(1);
        let rate = self.last_grant.saturating_mul(GRANT_LASTS) / took;
        rate.clamp(1, self.last_grant.saturating_mul(2))
            .min(GRANT_MAX)
    }

    /// Whether something was wanted by the ask that this answers; `None` for an answer to another. It is no longer open.
    pub(super) fn settle(&mut self, seq: u64) -> Option<bool> {
        let (_, wanted) = self.flying.take_if(|(flying, _)| *flying == seq)?;
        Some(wanted)
    }

    /// The ask got no answer: whatever it said, the next will say, but not before `again`.
    pub(super) fn unanswered(&mut self, seq: u64, again: Tick) {
        if self.settle(seq).is_some() {
            self.tell = true;
            self.silent = again;
        }
    }

    /// The ledger has written down what it was told, and will say more at `again`.
    pub(super) fn learning(&mut self, again: Tick) {
        self.confirmed = self.epoch;
        self.again = again;
    }

    /// Takes in the ledger's word; `left` is what can be spent now.
    pub(super) fn granted(&mut self, grant: Grant, wanted: bool, left: u64, now: Tick) {
        self.confirmed = self.epoch;
        self.granted += grant.granted;
        self.told += grant.granted;
        self.told_unspent += grant.granted;
        self.total = grant.total;
        self.loose = grant.loose;
        self.heard = now;
        if grant.granted > 0 {
            self.last_grant = grant.granted;
            self.granted_at = now;
            self.patience = 0;
            self.spent_since = None;
        }
        let refused = wanted && grant.granted == 0;
        if wanted {
            self.dry = refused;
        }
        if self.need <= left {
            self.need = 0;
            self.phase = Phase::Open;
        } else if refused {
            self.phase = Phase::Spent;
            self.refused = std::mem::take(&mut self.need);
            self.spent_since.get_or_insert(now);
            let most = if self.hopes(now) { HOPE_AGAIN } else { AGAIN.1 };
            self.patience = (self.patience * 2).clamp(AGAIN.0, most);
            self.again = now.plus(self.patience);
        } else if self.phase == Phase::Unknown {
            self.phase = Phase::Open;
        }
    }

    /// Whether it is worth waiting for what others may give back: not in the end of a window, nor ever in a short one, where
    /// what they do not use goes with it.
    pub(super) fn hopes(&self, now: Tick) -> bool {
        let in_time = self.ends.since(now) > IDLE;
        let lately = self
            .spent_since
            .is_some_and(|since| now.since(since) < HOPE);
        self.phase == Phase::Spent && self.loose > 0 && lately && in_time
    }

    /// Below which rest of the last grant the next is asked for; 0 once there is nothing to be had.
    pub(super) fn low(&self) -> u64 {
        if self.dry || self.phase == Phase::Spent {
            0
        } else {
            self.last_grant / 4
        }
    }

    /// Whether a rest, last used at `used`, has not been touched for so long that others should have it.
    pub(super) fn is_idle(&mut self, left: u64, used: Tick, now: Tick) -> bool {
        if now >= self.idle_at(used) && left > 0 && self.flying.is_none() {
            self.tell = true;
            return true;
        }
        false
    }

    fn idle_at(&self, used: Tick) -> Tick {
        used.max(self.heard).plus(IDLE)
    }

    /// When those who wait are to look again: when the window turns or, where the ledger can be asked and others may give
    /// back, before.
    pub(super) fn turn(&self, is_alone: bool) -> Tick {
        if self.phase == Phase::Spent && self.loose > 0 && !is_alone {
            self.again.min(self.ends)
        } else {
            self.ends
        }
    }

    /// When to look again without being called; `turn` where somebody waits.
    pub(super) fn next_visit(
        &self,
        left: u64,
        turn: Option<Tick>,
        used: Tick,
        now: Tick,
    ) -> Option<Tick> {
        let has_to_tell = left > 0 || self.told_unspent != left;
        let idle = has_to_tell.then(|| self.idle_at(used));
        let need = (self.need > 0 && self.flying.is_none()).then_some(self.again);
        let next = [idle, turn.map(|at| at.plus(1)), need];
        let next = next.into_iter().flatten().min();
        next.map(|at| at.max(self.silent).max(now.plus(1)))
    }
}
