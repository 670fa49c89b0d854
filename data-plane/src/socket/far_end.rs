//! How a connection's far end stands, as the kernel knows it: what can be learned of a peer that is not read.
//!
//! Asked for by the relay's future while a message waits and nothing behind it is read. Where a peer is read, its FIN
//! and its failures come with its bytes.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection that can be asked after its peer without being read.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// How the peer's end stands.
    fn far_end(&self) -> FarEnd;
}

/// How the far end of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FarEnd {
    /// It sends and receives, as far as is known.
    #[default]
    Open,
    /// Its FIN has arrived: it sends nothing more, and may still receive.
    Shut,
    /// The connection failed.
    Gone,
}

// === impl FarEnd ===

impl FarEnd {
    /// How the far end of a TCP connection stands. Waits for nothing.
    pub fn of(socket: &impl AsFd) -> Self {
        let mut asked = [PollFd::new(socket, PollFlags::RDHUP)];
        // What the kernel does not tell now, it tells when it is asked again.
        let Ok(1..) = poll(&mut asked, Some(&Timespec::default())) else {
            return Self::Open;
        };
        let told = asked[0].revents();
        if told.intersects(PollFlags::ERR | PollFlags::HUP) {
            Self::Gone
        } else if told.contains(PollFlags::RDHUP) {
            Self::Shut
        } else {
            Self::Open
        }
    }
}

// === impl Transport ===

impl Transport for TcpStream {
    fn far_end(&self) -> FarEnd {
        FarEnd::of(self)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::{FarEnd, Transport as _};
    use crate::testing::until;

    /// A connection with a message in it that nobody reads: the near end and the far one.
    async fn unread() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(listener.accept(), connecting);
        let mut far = far.unwrap();
        far.write_all(b"unread").await.unwrap();
        (near.unwrap().0, far)
    }

    #[tokio::test]
    async fn a_fin_and_a_reset_are_known_of_a_peer_that_is_not_read() {
        let (near, mut far) = unread().await;
        assert_eq!(near.far_end(), FarEnd::Open);
        far.shutdown().await.unwrap();
        until("the FIN is there", || near.far_end() == FarEnd::Shut).await;
        far.set_zero_linger().unwrap();
        drop(far);
        until("the reset is there", || near.far_end() == FarEnd::Gone).await;
    }
}
