//! Walks frame headers in place: a small state machine that skips payloads by their length and checks what RFC 6455
//! asks of every frame.
//!
//! It holds no bytes: the caller keeps an incomplete header or control frame and passes it again with what follows. So
//! any split of a stream gives the same steps. It decides nothing: `pump` does.

use crate::message::{MessageKind, MessageStart};
use crate::relay::frame::{BINARY, CLOSE, CONTINUATION, CONTROL_PAYLOAD, PING, PONG, TEXT};

/// The longest prefix of a stream that can be no whole step: a masked control frame short of one byte.
pub const LONGEST_SHORT: usize = 6 + CONTROL_PAYLOAD - 1;

/// The state of one direction's framing. It fits into sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Payload bytes of the current data frame that are still to come.
    remaining: u64,
    /// Whether a message has begun whose last frame was not seen yet.
    in_message: bool,
    /// The frame whose payload comes is a further one of its message.
    continues: bool,
    /// Whether frames must be masked, as a client's must; otherwise they must not (5.1).
    masked: bool,
    /// Whether RSV1 marks compressed messages (RFC 7692).
    deflate: bool,
}

/// What the next bytes of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A data frame, or the available part of it; `start` if it begins a message.
    Data {
        /// How many bytes this step covers, at least one.
        taken: usize,
        /// What the message is, where this is its first header.
        start: Option<MessageStart>,
        /// How many of them are payload of a further frame of a message: what came, not what its header declares.
        more: u64,
    },
    /// A whole control frame.
    Control {
        /// How many bytes it has.
        taken: usize,
        /// Its content.
        control: Control<'a>,
    },
    /// A header or control frame that is not whole: show its bytes again with what follows.
    Short,
    /// A frame that must not be passed on. Its header was not taken; the scanner must not be asked again.
    Fault(Fault),
}

/// A control frame (5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// The end, with the code where one is given.
    Close(Option<u16>),
    /// A ping.
    Ping,
    /// A pong, with the payload as sent and its masking key (zero if it isn't masked).
    Pong {
        /// The payload, masked.
        payload: &'a [u8],
        /// The key.
        key: [u8; 4],
    },
}

/// What a peer did that RFC 6455 forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// 5.2: a reserved bit that no negotiated extension gives a meaning.
    #[error("a reserved bit is set that no extension explains")]
    ReservedBit,
    /// 5.2: opcodes 3-7 and 11-15.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// 5.5: a control frame without FIN.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// 5.5: a control frame of more than 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// 5.1: a client's frame without a mask.
    #[error("a client's frame is not masked")]
    Unmasked,
    /// 5.1: a server's frame with a mask.
    #[error("a server's frame is masked")]
    Masked,
    /// 5.4: a continuation of nothing.
    #[error("a continuation frame continues no message")]
    StrayContinuation,
    /// 5.4: a message that begins inside another.
    #[error("a message begins before the last one ended")]
    NestedMessage,
    /// 5.2: a 64-bit length with the most significant bit set.
    #[error("a length has its most significant bit set")]
    LengthTooLarge,
    /// 5.2: a length in more bytes than it needs.
    #[error("a length is not written in the fewest bytes")]
    LengthNotMinimal,
    /// 5.5.1: a close frame of one byte.
    #[error("a close frame has half a code")]
    HalfCloseCode,
    /// 7.4: a close code that may not be sent.
    #[error("a close frame has a code that may not be sent")]
    InvalidCloseCode,
}

// === impl Scanner ===

impl Scanner {
    /// A scanner at the start of a stream, of masked frames if they come from a client.
    #[must_use]
    pub const fn new(masked: bool, deflate: bool) -> Self {
        Self {
            remaining: 0,
            in_message: false,
            continues: false,
            masked,
            deflate,
        }
    }

    /// Whether the consumed bytes end at the end of a frame, so that a control frame may be inserted.
    #[must_use]
    pub const fn between_frames(&self) -> bool {
        self.remaining == 0
    }

    /// Whether the consumed bytes end at the end of a message, so that a message may be inserted.
    #[must_use]
    pub const fn between_messages(&self) -> bool {
        self.remaining == 0 && !self.in_message
    }

