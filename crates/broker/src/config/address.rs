//! Where a listener listens: an IP address and a port, `localhost` and a port, or the path of a Unix socket. Not the
//! socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use whimbrel_net::UNIX_PATH_BYTES_MAX;

use super::key::Kind;
use super::setting::{Given, Setting, Value, quoted};

/// Where a listener listens.
///
/// Names other than `localhost` are not taken: what they resolve to can change between a check and a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Both loopback addresses, IPv4 and IPv6. On a machine that has only one of them the other is left out.
    Localhost {
        /// The TCP port; 0 lets the system choose.
        port: u16,
    },
    /// Exactly this address.
    Socket(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// The text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl Address {
    /// The TCP sockets to open: one, both loopback addresses for `localhost`, none for a Unix socket.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        match self {
            Self::Localhost { port } => {
                vec![
                    SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
                    SocketAddr::from((Ipv6Addr::LOCALHOST, *port)),
                ]
            }
            Self::Socket(socket) => vec![*socket],
            Self::Unix(_) => Vec::new(),
        }
    }

    /// Whether only programs on the same machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Localhost { .. } | Self::Unix(_) => true,
            Self::Socket(socket) => socket.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether both cannot be open at once. `ipv6_only` is the setting of each.
    pub(super) fn collides(&self, ipv6_only: bool, other: &Self, other_ipv6_only: bool) -> bool {
        if let (Self::Unix(one), Self::Unix(other)) = (self, other) {
            return one == other;
        }
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
        if let Some(path) = text.strip_prefix("unix:") {
            let good = !path.is_empty() && path.len() <= UNIX_PATH_BYTES_MAX;
            return if good { Ok(Self::Unix(path.into())) } else { Err(NotAnAddress) };
        }
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
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for NotAnAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "this is not an IP address and a port, such as 0.0.0.0:1883, [::]:1883 or localhost:1883, nor unix:/path",
        )
    }
}

impl std::error::Error for NotAnAddress {}

impl Setting for Address {
    const KIND: Kind = Kind::Address;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => match (text.parse().ok()?, given.folder) {
                (Self::Unix(path), Some(folder)) => Some(Self::Unix(folder.join(path))),
                (address, _) => Some(address),
            },
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}
