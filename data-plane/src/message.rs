//! The interface between the relay, which moves messages, and the quotas, which admit them: what is known of a data
//! message at its first frame header, the [`Gate`], and its verdict.
//!
//! Refuses to know quotas (`quota::meter` is the gate of a session) and frames (`relay::scan`). Below both.

use std::{num::NonZeroU32, task::Context};

use tidegate_proto::reason::Reason;

/// Which way a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the backend.
    ToBackend,
    /// From the backend to the client.
    ToClient,
}

/// What a data message is declared to be (RFC 6455, 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text.
    Text,
    /// Binary.
    Binary,
}

/// A data message as its first frame header shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageStart {
    /// Text or binary.
    pub kind: MessageKind,
    /// Payload bytes of the first frame, as sent (compressed if the message is compressed).
    pub length: u64,
    /// Whether the first frame is also the last.
    pub whole: bool,
    /// Whether it is compressed (RSV1; RFC 7692, 6).
    pub compressed: bool,
}

/// The verdict of a [`Gate`] on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message is carried to its end.
    Pass,
    /// All of its frames are cut out; control frames between them pass.
    Drop,
    /// It is delayed, and nothing after it is read, until the gate is asked again.
    Wait,
    /// It is dropped, and the session ends.
    Close(CloseCause),
}

/// The reason and the close frame with which the gateway ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCause {
    /// Why.
    pub reason: Reason,
    /// The close code for the client, if it isn't the reason's.
    pub code: Option<u16>,
    /// After how many seconds it is worth trying again.
    pub retry_seconds: Option<NonZeroU32>,
}

/// Judges each data message at its first header, before a byte of it is passed on.
///
/// An admitted message is relayed to its end. Called on the data path: no locks, and no allocation for a message that
/// passes.
pub trait Gate {
    /// Decides about one message. With `Wait`, the gate has registered the waker of `cx`, which is woken when the
    /// verdict may change. The same message is passed again then, and possibly before.
    fn admit(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        message: MessageStart,
    ) -> Verdict;

    /// Counts payload bytes of a further frame of an admitted message, as they arrive.
    fn more(&mut self, direction: Direction, length: u64);

    /// The notice for the client about a message that was just dropped: a text of at most 125 bytes, sent between two
    /// of the backend's messages. Called after each drop; a newer notice replaces one that isn't sent yet.
    fn notice(&mut self) -> Option<Box<str>>;
}

/// The gate that lets every message pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGate;

/// Messages and bytes carried in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Data messages whose first frame was admitted.
    pub messages: u64,
    /// Data messages that were dropped.
    pub dropped: u64,
    /// Bytes passed on, frame headers and control frames included.
    pub bytes: u64,
}

// === impl OpenGate ===

impl Gate for OpenGate {
    fn admit(&mut self, _: &mut Context<'_>, _: Direction, _: MessageStart) -> Verdict {
        Verdict::Pass
    }

    fn more(&mut self, _: Direction, _: u64) {}

    fn notice(&mut self) -> Option<Box<str>> {
        None
    }
}

// === impl CloseCause ===

impl From<Reason> for CloseCause {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            code: None,
            retry_seconds: None,
        }
    }
}
