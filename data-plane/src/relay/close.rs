//! Ends sessions: which close frames are sent, in which order, and how long the gateway waits.
//!
//! The rules follow RFC 6455, 7: a peer's close frame and the answer to it are relayed; the gateway's own close frame
//! goes to both sides; a side that violated the protocol gets 1002 only after the other side has sent all it had to; a
//! FIN is relayed at once. Moves no bytes (`pump`) and has no clock: the relay's future calls [`Closing::expire`] at
//! the deadline.

use tidegate_proto::reason::Reason;

use crate::message::{CloseCause, Direction};
use crate::relay::Ended;
use crate::relay::frame::code_for;
use crate::relay::pump::{Flow, FlowEvent, Rx, Tx};
use crate::relay::scan::Fault;

/// How far a session's end has come.
#[derive(Debug, Default)]
pub(super) struct Closing {
    ending: Option<Ending>,
    /// The deadline for the other side's last frames is over; now the connections are closed.
    lingering: bool,
}

/// The first cause of a session's end.
#[derive(Clone, Copy, Debug)]
struct Ending {
    reason: Reason,
    close_code: Option<u16>,
    fault: Option<Fault>,
}

/// What the relay does when the time for a step is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// Wait once more as long.
    Again,
    /// Drop the connections.
    Over,
}

// === impl Closing ===

impl Closing {
    /// Whether the session is ending, so the deadline runs. A failed sink isn't the reason yet: its last frames,
    /// perhaps a close frame, may still be readable.
    pub(super) fn begun(&self, up: &Flow, down: &Flow) -> bool {
        self.ending.is_some() || up.tx == Tx::Dead || down.tx == Tx::Dead
    }

    /// Takes in what a flow reported; `back` is the flow of the other direction.
    pub(super) fn event(&mut self, event: FlowEvent, flow: &mut Flow, back: &mut Flow) {
        match event {
            FlowEvent::Closed(code) => self.begin(by_close(flow.direction), code, None),
            FlowEvent::Fault(fault) => {
                let reason = by_fault(flow.direction);
                self.begin(reason, reason.close_code(), Some(fault));
                flow.due_close = Some(reason.into());
                // The close frame for the side that violated the protocol follows the other side's last frames, in
                // place of its answer.
                back.instead = Some(reason);
            }
            FlowEvent::Ended | FlowEvent::Failed => {
                let reason = by_loss(flow.direction);
                // No close frame to a sink that sent its own: it would be an answer that the other side didn't give.
                // And none inside a frame.
                let told = back.rx == Rx::Open && flow.tx == Tx::Open && flow.between_frames();
                self.begin(reason, told.then(|| code_for(flow.direction, reason)), None);
                flow.due_close = told.then_some(reason.into());
                flow.fin = true;
                if event == FlowEvent::Failed {
                    back.abandon();
                }
            }
        }
        for flow in [flow, back] {
            if flow.instead.is_some() && flow.rx != Rx::Open {
                flow.due_close = flow.instead.map(CloseCause::from);
                flow.fin = true;
            }
        }
    }

    /// Ends the session by the gateway's own decision.
    pub(super) fn end(&mut self, cause: CloseCause, up: &mut Flow, down: &mut Flow) {
        if self.ending.is_none() {
            let code = cause
                .code
                .unwrap_or_else(|| code_for(Direction::ToClient, cause.reason));
            self.begin(cause.reason, Some(code), None);
            up.due_close = Some(cause);
            down.due_close = Some(cause);
        }
    }

    fn begin(&mut self, reason: Reason, close_code: Option<u16>, fault: Option<Fault>) {
        debug_assert!(reason.ends_sessions(), "{reason} only refuses handshakes");
        self.ending.get_or_insert(Ending {
            reason,
            close_code,
            fault,
        });
    }

    /// Draws the conclusions from where both directions stand; whether the session is over.
    pub(super) fn settle(&self, up: &mut Flow, down: &mut Flow) -> bool {
        let Some(ending) = self.ending else {
            return false;
        };
        // Both close frames are exchanged: the server ends the connection first (7.1.1), and to the client the gateway
        // is the server. The backend, a server itself, does it on its own, unless the gateway ends the session.
        if closed_both_ways(down, up) {
            down.fin = true;
        }
        let by_peer = matches!(ending.reason, Reason::ClientClosed | Reason::BackendClosed);
        if !by_peer && closed_both_ways(up, down) {
            up.fin = true;
        }
        over(down, up) && over(up, down)
    }

    /// Judges what to do now that the time for a step is over.
    pub(super) fn expire(&mut self, up: &mut Flow, down: &mut Flow) -> Expired {
        let mut again = false;
        if self.ending.is_none() {
            // Only a failed sink brings a session here without a reason.
            let lost = if up.tx == Tx::Dead {
                Reason::BackendLost
            } else {
                Reason::ClientLost
            };
            self.begin(lost, None, None);
        }
        if !self.lingering {
            for flow in [up, down] {
                if flow.instead.is_some() && flow.tx == Tx::Open {
                    flow.due_close = flow.instead.map(CloseCause::from);
                    flow.fin = true;
                    again = true;
                }
            }
        }
        self.lingering = true;
        if again { Expired::Again } else { Expired::Over }
    }

    /// What the session came to.
    pub(super) fn ended(&self, up: &Flow, down: &Flow) -> Ended {
        let ending = self.ending.unwrap_or(Ending {
            reason: Reason::GatewayFault,
            close_code: None,
            fault: None,
        });
        Ended {
            reason: ending.reason,
            close_code: ending.close_code,
            fault: ending.fault,
            to_backend: up.traffic,
            to_client: down.traffic,
        }
    }
}

/// Whether the peer that `to` leads to, and `from` comes from, has sent a close frame and been sent one.
fn closed_both_ways(to: &Flow, from: &Flow) -> bool {
    to.tx == Tx::Closed && from.rx == Rx::Closed
}

/// Whether nothing is left to do for the peer that `to` leads to and `from` comes from.
fn over(to: &Flow, from: &Flow) -> bool {
    let finished = matches!(to.tx, Tx::Finished | Tx::Dead);
    let heard_out = matches!(from.rx, Rx::Closed | Rx::Ended);
    to.drained() && ((finished && heard_out) || (to.tx == Tx::Closed && from.rx == Rx::Ended))
}

fn by_close(direction: Direction) -> Reason {
    match direction {
        Direction::ToBackend => Reason::ClientClosed,
        Direction::ToClient => Reason::BackendClosed,
    }
}

fn by_fault(direction: Direction) -> Reason {
    match direction {
        Direction::ToBackend => Reason::ClientProtocolError,
        Direction::ToClient => Reason::BackendProtocolError,
    }
}

fn by_loss(direction: Direction) -> Reason {
    match direction {
        Direction::ToBackend => Reason::ClientLost,
        Direction::ToClient => Reason::BackendLost,
    }
}
