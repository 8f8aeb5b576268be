//! Starts and stops the parts of a broker.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use whimbrel_engine::{Engine, Now, Progress, Wire, Written, proto::Millis};
use whimbrel_net::{Inherited, ListenError, UnixListenError, tls::TlsFault};

use crate::{
    access::{self, RulesError},
    announcement::{Room, announce, warnings},
    auth::{PasswordFileError, TokenError},
    authenticators::Authenticators,
    bans,
    config::Config,
    control::{Control, Embedding, Host, Parts, socket::PlaceError},
    doors, file_limit,
    listeners::Listeners,
    mapping,
    store::{self, Kept, Store, StoreError},
    worker::{self, Bounds, Guards, Shared},
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
    /// A socket that was passed to this process cannot be used.
    #[error(
        "listener {listener}: the socket that was passed to this process (LISTEN_FDS) cannot be used: {source}"
    )]
    Inherited {
        /// The listener's name.
        listener: String,
        /// What the system said.
        source: io::Error,
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
    /// A listener that a reload wants to open asks for passwords, and none were read at the start.
    #[error("listener {listener} asks for passwords, and none were read at the start: restart the broker")]
    PasswordsAfterRestart {
        /// The listener's name.
        listener: String,
    },
    /// The password file cannot be used.
    #[error(transparent)]
    PasswordFile(#[from] PasswordFileError),
    /// The keys of an issuer of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenError),
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
    addresses: Vec<SocketAddr>,
    control: Control,
    store: Option<Store>,
    listeners: Arc<Listeners>,
    /// Looks after the file of rules until it is dropped.
    rules: Option<access::Watch>,
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
        let authenticators = Authenticators::open(config)?;
        let rules = access::Opened::read(config)?;
        // Before anything listens: nobody is let in who would be sent away again where the store is refused.
        let Kept { engine, mut store, bells } = store::open(config, limits, u64::from_ne_bytes(seed), now)?;
        let engine = rules.put_in_force(engine, config);
        let guards = Guards::new(config);
        bans::kept::restore(&engine, &guards.bans, now.wall_secs);
        let doors = doors::open(config, &authenticators)?;
        let shared = Shared::new(
            engine,
            started,
            bells,
            guards,
            Bounds {
                connections_max,
                waiting_room: file_limit::waiting_room(files),
                sys_interval_secs: u64::from(config.sys.interval_secs),
                input_bytes_max: mapping::size(config.limits.input_bytes_max),
            },
        );
        if let Some(store) = &mut store {
            store.serve(&shared)?;
        }
        let threads = usize::from(config.worker.threads.or_else(|| {
            u16::try_from(thread::available_parallelism().map_or(1, usize::from)).unwrap_or(u16::MAX)
        }));
        let (keeper, rules) = rules
            .keep(&shared)
            .map_err(|source| Error::System { what: "the thread that watches the file of rules", source })?;
        let workers = (0..threads)
            .map(|index| worker::start(&shared, index))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| Error::System { what: "a worker thread", source })?;
        let seats = workers.iter().map(|worker| (worker.guests.clone(), worker.load.clone())).collect();
        let listeners = Listeners::start(config, doors, seats, authenticators.clone(), &shared)?;
        announce(config, &listeners.places(), room, threads);
        for unwanted in Inherited::of_this_process().unwanted() {
            tracing::warn!(
                "a socket was passed to this process (LISTEN_FDS) for which there is no listener: {unwanted}; give a \
                 listener the same address, word by word, or have it passed no more"
            );
        }
        let parts = Parts {
            config: config.clone(),
            listeners: listeners.clone(),
            passwords: authenticators.passwords,
            tokens: authenticators.tokens,
            rules: keeper,
            warnings: warnings(config, room),
            gates: workers.iter().map(|worker| worker.gate.clone()).collect(),
            store: store.as_ref().map(|store| store.view.clone()),
        };
        Ok(Broker {
            control: Control::new(&shared, host, parts),
            shared,
            workers,
            addresses: listeners.addresses(),
            listeners,
            store,
            rules,
        })
    }

    /// Where clients could connect by TCP at the start, in the order of the configuration.
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
        self.listeners.stop();
        drop(self.rules.take());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Listener};

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
