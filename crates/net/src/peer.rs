//! Who is at the other end of a connection, as far as the transport knows. Not who it says it is.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use tokio::net::UnixStream;

/// The other end of a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// An address and a port: of the connection itself, or as a proxy that is believed has told them.
    Socket(SocketAddr),
    /// An address, as a proxy that is believed has told it; it does not tell a port.
    Host(IpAddr),
    /// A process of this machine, by a Unix socket.
    Unix {
        /// Its account.
        uid: u32,
        /// Its number, where the system tells it.
        pid: Option<i32>,
    },
}

impl Peer {
    /// The other end of a Unix socket.
    #[must_use]
    pub fn of_unix(stream: &UnixStream) -> Peer {
        match stream.peer_cred() {
            Ok(cred) => Peer::Unix { uid: cred.uid(), pid: cred.pid() },
            Err(_) => Peer::Unix { uid: u32::MAX, pid: None },
        }
    }

    /// The address, where the network is between.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Peer::Socket(address) => Some(address.ip()),
            Peer::Host(address) => Some(address),
            Peer::Unix { .. } => None,
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
            Peer::Unix { uid, pid: Some(pid) } => write!(out, "unix:pid={pid},uid={uid}"),
            Peer::Unix { uid, pid: None } => write!(out, "unix:uid={uid}"),
        }
    }
}
