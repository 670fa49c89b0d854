//! Watches both peers: ends idle sessions, and detects peers that have vanished, also behind a delayed message, while
//! they aren't read.
//!
//! Nothing is timed per message. The flows set flags, and one coarse tick reads them, so each timeout takes effect up
//! to a quarter late and never early. Moves no bytes. Called by the relay's future when its timer fires.

use std::time::Duration;

use tidegate_proto::reason::Reason;
use tokio::time::Instant;

use crate::relay::Rules;
use crate::relay::pump::{Flow, Progress, Tx};
use crate::socket::FarEnd;

/// A tick is never shorter, however short the limits are.
const FINEST_TICK: Duration = Duration::from_millis(10);

/// The limit by whose quarters a peer is looked after whose message waits, where no other limit is shorter.
const UNHEARD: Duration = Duration::from_secs(30);

/// What is known of both peers' silence.
#[derive(Debug)]
pub(super) struct Keepalive {
    data_at: Instant,
    client: PeerActivity,
    backend: PeerActivity,
}

/// What is known of one peer's silence.
#[derive(Clone, Copy, Debug)]
struct PeerActivity {
    heard_at: Instant,
    pinged_at: Option<Instant>,
}

/// What a tick finds of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing speaks against it.
    Here,
    /// It has left, and its message still waits.
    Left,
    /// It has not answered.
    Unresponsive,
}

// === impl Keepalive ===

impl Keepalive {
    pub(super) fn new(now: Instant) -> Self {
        let peer = PeerActivity {
            heard_at: now,
            pinged_at: None,
        };
        Self {
            data_at: now,
            client: peer,
            backend: peer,
        }
    }

    /// Reads the flags; the reason to end the session, if there is one. Makes pings due, and releases what waits of a
    /// peer that has left: its FIN, or its failure, then says why the session ends. `far_ends` are those of client and
    /// backend, where a message of theirs waits.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        rules: &Rules,
        (up, down): (&mut Flow, &mut Flow),
        far_ends: [Option<FarEnd>; 2],
    ) -> Option<Reason> {
        let sent = std::mem::take(&mut up.stirred);
        let received = std::mem::take(&mut down.stirred);
        if sent.data || received.data {
            self.data_at = now;
        }
        if rules.idle.is_some_and(|idle| now - self.data_at >= idle) {
            return Some(Reason::IdleTimeout);
        }
        let [client, backend] = far_ends;
        let found = self
            .client
            .tick(now, rules, (sent, received), (up, down), client);
        match found {
            Found::Here => {}
            Found::Left => up.release(),
            Found::Unresponsive => return Some(Reason::ClientUnresponsive),
        }
        let found = self
            .backend
            .tick(now, rules, (received, sent), (down, up), backend);
        match found {
            Found::Here => {}
            Found::Left => down.release(),
            Found::Unresponsive => return Some(Reason::BackendUnresponsive),
        }
        None
    }

    /// When to look again; `None` where nothing is limited and nothing `waits`.
    pub(super) fn next(&self, now: Instant, rules: &Rules, waits: bool) -> Option<Instant> {
        let ticking = [rules.idle, rules.ping, waits.then_some(UNHEARD)];
        let shortest = ticking.into_iter().flatten().min()?;
        let tick = now + (shortest / 4).max(FINEST_TICK);
        let answers = [self.client.pinged_at, self.backend.pinged_at];
        let limits = [
            rules.idle.map(|idle| self.data_at + idle),
            answers[0].map(|at| at + rules.pong),
            answers[1].map(|at| at + rules.pong),
        ];
        let limit = limits
            .into_iter()
            .flatten()
            .filter(|limit| *limit > now)
            .min();
        Some(limit.map_or(tick, |limit| limit.min(tick)))
    }
}

// === impl PeerActivity ===

impl PeerActivity {
    /// Checks one peer: what came from it, whether it accepted stuck data, and its far end while it isn't read.
    fn tick(
        &mut self,
        now: Instant,
        rules: &Rules,
        (from, to): (Progress, Progress),
        (from_peer, to_peer): (&Flow, &mut Flow),
        far_end: Option<FarEnd>,
    ) -> Found {
        let is_shut = far_end == Some(FarEnd::Shut);
        // While the other side accepts nothing, or a message of this one is delayed, this side isn't read, so its
        // silence means nothing.
        let unheard = (from_peer.waits() && !is_shut) || (from_peer.stuck() && !to_peer.stuck());
        if from.source || to.sink || unheard || (is_shut && from.data) {
            self.heard_at = now;
            self.pinged_at = None;
        }
        if far_end == Some(FarEnd::Gone) {
            return Found::Left;
        }
        if is_shut {
            // A side that has sent its FIN may still want the answers: what it sent is admitted as long as some of it
            // is within the limits now and then.
            let left = now - self.heard_at >= rules.pong;
            return if left { Found::Left } else { Found::Here };
        }
        let Some(ping) = rules.ping else {
            return Found::Here;
        };
        if let Some(pinged_at) = self.pinged_at {
            let silent = now - pinged_at >= rules.pong;
            return if silent {
                Found::Unresponsive
            } else {
                Found::Here
            };
        }
        // A ping can't be sent inside a frame. Progress of the frame is as good as a pong; a stuck frame tells nothing.
        let speechless = !to_peer.between_frames() && !to_peer.stuck();
        if to_peer.tx == Tx::Open && now - self.heard_at >= ping && !speechless {
            to_peer.due_ping = true;
            self.pinged_at = Some(now);
        }
        Found::Here
    }
}
