//! Moves one direction's bytes: reads from the source, lets the scanner walk the headers, writes straight on to the sink.
//!
//! Only buffers what the sink doesn't accept and the few bytes of an incomplete header. Inserts the gateway's own
//! frames between others, and removes the answers to its pings. Doesn't decide when a session ends: it reports an
//! [`FlowEvent`], and `close` decides. Called by the relay's future.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidegate_proto::reason::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::message::{CloseCause, Direction, Gate, MessageStart, Traffic, Verdict};
use crate::relay::frame::{CONTROL_PAYLOAD, PING, TEXT, put_close, put_frame};
use crate::relay::scan::{Control, Fault, Scanner, Step};

/// One direction of a session: what comes from its source and goes to its sink.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) direction: Direction,
    /// What may still come from the source.
    pub(super) rx: Rx,
    /// What may still go to the sink.
    pub(super) tx: Tx,
    /// The gateway's own close frame for the sink, once a frame ends.
    pub(super) due_close: Option<CloseCause>,
    /// The close frame that takes the place of the source's own.
    pub(super) instead: Option<Reason>,
    /// A ping of the gateway's for the sink, once a frame ends and nothing is stuck.
    pub(super) due_ping: bool,
    /// A text of the gateway's for the sink, once a message ends.
    pub(super) due_notice: Option<Box<str>>,
    /// The sink gets a FIN after what is written.
    pub(super) fin: bool,
    /// Bytes came from the source, or the sink took some that were stuck, since the flag was last cleared.
    pub(super) stirred: Progress,
    pub(super) traffic: Traffic,
    scan: Scanner,
    /// Verdicts of the gate that the flow doesn't apply at once.
    gated: Gated,
    /// The payload of the gateway's pings in this session; an answer with it is not for the other peer.
    ping_key: u64,
    /// The beginning of a header or control frame that is not whole; before the first read, what was read ahead.
    carry: Vec<u8>,
    read_ahead: bool,
    /// What the sink would not take yet, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// The sink did not take all of what it was given.
    stuck: bool,
    unflushed: bool,
    /// What is buffered isn't only the gateway's own frames.
    relayed: bool,
}

/// What of a gate's verdicts outlasts the bytes that they were about.
#[derive(Debug, Default)]
struct Gated {
    /// The message that waits; its header is the first of what is carried.
    waiting: Option<MessageStart>,
    /// The verdict when it was retried.
    verdict: Option<Verdict>,
    /// The rest of the current message is cut out.
    dropping: bool,
    /// Something was dropped since this was last asked.
    has_dropped: bool,
    /// All further messages are dropped: the session is ending, or its source has left, and a message could not be
    /// admitted.
    drops_all: bool,
    /// The close cause of the session.
    refused: Option<CloseCause>,
}

/// What may still come from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rx {
    /// Frames.
    Open,
    /// It sent a close frame: nothing that follows counts (RFC 6455, 5.5.1).
    Closed,
    /// It sent an illegal frame: nothing that follows can be read.
    Broken,
    /// Its FIN came, or its connection failed.
    Ended,
}

/// What may still go to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tx {
    /// Frames.
    Open,
    /// It was sent a close frame.
    Closed,
    /// It was sent a FIN.
    Finished,
    /// Its connection failed.
    Dead,
}

/// What has moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The source sent something.
    pub(super) source: bool,
    /// The sink took something that had been stuck.
    pub(super) sink: bool,
    /// A data frame passed.
    pub(super) data: bool,
}

/// Events that `close` must handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowEvent {
    /// The source sent a close frame with this code.
    Closed(Option<u16>),
    /// The source sent an illegal frame.
    Fault(Fault),
    /// The source sent its FIN.
    Ended,
    /// The source's connection failed, for both directions.
    Failed,
}

// === impl Flow ===

impl Flow {
    /// A flow whose first bytes are those that were read with the handshake.
    pub(super) fn new(direction: Direction, read_ahead: &Bytes, deflate: bool, key: u64) -> Self {
        Self {
            direction,
            rx: Rx::Open,
            tx: Tx::Open,
            due_close: None,
            instead: None,
            due_ping: false,
            due_notice: None,
            fin: false,
            stirred: Progress::default(),
            traffic: Traffic::default(),
            scan: Scanner::new(direction == Direction::ToBackend, deflate),
            gated: Gated::default(),
            ping_key: key,
            carry: read_ahead.to_vec(),
            read_ahead: !read_ahead.is_empty(),
            out: Vec::new(),
            sent: 0,
            stuck: false,
            unflushed: false,
            relayed: false,
        }
    }

