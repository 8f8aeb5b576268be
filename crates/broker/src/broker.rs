//! Starts and stops the parts of a broker.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use tokio::net::{TcpListener, UnixListener};
use whimbrel_engine::{Engine, Now, Progress, Wire, Written, proto::Millis};
use whimbrel_net::{
    BACKLOG, IpVersions, ListenError, UnixListenError, UnixPlace, listen, listen_unix,
    tls::{Acceptor, AcceptorSettings, TlsFault},
};

use crate::{
    access::{self, RulesError},
    announcement::{Room, announce, warnings},
    auth::{Anonymous, Authenticator, PasswordFile, PasswordFileError},
    certificates,
    config::{Address, Config, Listener, Method},
    control::{Control, Embedding, Entrance, Host, Parts, socket::PlaceError},
    file_limit, mapping,
    store::{self, Kept, Store, StoreError},
    worker::{self, Door, DoorTls, Entry, Shared},
};

/// How long connections have to end at a stop before the process ends without them.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The broker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be listened on.
    #[error("listener {listener}: {source}")]
    Listen {
        /// The listener's name.
        listener: String,
        /// What is wrong.
        source: ListenError,
    },
    /// A Unix socket cannot be listened on.
    #[error("listener {listener}: {source}")]
    ListenUnix {
        /// The listener's name.
        listener: String,
        /// What is wrong.
        source: UnixListenError,
    },
    /// The machine has neither loopback address.
    #[error("listener {listener}: this machine has no loopback address; name an address that it has")]
    NoLoopback {
        /// The listener's name.
        listener: String,
    },
    /// The certificates of a listener cannot be used.
    #[error("listener {listener}: {source}")]
    Tls {
        /// The listener's name.
        listener: String,
        /// What is wrong, and in which file.
        source: TlsFault,
    },
    /// No password file although a listener needs one.
    #[error(
        "listener {listener} asks for passwords, but there is no authentication.password_file: name one, and fill it with `whimbrel passwd FILE USER`"
    )]
    NoPasswordFile {
        /// The listener's name.
        listener: String,
    },
    /// The password file cannot be used.
    #[error(transparent)]
    PasswordFile(#[from] PasswordFileError),
    /// The file of rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control socket cannot be opened where the configuration wants it.
    #[error(transparent)]
    ControlSocket(#[from] PlaceError),
    /// The system refuses threads, a runtime, randomness or signals.
    #[error("the system refuses {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A running broker.
pub struct Broker {
    shared: Arc<Shared>,
    workers: Vec<worker::Handle>,
    acceptors: Option<thread::JoinHandle<()>>,
    stop_accepting: Option<tokio::sync::oneshot::Sender<()>>,
    addresses: Vec<SocketAddr>,
    control: Control,
    store: Option<Store>,
    /// Looks after the files of certificates until it is dropped.
    certificates: Option<certificates::Watch>,
    /// Looks after the file of rules until it is dropped.
    rules: Option<access::Watch>,
}

/// A socket that listens, and what the configuration says of it.
struct Opened<'a> {
    socket: Listening,
    door: Arc<Door>,
    listener: &'a Listener,
}

/// A socket that listens.
enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, UnixPlace),
}

impl Listening {
    fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Listening::Tcp(socket) => socket.local_addr().ok(),
            Listening::Unix(..) => None,
        }
    }

    /// Where it listens, in words.
    fn place(&self) -> Option<String> {
        match self {
            Listening::Tcp(socket) => socket.local_addr().ok().map(|address| address.to_string()),
            Listening::Unix(_, place) => Some(format!("unix:{}", place.path().display())),
        }
    }

    /// For the runtime that this is called in.
    fn into_entry(self) -> io::Result<Entry> {
        Ok(match self {
            Listening::Tcp(socket) => Entry::Tcp(TcpListener::from_std(socket)?),
            Listening::Unix(socket, place) => {
                Entry::Unix { listener: UnixListener::from_std(socket)?, _place: place }
            }
        })
    }
}

impl Broker {
    /// Opens the listeners and starts the workers, inside a program that has made the configuration itself.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is left running then.
    pub fn start(config: &Config) -> Result<Self, Error> {
        Self::start_in(config, Arc::new(Embedding(config.clone())))
    }

