//! WebSocket clients of a compose test: single sessions that count echoes, sessions that wait for their close frame,
//! and a crowd of clients that reconnect. Called by `compose_test`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, http::header::AUTHORIZATION},
};

/// The address of the gateways: the load balancer.
pub(super) const GATEWAY: &str = "ws://localhost:9099";

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a client of the crowd waits between two messages, and between two attempts to connect.
const INTERVAL: Duration = Duration::from_millis(200);

/// One open session.
pub(super) struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Clients that echo until they are told to stop, and reconnect whenever their session ends.
pub(super) struct Crowd {
    clients: JoinSet<anyhow::Result<Watched>>,
    stop: Arc<AtomicBool>,
}

/// What one client of a crowd observed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    /// How often it reconnected.
    pub(super) reconnected: usize,
    /// The longest time between two echoes.
    pub(super) longest_gap: Duration,
}

// === impl Session ===

impl Session {
    /// Opens a session at an address of the gateways.
    pub(super) async fn open(path: &str, token: &str) -> anyhow::Result<Self> {
        let mut request = format!("{GATEWAY}{path}").into_client_request()?;
        let bearer = format!("Bearer {token}").parse()?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let (socket, _) = timeout(DEADLINE, tokio_tungstenite::connect_async(request))
            .await
            .context("no answer to the handshake")??;
        Ok(Self { socket })
    }

    /// Sends a message and waits for its echo.
    pub(super) async fn echo(&mut self, text: &str) -> anyhow::Result<()> {
        self.socket.send(Message::text(text)).await?;
        loop {
            let answer = timeout(DEADLINE, self.socket.next())
                .await
                .context("no echo")?;
            match answer.context("the session ended")?? {
                Message::Text(echoed) if echoed == text => return Ok(()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("got {other} instead of {text}"),
            }
        }
    }

    /// Sends messages and counts their echoes. A ping follows them, which never counts against a limit; once its pong
    /// arrives, all messages have been passed or dropped.
    pub(super) async fn count_echoes(&mut self, messages: usize) -> anyhow::Result<usize> {
        for number in 0..messages {
            self.socket.feed(Message::text(number.to_string())).await?;
        }
        self.socket.send(Message::Ping("all".into())).await?;
        let mut echoes = 0;
        loop {
            let answer = timeout(DEADLINE, self.socket.next())
                .await
                .context("no pong")?;
            match answer.context("the session ended")?? {
                Message::Text(_) => echoes += 1,
                Message::Pong(payload) if &*payload == b"all" => return Ok(echoes),
                _ => {}
            }
        }
    }

    /// Waits for the end and returns its close code; `None` if it ended without one.
    pub(super) async fn until_close(mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(Some(frame)) = message {
                code = Some(frame.code.into());
            }
        }
        code
    }
}

// === impl Crowd ===

impl Crowd {
    /// Connects a number of clients.
    pub(super) async fn connect(clients: usize, path: &str, token: &str) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut crowd = Self {
            clients: JoinSet::new(),
            stop: stop.clone(),
        };
        for _ in 0..clients {
            let session = Session::open(path, token).await?;
            let (path, token, stop) = (path.to_owned(), token.to_owned(), stop.clone());
            crowd
                .clients
                .spawn(async move { Ok(stay(session, &path, &token, &stop).await) });
        }
        Ok(crowd)
    }

    /// Stops all clients. Returns the longest gap of any of them and the number of all reconnects.
    pub(super) async fn stop(mut self) -> anyhow::Result<Watched> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Watched::default();
        while let Some(ended) = self.clients.join_next().await {
            let seen = ended??;
            all.reconnected += seen.reconnected;
            all.longest_gap = all.longest_gap.max(seen.longest_gap);
        }
        Ok(all)
    }
}

/// Echoes, and reconnects when the session ends.
async fn stay(mut session: Session, path: &str, token: &str, stop: &AtomicBool) -> Watched {
    let mut seen = Watched::default();
    let mut last = Instant::now();
    loop {
        if session.echo("tide").await.is_ok() {
            let now = Instant::now();
            seen.longest_gap = seen.longest_gap.max(now - last);
            last = now;
            // It only stops after an echo: a client that can't reconnect keeps the test waiting, and its gap grows.
            if stop.load(Ordering::Relaxed) {
                return seen;
            }
            sleep(INTERVAL).await;
            continue;
        }
        while last.elapsed() < Duration::from_secs(120) {
            if let Ok(opened) = Session::open(path, token).await {
                seen.reconnected += 1;
                session = opened;
                break;
            }
            sleep(INTERVAL).await;
        }
        if last.elapsed() >= Duration::from_secs(120) {
            seen.longest_gap = last.elapsed();
            return seen;
        }
    }
}
