//! What the rest of the process shares with a running session: how to end it, and what it has carried so far.
//!
//! Lock-free, and a part of whatever one record a session has in the registry. Decides nothing. Called by the registry,
//! metrics and drain from any thread, and by the relay's future from its own.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tidegate_proto::reason::Reason;

use crate::message::Traffic;

/// One session's handle. Embed it in the `Arc` by which the registry knows the session.
#[derive(Debug, Default)]
pub struct Live {
    /// 0, or one more than the reason's place in [`Reason::ALL`].
    reason: AtomicU8,
    waker: AtomicWaker,
    to_backend: Counters,
    to_client: Counters,
}

/// Written by the relay once per poll, not once per message.
#[derive(Debug, Default)]
struct Counters {
    messages: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
}

// === impl Live ===

impl Live {
    /// Ends the session with the reason's close code and message; returns whether this reason was the first.
    ///
    /// May be called before the relay begins: the session then ends as it starts.
    pub fn end(&self, reason: Reason) -> bool {
        let first = self
            .reason
            .compare_exchange(0, reason as u8 + 1, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if first {
            self.waker.wake();
        }
        first
    }

    /// What was carried so far, to the backend and to the client.
    #[must_use]
    pub fn traffic(&self) -> (Traffic, Traffic) {
        (self.to_backend.read(), self.to_client.read())
    }

    /// The reason for which the session is to end.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.reason.load(Ordering::Acquire) {
            0 => None,
            n => Reason::ALL.get(usize::from(n) - 1).copied(),
        }
    }

    /// Has `waker` woken by [`Self::end`]. Look at [`Self::reason`] afterwards.
    pub fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Shows what was carried so far.
    pub fn tally(&self, to_backend: Traffic, to_client: Traffic) {
        self.to_backend.write(to_backend);
        self.to_client.write(to_client);
    }
}

impl AsRef<Self> for Live {
    fn as_ref(&self) -> &Self {
        self
    }
}

// === impl Counters ===

impl Counters {
    fn read(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Only the session's own task writes, so no read-modify-write is needed.
    fn write(&self, traffic: Traffic) {
        self.messages.store(traffic.messages, Ordering::Relaxed);
        self.dropped.store(traffic.dropped, Ordering::Relaxed);
        self.bytes.store(traffic.bytes, Ordering::Relaxed);
    }
}