    /// The same inside a program that can read the configuration again and changes its log where that is asked for.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is left running then.
    pub fn start_in(config: &Config, host: Arc<dyn Host>) -> Result<Self, Error> {
        let files = file_limit::raise();
        let room = Room { files, borne: file_limit::connections(files) };
        let connections_max = room.connections_max(config) as usize;
        let limits = mapping::limits(config, connections_max);
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::System { what: "randomness", source: io::Error::other(error) })?;
        let started = Instant::now();
        let now = Now { mono: Millis(0), wall_secs: worker::wall_secs() };
        let (authenticators, passwords) = authenticators(config)?;
        let rules = access::Opened::read(config)?;
        // Before anything listens: nobody is let in who would be sent away again where the store is refused.
        let Kept { engine, mut store, bells } = store::open(config, limits, u64::from_ne_bytes(seed), now)?;
        let engine = rules.put_in_force(engine, config);
        let doors = open_doors(config, authenticators)?;
        let shared = Shared::new(
            engine,
            started,
            bells,
            connections_max,
            file_limit::waiting_room(files),
            u64::from(config.sys.interval_secs),
            mapping::size(config.limits.input_bytes_max),
        );
        if let Some(store) = &mut store {
            store.serve(&shared)?;
        }
        let listening: Vec<(String, &Listener)> =
            doors.iter().filter_map(|door| Some((door.socket.place()?, door.listener))).collect();
        let addresses = doors.iter().filter_map(|door| door.socket.tcp_address()).collect();
        let entrances = entrances(config, &doors);
        let threads = usize::from(config.worker.threads.or_else(|| {
            u16::try_from(thread::available_parallelism().map_or(1, usize::from)).unwrap_or(u16::MAX)
        }));
        let guarded = doors.iter().map(|opened| &opened.door);
        let certificates = certificates::Watch::start(guarded, &shared)
            .map_err(|source| Error::System { what: "the thread that watches certificates", source })?;
        let (keeper, rules) = rules
            .keep(&shared)
            .map_err(|source| Error::System { what: "the thread that watches the file of rules", source })?;
        let workers = (0..threads)
            .map(|index| worker::start(&shared, index))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| Error::System { what: "a worker thread", source })?;
        let (stop_accepting, stopped) = tokio::sync::oneshot::channel();
        let acceptors = start_acceptors(doors, &workers, &shared, stopped)
            .map_err(|source| Error::System { what: "the thread that accepts connections", source })?;
        announce(config, &listening, room, threads);
        let parts = Parts {
            config: config.clone(),
            entrances,
            passwords,
            rules: keeper,
            warnings: warnings(config, room),
            workers: threads,
            store: store.as_ref().map(|store| store.view.clone()),
        };
        Ok(Broker {
            control: Control::new(&shared, host, parts),
            shared,
            workers,
            acceptors: Some(acceptors),
            stop_accepting: Some(stop_accepting),
            addresses,
            store,
            certificates,
            rules,
        })
    }

    /// Where clients can connect by TCP, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The engine, for whoever wants to look.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// The door for whoever administers the broker.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Ends the broker: wills are published, every client gets DISCONNECT 0x8B (5.0), sockets close. At most a few
    /// seconds.
    pub fn stop(mut self) {
        drop(self.stop_accepting.take());
        drop(self.certificates.take());
        drop(self.rules.take());
        if let Some(acceptors) = self.acceptors.take() {
            let _ = acceptors.join(); // A panic there was reported where it happened.
        }
        self.publish_wills();
        self.shared.stop();
        let deadline = Instant::now() + STOP_WITHIN;
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let left = threads.iter().filter(|thread| !thread.is_finished()).count();
        if left > 0 {
            tracing::warn!("{left} worker threads did not end in time");
        }
        drop(self.store.take()); // All that is staged is written now.
        tracing::info!("stopped");
    }

    /// While those who want them are still connected.
    fn publish_wills(&self) {
        struct Nobody;
        impl Wire for Nobody {
            fn write(&self, _parts: &[&[u8]]) -> Written {
                Written::Gone
            }
            fn wake(&self) {}
        }
        let engine = &self.shared.engine;
        let mut turn = engine.turn();
        turn.now = self.shared.now();
        let waiter: Arc<dyn Wire> = Arc::new(Nobody);
        let deadline = Instant::now() + STOP_WITHIN / 2;
        for mut publishing in engine.publish_all_wills(&mut turn, &waiter) {
            while Instant::now() < deadline {
                match engine.resume(&mut turn, publishing) {
                    Progress::More(rest) => {
                        if rest.is_waiting() {
                            thread::sleep(Duration::from_millis(1)); // A worker has the topic and is at it.
                        }
                        publishing = rest;
                    }
                    Progress::Done { .. } => break,
                }
            }
        }
        engine.flush(&mut turn);
    }
}

/// The listeners as the control door tells of them: one for all of its addresses.
fn entrances(config: &Config, opened: &[Opened<'_>]) -> Vec<Entrance> {
    let mut entrances: Vec<Entrance> = Vec::new();
    for Opened { socket, door, listener } in opened {
        let address = socket.place();
        match entrances.last_mut().filter(|last| Arc::ptr_eq(&last.door, door)) {
            Some(last) => last.addresses.extend(address),
            None => entrances.push(Entrance {
                door: door.clone(),
                addresses: address.into_iter().collect(),
                method: config.method(listener),
            }),
        }
    }
    entrances
}

/// One for each listener, in the order of the configuration.
type Authenticators = Vec<Arc<dyn Authenticator>>;

/// Who decides at each listener.
fn authenticators(config: &Config) -> Result<(Authenticators, Option<Arc<PasswordFile>>), Error> {
    let mut passwords: Option<Arc<PasswordFile>> = None;
    let mut authenticators = Authenticators::new();
    for listener in &config.listeners {
        authenticators.push(match config.method(listener) {
            Method::Anonymous => Arc::new(Anonymous),
            Method::PasswordFile => password_file(config, listener, &mut passwords)?,
        });
    }
    Ok((authenticators, passwords))
}

/// Opens every address of every listener.
fn open_doors(config: &Config, authenticators: Authenticators) -> Result<Vec<Opened<'_>>, Error> {
    let mut doors = Vec::new();
    for (listener, authenticator) in config.listeners.iter().zip(authenticators) {
        let tls = mapping::tls(listener).map(|settings| open_tls(listener, settings)).transpose()?;
        let door = Arc::new(Door {
            name: listener.label().into(),
            authenticator,
            level: mapping::level(config, listener),
            connections: AtomicUsize::new(0),
            connections_max: listener.connections_max.or_else(|| u32::MAX) as usize,
            tls,
            identity: mapping::identity(listener),
            proxy: mapping::proxy(listener),
            upgrade: mapping::upgrade(listener),
            handshake_within: Duration::from_secs(listener.handshake_timeout_secs.into()),
        });
        for socket in open_sockets(listener)? {
            doors.push(Opened { socket, door: door.clone(), listener });
        }
    }
    Ok(doors)
}

