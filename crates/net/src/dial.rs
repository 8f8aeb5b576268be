//! Outgoing connections: look the host up, try every address that it has, speak TLS, WebSocket or QUIC where the address
//! says so, give up in time.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Address, Scheme, Stream, quic,
    tls::{Connector, ConnectorSettings, TlsFault},
    ws,
};

/// How long an address is tried by QUIC before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// No connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The host's name could not be looked up.
    #[error(
        "cannot look up the host of {address}: {source}; check the name, or give the server's IP address"
    )]
    Lookup {
        /// Whom we wanted to reach.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The name exists and has no address.
    #[error("{address} has no IP address; check the name")]
    NoAddress {
        /// Whom we wanted to reach.
        address: Address,
    },
    /// Every address was tried. This is what the last one said.
    #[error("cannot connect to {address}{}: {source}{}", list(tried), advice(source))]
    Connect {
        /// Whom we wanted to reach.
        address: Address,
        /// The addresses that the name has, in the order in which they were tried; none for a Unix socket.
        tried: Vec<SocketAddr>,
        /// What the system said of the last one.
        source: io::Error,
    },
    /// The server is there, and TLS with it did not come about.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Whom we wanted to reach.
        address: Address,
        /// What is wrong, and what to do.
        source: io::Error,
    },
    /// No QUIC with the server came about. This is what the last of its addresses said.
    #[error("no QUIC with {address}: {source}{}", advice_quic(source))]
    Quic {
        /// Whom we wanted to reach.
        address: Address,
        /// What is wrong, and what to do.
        source: io::Error,
    },
    /// The server is there and no WebSocket with it came about.
    #[error("no WebSocket with {address}: {source}")]
    WebSocket {
        /// Whom we wanted to reach.
        address: Address,
        /// What is wrong.
        source: io::Error,
    },
    /// TLS is asked for and cannot be set up on this side.
    #[error("no TLS with {address}: {fault}")]
    TlsSetup {
        /// Whom we wanted to reach.
        address: Address,
        /// What is wrong.
        fault: TlsFault,
    },
}

impl DialError {
    /// What the system said, where it said something.
    #[must_use]
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            DialError::Lookup { source, .. }
            | DialError::Connect { source, .. }
            | DialError::Tls { source, .. }
            | DialError::Quic { source, .. }
            | DialError::WebSocket { source, .. } => Some(source),
            DialError::NoAddress { .. } | DialError::TlsSetup { .. } => None,
        }
    }
}

fn list(tried: &[SocketAddr]) -> String {
    let all: Vec<String> = tried.iter().map(ToString::to_string).collect();
    if all.is_empty() { String::new() } else { format!(" (tried {})", all.join(", ")) }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "; is a server listening there?",
        io::ErrorKind::NotFound => "; is the path right, and does the server run?",
        io::ErrorKind::TimedOut => "; is the host up, and does a firewall let the port through?",
        _ => "",
    }
}

fn advice_quic(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::TimedOut => {
            "; is QUIC spoken there, and does a firewall let its UDP packets through in both directions?"
        }
        _ => "",
    }
}

/// Dials by any transport, and keeps what TLS needs from one connection to the next.
#[derive(Clone, Debug)]
pub struct Dialler {
    /// For addresses that are spoken to by TLS. Made of the machine's own CAs when it is first needed.
    tls: Option<Connector>,
}

impl Dialler {
    /// A dialler with this side of TLS; without one it trusts the machine's own CAs, offers the protocol of the
    /// address's scheme ([`Scheme::alpn`](crate::Scheme::alpn)), and shows no certificate.
    #[must_use]
    pub fn new(tls: Option<Connector>) -> Dialler {
        Dialler { tls }
    }

    /// Connects to a server within `within`, everything included.
    ///
    /// # Errors
    /// As [`dial`]; or TLS or WebSocket does not come about.
    pub async fn dial(&mut self, address: &Address, within: Duration) -> Result<Stream, DialError> {
        let deadline = Instant::now() + within;
        if let Some(path) = address.unix_path() {
            let dialled = timeout_at(deadline, UnixStream::connect(path)).await;
            let failed = |source| DialError::Connect { address: address.clone(), tried: Vec::new(), source };
            return dialled.unwrap_or_else(|_| Err(timed_out())).map(Stream::Unix).map_err(failed);
        }
        if address.scheme() == Scheme::Quic {
            return self.dial_quic(address, deadline).await;
        }
        let stream = match address.scheme().is_tls() {
            true => self.dial_tls(address, deadline).await?,
            false => dial(address, within).await.map(Stream::Tcp)?,
        };
        let Some(path) = address.path() else { return Ok(stream) };
        let failed = |source| DialError::WebSocket { address: address.clone(), source };
        let asked = timeout_at(deadline, ws::connect(stream, &address.authority(), path)).await;
        asked.unwrap_or_else(|_| Err(timed_out())).map_err(failed)
    }

