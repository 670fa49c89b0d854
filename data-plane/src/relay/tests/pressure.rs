//! Peers that are slow, and connections that take their time: back-pressure must neither be mistaken for silence nor hide it.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};

use super::*;

const PING: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(600);

fn pinging() -> Rules {
    Rules {
        ping: Some(PING),
        ..rules()
    }
}

/// A connection that takes more than it sends, as TLS does: the rest leaves with the next write or flush.
struct Buffering<T> {
    io: T,
    out: Vec<u8>,
}

impl<T: AsyncWrite + Unpin> Buffering<T> {
    fn new(io: T) -> Self {
        let out = Vec::new();
        Self { io, out }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Buffering<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Buffering<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.out.is_empty() {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.out.is_empty() {
            let taken = ready!(Pin::new(&mut this.io).poll_write(cx, &this.out))?;
            this.out.drain(..taken);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: Transport> Transport for Buffering<T> {
    fn far_end(&self) -> FarEnd {
        self.io.far_end()
    }
}

/// A connection on which one read uses up all that the runtime lets a task do in one go, as bulk traffic does.
struct Spending<T> {
    io: T,
    spent: bool,
}

impl<T: AsyncRead + Unpin> AsyncRead for Spending<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.spent && pin!(tokio::task::consume_budget()).poll(cx).is_ready() {}
        self.spent = true;
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Spending<T> {
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

impl<T: Transport> Transport for Spending<T> {
    fn far_end(&self) -> FarEnd {
        self.io.far_end()
    }
}

/// A session whose client is behind `wrap`, over pipes that hold `capacity` bytes.
fn start_behind<W>(rules: Rules, capacity: usize, wrap: fn(DuplexStream) -> W) -> Session
where
    W: Transport + Send + 'static,
{
    let (client, client_leg) = duplex(capacity);
    let (backend, backend_leg) = duplex(capacity);
    let live = Arc::new(Live::default());
    let client_leg = Leg {
        io: wrap(client_leg),
        read_ahead: Bytes::new(),
    };
    let backend_leg = Leg {
        io: backend_leg,
        read_ahead: Bytes::new(),
    };
    let relay = run(client_leg, backend_leg, rules, OpenGate, live.clone());
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
        relay: Tasks::current().spawn_bare(relay),
    }
}

/// Takes `step` bytes now and then, answers nothing, until the end; what was taken.
async fn sip(io: &mut DuplexStream, step: usize, pause: Duration) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; step];
    loop {
        sleep(pause).await;
        match io.read(&mut buffer).await {
            Ok(n) if n > 0 => got.extend_from_slice(&buffer[..n]),
            _ => return got,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_timer_is_set_even_if_the_runtime_grants_no_more() {
    let rules = Rules {
        idle: Some(IDLE),
        ..rules()
    };
    let spend = |io| Spending { io, spent: false };
    let mut session = start_behind(rules, 1 << 16, spend);
    let told = timeout(LONG, session.client.receive_close()).await;
    assert_eq!(told.expect("an idle session is ended"), Some(1001));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_inside_a_frame_is_found_although_the_connection_buffers() {
    let mut session = start_behind(pinging(), 64, Buffering::new);
    let mut unfinished = b"\x82\x7e\x20\x00".to_vec();
    unfinished.resize(1000, 0);
    // It never returns: the client takes nothing.
    let stuck = session.backend.io.write_all(&unfinished);
    let _ = timeout(LONG, stuck).await;
    let ended = timeout(LONG, session.relay).await.expect("an end");
    assert_eq!(ended.unwrap().reason, Reason::ClientUnresponsive);
    drop(session.client);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_behind_a_buffering_connection_is_not_gone() {
    let mut session = start_behind(pinging(), 64, Buffering::new);
    let frames = session.backend.frame(0x82, &[7; 30]).repeat(200);
    let (client, backend) = (&mut session.client.io, &mut session.backend.io);
    let slow = sip(client, 64, Duration::from_secs(5));
    let sends = async {
        backend.write_all(&frames).await.expect("the relay reads");
    };
    let both = async { tokio::join!(slow, sends) };
    let _ = timeout(Duration::from_secs(5 * 60), both).await;
    assert_eq!(session.live.reason(), None);
    assert!(!session.relay.is_finished(), "{:?}", session.relay.await);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_read_from_is_not_taken_for_gone() {
    let mut session = start_with(pinging(), 4096, [Bytes::new(), Bytes::new()]);
    let payload = vec![7; 60_000];
    let frame = session.backend.frame(0x82, &payload);
    let client = &mut session.client.io;
    let slow = sip(client, 400, Duration::from_secs(5));
    let backend = &mut session.backend;
    let pushes = async {
        for _ in 0..4 {
            backend.send_raw(&frame).await;
        }
        while let Some(ping) = backend.receive().await {
            backend.send(0x8A, &ping.payload).await;
        }
    };
    let _ = timeout(LONG, async { tokio::join!(slow, pushes) }).await;
    assert!(!session.relay.is_finished(), "{:?}", session.relay.await);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_data_only_trickles_out_is_not_idle() {
    let rules = Rules {
        idle: Some(IDLE),
        ..rules()
    };
    let mut session = start_with(rules, 1 << 16, [Bytes::new(), Bytes::new()]);
    let frame = session.backend.frame(0x82, &[7; 60_000]);
    let client = &mut session.client.io;
    let slow = sip(client, 500, Duration::from_secs(5));
    let backend = &mut session.backend;
    let pushes = async {
        for _ in 0..4 {
            backend.send_raw(&frame).await;
        }
        sleep(LONG).await;
    };
    let _ = timeout(LONG, async { tokio::join!(slow, pushes) }).await;
    assert!(!session.relay.is_finished(), "{:?}", session.relay.await);
}
