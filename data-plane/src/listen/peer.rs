//! The client's end of a connection as the socket shows it. Headers such as `X-Forwarded-For` are not read here.

use std::net::{IpAddr, SocketAddr};

/// The client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that the socket shows.
    pub address: SocketAddr,
    /// Whether the client came through the `wss://` listener.
    pub secure: bool,
}

impl Peer {
    /// The client's IP address; an IPv4 client of an IPv6 socket is shown as IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}
