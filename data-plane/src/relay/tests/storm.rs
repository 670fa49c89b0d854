//! Sessions whose peers write in any pieces, read at any pace, stall, and end in any way: whatever happens, a session ends
//! in time, what arrives is what was sent, the gateway speaks between frames only, and the first cause is the reason.

use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::*;

const IDLE: Duration = Duration::from_secs(60);
/// More than all pauses of a script, and then every limit of the relay, together.
const LONG: Duration = Duration::from_secs(86_400);

/// What a peer does when it has sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Waits for a close frame, and answers it.
    Polite,
    Close,
    Fin,
    HangUp,
    Reset,
    Garbage,
}

/// What a peer does in a session.
#[derive(Clone, Debug)]
struct Script {
    /// Whole frames.
    frames: Vec<Vec<u8>>,
    /// Bytes of each write, and the milliseconds before it.
    writes: Vec<(usize, u64)>,
    /// Bytes of each read, and the milliseconds before it.
    reads: Vec<(usize, u64)>,
    /// After how many bytes it stops reading.
    deaf_after: Option<usize>,
    ending: Ending,
}

/// The relay's end of a connection that can be reset.
struct Line {
    io: DuplexStream,
    cut: Arc<Cut>,
}

#[derive(Default)]
struct Cut {
    is_cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// What a peer's two halves tell each other, and what the test tells them.
#[derive(Default)]
struct Signals {
    close_came: Notify,
    hung_up: Notify,
    over: Notify,
    /// When the peer did what ends the session.
    ended_at: OnceLock<Instant>,
}

// === impl Cut ===

impl Cut {
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }

