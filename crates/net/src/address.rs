//! Where a server is, as a person writes it: the transport, host and port, and for WebSocket the path. Not yet looked up,
//! so not a socket address.

use std::{fmt, net::Ipv6Addr, path::Path, str::FromStr};

use crate::UNIX_PATH_BYTES_MAX;

/// The port that is meant when none is written: MQTT without encryption.
pub const PORT: u16 = 1883;

/// The port that is meant when none is written after `mqtts://`.
pub const TLS_PORT: u16 = 8883;

/// The port that is meant when none is written after `quic://`. None is registered; others use this one, too.
pub const QUIC_PORT: u16 = 14_567;

/// The path that is meant when none is written after `ws://host` or `wss://host`.
pub const WS_PATH: &str = "/mqtt";

/// The longest path that is taken, in bytes.
const PATH_BYTES_MAX: usize = 1_024;

/// The longest host that is taken, in bytes: what a name may have in the domain name system.
const HOST_BYTES_MAX: usize = 253;

/// What carries the bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// TCP and nothing else: `mqtt://`, `tcp://`.
    Mqtt,
    /// TLS over TCP: `mqtts://`, `ssl://`, `tls://`.
    Mqtts,
    /// WebSocket over TCP: `ws://`.
    Ws,
    /// WebSocket over TLS: `wss://`.
    Wss,
    /// QUIC: `quic://`.
    Quic,
    /// A Unix socket: `unix:`.
    Unix,
}

impl Scheme {
    /// What stands before `://`, whatever its case.
    fn from_word(word: &str) -> Option<Scheme> {
        match word.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => Some(Scheme::Mqtt),
            "mqtts" | "ssl" | "tls" => Some(Scheme::Mqtts),
            "ws" => Some(Scheme::Ws),
            "wss" => Some(Scheme::Wss),
            "quic" => Some(Scheme::Quic),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Scheme::Mqtt => "mqtt",
            Scheme::Mqtts => "mqtts",
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
            Scheme::Quic => "quic",
            Scheme::Unix => "unix",
        }
    }

    /// The port where none is written; a Unix socket has none.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Scheme::Mqtt => PORT,
            Scheme::Mqtts => TLS_PORT,
            // Those of HTTP, as with every URL of this kind.
            Scheme::Ws => 80,
            Scheme::Wss => 443,
            Scheme::Quic => QUIC_PORT,
            Scheme::Unix => 0,
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Mqtts | Scheme::Wss | Scheme::Quic)
    }

    /// Whether WebSocket is spoken.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Scheme::Ws | Scheme::Wss)
    }

    /// The protocol that is asked for within TLS (ALPN): what is spoken there first is HTTP where WebSocket follows.
    #[must_use]
    pub fn alpn(self) -> &'static [u8] {
        if self.is_websocket() { b"http/1.1" } else { b"mqtt" }
    }
}

/// A transport, a host and a port; for WebSocket also a path.
///
/// Written `host`, `host:port`, `[2001:db8::1]:port`, each also after `mqtt://`, `mqtts://`, `ws://`, `wss://` or `quic://`; an IPv6
/// address alone needs no brackets. The port is [`Scheme::port`] where none is written, the transport TCP. A path may
/// follow after `ws://` and `wss://`; it is [`WS_PATH`] where none is written. `unix:/run/broker.sock` is a Unix socket,
/// which has a path and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
    /// For WebSocket, where it is not [`WS_PATH`]; for a Unix socket the file.
    path: Option<String>,
}

/// What was written is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is nothing, or nothing before the port.
    #[error("`{0}` names no host: write `host`, `host:port` or `[IPv6 address]:port`")]
    HostMissing(String),
    /// The port is no number from 1 to 65,535.
    #[error("`{port}` in `{address}` is no port: write a number from 1 to 65535")]
    Port {
        /// What was written in the port's place.
        port: String,
        /// The whole address.
        address: String,
    },
    /// An opening bracket without its closing one, or something else than an IPv6 address between them.
    #[error("`{0}` has no IPv6 address in its brackets: write `[2001:db8::1]:1883`")]
    Brackets(String),
    /// A scheme that nobody here speaks.
    #[error(
        "`{scheme}://` cannot be dialled: write `mqtt://host:port`, `mqtts://`, `ws://`, `wss://`, `quic://` or `unix:/path`"
    )]
    Scheme {
        /// What was written before `://`.
        scheme: String,
    },
    /// The host holds a character that no host name has, or is too long.
    #[error("`{0}` is no host name: spaces, slashes, colons and control characters have no place in it")]
    Host(String),
    /// The path of a Unix socket is missing or too long.
    #[error("`unix:{0}` names no socket: write `unix:/path`, of at most {UNIX_PATH_BYTES_MAX} bytes")]
    UnixPath(String),
    /// The path holds a character that no path has, or is too long.
    #[error("`{0}` is no path: it begins with a slash, and spaces and control characters are written as %20")]
    Path(String),
}

