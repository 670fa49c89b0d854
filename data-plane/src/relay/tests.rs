//! Whole sessions between scripted peers, over pipes in memory and under paused time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidegate_kit::tasks::Tasks;
use tidegate_proto::reason::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::scan::Fault;
use super::{Ended, Rules, run};
use crate::message::{Gate, OpenGate, Traffic};
use crate::session::live::Live;
use crate::socket::{FarEnd, Leg, Transport};

mod closing;
mod gated;
mod pressure;
mod silence;
mod storm;
mod transport;

const CLOSE: Duration = Duration::from_secs(5);
const MASK: [u8; 4] = [7, 77, 177, 0];

/// A running session and its two peers.
struct Session {
    client: Peer,
    backend: Peer,
    live: Arc<Live>,
    relay: JoinHandle<Ended>,
}

/// One end of a session, with a script.
struct Peer {
    io: DuplexStream,
    mask: Option<[u8; 4]>,
}

/// A frame as a peer received it, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    first: u8,
    payload: Vec<u8>,
}

fn rules() -> Rules {
    Rules {
        deflate: false,
        idle: None,
        ping: None,
        pong: Duration::from_secs(10),
        close: CLOSE,
    }
}

fn start(rules: Rules) -> Session {
    start_with(rules, 1 << 16, [Bytes::new(), Bytes::new()])
}

/// A session over pipes that hold `capacity` bytes, with what was read ahead from client and backend.
fn start_with(rules: Rules, capacity: usize, read_ahead: [Bytes; 2]) -> Session {
    start_gated(rules, capacity, read_ahead, OpenGate)
}

fn start_gated<G: Gate + Send + 'static>(
    rules: Rules,
    capacity: usize,
    read_ahead: [Bytes; 2],
    gate: G,
) -> Session {
    let (client, client_leg) = duplex(capacity);
    let (backend, backend_leg) = duplex(capacity);
    let live = Arc::new(Live::default());
    let [from_client, from_backend] = read_ahead;
    let client_leg = Leg {
        io: client_leg,
        read_ahead: from_client,
    };
    let backend_leg = Leg {
        io: backend_leg,
        read_ahead: from_backend,
    };
    let relay =
        Tasks::current().spawn_bare(run(client_leg, backend_leg, rules, gate, live.clone()));
    Session {
        client: Peer {
            io: client,
            mask: Some(MASK),
        },
        backend: Peer {
            io: backend,
            mask: None,
        },
        live,
        relay,
    }
}

/// Only a reader learns of a pipe's far end.
impl Transport for DuplexStream {
    fn far_end(&self) -> FarEnd {
        FarEnd::Open
    }
}

impl Session {
    async fn ended(self) -> Ended {
        self.relay.await.expect("the relay does not panic")
    }
}

impl Peer {
    fn frame(&self, first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        let bit = if self.mask.is_some() { 0x80 } else { 0 };
        if payload.len() < 126 {
            frame.push(payload.len() as u8 | bit);
        } else {
            frame.push(126 | bit);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        frame.extend(self.mask.iter().flatten());
        let key = self.mask.unwrap_or_default();
        frame.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        frame
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        let frame = self.frame(first, payload);
        self.send_raw(&frame).await;
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("the relay reads");
    }

    async fn send_close(&mut self, code: u16) {
        self.send(0x88, &code.to_be_bytes()).await;
    }

    /// The next frame; `None` at the FIN.
    async fn receive(&mut self) -> Option<Frame> {
        let first = self.io.read_u8().await.ok()?;
        let second = self.io.read_u8().await.expect("a second byte");
        assert_eq!(
            second & 0x80 == 0,
            self.mask.is_some(),
            "masked by the wrong side"
        );
        let length = match second & 0x7F {
            126 => self.io.read_u16().await.expect("a length").into(),
            127 => self.io.read_u64().await.expect("a length"),
            length => length.into(),
        };
        let mut key = [0; 4];
        if second & 0x80 != 0 {
            self.io.read_exact(&mut key).await.expect("a key");
        }
        let mut payload = vec![0; length as usize];
        self.io.read_exact(&mut payload).await.expect("a payload");
        payload
            .iter_mut()
            .zip(key.iter().cycle())
            .for_each(|(byte, key)| *byte ^= key);
        Some(Frame { first, payload })
    }

    /// The next frame must be a close frame; its code.
    async fn receive_close(&mut self) -> Option<u16> {
        let frame = self.receive().await.expect("a close frame, not a FIN");
        assert_eq!(frame.first, 0x88, "{frame:?} is no close frame");
        Some(u16::from_be_bytes(*frame.payload.first_chunk()?))
    }

    /// The next thing must be the FIN.
    async fn receive_fin(&mut self) {
        assert_eq!(self.receive().await, None);
    }
}

fn frame(first: u8, payload: &[u8]) -> Option<Frame> {
    Some(Frame {
        first,
        payload: payload.to_vec(),
    })
}

#[tokio::test(start_paused = true)]
async fn passes_what_was_read_ahead_before_what_follows() {
    let script = start(rules());
    let ahead = [
        Bytes::from(script.client.frame(0x81, b"first")),
        Bytes::from(script.backend.frame(0x82, b"hello")),
    ];
    let mut session = start_with(rules(), 1 << 16, ahead);
    session.client.send(0x81, b"second").await;
    assert_eq!(session.backend.receive().await, frame(0x81, b"first"));
    assert_eq!(session.backend.receive().await, frame(0x81, b"second"));
    assert_eq!(session.client.receive().await, frame(0x82, b"hello"));
}

#[tokio::test(start_paused = true)]
async fn shows_its_traffic_while_it_runs() {
    let mut session = start(rules());
    session.client.send(0x01, b"one").await;
    session.client.send(0x80, b"").await;
    session.client.send(0x82, b"two").await;
    for _ in 0..3 {
        session.backend.receive().await;
    }
    let carried = Traffic {
        messages: 2,
        dropped: 0,
        bytes: 9 + 6 + 9,
    };
    assert_eq!(session.live.traffic(), (carried, Traffic::default()));
    drop(session.client);
    drop(session.backend);
    let ended = session.relay.await.expect("the relay does not panic");
    assert_eq!(ended.to_backend.messages, 2);
}

#[tokio::test]
async fn a_session_over_plain_sockets_costs_less_than_a_kilobyte() {
    fn size<F: Future>(_: fn(Leg<TcpStream>, Leg<TcpStream>, Arc<Live>) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(|client, backend, live| run(client, backend, rules(), OpenGate, live));
    assert!(size <= 1024, "{size} bytes");
}