    fn check(&self, known: &AtomicWaker, waker: &Waker) -> io::Result<()> {
        known.register(waker);
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

// === impl Line ===

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.check(&self.cut.reader, cx.waker())?;
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check(&self.cut.writer, cx.waker())?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check(&self.cut.writer, cx.waker())?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Transport for Line {
    fn far_end(&self) -> FarEnd {
        FarEnd::Open
    }
}

// === impl Script ===

impl Script {
    fn sent(&self) -> Vec<u8> {
        self.frames.concat()
    }

    /// Whether it always reads, at once.
    fn attentive(&self) -> bool {
        self.deaf_after.is_none() && self.reads.iter().all(|&(_, pause)| pause == 0)
    }

    /// Plays one peer; what it received.
    async fn play(
        self,
        io: DuplexStream,
        cut: Arc<Cut>,
        signals: Arc<Signals>,
        masked: bool,
    ) -> Vec<u8> {
        let (from, to) = split(io);
        let mut got = Vec::new();
        tokio::select! {
            biased;
            () = signals.hung_up.notified() => {}
            ((), ()) = async { tokio::join!(self.listen(from, &signals, &mut got), self.speak(to, &cut, &signals, masked)) } => {}
        }
        got
    }

    async fn listen(&self, mut from: ReadHalf<DuplexStream>, signals: &Signals, got: &mut Vec<u8>) {
        for &(size, pause) in self.reads.iter().cycle() {
            if self.deaf_after.is_some_and(|most| got.len() >= most) {
                signals.over.notified().await;
                break;
            }
            if pause > 0 {
                sleep(Duration::from_millis(pause)).await;
            }
            let mut buffer = vec![0; size];
            match from.read(&mut buffer).await {
                Ok(n) if n > 0 => got.extend_from_slice(&buffer[..n]),
                _ => break,
            }
            if parse(got).is_ok_and(|parsed| parsed.closed) {
                signals.close_came.notify_one();
            }
        }
        // Whoever hears the FIN waits no longer for a close frame.
        signals.close_came.notify_one();
    }

    async fn speak(
        &self,
        mut to: WriteHalf<DuplexStream>,
        cut: &Cut,
        signals: &Signals,
        masked: bool,
    ) {
        let sent = self.sent();
        let mut rest = &sent[..];
        let mut writes = self.writes.iter().cycle();
        while !rest.is_empty() {
            let &(size, pause) = writes.next().expect("a script writes");
            if pause > 0 {
                sleep(Duration::from_millis(pause)).await;
            }
            let (piece, left) = rest.split_at(size.min(rest.len()));
            if to.write_all(piece).await.is_err() {
                return;
            }
            rest = left;
        }
        if self.ending != Ending::Polite {
            let _ = signals.ended_at.set(Instant::now());
        }
        // What fails here fails because the session is over.
        let _ = match self.ending {
            Ending::Polite => {
                signals.close_came.notified().await;
                to.write_all(&close_frame(masked)).await
            }
            Ending::Close => to.write_all(&close_frame(masked)).await,
            Ending::Fin => to.shutdown().await,
            Ending::Garbage => to.write_all(&[0x83, 0, 0, 0, 0, 0]).await,
            Ending::HangUp => {
                signals.hung_up.notify_one();
                Ok(())
            }
            Ending::Reset => {
                cut.cut();
                signals.hung_up.notify_one();
                Ok(())
            }
        };
    }
}

fn close_frame(masked: bool) -> Vec<u8> {
    let (io, _) = duplex(1);
    let mask = masked.then_some(MASK);
    Peer { io, mask }.frame(0x88, &1000_u16.to_be_bytes())
}

/// What a peer received, without what only the gateway can have said.
struct Parsed {
    relayed: Vec<u8>,
    closed: bool,
}

/// Walks what was received: data frames and pongs come from the other peer, pings are the gateway's, nothing follows a
/// close frame.
fn parse(mut bytes: &[u8]) -> Result<Parsed, String> {
    let mut relayed = Vec::new();
    while let [first, second, ..] = *bytes {
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let header = match (second & 0x7F, bytes) {
            (126, &[_, _, a, b, ..]) => 4 + usize::from(u16::from_be_bytes([a, b])),
            (126, _) => usize::MAX - 4,
            (length, _) => 2 + usize::from(length),
        };
        let whole = header + mask;
        match (first, bytes.split_at_checked(whole)) {
            (0x88, Some((_, []))) => {
                return Ok(Parsed {
                    relayed,
                    closed: true,
                });
            }
            (0x88, Some((_, rest))) => return Err(format!("{rest:?} follows a close frame")),
            (0x88 | 0x89, None) => break,
            (0x89, Some((frame, rest))) if frame.len() == 10 + mask => bytes = rest,
            (0x00..=0x02 | 0x80..=0x82 | 0x8A, Some((frame, rest))) => {
                relayed.extend_from_slice(frame);
                bytes = rest;
            }
            (0x00..=0x02 | 0x80..=0x82 | 0x8A, None) => {
                relayed.extend_from_slice(bytes);
                break;
            }
            _ => return Err(format!("{first:#x} is no frame that anybody sent")),
        }
    }
    Ok(Parsed {
        relayed,
        closed: false,
    })
}

fn frames(masked: bool) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = (prop::collection::vec(any::<u8>(), 0..600), any::<[u8; 4]>());
    let message = (
        1_u8..=2,
        prop::collection::vec((piece, any::<bool>()), 1..4),
    )
        .prop_map(move |(opcode, pieces)| {
            let last = pieces.len() - 1;
            let mut frames = Vec::new();
            for (at, ((payload, mask), pong)) in pieces.into_iter().enumerate() {
                let first = if at == 0 { opcode } else { 0 } | if at == last { 0x80 } else { 0 };
                let (io, _) = duplex(1);
                let mask = masked.then_some(mask);
                let peer = Peer { io, mask };
                frames.push(peer.frame(first, &payload));
                if pong {
                    frames.push(peer.frame(0x8A, b"unasked"));
                }
            }
            frames
        });
    prop::collection::vec(message, 0..6).prop_map(|messages| messages.concat())
}

fn script(masked: bool) -> impl Strategy<Value = Script> {
    let pause = || prop_oneof![6 => Just(0_u64), 1 => 1..2000_u64];
    let write = (1_usize..900, pause());
    let read = prop_oneof![
        3 => prop::collection::vec((1_usize..900, Just(0)), 1..8),
        1 => prop::collection::vec((1_usize..900, pause()), 1..8),
    ];
    let ending = prop_oneof![
        3 => Just(Ending::Polite),
        1 => Just(Ending::Close),
        1 => Just(Ending::Fin),
        1 => Just(Ending::HangUp),
        1 => Just(Ending::Reset),
        1 => Just(Ending::Garbage),
    ];
    (
        frames(masked),
        prop::collection::vec(write, 1..8),
        read,
        prop_oneof![4 => Just(None), 1 => (0_usize..1000).prop_map(Some)],
        ending,
    )
        .prop_map(|(frames, writes, reads, deaf_after, ending)| Script {
            frames,
            writes,
            reads,
            deaf_after,
            ending,
        })
}

/// The reason for which a peer's ending ends a session.
fn cause(ending: Ending, [closed, lost, fault]: [Reason; 3]) -> Option<Reason> {
    match ending {
        Ending::Polite => None,
        Ending::Close => Some(closed),
        Ending::Fin | Ending::HangUp | Ending::Reset => Some(lost),
        Ending::Garbage => Some(fault),
    }
}

async fn weather(client: Script, backend: Script, capacity: usize, ping: bool) {
    let rules = Rules {
        idle: Some(IDLE),
        ping: ping.then_some(Duration::from_secs(1)),
        ..rules()
    };
    let (client_io, client_leg) = duplex(capacity);
    let (backend_io, backend_leg) = duplex(capacity);
    let cuts = [Arc::<Cut>::default(), Arc::<Cut>::default()];
    let signals = [Arc::<Signals>::default(), Arc::<Signals>::default()];
    let leg = |io, cut: &Arc<Cut>| Leg {
        io: Line {
            io,
            cut: cut.clone(),
        },
        read_ahead: Bytes::new(),
    };
    let relay = run(
        leg(client_leg, &cuts[0]),
        leg(backend_leg, &cuts[1]),
        rules,
        OpenGate,
        Arc::new(Live::default()),
    );
    let [client_cut, backend_cut] = cuts;
    let tasks = Tasks::current();
    let at_client = client
        .clone()
        .play(client_io, client_cut, signals[0].clone(), true);
    let at_client = tasks.spawn_bare(at_client);
    let at_backend = backend
        .clone()
        .play(backend_io, backend_cut, signals[1].clone(), false);
    let at_backend = tasks.spawn_bare(at_backend);
    let ended = timeout(LONG, tasks.spawn_bare(relay)).await;
    let ended = ended
        .expect("the session ends")
        .expect("the relay does not panic");
    let attentive = client.attentive() && backend.attentive() && !ping;
    let first = signals.iter().filter_map(|one| one.ended_at.get()).min();
    if let Some(first) = first
        && attentive
    {
        assert!(
            first.elapsed() <= CLOSE * 2 + Duration::from_millis(10),
            "{:?}",
            first.elapsed()
        );
    }
    for signals in &signals {
        signals.over.notify_one();
    }
    let at_client = timeout(LONG, at_client)
        .await
        .expect("a FIN")
        .expect("a script");
    let at_backend = timeout(LONG, at_backend)
        .await
        .expect("a FIN")
        .expect("a script");
    judge(&client, &at_backend, ended.to_backend);
    judge(&backend, &at_client, ended.to_client);

    judge_end(&client, &backend, &ended, attentive);
    // Nobody was in the way of what the one that ended had said before.
    if attentive
        && backend.ending == Ending::Polite
        && matches!(client.ending, Ending::Close | Ending::Fin | Ending::Garbage)
    {
        let relayed = parse(&at_backend).expect("frames").relayed;
        assert!(relayed == client.sent(), "the client's last words are lost");
    }
}

/// The first cause is the reason, where nothing else could come before it.
fn judge_end(client: &Script, backend: &Script, ended: &Ended, attentive: bool) {
    let causes = [
        cause(
            client.ending,
            [
                Reason::ClientClosed,
                Reason::ClientLost,
                Reason::ClientProtocolError,
            ],
        ),
        cause(
            backend.ending,
            [
                Reason::BackendClosed,
                Reason::BackendLost,
                Reason::BackendProtocolError,
            ],
        ),
    ];
    match causes {
        [None, None] if attentive => assert_eq!(ended.reason, Reason::IdleTimeout),
        [Some(cause), None] | [None, Some(cause)] if attentive => assert_eq!(ended.reason, cause),
        _ => {
            let silences = [
                Reason::IdleTimeout,
                Reason::ClientUnresponsive,
                Reason::BackendUnresponsive,
            ];
            let possible = causes.into_iter().flatten().chain(silences);
            assert!(
                possible.into_iter().any(|one| one == ended.reason),
                "{ended:?}"
            );
        }
    }
}

fn judge(from: &Script, received: &[u8], counted: Traffic) {
    let relayed = match parse(received) {
        Ok(parsed) => parsed.relayed,
        Err(fault) => panic!("{fault}"),
    };
    assert!(
        from.sent().starts_with(&relayed),
        "other bytes than were sent"
    );
    assert!(
        relayed.len() as u64 <= counted.bytes,
        "{} bytes came, {counted:?}",
        relayed.len()
    );
    let messages = from
        .frames
        .iter()
        .filter(|frame| matches!(frame[0] & 0x0F, 1 | 2));
    assert!(counted.messages <= messages.count() as u64);
}

proptest! {
    #[test]
    fn whatever_the_peers_do_a_session_ends_in_time_and_forwards_what_was_sent(
        client in script(true),
        backend in script(false),
        capacity in prop_oneof![1_usize..200, 200_usize..5000],
        ping in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(weather(client, backend, capacity, ping));
    }
}

#[test]
fn pings_that_are_taken_slowly_keep_no_message_from_its_turn_and_no_session_open() {
    let (io, _) = duplex(1);
    let mask = Some(MASK);
    let peer = Peer { io, mask };
    let client = Script {
        frames: vec![peer.frame(0x82, &[1; 100]), peer.frame(0x82, &[2; 100])],
        writes: vec![(50, 0)],
        reads: vec![(100, 0)],
        deaf_after: None,
        ending: Ending::HangUp,
    };
    let backend = Script {
        frames: Vec::new(),
        writes: vec![(1, 0)],
        // Longer than a ping is apart, and less than a ping at a time.
        reads: vec![(6, 1870)],
        deaf_after: None,
        ending: Ending::Polite,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(weather(client, backend, 6, true));
}
