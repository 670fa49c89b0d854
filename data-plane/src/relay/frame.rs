//! What the relay shares of RFC 6455's framing: opcodes, and how the gateway's own control frames look.
//!
//! Refuses to know when they are sent: that is `close`'s and `keepalive`'s. Called by `scan` and `pump`.

use std::io::{Cursor, Write as _};

use tidegate_proto::reason::Reason;

use crate::message::{CloseCause, Direction};

/// A frame that continues a message.
pub(super) const CONTINUATION: u8 = 0x0;
/// The first frame of a text message.
pub(super) const TEXT: u8 = 0x1;
/// The first frame of a binary message.
pub(super) const BINARY: u8 = 0x2;
/// A close frame.
pub(super) const CLOSE: u8 = 0x8;
/// A ping.
pub(super) const PING: u8 = 0x9;
/// A pong.
pub(super) const PONG: u8 = 0xA;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub(super) const CONTROL_PAYLOAD: usize = 125;

/// Appends a frame with the payload `head` and `tail`, no longer than a control frame's, masked if there is a key
/// (5.3).
pub(super) fn put_frame(
    out: &mut Vec<u8>,
    opcode: u8,
    head: &[u8],
    tail: &[u8],
    mask: Option<[u8; 4]>,
) {
    let length = head.len() + tail.len();
    debug_assert!(
        length <= CONTROL_PAYLOAD,
        "a frame of {length} bytes of the gateway's own"
    );
    out.push(0x80 | opcode);
    out.push(length as u8 | if mask.is_some() { 0x80 } else { 0 });
    let key = mask.unwrap_or_default();
    if mask.is_some() {
        out.extend_from_slice(&key);
    }
    let payload = head.iter().chain(tail);
    out.extend(
        payload
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
}

/// Appends the gateway's own close frame for one side.
pub(super) fn put_close(
    out: &mut Vec<u8>,
    direction: Direction,
    cause: CloseCause,
    mask: Option<[u8; 4]>,
) {
    let code = match (direction, cause.code) {
        (Direction::ToClient, Some(code)) => code,
        _ => code_for(direction, cause.reason),
    };
    let mut text = Cursor::new([0; CONTROL_PAYLOAD - 2]);
    // What does not fit is left out.
    let _ = text.write_all(cause.reason.message().as_bytes());
    if let Some(seconds) = cause.retry_seconds {
        let _ = write!(text, "; retry in {seconds} s");
    }
    let length = text.position() as usize;
    let text = text.into_inner();
    put_frame(out, CLOSE, &code.to_be_bytes(), &text[..length], mask);
}

/// The close code of a reason for a side.
pub(super) fn code_for(direction: Direction, reason: Reason) -> u16 {
    match direction {
        // A reason without a close code only refuses handshakes.
        Direction::ToClient => reason.close_code().unwrap_or(1011),
        Direction::ToBackend => reason.backend_close_code(),
    }
}
