//! What becomes of messages that a gate does not let pass at once: dropped, kept waiting, refused with the session.

use std::{
    collections::VecDeque,
    io,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use tidegate_kit::tasks::Tasks;
use tidegate_proto::reason::Reason;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex},
    time::timeout,
};

use super::{MASK, Peer, Session, frame, rules, start_gated};
use crate::message::{CloseCause, Direction, Gate, MessageStart, Verdict};
use crate::relay::{Rules, run};
use crate::session::live::Live;
use crate::socket::{FarEnd, Leg, Transport};

/// A gate with a script. What it is not told, it lets pass.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    to_backend: VecDeque<Verdict>,
    to_client: VecDeque<Verdict>,
    waiting: Option<Waker>,
    more: Vec<u64>,
    notice: Option<Box<str>>,
}

impl Script {
    fn to_backend(verdicts: &[Verdict]) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().to_backend = verdicts.iter().copied().collect();
        script
    }

    fn to_client(verdicts: &[Verdict]) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().to_client = verdicts.iter().copied().collect();
        script
    }

    /// Lets what waits pass.
    fn open(&self) {
        let mut guard = self.0.lock().unwrap();
        let state = &mut *guard;
        for verdicts in [&mut state.to_backend, &mut state.to_client] {
            if verdicts.front() == Some(&Verdict::Wait) {
                verdicts.pop_front();
            }
        }
        let waker = state.waiting.take();
        drop(guard);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Gate for Script {
    fn admit(&mut self, cx: &mut Context<'_>, direction: Direction, _: MessageStart) -> Verdict {
        let mut state = self.0.lock().unwrap();
        let verdicts = match direction {
            Direction::ToBackend => &mut state.to_backend,
            Direction::ToClient => &mut state.to_client,
        };
        if verdicts.front() == Some(&Verdict::Wait) {
            state.waiting = Some(cx.waker().clone());
            return Verdict::Wait;
        }
        verdicts.pop_front().unwrap_or(Verdict::Pass)
    }

    fn more(&mut self, _: Direction, length: u64) {
        self.0.lock().unwrap().more.push(length);
    }

    fn notice(&mut self) -> Option<Box<str>> {
        self.0.lock().unwrap().notice.take()
    }
}

fn gated(script: &Script) -> Session {
    gated_under(rules(), script)
}

fn gated_under(rules: Rules, script: &Script) -> Session {
    start_gated(rules, 1 << 16, [Bytes::new(), Bytes::new()], script.clone())
}

#[tokio::test(start_paused = true)]
async fn a_dropped_message_is_gone_with_all_its_fragments_and_pings_between_them_pass() {
    let script = Script::to_backend(&[Verdict::Pass, Verdict::Drop]);
    let mut session = gated(&script);
    session.client.send(0x81, b"first").await;
    session.client.send(0x01, b"gone").await;
    session.client.send(0x89, b"ping").await;
    session.client.send(0x80, b"gone too").await;
    session.client.send(0x02, b"third ").await;
    session.client.send(0x80, b"whole").await;
    for (first, payload) in [
        (0x81, b"first".as_slice()),
        (0x89, b"ping"),
        (0x02, b"third "),
        (0x80, b"whole"),
    ] {
        assert_eq!(session.backend.receive().await, frame(first, payload));
    }
    let (sent, _) = session.live.traffic();
    assert_eq!((sent.messages, sent.dropped), (2, 1));
    // Only of what was let in is more told.
    assert_eq!(script.0.lock().unwrap().more, [5]);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_at_once_however_late_in_a_burst_its_message_is_refused() {
    let farewell = CloseCause {
        reason: Reason::SubscriptionQuota,
        code: Some(4003),
        retry_seconds: None,
    };
    let mut verdicts = vec![Verdict::Pass; 120];
    verdicts.push(Verdict::Close(farewell));
    let script = Script::to_backend(&verdicts);
    let mut session = start_gated(rules(), 1 << 20, [Bytes::new(), Bytes::new()], script);
    let mut burst = Vec::new();
    for _ in 0..verdicts.len() {
        burst.extend(session.client.frame(0x82, &[7; 1000]));
    }
    let began = tokio::time::Instant::now();
    session.client.send_raw(&burst).await;
    let close = session.client.receive().await.unwrap();
    assert_eq!((close.first, began.elapsed()), (0x88, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_on_where_it_was_and_nothing_is_lost_or_overtaken() {
    let script = Script::to_backend(&[Verdict::Pass, Verdict::Wait, Verdict::Pass]);
    let mut session = gated(&script);
    for payload in ["one", "two", "three"] {
        session.client.send(0x81, payload.as_bytes()).await;
    }
    assert_eq!(session.backend.receive().await, frame(0x81, b"one"));
    // The other direction does not wait.
    session.backend.send(0x81, b"hello").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"hello"));
    assert_eq!(session.live.traffic().0.messages, 1);
    script.open();
    assert_eq!(session.backend.receive().await, frame(0x81, b"two"));
    assert_eq!(session.backend.receive().await, frame(0x81, b"three"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_is_idle_and_not_unresponsive() {
    let script = Script::to_backend(&[Verdict::Wait]);
    let idle = Rules {
        idle: Some(Duration::from_secs(300)),
        ping: Some(Duration::from_secs(20)),
        ..rules()
    };
    let mut session = gated_under(idle, &script);
    session.client.send(0x81, b"wait for it").await;
    // The backend answers the gateway's pings; the client's answers stand behind its message.
    let backend = async {
        while let Some(frame) = session.backend.receive().await {
            match frame.first {
                0x89 => session.backend.send(0x8A, &frame.payload).await,
                0x88 => session.backend.send_close(1001).await,
                other => panic!("{other:x} did not wait"),
            }
        }
    };
    let client = async {
        while session
            .client
            .receive()
            .await
            .is_some_and(|it| it.first != 0x88)
        {}
        session.client.send_close(1001).await;
    };
    let (ended, (), ()) = tokio::join!(&mut session.relay, backend, client);
    assert_eq!(ended.unwrap().reason, Reason::IdleTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_can_be_ended() {
    let script = Script::to_backend(&[Verdict::Wait]);
    let mut session = gated(&script);
    session.client.send(0x81, b"wait").await;
    tokio::task::yield_now().await;
    session.live.end(Reason::Draining);
    assert_eq!(session.client.receive_close().await, Some(1001));
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.client.send_close(1001).await;
    session.backend.send_close(1001).await;
    let ended = session.ended().await;
    assert_eq!(ended.reason, Reason::Draining);
    assert_eq!(ended.to_backend.messages, 0);
}

/// The relay's end of a connection whose far end stands as the test says.
struct Watched {
    io: DuplexStream,
    far_end: Stands,
}

type Stands = Arc<Mutex<FarEnd>>;

impl Transport for Watched {
    fn far_end(&self) -> FarEnd {
        *self.far_end.lock().unwrap()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A session without any limit on silence, and how the far ends of client and backend stand.
fn watched(script: &Script) -> (Session, [Stands; 2]) {
    let far_ends = <[Stands; 2]>::default();
    let [(client, client_leg), (backend, backend_leg)] =
        far_ends.each_ref().map(|far_end: &Stands| {
            let (io, leg) = duplex(1 << 16);
            let far_end = far_end.clone();
            let leg = Leg {
                io: Watched { io: leg, far_end },
                read_ahead: Bytes::new(),
            };
            (io, leg)
        });
    let live = Arc::new(Live::default());
    let relay = run(
        client_leg,
        backend_leg,
        rules(),
        script.clone(),
        live.clone(),
    );
    let session = Session {
        client: Peer {
            io: client,
            mask: Some(MASK),
        },
        backend: Peer {
            io: backend,
            mask: None,
        },
        live,
        relay: Tasks::current().spawn_bare(relay),
    };
    (session, far_ends)
}

/// More than the time between two looks at a peer that is not heard, and less than its last words are kept waiting.
const SOON: Duration = Duration::from_secs(9);

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_behind_a_message_that_waits_is_noticed() {
    let script = Script::to_backend(&[Verdict::Wait]);
    let (mut session, [client, _]) = watched(&script);
    session.client.send(0x81, b"waits").await;
    drop(session.client);
    *client.lock().unwrap() = FarEnd::Gone;
    let close = timeout(SOON, session.backend.receive_close()).await;
    assert_eq!(close, Ok(Some(1001)));
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(ended.reason, Reason::ClientLost);
    assert_eq!(ended.to_backend.messages, 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_gone_behind_a_message_that_waits_is_noticed() {
    let script = Script::to_client(&[Verdict::Wait]);
    let (mut session, [_, backend]) = watched(&script);
    session.backend.send(0x81, b"waits").await;
    drop(session.backend);
    *backend.lock().unwrap() = FarEnd::Gone;
    let close = timeout(SOON, session.client.receive_close()).await;
    assert_eq!(close, Ok(Some(1014)));
    drop(session.client);
    assert_eq!(session.relay.await.unwrap().reason, Reason::BackendLost);
}

#[tokio::test(start_paused = true)]
async fn who_has_said_his_last_is_let_in_while_there_is_room_now_and_then_and_gets_his_answers() {
    let script = Script::to_backend(&[
        Verdict::Wait,
        Verdict::Pass,
        Verdict::Wait,
        Verdict::Pass,
        Verdict::Wait,
    ]);
    let (mut session, [client, _]) = watched(&script);
    for text in ["one", "two", "three"] {
        session.client.send(0x81, text.as_bytes()).await;
    }
    session.client.io.shutdown().await.unwrap();
    *client.lock().unwrap() = FarEnd::Shut;
    for text in ["one", "two"] {
        let early = timeout(SOON, session.backend.receive()).await;
        assert!(early.is_err(), "{early:?} came before there was room");
        script.open();
        let passed = session.backend.receive().await;
        assert_eq!(passed, frame(0x81, text.as_bytes()));
    }
    // There is no more room, and it is not waited for beyond the time that a silent peer has.
    let close = timeout(rules().pong + 2 * SOON, session.backend.receive_close()).await;
    assert_eq!(close, Ok(Some(1001)));
    session.backend.send(0x81, b"an answer").await;
    session.backend.send_close(1001).await;
    assert_eq!(session.client.receive().await, frame(0x81, b"an answer"));
    assert_eq!(session.client.receive_close().await, Some(1001));
    drop(session.client);
    let ended = session.relay.await.unwrap();
    assert_eq!(ended.reason, Reason::ClientLost);
    assert_eq!(
        (ended.to_backend.messages, ended.to_backend.dropped),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_that_stands_behind_a_message_that_waits_is_passed_on_when_its_sender_has_left() {
    let script = Script::to_backend(&[Verdict::Wait]);
    let (mut session, [client, _]) = watched(&script);
    session.client.send(0x81, b"waits").await;
    session.client.send_close(1000).await;
    session.client.io.shutdown().await.unwrap();
    *client.lock().unwrap() = FarEnd::Shut;
    let close = timeout(rules().pong + 2 * SOON, session.backend.receive_close()).await;
    assert_eq!(close, Ok(Some(1000)));
    session.backend.send_close(1000).await;
    drop(session.backend);
    drop(session.client);
    assert_eq!(session.relay.await.unwrap().reason, Reason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_session_with_its_code_and_the_seconds_to_wait() {
    let farewell = CloseCause {
        reason: Reason::SubscriptionQuota,
        code: Some(1008),
        retry_seconds: NonZeroU32::new(12),
    };
    let script = Script::to_backend(&[Verdict::Pass, Verdict::Close(farewell)]);
    let mut session = gated(&script);
    session.client.send(0x81, b"in time").await;
    session.client.send(0x81, b"too many").await;
    session.client.send(0x81, b"behind it").await;
    assert_eq!(session.backend.receive().await, frame(0x81, b"in time"));
    assert_eq!(session.backend.receive_close().await, Some(1001));
    let close = session.client.receive().await.unwrap();
    assert_eq!(close.payload[..2], 1008_u16.to_be_bytes());
    let text = String::from_utf8(close.payload[2..].to_vec()).unwrap();
    assert_eq!(
        text,
        "the limit of the subscription's plan is reached; retry in 12 s"
    );
    session.client.send_close(1008).await;
    session.backend.send_close(1001).await;
    let ended = session.ended().await;
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::SubscriptionQuota, Some(1008))
    );
    assert_eq!(
        (ended.to_backend.messages, ended.to_backend.dropped),
        (1, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_notice_comes_between_two_messages_of_the_backend_and_when_it_is_silent() {
    let script = Script::to_backend(&[Verdict::Drop, Verdict::Drop]);
    let mut session = gated(&script);
    session.backend.send(0x01, b"half a ").await;
    assert_eq!(session.client.receive().await, frame(0x01, b"half a "));
    script.0.lock().unwrap().notice = Some("too many".into());
    session.client.send(0x81, b"dropped").await;
    tokio::task::yield_now().await;
    session.backend.send(0x80, b"message").await;
    assert_eq!(session.client.receive().await, frame(0x80, b"message"));
    assert_eq!(session.client.receive().await, frame(0x81, b"too many"));
    script.0.lock().unwrap().notice = Some("again".into());
    session.client.send(0x81, b"dropped").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"again"));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_backend_that_is_dropped_can_be_told_of_at_once() {
    let script = Script::to_client(&[Verdict::Drop]);
    script.0.lock().unwrap().notice = Some("too many".into());
    let mut session = gated(&script);
    session.backend.send(0x01, b"never seen").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"too many"));
    session.backend.send(0x80, b"nor this").await;
    session.backend.send(0x81, b"seen").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"seen"));
}

/// A message of the script: its fragments, with a ping after the first where there is one, and what is said of it.
#[derive(Clone, Debug)]
struct Scripted {
    fragments: Vec<Vec<u8>>,
    ping: bool,
    verdict: Verdict,
    waits: bool,
}

fn scripted() -> impl Strategy<Value = Scripted> {
    let fragment = vec(any::<u8>(), 0..200);
    let verdict = prop_oneof![3 => Just(Verdict::Pass), 2 => Just(Verdict::Drop)];
    (vec(fragment, 1..4), any::<bool>(), verdict, any::<bool>()).prop_map(
        |(fragments, ping, verdict, waits)| Scripted {
            fragments,
            ping,
            verdict,
            waits,
        },
    )
}

/// The frames of a message as a client sends them, unmasked; pings apart.
fn frames(message: &Scripted) -> Vec<(u8, Vec<u8>, bool)> {
    let last = message.fragments.len() - 1;
    let mut frames = Vec::new();
    for (index, payload) in message.fragments.iter().enumerate() {
        let opcode = if index == 0 { 0x02 } else { 0x00 };
        let fin = if index == last { 0x80 } else { 0x00 };
        frames.push((opcode | fin, payload.clone(), true));
        if index == 0 && message.ping {
            frames.push((0x89, b"ping".to_vec(), false));
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_dropped_or_waits_the_rest_arrives_whole_and_in_order(
        messages in vec(scripted(), 0..12),
        chunk in 1..400_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let script = Script::default();
            for message in &messages {
                let mut state = script.0.lock().unwrap();
                if message.waits {
                    state.to_backend.push_back(Verdict::Wait);
                }
                state.to_backend.push_back(message.verdict);
            }
            let mut session = gated(&script);
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for message in &messages {
                for (first, payload, is_data) in frames(message) {
                    stream.extend(session.client.frame(first, &payload));
                    if !is_data || message.verdict == Verdict::Pass {
                        expected.push(frame(first, &payload));
                    }
                }
            }
            stream.extend(session.client.frame(0x88, &1000_u16.to_be_bytes()));
            expected.push(frame(0x88, &1000_u16.to_be_bytes()));
            let client = async {
                for chunk in stream.chunks(chunk) {
                    session.client.send_raw(chunk).await;
                    tokio::task::yield_now().await;
                    script.open();
                }
            };
            let backend = async {
                for expected in expected {
                    let received = tokio::select! {
                        biased;
                        received = session.backend.receive() => received,
                        () = opening(&script) => unreachable!("it never ends"),
                    };
                    assert_eq!(received, expected);
                }
            };
            tokio::join!(client, backend);
        });
    }
}

/// Opens the gate again and again.
async fn opening(script: &Script) {
    loop {
        script.open();
        tokio::task::yield_now().await;
    }
}
