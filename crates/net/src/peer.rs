//! Who is at the other end of a connection, as far as the transport knows. Not who it says it is.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The other end of a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// An address and a port: of the connection itself, or as a proxy that is believed has told them.
    Socket(SocketAddr),
    /// An address, as a proxy that is believed has told it; it does not tell a port.
    Host(IpAddr),
}

impl Peer {
    /// The address, where the network is between.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Peer::Socket(address) => Some(address.ip()),
            Peer::Host(address) => Some(address),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        Peer::Socket(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Socket(address) => address.fmt(out),
            Peer::Host(address) => address.fmt(out),
        }
    }
}
