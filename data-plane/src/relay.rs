//! RELAY: carries one session's bytes between its two legs, aware of frames and indifferent to payloads.
//!
//! Owns the seam: [`run`] takes both legs, the rules, the gate of messages and the session's [`Live`] handle, and gives
//! [`Ended`]. Bytes are passed on untouched; only headers are read (`scan`), moved (`pump`), and ended (`close`), and
//! the gateway's own pings watch both peers (`keepalive`); of a peer that is not read, the kernel is asked (`far_end`).
//! Refuses to know APIs, tokens, plans and configuration, and what is in a payload. Called by `connection`, once a session.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use tidegate_proto::reason::Reason;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};

use crate::message::{Direction, Gate, Traffic};
use crate::relay::close::{Closing, Expired};
use crate::relay::keepalive::Keepalive;
use crate::relay::pump::Flow;
use crate::session::live::Live;
use crate::socket::{Leg, Transport};

pub mod scan;
mod pump;
mod close;
mod keepalive;
mod frame;

/// What one read may bring: a worker thread's scratch buffer, in bytes. Larger ones cost cache without saving calls.
const SCRATCH: usize = 64 * 1024;

/// How often a poll moves bytes before it lets other sessions have their turn: at most 1 MiB a direction.
const ROUNDS: usize = 16;

/// What one session is held to. Every duration counts from the last event that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether `permessage-deflate` was negotiated: RSV1 is legal on the first frame of a data message (RFC 7692, 6).
    pub deflate: bool,
    /// How long a session may carry no data frame in either direction; `None` for no limit. Pings and pongs aren't
    /// data.
    pub idle: Option<Duration>,
    /// After how long a silence of a peer the gateway pings it; `None` never.
    pub ping: Option<Duration>,
    /// How long a pinged peer may stay silent.
    pub pong: Duration,
    /// How long a close handshake may take before the connections are dropped.
    pub close: Duration,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why; the first cause, not what followed from it.
    pub reason: Reason,
    /// The code of the close frame that ended it: the peer's if a peer closed, else the gateway's; `None` if no close
    /// frame was relayed or sent, or the peer's had no code.
    pub close_code: Option<u16>,
    /// What was invalid in a frame, if the reason is a protocol error.
    pub fault: Option<scan::Fault>,
    /// What the client sent.
    pub to_backend: Traffic,
    /// What the backend sent.
    pub to_client: Traffic,
}

/// What the timer was last set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    /// Nothing yet.
    Unset,
    /// The next look at both peers' silence.
    Tick,
    /// The end of a step in closing.
    Close,
}

pin_project! {
    // One running session. Polls both directions; what it holds besides the sockets is mostly counters.
    #[project = Projected]
    struct Relay<C, B, G, L> {
        client: C,
        backend: B,
        up: Flow,
        down: Flow,
        rules: Rules,
        gate: G,
        live: L,
        closing: Closing,
        keepalive: Keepalive,
        // The waker that `live` and `timer` know.
        waker: Option<Waker>,
        timing: Timing,
        #[pin]
        timer: Sleep,
    }
}

/// Relays a session until it ends. The future holds no buffer while nothing is stuck, and is small.
///
/// `live` is whatever leads to the session's [`Live`]: an `Arc<Live>`, or a wrapper around a larger shared record.
///
/// # Panics
/// Outside a tokio runtime with time.
pub fn run<C, B, G, L>(
    client: Leg<C>,
    backend: Leg<B>,
    rules: Rules,
    gate: G,
    live: L,
) -> impl Future<Output = Ended>
where
    C: Transport,
    B: Transport,
    G: Gate,
    L: AsRef<Live>,
{
    let now = Instant::now();
    let key = rand::random();
    Relay {
        up: Flow::new(Direction::ToBackend, &client.read_ahead, rules.deflate, key),
        down: Flow::new(Direction::ToClient, &backend.read_ahead, rules.deflate, key),
        client: client.io,
        backend: backend.io,
        rules,
        gate,
        live,
        closing: Closing::default(),
        keepalive: Keepalive::new(now),
        waker: None,
        timing: Timing::Unset,
        timer: tokio::time::sleep_until(now),
    }
}

thread_local! {
    /// The buffer into which this thread's sessions read, one at a time: taken for a poll, put back at its end.
    static SCRATCH_BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

// === impl Relay ===

impl<C, B, G, L> Future for Relay<C, B, G, L>
where
    C: Transport,
    B: Transport,
    G: Gate,
    L: AsRef<Live>,
{
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut this = self.project();
        if !this
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            this.live.as_ref().listen(cx.waker());
            *this.waker = Some(cx.waker().clone());
            if *this.timing != Timing::Unset {
                // Tells the timer of the waker; whether it fired is seen below.
                let _ = poll_timer(this.timer.as_mut(), cx);
            }
        }
        if let Some(reason) = this.live.as_ref().reason() {
            this.closing.end(reason.into(), this.up, this.down);
        }
        let mut scratch = SCRATCH_BUFFER
            .take()
            .unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice());
        let outcome = loop {
            if this.turn(cx, &mut scratch) {
                break Poll::Ready(());
            }
            match this.keep_time(cx) {
                Some(Expired::Again) => {}
                Some(Expired::Over) => break Poll::Ready(()),
                None => break Poll::Pending,
            }
        };
        SCRATCH_BUFFER.set(Some(scratch));
        this.live.as_ref().tally(this.up.traffic, this.down.traffic);
        outcome.map(|()| this.closing.ended(this.up, this.down))
    }
}

