//! Where a listener listens: an IP address and a port, or `localhost` and a port. Not the socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::key::Kind;
use super::setting::{Given, Setting, Value, quoted};

/// Where a listener listens.
///
/// Names other than `localhost` are not taken: what they resolve to can change between a check and a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Both loopback addresses, IPv4 and IPv6. On a machine that has only one of them the other is left out.
    Localhost {
        /// The TCP port; 0 lets the system choose.
        port: u16,
    },
    /// Exactly this address.
    Socket(SocketAddr),
}

/// The text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl Address {
    /// The sockets to open: one, or both loopback addresses for `localhost`.
    pub fn sockets(self) -> Vec<SocketAddr> {
        match self {
            Self::Localhost { port } => {
                vec![
                    SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                    SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
                ]
            }
            Self::Socket(socket) => vec![socket],
        }
    }

    /// Whether only programs on the same machine can reach it.
    pub fn is_loopback(self) -> bool {
        match self {
            Self::Localhost { .. } => true,
            Self::Socket(socket) => socket.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether both cannot be open at once. `ipv6_only` is the setting of each.
    pub(super) fn collides(self, ipv6_only: bool, other: Self, other_ipv6_only: bool) -> bool {
        let others = other.sockets();
        self.sockets().into_iter().any(|one| {
            others.iter().any(|other| {
                one.port() != 0
                    && one.port() == other.port()
                    && (covers(one.ip(), ipv6_only, other.ip())
                        || covers(other.ip(), other_ipv6_only, one.ip()))
            })
        })
    }
}

/// Whether a socket on `wide` takes what one on `narrow` would take.
fn covers(wide: IpAddr, ipv6_only: bool, narrow: IpAddr) -> bool {
    match (wide, narrow) {
        (IpAddr::V4(wide), IpAddr::V4(narrow)) => wide.is_unspecified() || wide == narrow,
        (IpAddr::V6(wide), IpAddr::V6(narrow)) => wide.is_unspecified() || wide == narrow,
        (IpAddr::V6(wide), IpAddr::V4(_)) => wide.is_unspecified() && !ipv6_only,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| Self::Localhost { port }).map_err(|_| NotAnAddress),
            None => text.parse().map(Self::Socket).map_err(|_| NotAnAddress),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost { port } => write!(out, "localhost:{port}"),
            Self::Socket(socket) => socket.fmt(out),
        }
    }
}

impl fmt::Display for NotAnAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "this is not an IP address and a port, such as 0.0.0.0:1883, [::]:1883 or localhost:1883",
        )
    }
}

impl std::error::Error for NotAnAddress {}

impl Setting for Address {
    const KIND: Kind = Kind::Address;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}
