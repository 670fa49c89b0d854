//! The rules of the ledger, as a value without clock and I/O: which node may spend how much of a window, and which
//! holds seats.
//!
//! This is the whole in-process ledger. `ledger/*.lua` implement the same rules in Redis: change both together.
//! Requests are **absolute**: each states everything that the node holds, so that it corrects whatever was lost before,
//! and a late request is recognised by its sequence number.

use std::collections::HashMap;

/// How long a new ledger grants nothing of windows that had already begun: long enough for every node to write back
/// what it holds. In milliseconds.
pub const LEARNING: u64 = 2_500;

/// How long a node's report of its seats is valid, in milliseconds.
pub const LEASE: u64 = 8_000;

/// A node's request for a grant of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// The counter's key.
    pub key: String,
    /// The window's length in milliseconds.
    pub window: u64,
    /// The number of the window since the Unix epoch.
    pub epoch: u64,
    /// The limit of the window.
    pub limit: u64,
    /// Incremented with each request of this node for this counter.
    pub seq: u64,
    /// What this node was granted in the window and has not returned, plus what it spent without a grant.
    pub net: u64,
    /// The unspent part of it.
    pub unspent: u64,
    /// The smallest useful amount.
    pub need: u64,
    /// The wanted amount; 0 to return grants or to report.
    pub want: u64,
}

/// The ledger's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantResponse {
    /// The request was recorded, and this was granted.
    Granted(Grant),
    /// It is another window by now.
    Stale {
        /// The ledger's clock, in milliseconds of Unix time.
        now: u64,
    },
    /// The request was recorded. What other nodes hold isn't known yet.
    Learning {
        /// The ledger's clock.
        now: u64,
        /// The milliseconds until something may be granted.
        wait: u64,
    },
    /// A later request has already been answered.
    Outdated,
}

/// A grant of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The granted amount; may be 0.
    pub granted: u64,
    /// What all nodes hold and have spent, this grant included.
    pub total: u64,
    /// What other nodes have not spent, as of their last request.
    pub unspent_elsewhere: u64,
    /// The number of nodes that use the window.
    pub nodes: u64,
    /// The ledger's clock.
    pub now: u64,
    /// The milliseconds until the window ends.
    pub lasts: u64,
}

/// A node's request for seats of a gauge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRequest {
    /// The gauge's key.
    pub key: String,
    /// The limit of open sessions.
    pub limit: u64,
    /// Incremented with each request of this node for this gauge.
    pub seq: u64,
    /// The seats of the node's sessions.
    pub taken: u64,
    /// The number of wanted seats.
    pub want: u64,
}

/// The ledger's answer to a request for seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatResponse {
    /// This number of seats was granted.
    Granted(u64),
    /// The request was recorded. What other nodes hold isn't known yet.
    Learning {
        /// The milliseconds until seats may be granted.
        wait: u64,
    },
    /// A later request has already been answered.
    Outdated,
}

/// A ledger, or one shard of it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// When it was created, by its own clock; `None` before the first request.
    since: Option<u64>,
    windows: HashMap<(String, u64), WindowEntry>,
    gauges: HashMap<String, HashMap<u64, NodeSeats>>,
}

#[derive(Clone, Debug)]
struct WindowEntry {
    ends: u64,
    nodes: HashMap<u64, NodeAccount>,
}

#[derive(Clone, Copy, Debug)]
struct NodeAccount {
    seq: u64,
    net: u64,
    unspent: u64,
}

#[derive(Clone, Copy, Debug)]
struct NodeSeats {
    seq: u64,
    taken: u64,
    until: u64,
}

// === impl Rules ===

impl Rules {
    /// A ledger in the process of the nodes that hold its grants, so it can't lose anything.
    #[must_use]
    pub fn in_process() -> Self {
        Self {
            since: Some(0),
            ..Self::default()
        }
    }

    /// When it was created. A lost ledger is recreated by the first request.
    pub fn since(&mut self, now: u64) -> u64 {
        *self.since.get_or_insert(now)
    }

    /// Answers a node's request at `now`.
    pub fn grant(&mut self, node: u64, request: &GrantRequest, now: u64) -> GrantResponse {
        let since = self.since(now);
        let epoch = now / request.window;
        if epoch != request.epoch {
            return GrantResponse::Stale { now };
        }
        let (began, ends) = (epoch * request.window, (epoch + 1) * request.window);
        let window = self
            .windows
            .entry((request.key.clone(), epoch))
            .or_insert_with(|| WindowEntry {
                ends,
                nodes: HashMap::new(),
            });
        let own = window.nodes.entry(node).or_insert(NodeAccount {
            seq: 0,
            net: 0,
            unspent: 0,
        });
        if own.seq >= request.seq {
            return GrantResponse::Outdated;
        }
        *own = NodeAccount {
            seq: request.seq,
            net: request.net,
            unspent: request.unspent,
        };
        // The previous ledger may have granted something of a window that began in the same millisecond.
        if began <= since && now < since + LEARNING {
            let wait = since + LEARNING - now;
            return GrantResponse::Learning { now, wait };
        }
        let nodes = window.nodes.len() as u64;
        let total: u64 = window.nodes.values().map(|it| it.net).sum();
        let unspent_elsewhere: u64 = window.nodes.values().map(|it| it.unspent).sum();
        let granted = share_of(request, request.limit.saturating_sub(total), nodes);
        if let Some(own) = window.nodes.get_mut(&node) {
            own.net += granted;
            own.unspent += granted;
        }
        GrantResponse::Granted(Grant {
            granted,
            total: total + granted,
            unspent_elsewhere: unspent_elsewhere - request.unspent,
            nodes,
            now,
            lasts: ends - now,
        })
    }

    /// Answers a node's request for seats at `now`.
    pub fn seat(&mut self, node: u64, request: &SeatRequest, now: u64) -> SeatResponse {
        let since = self.since(now);
        let gauge = self.gauges.entry(request.key.clone()).or_default();
        if gauge.get(&node).is_some_and(|own| own.seq >= request.seq) {
            return SeatResponse::Outdated;
        }
        gauge.retain(|_, seated| seated.until > now);
        gauge.remove(&node);
        let others: u64 = gauge.values().map(|it| it.taken).sum();
        let is_learning = now < since + LEARNING && since > 0;
        let free = request.limit.saturating_sub(others + request.taken);
        let granted = if is_learning {
            0
        } else {
            request.want.min(free)
        };
        let seated = NodeSeats {
            seq: request.seq,
            taken: request.taken + granted,
            until: now + LEASE,
        };
        gauge.insert(node, seated);
        if is_learning && request.want > 0 {
            let wait = since + LEARNING - now;
            return SeatResponse::Learning { wait };
        }
        SeatResponse::Granted(granted)
    }

    /// Removes windows and seats that have expired at `now`.
    pub fn sweep(&mut self, now: u64) {
        self.windows.retain(|_, window| window.ends > now);
        for gauge in self.gauges.values_mut() {
            gauge.retain(|_, seated| seated.until > now);
        }
        self.gauges.retain(|_, gauge| !gauge.is_empty());
    }
}

/// The amount to grant of what is left: what is wanted, but at most half of a fair share, so that little is left
/// unspent at the end of the window; and at least what is needed, or nothing.
fn share_of(request: &GrantRequest, left: u64, nodes: u64) -> u64 {
    if request.want == 0 || left < request.need || left == 0 {
        return 0;
    }
    let fair = left / (2 * nodes.max(1));
    request.want.min(fair).max(request.need).max(1).min(left)
}

#[cfg(test)]
mod tests;
