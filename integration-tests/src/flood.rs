//! Many messages at a known rate through many gateways, and a backend that counts what arrives, for tests of quotas. A
//! message has six bytes: the number of its flood, and its number in its session.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};

use crate::{
    backend::Backend,
    client::{Client, Upgrade},
    wire::{BINARY, CLOSE, Frame, Mask, PING, PONG},
};

/// A backend that counts messages by flood and sends nothing of its own.
#[derive(Debug)]
pub struct Tally {
    backend: Backend,
    counts: Arc<Mutex<HashMap<u16, u64>>>,
}

/// The shape of a flood.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The number of all messages.
    pub demand: u64,
    /// The parts of them that go to each gateway.
    pub parts: Vec<u64>,
    /// The number of bursts.
    pub bursts: u64,
    /// The time between two bursts.
    pub every: Duration,
}

/// A session that sends a flood.
#[derive(Debug)]
pub struct Session {
    /// The session; a test may read from it between two bursts.
    pub client: Client,
    flood: u16,
    sent: u32,
}

/// Bytes of a message of a flood as a client sends it: two of header, four of mask, six of payload.
const FRAME: usize = 12;

// === impl Tally ===

impl Tally {
    /// Starts it.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let counts = Arc::<Mutex<HashMap<u16, u64>>>::default();
        let counting = Arc::clone(&counts);
        let backend = Backend::scripted(move |peer| count(peer.stream, Arc::clone(&counting)));
        Self {
            backend: backend.await,
            counts,
        }
    }

    /// The URL for an API's endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.backend.url()
    }

    /// How many messages of a flood have arrived.
    ///
    /// # Panics
    /// Never: no thread panics while it holds the lock.
    #[must_use]
    pub fn of(&self, flood: u16) -> u64 {
        let counts = self.counts.lock().expect("nobody panics with it in hand");
        counts.get(&flood).copied().unwrap_or(0)
    }
}

/// Counts until the connection ends; answers pings, and the first close.
async fn count(mut stream: TcpStream, counts: Arc<Mutex<HashMap<u16, u64>>>) {
    let mut bytes = Vec::with_capacity(64 << 10);
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut rest = bytes.as_slice();
        let mut seen = HashMap::<u16, u64>::new();
        let mut answers = Vec::new();
        let mut closed = false;
        while let Some((frame, behind)) = first(rest) {
            rest = behind;
            match (frame.opcode, frame.payload.first_chunk::<2>()) {
                (BINARY, Some(flood)) => *seen.entry(u16::from_be_bytes(*flood)).or_default() += 1,
                (PING, _) => answers.extend(Frame::new(PONG, frame.payload).encode(Mask::None)),
                (CLOSE, _) => {
                    answers.extend(frame.encode(Mask::None));
                    closed = true;
                }
                _ => {}
            }
        }
        let behind = bytes.len() - rest.len();
        bytes.drain(..behind);
        if !seen.is_empty() {
            let mut counts = counts.lock().expect("nobody panics with it in hand");
            for (flood, count) in seen {
                *counts.entry(flood).or_default() += count;
            }
        }
        if stream.write_all(&answers).await.is_err() || closed {
            return;
        }
    }
}

/// The first frame of `bytes`, which is masked and short, and the rest; `None` while it's incomplete.
fn first(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(head[1] & 0x7F);
    assert!(
        head[1] & 0x80 != 0 && length < 126,
        "no frame of a flood: {head:?}"
    );
    let (mask, rest) = rest.split_first_chunk::<4>()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    let payload: Vec<_> = payload.map(|(byte, mask)| byte ^ mask).collect();
    Some((Frame::new(head[0] & 0x0F, payload), rest))
}

// === impl Shape ===

impl Shape {
    /// A number of messages to four gateways, evenly or nearly all to one, steadily for some seconds or in few bursts.
    #[must_use]
    pub fn of(demand: u64, skewed: bool, bursty: bool) -> Self {
        let parts = if skewed { [70, 20, 9, 1] } else { [1, 1, 1, 1] };
        let (bursts, every) = if bursty { (3, 1_300) } else { (80, 50) };
        Self {
            demand,
            parts: parts.into(),
            bursts,
            every: Duration::from_millis(every),
        }
    }

    /// The messages for each gateway; the sum is the demand.
    fn shares(&self) -> Vec<u64> {
        let whole: u64 = self.parts.iter().sum();
        let mut left = self.demand;
        let mut shares: Vec<_> = self
            .parts
            .iter()
            .map(|part| self.demand * part / whole)
            .collect();
        left -= shares.iter().sum::<u64>();
        if let Some(first) = shares.first_mut() {
            *first += left;
        }
        shares
    }
}

/// Floods the gateways with one session each, and waits until every message has been passed or dropped.
///
/// # Panics
/// When a session is refused, or ends.
pub async fn flood(gateways: &[SocketAddr], upgrade: &Upgrade, flood: u16, shape: &Shape) {
    assert_eq!(gateways.len(), shape.parts.len(), "a part for each gateway");
    let sessions = gateways
        .iter()
        .zip(shape.shares())
        .map(async |(gateway, share)| {
            let mut session = Session::open(*gateway, upgrade, flood).await;
            session.paced(share, shape.bursts, shape.every).await;
            session.settled().await;
        });
    join_all(sessions).await;
}

// === impl Session ===

impl Session {
    /// Opens one.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(gateway: SocketAddr, upgrade: &Upgrade, flood: u16) -> Self {
        let client = upgrade.open(gateway).await;
        Self {
            client,
            flood,
            sent: 0,
        }
    }

    /// Sends messages at once.
    ///
    /// # Panics
    /// When the session has ended.
    pub async fn send(&mut self, count: u64) {
        let mut bytes = Vec::with_capacity(FRAME * usize::try_from(count).unwrap_or(0));
        for _ in 0..count {
            let mut payload = self.flood.to_be_bytes().to_vec();
            payload.extend(self.sent.to_be_bytes());
            self.sent += 1;
            bytes.extend(Frame::new(BINARY, payload).encode(Mask::Fixed));
        }
        self.client.send_bytes(&bytes).await;
    }

    /// Sends messages in bursts.
    ///
    /// # Panics
    /// When the session ends.
    pub async fn paced(&mut self, count: u64, bursts: u64, every: Duration) {
        let mut ticks = interval(every);
        // A session that was delayed doesn't send faster afterwards.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for burst in 1..=bursts {
            ticks.tick().await;
            let due = count * burst / bursts;
            let before = count * (burst - 1) / bursts;
            self.send(due - before).await;
        }
    }

    /// Waits until all messages sent before have been passed or dropped: it sends a ping, which never counts, and waits
    /// for the pong. Returns the other frames that arrived meanwhile.
    ///
    /// # Panics
    /// When the session ends instead.
    pub async fn settled(&mut self) -> Vec<Frame> {
        let mut other = Vec::new();
        let mark = self.sent.to_be_bytes();
        self.client
            .send_bytes(&Frame::new(PING, mark).encode(Mask::Fixed))
            .await;
        loop {
            let frame = self.client.next().await;
            let frame = frame.expect("the session goes on");
            if frame.opcode == PONG && frame.payload == mark {
                return other;
            }
            assert_ne!(frame.opcode, CLOSE, "the session was closed: {frame:?}");
            other.push(frame);
        }
    }
}
