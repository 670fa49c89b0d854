//! Backends that follow a test's script exactly. A panic in one fails the test when the backend is dropped.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::wire::{CLOSE, Frame, Head, Mask, PING, PONG};

/// A running backend. Dropping it closes it and its connections.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    /// The heads of all requests it received.
    heads: Arc<Mutex<Vec<Head>>>,
    panicked: Arc<AtomicBool>,
    _server: JoinSet<()>,
}

/// A connection after the WebSocket handshake.
#[derive(Debug)]
pub struct Peer {
    /// The connection.
    pub stream: TcpStream,
    /// The request it came with.
    pub head: Head,
}

// === impl Backend ===

impl Backend {
    /// Calls the function with each connection; nothing is read or written before.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn raw<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let panicked = Arc::<AtomicBool>::default();
        let flag = Arc::clone(&panicked);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        let _ = stream.set_nodelay(true);
                        connections.spawn(serve(stream));
                    }
                    Some(ended) = connections.join_next() => {
                        flag.fetch_or(ended.is_err(), Ordering::Relaxed);
                    }
                }
            }
        });
        Self {
            address,
            heads: Arc::default(),
            panicked,
            _server: server,
        }
    }

    /// Answers every upgrade with 101, then calls the function.
    pub async fn scripted<F>(serve: impl Fn(Peer) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let heads = Arc::<Mutex<Vec<Head>>>::default();
        let seen = Arc::clone(&heads);
        let mut backend = Self::raw(move |mut stream| {
            let (serve, seen) = (serve.clone(), Arc::clone(&seen));
            async move {
                // A connection that only checks the port sends nothing.
                let Ok(head) = Head::read(&mut stream).await else {
                    return;
                };
                seen.lock()
                    .expect("nobody panics with it in hand")
                    .push(head.clone());
                let answer = switching_protocols(&head, &[]);
                if stream.write_all(answer.as_bytes()).await.is_ok() {
                    serve(Peer { stream, head }).await;
                }
            }
        })
        .await;
        backend.heads = heads;
        backend
    }

    /// Echoes every data frame unchanged and answers pings and close frames.
    pub async fn echo() -> Self {
        Self::scripted(|mut peer| async move { while peer.echo_one().await {} }).await
    }

    /// Answers every request with these bytes, and keeps the connection open.
    pub async fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::raw(move |mut stream| {
            let answer = answer.clone();
            async move {
                if Head::read(&mut stream).await.is_ok() {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    // Until the gateway closes the connection.
                    let _ = Frame::read(&mut stream).await;
                }
            }
        })
        .await
    }

    /// The URL for an API's endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The heads of the requests it got.
    ///
    /// # Panics
    /// Never: no thread panics while it holds the lock.
    #[must_use]
    pub fn heads(&self) -> Vec<Head> {
        self.heads
            .lock()
            .expect("nobody panics with it in hand")
            .clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let panicked = self.panicked.load(Ordering::Relaxed);
        assert!(
            !panicked || std::thread::panicking(),
            "the backend's script failed; see above"
        );
    }
}

// === impl Peer ===

impl Peer {
    /// Sends a frame without a mask, as a server must. Errors are ignored: the test sees elsewhere whether the peer
    /// still reads.
    pub async fn send(&mut self, frame: &Frame) {
        let _ = self.stream.write_all(&frame.encode(Mask::None)).await;
    }

    /// The next frame; `None` when the connection has ended in any way.
    pub async fn next(&mut self) -> Option<Frame> {
        Frame::read(&mut self.stream).await.ok().flatten()
    }

    /// Reads a frame and answers it as an echo server does. Returns whether the session continues.
    pub async fn echo_one(&mut self) -> bool {
        let Ok(frame) = read_patiently(&mut self.stream).await else {
            return false;
        };
        let Some(frame) = frame else { return false };
        match frame.opcode {
            PING => self.send(&Frame::new(PONG, frame.payload)).await,
            PONG => {}
            CLOSE => {
                self.send(&frame).await;
                return false;
            }
            _ => self.send(&frame).await,
        }
        true
    }
}

/// An echo server waits for its client without a deadline.
async fn read_patiently(stream: &mut TcpStream) -> std::io::Result<Option<Frame>> {
    stream.readable().await?;
    Frame::read(stream).await
}

/// A valid response to an upgrade, with additional header fields.
#[must_use]
pub fn switching_protocols(head: &Head, fields: &[(&str, &str)]) -> String {
    let key = head.field("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    for (name, value) in fields {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("\r\n");
    answer
}

/// An accept key that matches no request.
#[must_use]
pub fn wrong_accept_key() -> String {
    STANDARD.encode([0; 20])
}
