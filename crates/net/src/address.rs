//! Where a server is, as a person writes it: the transport, host and port. Not yet looked up, so not a socket address.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// The port that is meant when none is written: MQTT without encryption.
pub const PORT: u16 = 1883;

/// The port that is meant when none is written after `mqtts://`.
pub const TLS_PORT: u16 = 8883;

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
}

impl Scheme {
    /// What stands before `://`, whatever its case.
    fn from_word(word: &str) -> Option<Scheme> {
        match word.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => Some(Scheme::Mqtt),
            "mqtts" | "ssl" | "tls" => Some(Scheme::Mqtts),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Scheme::Mqtt => "mqtt",
            Scheme::Mqtts => "mqtts",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Scheme::Mqtt => PORT,
            Scheme::Mqtts => TLS_PORT,
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(self) -> bool {
        match self {
            Scheme::Mqtt => false,
            Scheme::Mqtts => true,
        }
    }
}

/// A transport, a host and a port.
///
/// Written `host`, `host:port`, `[2001:db8::1]:port`, each also after `mqtt://` or `mqtts://`; an IPv6 address alone
/// needs no brackets. The port is [`Scheme::port`] where none is written, the transport TCP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
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
    #[error("`{scheme}://` cannot be dialled: write `mqtt://host:port` or `mqtts://host:port`")]
    Scheme {
        /// What was written before `://`.
        scheme: String,
    },
    /// The host holds a character that no host name has, or is too long.
    #[error("`{0}` is no host name: spaces, slashes and control characters have no place in it")]
    Host(String),
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
        if host.len() > HOST_BYTES_MAX || host.chars().any(stranger) {
            return Err(AddressError::Host(host.to_owned()));
        }
        Ok(Address { scheme: Scheme::Mqtt, host: host.to_owned(), port })
    }

    /// The same place by another transport; the port stays.
    #[must_use]
    pub fn over(self, scheme: Scheme) -> Address {
        Address { scheme, ..self }
    }

    /// What carries the bytes.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Mqtt, text),
            Some((word, rest)) => match Scheme::from_word(word) {
                Some(scheme) => (scheme, rest.strip_suffix('/').unwrap_or(rest)),
                None => return Err(AddressError::Scheme { scheme: word.to_owned() }),
            },
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
        Address::new(host, port).map(|address| address.over(scheme))
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
        let Address { scheme, host, port } = self;
        if *scheme != Scheme::Mqtt {
            write!(f, "{}://", scheme.word())?;
        }
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