impl<C, B, G, L> Projected<'_, C, B, G, L>
where
    C: Transport,
    B: Transport,
    G: Gate,
    L: AsRef<Live>,
{
    /// Moves what can be moved, within bounds; whether the session is over.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> bool {
        // A direction that waits has left its waker, so it is not asked again until something else has changed.
        let (mut up_waits, mut down_waits) = (false, false);
        for _ in 0..ROUNDS {
            if (self.up.waits() || self.down.waits()) && self.closing.begun(self.up, self.down) {
                self.up.release();
                self.down.release();
            }
            let mut events = [None; 2];
            if !up_waits {
                let ends = (&mut *self.client, &mut *self.backend);
                match self.up.pump(cx, ends, self.gate, scratch) {
                    Poll::Ready(event) => events[0] = event,
                    Poll::Pending => up_waits = true,
                }
                if self.judged(Direction::ToBackend) {
                    (up_waits, down_waits) = (false, false);
                }
            }
            if !down_waits {
                let ends = (&mut *self.backend, &mut *self.client);
                match self.down.pump(cx, ends, self.gate, scratch) {
                    Poll::Ready(event) => events[1] = event,
                    Poll::Pending => down_waits = true,
                }
                if self.judged(Direction::ToClient) {
                    (up_waits, down_waits) = (false, false);
                }
            }
            if let [None, None] = events {
                if !(up_waits && down_waits) {
                    continue;
                }
                let fins = (self.up.fin, self.down.fin);
                if self.closing.settle(self.up, self.down) {
                    return true;
                }
                if fins == (self.up.fin, self.down.fin) {
                    return false;
                }
            }
            if let Some(event) = events[0] {
                self.closing.event(event, self.up, self.down);
            }
            if let Some(event) = events[1] {
                self.closing.event(event, self.down, self.up);
            }
            if self.closing.settle(self.up, self.down) {
                return true;
            }
            (up_waits, down_waits) = (false, false);
        }
        cx.waker().wake_by_ref();
        false
    }

    /// Applies the gate's verdicts on the last bytes. Returns whether there is something to send.
    fn judged(&mut self, direction: Direction) -> bool {
        let flow = match direction {
            Direction::ToBackend => &mut *self.up,
            Direction::ToClient => &mut *self.down,
        };
        if !flow.has_dropped() {
            return false;
        }
        if let Some(cause) = flow.refused() {
            self.closing.end(cause, self.up, self.down);
            return true;
        }
        let notice = self.gate.notice();
        let is_new = notice.is_some();
        if is_new {
            self.down.due_notice = notice;
        }
        is_new
    }

    /// Sets the timer if needed, and handles its firing. `Again` asks for another round.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Option<Expired> {
        let wanted = if self.closing.begun(self.up, self.down) {
            Timing::Close
        } else {
            Timing::Tick
        };
        if *self.timing == wanted && !self.timer.is_elapsed() {
            return None;
        }
        let now = Instant::now();
        let mut expired = None;
        let deadline = match (*self.timing, wanted) {
            (Timing::Close, _) => {
                expired = Some(self.closing.expire(self.up, self.down));
                Some(now + self.rules.close)
            }
            (_, Timing::Close) => Some(now + self.rules.close),
            _ => {
                let far_ends = [
                    self.up.waits().then(|| self.client.far_end()),
                    self.down.waits().then(|| self.backend.far_end()),
                ];
                let ticked = self
                    .keepalive
                    .tick(now, self.rules, (self.up, self.down), far_ends);
                if let Some(reason) = ticked {
                    self.closing.end(reason.into(), self.up, self.down);
                }
                let flows = [&*self.up, &*self.down];
                if flows.iter().any(|flow| flow.due() || flow.is_released()) {
                    expired = Some(Expired::Again);
                }
                let waits = self.up.waits() || self.down.waits();
                self.keepalive.next(now, self.rules, waits)
            }
        };
        *self.timing = wanted;
        if let Some(deadline) = deadline {
            self.timer.as_mut().reset(deadline);
            if poll_timer(self.timer.as_mut(), cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        expired
    }
}

/// Polls the timer even if relaying has used up the task's budget: otherwise it would not be armed, and never polled
/// again.
fn poll_timer(timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    Pin::new(&mut unconstrained(timer)).poll(cx)
}

#[cfg(test)]
mod tests;
