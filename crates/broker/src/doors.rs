//! Opens a listener: its sockets, its certificates, and what its connections need to know of it. Not its life afterwards.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use tokio::net::{TcpListener, UnixListener};
use whimbrel_net::{
    BACKLOG, Inherited, IpVersions, ListenError, UnixPlace, listen, listen_udp, listen_unix,
    quic::{QuicListener, RECEIVE_BUFFER_BYTES},
    tls::{Acceptor, AcceptorSettings},
};

use crate::{
    auth::Authenticator,
    authenticators::Authenticators,
    broker::Error,
    config::{Address, Config, Listener, Protocol},
    mapping,
    worker::{Door, DoorTls, Entry},
};

/// A listener that is open.
pub(crate) struct Opened {
    pub(crate) sockets: Vec<Listening>,
    pub(crate) door: Arc<Door>,
}

/// A socket that listens.
pub(crate) enum Listening {
    Tcp(std::net::TcpListener),
    Quic(std::net::UdpSocket),
    Unix {
        socket: std::os::unix::net::UnixListener,
        path: PathBuf,
        /// The file, where it is ours.
        place: Option<UnixPlace>,
    },
}

impl Listening {
    /// Where it listens, unless that is a file.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Listening::Tcp(socket) => socket.local_addr().ok(),
            Listening::Quic(socket) => socket.local_addr().ok(),
            Listening::Unix { .. } => None,
        }
    }

    /// Where it listens, in words.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Listening::Tcp(_) | Listening::Quic(_) => self.address().map(|address| address.to_string()),
            Listening::Unix { path, .. } => Some(format!("unix:{}", path.display())),
        }
    }

    /// For the runtime that this is called in.
    pub(crate) fn into_entry(self, door: &Door) -> io::Result<Entry> {
        Ok(match self {
            Listening::Quic(socket) => {
                // The configuration lets nobody speak QUIC without certificates.
                let tls = door.tls.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
                Entry::Quic(QuicListener::new(socket, &tls.acceptor)?)
            }
            Listening::Tcp(socket) => Entry::Tcp(TcpListener::from_std(socket)?),
            Listening::Unix { socket, place, .. } => {
                Entry::Unix { listener: UnixListener::from_std(socket)?, _place: place }
            }
        })
    }
}

/// Opens every listener; nothing is open if one of them cannot be.
pub(crate) fn open(config: &Config, authenticators: &Authenticators) -> Result<Vec<Opened>, Error> {
    let mut opened = Vec::new();
    for listener in &config.listeners {
        let authenticator = authenticators.chain(listener, &config.methods(listener))?;
        let door = door(config, listener, authenticator, Arc::default())?;
        opened.push(Opened { sockets: open_sockets(listener)?, door });
    }
    Ok(opened)
}

/// The door of a listener; `connections` are those that have come through it already.
pub(crate) fn door(
    config: &Config,
    listener: &Listener,
    authenticator: Arc<dyn Authenticator>,
    connections: Arc<AtomicUsize>,
) -> Result<Arc<Door>, Error> {
    let tls = mapping::tls(listener).map(|settings| open_tls(listener, settings)).transpose()?;
    Ok(Arc::new(Door {
        name: listener.label().into(),
        authenticator,
        level: mapping::level(config, listener),
        connections,
        connections_max: listener.connections_max.or_else(|| u32::MAX) as usize,
        tls,
        identity: mapping::identity(listener),
        proxy: mapping::proxy(listener),
        upgrade: mapping::upgrade(listener),
        handshake_within: Duration::from_secs(listener.handshake_timeout_secs.into()),
        tcp: mapping::tcp(listener),
        versions: listener.versions.iter().map(|version| version.version()).collect(),
        rates: mapping::rates(listener),
        quota: mapping::quota_of(listener),
        closed: AtomicBool::new(false),
    }))
}

fn open_tls(listener: &Listener, settings: AcceptorSettings) -> Result<Arc<DoorTls>, Error> {
    let opened = Acceptor::open(settings);
    let acceptor = opened.map_err(|source| Error::Tls { listener: listener.label(), source })?;
    for warning in &acceptor.loaded().warnings {
        tracing::warn!(listener = %listener.label(), "{warning}");
    }
    Ok(Arc::new(DoorTls { acceptor: Arc::new(acceptor) }))
}

/// Opens every address of a listener.
pub(crate) fn open_sockets(listener: &Listener) -> Result<Vec<Listening>, Error> {
    let inherited = Inherited::of_this_process();
    let refused = |source| Error::Inherited { listener: listener.label(), source };
    if let Address::Unix(path) = &listener.address {
        if let Some(socket) = inherited.unix(path).map_err(refused)? {
            return Ok(vec![Listening::Unix { socket, path: path.clone(), place: None }]);
        }
        let opened = listen_unix(path, listener.unix_mode.bits());
        let (socket, place) =
            opened.map_err(|source| Error::ListenUnix { listener: listener.label(), source })?;
        return Ok(vec![Listening::Unix { socket, path: path.clone(), place: Some(place) }]);
    }
    let versions = if listener.ipv6_only { IpVersions::Six } else { IpVersions::Both };
    let is_quic = listener.protocol == Protocol::Quic;
    let mut sockets: Vec<Listening> = Vec::new();
    for mut address in listener.address.sockets() {
        // `localhost:0` is one port on both addresses.
        if address.port() == 0
            && let Some(first) = sockets.first().and_then(Listening::address)
        {
            address.set_port(first.port());
        }
        let passed = match is_quic {
            true => inherited.udp(address).map(|socket| socket.map(Listening::Quic)),
            false => inherited.tcp(address).map(|socket| socket.map(Listening::Tcp)),
        };
        if let Some(socket) = passed.map_err(refused)? {
            sockets.push(socket);
            continue;
        }
        let opened = match is_quic {
            true => listen_udp(address, versions, RECEIVE_BUFFER_BYTES).map(Listening::Quic),
            false => listen(address, versions, BACKLOG).map(Listening::Tcp),
        };
        match opened {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_missing(listener, &error) => {
                tracing::info!("not listening on {address}: this machine does not have it");
            }
            Err(source) => return Err(Error::Listen { listener: listener.label(), source }),
        }
    }
    if sockets.is_empty() {
        return Err(Error::NoLoopback { listener: listener.label() });
    }
    Ok(sockets)
}

/// Whether the address is the one loopback address of two that the machine does not have.
fn is_missing(listener: &Listener, error: &ListenError) -> bool {
    let absent = matches!(error.source.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.source.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    matches!(listener.address, Address::Localhost { .. }) && absent
}
