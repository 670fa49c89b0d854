//! HANDSHAKE: reads one request head from an untrusted client under limits, and answers it once: with a switch to
//! WebSocket or with a refusal.
//!
//! `hyper` parses the head, watches for a client that leaves, and switches; everything of it is gone when the relay
//! begins. What the request asks for is judged by others. Called by `connection`.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    server::conn::http1::{Builder, UpgradeableConnection},
    service::Service,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tidegate_proto::reason::Reason;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use crate::socket::{Leg, Socket};

pub mod headers;
pub mod deflate;
pub mod refusal;
pub mod answer;

/// The least buffer that `hyper` works with; a smaller limit on heads is kept all the same.
const LEAST_BUFFER: usize = 8192;

/// What a request head may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Time until it is whole; also the time that writing an answer may take.
    pub deadline: Duration,
}

/// A connection whose request was read and not yet answered.
pub struct Wire {
    conn: Conn,
    answer: oneshot::Sender<Response<Empty<Bytes>>>,
    upgrade: Option<OnUpgrade>,
    deadline: Duration,
}

/// A connection that brought no readable request.
#[derive(Debug)]
pub struct Unread {
    /// The answer; `None` if the client left without sending anything.
    pub reason: Option<Reason>,
    /// Where to answer.
    pub io: Socket,
}

type Conn = UpgradeableConnection<TokioIo<Guarded>, HeadService>;

/// The one exchange of a connection: passes the request out of `hyper`, and the answer into it.
#[derive(Debug, Default)]
struct Exchange {
    /// Whether a request was read, and `hyper` may write.
    read: AtomicBool,
    asked: Mutex<Option<PendingRequest>>,
}

type PendingRequest = (Request<Incoming>, oneshot::Sender<Response<Empty<Bytes>>>);

/// The service that `hyper` calls with the request.
#[derive(Debug)]
struct HeadService(Arc<Exchange>);

/// The socket, silent until a request was read: of `hyper`'s own answers to what it cannot parse none has a body, so
/// they are swallowed and `answer` writes better ones.
#[derive(Debug)]
struct Guarded {
    io: Socket,
    exchange: Arc<Exchange>,
}

/// Reads the request head.
///
/// # Errors
/// When there is none, or none within the limits.
pub async fn read(
    io: Socket,
    limits: HeadLimits,
) -> Result<(Wire, Request<Incoming>), Box<Unread>> {
    let exchange = Arc::new(Exchange::default());
    let guarded = Guarded {
        io,
        exchange: exchange.clone(),
    };
    // Heads of more than 100 lines are too large, too: that is the parser's default, and the only number that it keeps
    // on the stack. Keep-alive stays on: without it, a 101 would have `Connection: close`. There is no second request
    // anyway.
    let mut conn = Builder::new()
        .max_header_size(limits.bytes)
        .max_buf_size(limits.bytes.max(LEAST_BUFFER))
        .serve_connection(TokioIo::new(guarded), HeadService(exchange.clone()))
        .with_upgrades();
    let arrived = poll_fn(|cx| {
        let ended = Pin::new(&mut conn).poll(cx);
        match exchange.take() {
            Some(asked) => Poll::Ready(Ok(asked)),
            None => ended.map(Err),
        }
    });
    let reason = match tokio::time::timeout(limits.deadline, arrived).await {
        Ok(Ok((mut request, answer))) => {
            let upgrade = request.extensions_mut().remove::<OnUpgrade>();
            let wire = Wire {
                conn,
                answer,
                upgrade,
                deadline: limits.deadline,
            };
            return Ok((wire, request));
        }
        Ok(Err(Ok(()))) => None,
        Ok(Err(Err(error))) => fault(&error),
        Err(_) => Some(Reason::HandshakeTimeout),
    };
    let io = into_socket(conn);
    Err(Box::new(Unread { reason, io }))
}

/// The reason for an error of `hyper`; `None` if the client is gone.
fn fault(error: &hyper::Error) -> Option<Reason> {
    if error.is_parse_too_large() {
        Some(Reason::RequestTooLarge)
    } else if error.is_parse() || error.is_incomplete_message() {
        Some(Reason::MalformedRequest)
    } else {
        None
    }
}

fn into_socket(conn: Conn) -> Socket {
    let parts = conn
        .into_parts()
        .expect("a connection that never answered was not upgraded");
    parts.io.into_inner().io
}

// === impl Wire ===

impl Wire {
    /// Does `work` for as long as the client stays; `None` when it left before the work was done.
    pub async fn unless_lost<W: Future>(&mut self, work: W) -> Option<W::Output> {
        tokio::select! {
            // Work that is done counts, even if the client left in the same moment.
            biased;
            done = work => Some(done),
            _ = &mut self.conn => None,
        }
    }

    /// Answers 101 and gives the connection, free of HTTP; `None` when the client left or does not read.
    pub async fn switch(self, response: Response<Empty<Bytes>>) -> Option<Leg<Socket>> {
        let upgrade = self.upgrade?;
        self.answer.send(response).ok()?;
        tokio::time::timeout(self.deadline, self.conn)
            .await
            .ok()?
            .ok()?;
        let parts = upgrade
            .await
            .ok()?
            .downcast::<TokioIo<Guarded>>()
            .expect("the connection was made of this type of socket");
        Some(Leg {
            io: parts.io.into_inner().io,
            read_ahead: parts.read_buf,
        })
    }

    /// Takes the connection back, to answer with a refusal.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        into_socket(self.conn)
    }
}

// === impl Exchange ===

impl Exchange {
    fn take(&self) -> Option<PendingRequest> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

// === impl HeadService ===

impl Service<Request<Incoming>> for HeadService {
    type Response = Response<Empty<Bytes>>;
    type Error = oneshot::error::RecvError;
    type Future = oneshot::Receiver<Response<Empty<Bytes>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (answer, answered) = oneshot::channel();
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((request, answer));
        self.0.read.store(true, Ordering::Relaxed);
        answered
    }
}

// === impl Guarded ===

impl Guarded {
    fn is_silent(&self) -> bool {
        !self.exchange.read.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_silent() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_silent() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