    /// This side of TLS; made of the machine's own CAs where nobody has said otherwise.
    fn connector(&mut self, address: &Address) -> Result<Connector, DialError> {
        if let Some(connector) = &self.tls {
            return Ok(connector.clone());
        }
        let alpn = vec![address.scheme().alpn().to_vec()];
        let settings = ConnectorSettings { alpn, ..ConnectorSettings::default() };
        let fault = |fault| DialError::TlsSetup { address: address.clone(), fault };
        Ok(self.tls.insert(Connector::new(&settings).map_err(fault)?).clone())
    }

    /// Tries every address of the host, each a little after the one before: nobody says of a UDP port that it is closed. The
    /// first that answers is taken.
    async fn dial_quic(&mut self, address: &Address, deadline: Instant) -> Result<Stream, DialError> {
        let connector = self.connector(address)?;
        let mut found = look_up(address, deadline).await?.into_iter();
        let (mut tries, mut last) = (JoinSet::new(), None);
        loop {
            let next = found.next();
            let more = next.is_some();
            if let Some(candidate) = next {
                let (connector, host) = (connector.clone(), address.host().to_owned());
                tries.spawn(async move { quic::connect(&connector, &host, candidate).await });
            }
            let until = if more { deadline.min(Instant::now() + STAGGER) } else { deadline };
            match timeout_at(until, tries.join_next()).await {
                Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
                Ok(Some(Ok(Err(source)))) => last = Some(source),
                Ok(Some(Err(_))) => {} // It panicked, and that was reported where it happened.
                Ok(None) if more => {}
                Ok(None) => break,
                Err(_) if more && until < deadline => {}
                Err(_) => {
                    last.get_or_insert_with(timed_out);
                    break;
                }
            }
        }
        Err(match last {
            Some(source) => DialError::Quic { address: address.clone(), source },
            None => DialError::NoAddress { address: address.clone() },
        })
    }

    async fn dial_tls(&mut self, address: &Address, deadline: Instant) -> Result<Stream, DialError> {
        let connector = self.connector(address)?;
        let stream = dial(address, deadline.saturating_duration_since(Instant::now())).await?;
        let failed = |source| DialError::Tls { address: address.clone(), source };
        let shaken = timeout_at(deadline, connector.connect(address.host(), stream)).await;
        shaken
            .unwrap_or_else(|_| Err(timed_out()))
            .map(|stream| Stream::Tls(Box::new(stream)))
            .map_err(failed)
    }
}

/// Connects to a server by TCP within `within`, lookup included.
///
/// All addresses of the host are tried in the system's order; each gets an equal share of the time that is left, so
/// that a dead one does not use it up. Small writes leave at once (`TCP_NODELAY`).
///
/// # Errors
/// The name has no address, or none of its addresses answered.
pub async fn dial(address: &Address, within: Duration) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + within;
    let found = look_up(address, deadline).await?;
    let mut tried = Vec::new();
    let mut last = None;
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    for (at, candidate) in (0u32..).zip(found) {
        tried.push(candidate);
        let share = deadline.saturating_duration_since(Instant::now()) / (count - at).max(1);
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(source) => last = Some(source),
            },
            Ok(Err(source)) => last = Some(source),
            Err(_) => last = Some(timed_out()),
        }
    }
    match last {
        Some(source) => Err(DialError::Connect { address: address.clone(), tried, source }),
        None => Err(DialError::NoAddress { address: address.clone() }),
    }
}

async fn look_up(address: &Address, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |source| DialError::Lookup { address: address.clone(), source };
    match timeout_at(deadline, lookup_host((address.host(), address.port()))).await {
        Ok(found) => found.map(Iterator::collect).map_err(failed),
        Err(_) => Err(failed(timed_out())),
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