    /// Looks at what follows what was taken so far. `bytes` is not empty.
    #[inline]
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        if self.remaining > 0 {
            let taken = self.skip(bytes.len());
            return Step::Data {
                taken,
                start: None,
                more: if self.continues { taken as u64 } else { 0 },
            };
        }
        let [first, second, rest @ ..] = bytes else {
            return Step::Short;
        };
        if (second & 0x80 != 0) != self.masked {
            return Step::Fault(if self.masked {
                Fault::Unmasked
            } else {
                Fault::Masked
            });
        }
        if first & 0x08 != 0 {
            return self.control(*first, *second, bytes);
        }
        let start = match self.check_data(*first) {
            Ok(start) => start,
            Err(fault) => return Step::Fault(fault),
        };
        let (mut header, length) = match second & 0x7F {
            126 => match rest.first_chunk() {
                Some(bytes) => (4, u64::from(u16::from_be_bytes(*bytes))),
                None => return Step::Short,
            },
            127 => match rest.first_chunk() {
                Some(bytes) => (10, u64::from_be_bytes(*bytes)),
                None => return Step::Short,
            },
            short => (2, u64::from(short)),
        };
        if let Some(fault) = misdeclared(header, length) {
            return Step::Fault(fault);
        }
        if self.masked {
            header += 4;
        }
        if bytes.len() < header {
            return Step::Short;
        }
        let whole = first & 0x80 != 0;
        self.in_message = !whole;
        self.remaining = length;
        self.continues = start.is_none();
        let payload = self.skip(bytes.len() - header);
        let taken = header + payload;
        let more = if self.continues { payload as u64 } else { 0 };
        let start = start.map(|kind| MessageStart {
            kind,
            length,
            whole,
            compressed: first & 0x40 != 0,
        });
        Step::Data { taken, start, more }
    }

    /// Takes what there is of the current payload.
    #[inline]
    fn skip(&mut self, available: usize) -> usize {
        let taken = self.remaining.min(available as u64);
        self.remaining -= taken;
        // Not more than `available`, which is a usize.
        taken as usize
    }

    /// Checks a data frame's first byte. Returns the kind if it begins a message.
    #[inline]
    fn check_data(&self, first: u8) -> Result<Option<MessageKind>, Fault> {
        let kind = match first & 0x0F {
            CONTINUATION => None,
            TEXT => Some(MessageKind::Text),
            BINARY => Some(MessageKind::Binary),
            _ => return Err(Fault::ReservedOpcode),
        };
        let reserved = first & 0x70;
        if reserved != 0 && !(reserved == 0x40 && self.deflate && kind.is_some()) {
            return Err(Fault::ReservedBit);
        }
        match (kind, self.in_message) {
            (None, false) => Err(Fault::StrayContinuation),
            (Some(_), true) => Err(Fault::NestedMessage),
            _ => Ok(kind),
        }
    }

    /// Reads a control frame, whose header begins with `first` and `second`.
    fn control<'a>(&self, first: u8, second: u8, bytes: &'a [u8]) -> Step<'a> {
        let opcode = first & 0x0F;
        let length = usize::from(second & 0x7F);
        let fault = if first & 0x70 != 0 {
            Some(Fault::ReservedBit)
        } else if !matches!(opcode, CLOSE | PING | PONG) {
            Some(Fault::ReservedOpcode)
        } else if first & 0x80 == 0 {
            Some(Fault::FragmentedControl)
        } else if length > CONTROL_PAYLOAD {
            Some(Fault::LongControl)
        } else {
            None
        };
        if let Some(fault) = fault {
            return Step::Fault(fault);
        }
        let header = if self.masked { 6 } else { 2 };
        let taken = header + length;
        let Some(payload) = bytes.get(header..taken) else {
            return Step::Short;
        };
        let key = match bytes.get(2..6) {
            Some(&[a, b, c, d]) if self.masked => [a, b, c, d],
            _ => [0; 4],
        };
        let control = match opcode {
            CLOSE => match close_code(payload, key) {
                Ok(code) => Control::Close(code),
                Err(fault) => return Step::Fault(fault),
            },
            PING => Control::Ping,
            _ => Control::Pong { payload, key },
        };
        Step::Control { taken, control }
    }
}

/// Validates a length; `end` is where the header ends without a mask.
#[inline]
fn misdeclared(header: usize, length: u64) -> Option<Fault> {
    match header {
        4 if length < 126 => Some(Fault::LengthNotMinimal),
        10 if length >> 63 != 0 => Some(Fault::LengthTooLarge),
        10 if length <= 0xFFFF => Some(Fault::LengthNotMinimal),
        _ => None,
    }
}

/// Reads the code of a close frame. The peer validates its text.
fn close_code(payload: &[u8], key: [u8; 4]) -> Result<Option<u16>, Fault> {
    match *payload {
        [] => Ok(None),
        [_] => Err(Fault::HalfCloseCode),
        [a, b, ..] => match u16::from_be_bytes([a ^ key[0], b ^ key[1]]) {
            // 7.4.1 and the IANA registry: 1004 is reserved, 1005, 1006 and 1015 never travel; 3000 and above belong to
            // libraries and applications.
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
            _ => Err(Fault::InvalidCloseCode),
        },
    }
}

#[cfg(test)]
mod tests;
