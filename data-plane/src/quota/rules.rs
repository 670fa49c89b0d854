//! The ledger's rules, as a value without clock and I/O: who may spend how much of a window, and who holds a seat.
//!
//! The in-process ledger is this and nothing more; `ledger/*.lua` say the same to Redis: change both together. An ask is **absolute**: it says all that the node counts as its own, so that the last word of a node
//! makes good whatever was lost before it, and a word that comes late is known by its sequence number.

use std::collections::HashMap;

/// For how long a ledger that was made anew grants nothing of windows that had begun by then: long enough that every node
/// has written back what it holds. In milliseconds.
pub const LEARNING: u64 = 2_500;

/// For how long a node's word on its seats holds, in milliseconds.
pub const LEASE: u64 = 8_000;

/// What a node asks of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The counter's key.
    pub key: String,
    /// The window's length in milliseconds.
    pub window: u64,
    /// The window that is meant: how many have passed since the Unix epoch.
    pub epoch: u64,
    /// The limit of the window.
    pub limit: u64,
    /// Counts up with each ask of this node about this counter.
    pub seq: u64,
    /// All that was granted to this node in the window and not given back, and what it spent without a grant.
    pub net: u64,
    /// How much of it is unspent.
    pub unspent: u64,
    /// The least that is of use.
    pub need: u64,
    /// How much is wanted; 0 to give back and to tell.
    pub want: u64,
}

/// What the ledger answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is written down, and this was granted.
    Granted(Grant),
    /// The window is another one by now.
    Stale {
        /// The ledger's clock: milliseconds of Unix time.
        now: u64,
    },
    /// It is written down; what others hold is not known yet.
    Learning {
        /// The ledger's clock.
        now: u64,
        /// For how many milliseconds nothing is granted.
        wait: u64,
    },
    /// A later ask was answered before.
    Outdated,
}

/// A grant out of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How much; 0 for nothing.
    pub granted: u64,
    /// What all nodes hold and have spent, this grant included.
    pub total: u64,
    /// What other nodes have not spent, by their last word.
    pub loose: u64,
    /// How many nodes count on the window.
    pub nodes: u64,
    /// The ledger's clock.
    pub now: u64,
    /// For how many milliseconds the window lasts.
    pub lasts: u64,
}

/// What a node asks of a gauge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatAsk {
    /// The gauge's key.
    pub key: String,
    /// How many seats there are.
    pub limit: u64,
    /// Counts up with each ask of this node about this gauge.
    pub seq: u64,
    /// How many seats the node's sessions have.
    pub taken: u64,
    /// How many more are wanted.
    pub want: u64,
}

/// What the ledger answers about seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seats {
    /// So many more are the node's.
    Granted(u64),
    /// It is written down; what others hold is not known yet.
    Learning {
        /// For how many milliseconds none are given.
        wait: u64,
    },
    /// A later ask was answered before.
    Outdated,
}

/// A ledger, or the part of it that lives in one shard.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// When it was made, by its own clock; `None` until somebody asks.
    since: Option<u64>,
    windows: HashMap<(String, u64), Window>,
    gauges: HashMap<String, HashMap<u64, Seated>>,
}

#[derive(Clone, Debug)]
struct Window {
    ends: u64,
    nodes: HashMap<u64, Account>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    seq: u64,
    net: u64,
    unspent: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seated {
    seq: u64,
    taken: u64,
    until: u64,
}

// === impl Rules ===

impl Rules {
    /// A ledger that cannot have lost anything: it lives and dies with those who hold grants of it.
    #[must_use]
    pub fn in_process() -> Self {
        Self {
            since: Some(0),
            ..Self::default()
        }
    }

    /// When it was made; a ledger that was lost is made anew by the first who looks.
    pub fn since(&mut self, now: u64) -> u64 {
        *self.since.get_or_insert(now)
    }

    /// Answers a node's ask at `now`.
    pub fn grant(&mut self, node: u64, ask: &Ask, now: u64) -> Answer {
        let since = self.since(now);
        let epoch = now / ask.window;
        if epoch != ask.epoch {
            return Answer::Stale { now };
        }
        let (began, ends) = (epoch * ask.window, (epoch + 1) * ask.window);
        let window = self
            .windows
            .entry((ask.key.clone(), epoch))
            .or_insert_with(|| Window {
                ends,
                nodes: HashMap::new(),
            });
        let own = window.nodes.entry(node).or_insert(Account {
            seq: 0,
            net: 0,
            unspent: 0,
        });
        if own.seq >= ask.seq {
            return Answer::Outdated;
        }
        *own = Account {
            seq: ask.seq,
            net: ask.net,
            unspent: ask.unspent,
        };
        // Of one that began in the same millisecond, the ledger before may have granted.
        if began <= since && now < since + LEARNING {
            let wait = since + LEARNING - now;
            return Answer::Learning { now, wait };
        }
        let nodes = window.nodes.len() as u64;
        let total: u64 = window.nodes.values().map(|it| it.net).sum();
        let loose: u64 = window.nodes.values().map(|it| it.unspent).sum();
        let granted = share_of(ask, ask.limit.saturating_sub(total), nodes);
        if let Some(own) = window.nodes.get_mut(&node) {
            own.net += granted;
            own.unspent += granted;
        }
        Answer::Granted(Grant {
            granted,
            total: total + granted,
            loose: loose - ask.unspent,
            nodes,
            now,
            lasts: ends - now,
        })
    }

    /// Answers a node's ask for seats at `now`.
    pub fn seat(&mut self, node: u64, ask: &SeatAsk, now: u64) -> Seats {
        let since = self.since(now);
        let gauge = self.gauges.entry(ask.key.clone()).or_default();
        if gauge.get(&node).is_some_and(|own| own.seq >= ask.seq) {
            return Seats::Outdated;
        }
        gauge.retain(|_, seated| seated.until > now);
        gauge.remove(&node);
        let others: u64 = gauge.values().map(|it| it.taken).sum();
        let is_learning = now < since + LEARNING && since > 0;
        let free = ask.limit.saturating_sub(others + ask.taken);
        let granted = if is_learning { 0 } else { ask.want.min(free) };
        let seated = Seated {
            seq: ask.seq,
            taken: ask.taken + granted,
            until: now + LEASE,
        };
        gauge.insert(node, seated);
        if is_learning && ask.want > 0 {
            let wait = since + LEARNING - now;
            return Seats::Learning { wait };
        }
        Seats::Granted(granted)
    }

    /// Forgets windows and seats that are over at `now`.
    pub fn sweep(&mut self, now: u64) {
        self.windows.retain(|_, window| window.ends > now);
        for gauge in self.gauges.values_mut() {
            gauge.retain(|_, seated| seated.until > now);
        }
        self.gauges.retain(|_, gauge| !gauge.is_empty());
    }
}

/// How much is granted of what is left: what is wanted, but no more than half of a fair share, so that little is
/// stranded when the window runs out; and at least what is needed, or nothing.
fn share_of(ask: &Ask, left: u64, nodes: u64) -> u64 {
    if ask.want == 0 || left < ask.need || left == 0 {
        return 0;
    }
    let fair = left / (2 * nodes.max(1));
    ask.want.min(fair).max(ask.need).max(1).min(left)
}

#[cfg(test)]
mod tests;
