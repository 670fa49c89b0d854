//! One connection as bytes: a TCP stream, or TLS on one. Both legs of a session are of this type, so that the relay is
//! compiled once; choosing between the two at each call is lost beside the system call that follows.
//!
//! Dialling and accepting are `upstream`'s and `listen`'s.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

mod far_end;

pub use far_end::{FarEnd, Transport};

/// One side's connection after its handshake.
#[derive(Debug)]
pub struct Leg<T> {
    /// The socket, or the TLS stream on it.
    pub io: T,
    /// Bytes that were read beyond the handshake; they are relayed first.
    pub read_ahead: Bytes,
}

/// A connected stream.
#[derive(Debug)]
pub enum Socket {
    /// Bare TCP.
    Plain(TcpStream),
    /// TLS, boxed so that bare sessions do not pay for its size.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The TCP keepalive: after how long a silence the kernel probes the peer, and how often. Longer than the interval of
/// the relay's own pings, so that it only probes where they don't.
const PROBED_AFTER: Duration = Duration::from_secs(60);
const PROBED_EVERY: Duration = Duration::from_secs(10);

/// Prepares a fresh connection: no message waits for the acknowledgement of the one before it, and a peer that vanishes
/// while it is not read is found by the kernel.
///
/// # Errors
/// When the connection is gone already.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, PROBED_AFTER)?;
    set_tcp_keepintvl(stream, PROBED_EVERY)?;
    Ok(())
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }
}

impl Transport for Socket {
    fn far_end(&self) -> FarEnd {
        match self {
            Self::Plain(io) => io.far_end(),
            Self::Tls(io) => io.get_ref().0.far_end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::socket_keepalive;

    use super::{FarEnd, Socket, Transport as _, prepare};
    use crate::testing::{Node, echo_backend};

    #[tokio::test]
    async fn a_connection_is_watched_by_the_kernel() {
        let node = Node::before(echo_backend().await).await;
        let stream = node.connect().await;
        assert!(!socket_keepalive(&stream).unwrap());
        prepare(&stream).unwrap();
        assert!(socket_keepalive(&stream).unwrap());
        assert_eq!(Socket::Plain(stream).far_end(), FarEnd::Open);
    }
}