    /// Whether everything that was meant for the sink has left.
    pub(super) fn drained(&self) -> bool {
        self.tx == Tx::Dead || (self.out.is_empty() && !self.unflushed)
    }

    /// Whether the sink takes less than it is given.
    pub(super) fn stuck(&self) -> bool {
        self.stuck
    }

    /// Whether the gateway has frames of its own for the sink.
    pub(super) fn due(&self) -> bool {
        self.due_ping || self.due_close.is_some() || self.due_notice.is_some()
    }

    /// Whether the gateway could speak to the sink now. Of a message that is dropped, the sink sees nothing.
    pub(super) fn between_frames(&self) -> bool {
        self.gated.dropping || self.scan.between_frames()
    }

    fn between_messages(&self) -> bool {
        self.gated.dropping || self.scan.between_messages()
    }

    /// Whether a message of the source waits, and nothing is read from it.
    pub(super) fn waits(&self) -> bool {
        self.gated.waiting.is_some()
    }

    /// Whether messages were dropped since this was last asked.
    pub(super) fn has_dropped(&mut self) -> bool {
        std::mem::take(&mut self.gated.has_dropped)
    }

    /// The close cause that the gate demands.
    pub(super) fn refused(&mut self) -> Option<CloseCause> {
        self.gated.refused.take()
    }

    /// Gives the sink up.
    pub(super) fn abandon(&mut self) {
        self.tx = Tx::Dead;
        self.out = Vec::new();
        self.sent = 0;
        self.unflushed = false;
    }