fn open_tls(listener: &Listener, settings: AcceptorSettings) -> Result<Arc<DoorTls>, Error> {
    let opened = Acceptor::open(settings);
    let acceptor = opened.map_err(|source| Error::Tls { listener: listener.label(), source })?;
    for warning in &acceptor.loaded().warnings {
        tracing::warn!(listener = %listener.label(), "{warning}");
    }
    Ok(Arc::new(DoorTls { acceptor: Arc::new(acceptor) }))
}

fn open_sockets(listener: &Listener) -> Result<Vec<Listening>, Error> {
    if let Address::Unix(path) = &listener.address {
        let opened = listen_unix(path, listener.unix_mode.bits());
        let (socket, place) =
            opened.map_err(|source| Error::ListenUnix { listener: listener.label(), source })?;
        return Ok(vec![Listening::Unix(socket, place)]);
    }
    let versions = if listener.ipv6_only { IpVersions::Six } else { IpVersions::Both };
    let mut sockets: Vec<std::net::TcpListener> = Vec::new();
    for mut address in listener.address.sockets() {
        // `localhost:0` is one port on both addresses.
        if address.port() == 0
            && let Some(first) = sockets.first().and_then(|first| first.local_addr().ok())
        {
            address.set_port(first.port());
        }
        match listen(address, versions, BACKLOG) {
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
    Ok(sockets.into_iter().map(Listening::Tcp).collect())
}

/// Whether the address is the one loopback address of two that the machine does not have.
fn is_missing(listener: &Listener, error: &ListenError) -> bool {
    let absent = matches!(error.source.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.source.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    matches!(listener.address, Address::Localhost { .. }) && absent
}

fn password_file(
    config: &Config,
    listener: &Listener,
    opened: &mut Option<Arc<PasswordFile>>,
) -> Result<Arc<PasswordFile>, Error> {
    if let Some(passwords) = opened {
        return Ok(passwords.clone());
    }
    let Some(options) = mapping::password_file(config) else {
        return Err(Error::NoPasswordFile { listener: listener.label() });
    };
    let (passwords, warnings) = PasswordFile::open(&options)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(opened.insert(Arc::new(passwords)).clone())
}

fn start_acceptors(
    doors: Vec<Opened<'_>>,
    workers: &[worker::Handle],
    shared: &Arc<Shared>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> io::Result<thread::JoinHandle<()>> {
    let seats: Arc<[_]> = workers.iter().map(|worker| (worker.guests.clone(), worker.load.clone())).collect();
    let shared = shared.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listeners = {
        let _inside = runtime.enter();
        doors
            .into_iter()
            .map(|opened| Ok((opened.socket.into_entry()?, opened.door)))
            .collect::<io::Result<Vec<_>>>()?
    };
    thread::Builder::new().name("accept".into()).spawn(move || {
        let counters = shared.engine.counters();
        runtime.block_on(async move {
            for (listener, door) in listeners {
                tokio::spawn(worker::accept(listener, door, seats.clone(), shared.clone(), counters.clone()));
            }
            drop(seats);
            let _ = stopped.await; // Either way: the broker ends.
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_that_is_not_there_is_told_with_the_reason_and_what_to_do() {
        let mut config = Config::default();
        config.authentication.password_file = Some("/nonexistent".into());
        let error = Broker::start(&config).err().unwrap().to_string();
        assert!(error.starts_with("the password file /nonexistent cannot be read: No such file"), "{error}");
        assert!(error.contains("whimbrel passwd /nonexistent USER"), "{error}");
    }

    #[test]
    fn where_the_store_is_refused_nothing_has_listened() {
        // The address is taken and the folder of the store is a file: what is tried first is told.
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let file = std::env::temp_dir().join(format!("whimbrel-no-folder-{}", std::process::id()));
        std::fs::write(&file, "").unwrap();
        let mut config = Config {
            listeners: vec![Listener::on(Address::Socket(taken.local_addr().unwrap()))],
            ..Config::default()
        };
        config.store.directory = Some(file.clone());
        let error = Broker::start(&config).err().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(error, Error::Store(_)), "{error}");
    }
}