impl Address {
    /// An address of its parts, over TCP; `host` is a name or an IP address without brackets.
    ///
    /// # Errors
    /// `host` is empty, too long or holds a character that no host name has.
    pub fn new(host: &str, port: u16) -> Result<Address, AddressError> {
        if host.is_empty() {
            return Err(AddressError::HostMissing(String::new()));
        }
        let stranger = |character: char| {
            character.is_control() || character.is_whitespace() || "/\\@?#[]".contains(character)
        };
        let is_odd = host.contains(':') && !is_ipv6(host);
        if is_odd || host.len() > HOST_BYTES_MAX || host.chars().any(stranger) {
            return Err(AddressError::Host(host.to_owned()));
        }
        Ok(Address { scheme: Scheme::Mqtt, host: host.to_owned(), port, path: None })
    }

    /// The same place by another transport; the port stays.
    #[must_use]
    pub fn over(self, scheme: Scheme) -> Address {
        Address { scheme, ..self }
    }

    /// The same place with this path, which counts for WebSocket alone.
    ///
    /// # Errors
    /// The path does not begin with a slash, is too long or holds a character that no path has.
    pub fn at_path(self, path: &str) -> Result<Address, AddressError> {
        let good = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.starts_with('/') || path.len() > PATH_BYTES_MAX || !path.bytes().all(good) {
            return Err(AddressError::Path(path.to_owned()));
        }
        let path = (path != WS_PATH).then(|| path.to_owned());
        Ok(Address { path, ..self })
    }

    /// What carries the bytes.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The address of a Unix socket.
    ///
    /// # Errors
    /// The path is empty or too long.
    pub fn unix(path: &str) -> Result<Address, AddressError> {
        if path.is_empty() || path.len() > UNIX_PATH_BYTES_MAX {
            return Err(AddressError::UnixPath(path.to_owned()));
        }
        Ok(Address { scheme: Scheme::Unix, host: String::new(), port: 0, path: Some(path.to_owned()) })
    }

    /// The file of a Unix socket, where it is one.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        if self.scheme == Scheme::Unix { self.path.as_deref().map(Path::new) } else { None }
    }

    /// The name or IP address, without brackets; empty for a Unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, where WebSocket is spoken.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.scheme.is_websocket().then(|| self.path.as_deref().unwrap_or(WS_PATH))
    }

    /// Host and port as they stand in a URL; the port is left out where it is the transport's own.
    pub(crate) fn authority(&self) -> String {
        let Address { host, port, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == self.scheme.port() { host } else { format!("{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // With an empty host between: `unix:///run/broker.sock`.
            return Address::unix(path.strip_prefix("//").unwrap_or(path));
        }
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Mqtt, text),
            Some((word, rest)) => match Scheme::from_word(word) {
                Some(scheme) => (scheme, rest),
                None => return Err(AddressError::Scheme { scheme: word.to_owned() }),
            },
        };
        let (rest, path) = match rest.find('/') {
            Some(at) if scheme.is_websocket() => rest.split_at(at),
            _ if text.contains("://") => (rest.strip_suffix('/').unwrap_or(rest), ""),
            _ => (rest, ""),
        };
        let (host, port) = split_port(rest, text)?;
        if host.is_empty() {
            return Err(AddressError::HostMissing(text.to_owned()));
        }
        let port = match port {
            None => scheme.port(),
            Some(digits) => match digits.parse::<u16>() {
                Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => port,
                _ => return Err(AddressError::Port { port: digits.to_owned(), address: text.to_owned() }),
            },
        };
        let address = Address::new(host, port)?.over(scheme);
        if path.is_empty() { Ok(address) } else { address.at_path(path) }
    }
}

/// Host and port of what follows the scheme. Colons within an IPv6 address are not the port's.
fn split_port<'a>(rest: &'a str, text: &str) -> Result<(&'a str, Option<&'a str>), AddressError> {
    if let Some(opened) = rest.strip_prefix('[') {
        let wrong = || AddressError::Brackets(text.to_owned());
        let (host, after) = opened.split_once(']').ok_or_else(wrong)?;
        if !is_ipv6(host) {
            return Err(wrong());
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(wrong()),
        };
    }
    if is_ipv6(rest) {
        return Ok((rest, None));
    }
    match rest.rsplit_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((rest, None)),
    }
}

/// Whether this is an IPv6 address, perhaps with the zone of a link-local one (`fe80::1%eth0`).
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { scheme, host, port, .. } = self;
        if let Some(path) = self.unix_path() {
            // Two slashes in front would be taken for those of a URL.
            let front = if path.to_string_lossy().starts_with("//") { "//" } else { "" };
            return write!(f, "unix:{front}{}", path.display());
        }
        // A host of this name would look like the path of a socket.
        if *scheme != Scheme::Mqtt || host == Scheme::Unix.word() {
            write!(f, "{}://", scheme.word())?;
        }
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}")?,
            false => write!(f, "{host}:{port}")?,
        }
        f.write_str(self.path().unwrap_or_default())
    }
}
