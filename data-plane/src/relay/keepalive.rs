//! Watches both peers: ends sessions in which nothing is said for too long, and finds peers that are gone without a word.
//!
//! Nothing is timed per message. The flows set flags; one coarse tick reads them, so that each limit is kept to within a
//! quarter more than it says and never cut short. Moves no bytes. Called by the relay's future when its timer fires.

use std::time::Duration;

use tidegate_proto::reason::Reason;
use tokio::time::Instant;

use crate::relay::Rules;
use crate::relay::pump::{Flow, Stirred, Tx};

/// A tick is never shorter, however short the limits are.
const FINEST_TICK: Duration = Duration::from_millis(10);

/// What is known of both peers' silence.
#[derive(Debug)]
pub(super) struct Keepalive {
    data_at: Instant,
    client: Peer,
    backend: Peer,
}

/// What is known of one peer's silence.
#[derive(Clone, Copy, Debug)]
struct Peer {
    heard_at: Instant,
    pinged_at: Option<Instant>,
}

// === impl Keepalive ===

impl Keepalive {
    pub(super) fn new(now: Instant) -> Self {
        let peer = Peer {
            heard_at: now,
            pinged_at: None,
        };
        Self {
            data_at: now,
            client: peer,
            backend: peer,
        }
    }

    /// Reads the flags; the reason to end the session, if there is one. Makes pings due.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        rules: &Rules,
        up: &mut Flow,
        down: &mut Flow,
    ) -> Option<Reason> {
        let sent = std::mem::take(&mut up.stirred);
        let received = std::mem::take(&mut down.stirred);
        if sent.data || received.data {
            self.data_at = now;
        }
        if rules.idle.is_some_and(|idle| now - self.data_at >= idle) {
            return Some(Reason::IdleTimeout);
        }
        if self.client.tick(now, rules, (sent, received), (up, down)) {
            return Some(Reason::ClientUnresponsive);
        }
        if self.backend.tick(now, rules, (received, sent), (down, up)) {
            return Some(Reason::BackendUnresponsive);
        }
        None
    }

    /// When to look again; `None` where nothing is limited.
    pub(super) fn next(&self, now: Instant, rules: &Rules) -> Option<Instant> {
        let shortest = match (rules.idle, rules.ping) {
            (Some(idle), Some(ping)) => idle.min(ping),
            (Some(limit), None) | (None, Some(limit)) => limit,
            (None, None) => return None,
        };
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

// === impl Peer ===

impl Peer {
    /// Judges one peer by what came from it and by whether it took what was stuck; whether it is gone.
    fn tick(
        &mut self,
        now: Instant,
        rules: &Rules,
        (from, to): (Stirred, Stirred),
        (from_peer, to_peer): (&Flow, &mut Flow),
    ) -> bool {
        // While the other side takes nothing, this one is not listened to: its silence is the gateway's own doing.
        // So it is while a message of its own waits.
        let unheard = from_peer.waits() || (from_peer.stuck() && !to_peer.stuck());
        if from.source || to.sink || unheard {
            self.heard_at = now;
            self.pinged_at = None;
        }
        let Some(ping) = rules.ping else {
            return false;
        };
        if let Some(pinged_at) = self.pinged_at {
            return now - pinged_at >= rules.pong;
        }
        // A ping cannot enter a frame. A frame that moves says as much as its pong; one that is stuck says nothing.
        let speechless = !to_peer.between_frames() && !to_peer.stuck();
        if to_peer.tx == Tx::Open && now - self.heard_at >= ping && !speechless {
            to_peer.due_ping = true;
            self.pinged_at = Some(now);
        }
        false
    }
}