    /// Moves what can be moved with one read; `Pending` when a waker stands for whatever comes next.
    pub(super) fn pump<S, D, G>(
        &mut self,
        cx: &mut Context<'_>,
        ends: (&mut S, &mut D),
        gate: &mut G,
        scratch: &mut [u8],
    ) -> Poll<Option<FlowEvent>>
    where
        S: AsyncRead + Unpin,
        D: AsyncWrite + Unpin,
        G: Gate,
    {
        let (source, sink) = ends;
        self.speak();
        let stuck = self.drain(cx, sink).is_pending();
        // Back-pressure: what cannot leave must not grow. What is only thrown away may come.
        if self.rx == Rx::Ended || (stuck && self.tx == Tx::Open) {
            return Poll::Pending;
        }
        if let Some(start) = self.gated.waiting {
            let verdict = self.show_again(cx, gate, start);
            if verdict == Verdict::Wait {
                return Poll::Pending;
            }
            self.gated.waiting = None;
            self.gated.verdict = Some(verdict);
            self.read_ahead = true;
        }
        if self.read_ahead {
            self.read_ahead = false;
            let bytes = std::mem::take(&mut self.carry);
            return Poll::Ready(self.relay(cx, sink, gate, &bytes));
        }
        let held = self.carry.len();
        let mut buffer = ReadBuf::new(scratch);
        buffer.put_slice(&self.carry);
        match ready!(Pin::new(source).poll_read(cx, &mut buffer)) {
            Ok(()) => {}
            // How TLS reports a FIN without its own goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Poll::Ready(Some(self.ended(FlowEvent::Ended)));
            }
            Err(_) => return Poll::Ready(Some(self.ended(FlowEvent::Failed))),
        }
        if buffer.filled().len() == held {
            return Poll::Ready(Some(self.ended(FlowEvent::Ended)));
        }
        self.stirred.source = true;
        if held > 0 {
            self.carry = Vec::new();
        }
        if self.rx != Rx::Open {
            return Poll::Ready(None);
        }
        Poll::Ready(self.relay(cx, sink, gate, buffer.filled()))
    }

    fn ended(&mut self, event: FlowEvent) -> FlowEvent {
        self.rx = Rx::Ended;
        self.carry = Vec::new();
        event
    }

    /// Scans bytes and sends on those that the sink is to have.
    fn relay<D, G>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut D,
        gate: &mut G,
        bytes: &[u8],
    ) -> Option<FlowEvent>
    where
        D: AsyncWrite + Unpin,
        G: Gate,
    {
        let (run, event) = self.scan(cx, gate, bytes);
        self.send(cx, sink, &bytes[run]);
        event
    }

    /// Walks the frames of `bytes`; the last run of them that the sink is to have, and what ended the walk early.
    /// Earlier runs, where something had to be cut out or put in between, are in `out`.
    fn scan<G: Gate>(
        &mut self,
        cx: &mut Context<'_>,
        gate: &mut G,
        bytes: &[u8],
    ) -> (Range<usize>, Option<FlowEvent>) {
        let mut from = 0;
        let mut at = 0;
        let mut event = None;
        while at < bytes.len() {
            let before = self.scan;
            match self.scan.step(&bytes[at..]) {
                Step::Data { taken, start, more } => {
                    if let Some(start) = start
                        && self.tx == Tx::Open
                    {
                        match self.judge(cx, gate, start) {
                            Verdict::Pass => self.traffic.messages += 1,
                            Verdict::Wait => {
                                self.scan = before;
                                self.gated.waiting = Some(start);
                                self.carry = bytes[at..].to_vec();
                                break;
                            }
                            Verdict::Drop | Verdict::Close(_) => {
                                self.gated.dropping = true;
                                self.gated.has_dropped = true;
                                self.traffic.dropped += 1;
                            }
                        }
                    } else if more > 0 && !self.gated.dropping {
                        gate.more(self.direction, more);
                    }
                    self.stirred.data = true;
                    if self.gated.dropping {
                        self.pass(&bytes[from..at]);
                        from = at + taken;
                        self.gated.dropping = !self.scan.between_messages();
                    }
                    at += taken;
                }
                Step::Control { taken, control } => match control {
                    Control::Pong { payload, key } if self.answers(payload, key) => {
                        self.pass(&bytes[from..at]);
                        at += taken;
                        from = at;
                    }
                    Control::Ping | Control::Pong { .. } => at += taken,
                    Control::Close(code) => {
                        self.rx = Rx::Closed;
                        event = Some(FlowEvent::Closed(code));
                        if self.instead.is_none() {
                            at += taken;
                        }
                        break;
                    }
                },
                Step::Short => {
                    self.carry = bytes[at..].to_vec();
                    break;
                }
                Step::Fault(fault) => {
                    self.rx = Rx::Broken;
                    event = Some(FlowEvent::Fault(fault));
                    break;
                }
            }
            if self.due() && self.between_frames() {
                self.pass(&bytes[from..at]);
                from = at;
                self.speak();
            }
        }
        if self.tx != Tx::Open {
            return (at..at, event);
        }
        if matches!(event, Some(FlowEvent::Closed(_))) && self.instead.is_none() {
            self.tx = Tx::Closed;
        }
        self.traffic.bytes += (at - from) as u64;
        (from..at, event)
    }

    /// Asks the gate about a message, unless that was done while it was delayed.
    #[inline]
    fn judge<G: Gate>(
        &mut self,
        cx: &mut Context<'_>,
        gate: &mut G,
        start: MessageStart,
    ) -> Verdict {
        let verdict = match self.gated.verdict.take() {
            Some(verdict) => verdict,
            None if self.gated.drops_all => Verdict::Drop,
            None => gate.admit(cx, self.direction, start),
        };
        if let Verdict::Close(cause) = verdict {
            self.gated.drops_all = true;
            self.gated.refused.get_or_insert(cause);
        }
        verdict
    }

    /// Asks the gate again about a delayed message. It is no use when the sink is closed or the session ends.
    fn show_again<G: Gate>(
        &mut self,
        cx: &mut Context<'_>,
        gate: &mut G,
        start: MessageStart,
    ) -> Verdict {
        if self.tx != Tx::Open || self.gated.drops_all {
            return Verdict::Drop;
        }
        gate.admit(cx, self.direction, start)
    }

    /// The session is ending, or the source has left: a message that waits is not waited for any longer. It is dropped,
    /// and so are all behind it.
    pub(super) fn release(&mut self) {
        self.gated.drops_all |= self.waits();
    }

    /// Whether a message that waited is to be dropped at the next turn.
    pub(super) fn is_released(&self) -> bool {
        self.waits() && self.gated.drops_all
    }

    /// Whether a pong answers the gateway's own ping.
    fn answers(&self, payload: &[u8], key: [u8; 4]) -> bool {
        let expected = self.ping_key.to_be_bytes();
        payload.len() == expected.len()
            && payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .eq(expected)
    }

    /// Puts bytes of the source behind what is to leave.
    fn pass(&mut self, bytes: &[u8]) {
        if self.tx == Tx::Open {
            self.out.extend_from_slice(bytes);
            self.relayed |= !bytes.is_empty();
            self.traffic.bytes += bytes.len() as u64;
        }
    }

    /// Appends the gateway's own frames to the output, at the end of a frame.
    fn speak(&mut self) {
        if self.tx != Tx::Open {
            self.due_close = None;
            self.due_ping = false;
            self.due_notice = None;
        }
        if !self.between_frames() {
            return;
        }
        // A client that does not read gets one notice, not one each second.
        if self.between_messages()
            && self.out.is_empty()
            && let Some(text) = self.due_notice.take()
        {
            let text = &text.as_bytes()[..text.floor_char_boundary(CONTROL_PAYLOAD)];
            let mask = self.mask();
            put_frame(&mut self.out, TEXT, text, &[], mask);
        }
        // Behind what is stuck, one ping after the other would keep the source from its turn, and pass for data.
        if self.out.is_empty() && std::mem::take(&mut self.due_ping) {
            let payload = self.ping_key.to_be_bytes();
            let mask = self.mask();
            put_frame(&mut self.out, PING, &payload, &[], mask);
        }
        if let Some(cause) = self.due_close.take() {
            let mask = self.mask();
            put_close(&mut self.out, self.direction, cause, mask);
            self.tx = Tx::Closed;
        }
    }

    /// A new masking key if the sink is a server (5.3).
    fn mask(&self) -> Option<[u8; 4]> {
        match self.direction {
            Direction::ToBackend => Some(rand::random()),
            Direction::ToClient => None,
        }
    }

    /// Writes bytes straight on, or behind what waits already; keeps what the sink does not take.
    fn send<D: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, sink: &mut D, bytes: &[u8]) {
        self.relayed |= !bytes.is_empty();
        if !self.out.is_empty() {
            self.out.extend_from_slice(bytes);
            // Whether it is stuck shows at the next turn.
            let _ = self.drain(cx, sink);
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match Pin::new(&mut *sink).poll_write(cx, rest) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.unflushed = true;
                    rest = &rest[n..];
                }
                Poll::Ready(_) => return self.abandon(),
                Poll::Pending => {
                    self.stuck = true;
                    self.out.extend_from_slice(rest);
                    return;
                }
            }
        }
        let _ = self.flush(cx, sink);
    }

    /// Writes what waits, and the FIN if it is due; `Pending` while something is stuck.
    fn drain<D: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, sink: &mut D) -> Poll<()> {
        if matches!(self.tx, Tx::Finished | Tx::Dead) {
            return Poll::Ready(());
        }
        while self.sent < self.out.len() {
            match Pin::new(&mut *sink).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.unflushed = true;
                    self.took();
                    self.sent += n;
                }
                Poll::Ready(_) => {
                    self.abandon();
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.stuck = true;
                    return Poll::Pending;
                }
            }
        }
        if self.sent > 0 {
            self.out = Vec::new();
            self.sent = 0;
        }
        ready!(self.flush(cx, sink));
        if self.fin && self.tx != Tx::Dead {
            self.tx = match ready!(Pin::new(sink).poll_shutdown(cx)) {
                Ok(()) => Tx::Finished,
                Err(_) => Tx::Dead,
            };
        }
        Poll::Ready(())
    }

    /// Notes that the sink took something. What leaves slowly is no less data than what has just come.
    fn took(&mut self) {
        self.stirred.sink |= self.stuck;
        self.stirred.data |= self.stuck && self.relayed;
    }

    fn flush<D: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, sink: &mut D) -> Poll<()> {
        if self.unflushed {
            match Pin::new(sink).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.took();
                    self.unflushed = false;
                    self.relayed = false;
                    self.stuck = false;
                }
                Poll::Ready(Err(_)) => self.abandon(),
                // TLS takes what it cannot send yet.
                Poll::Pending => {
                    self.stuck = true;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }
}
