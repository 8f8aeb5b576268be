//! The listeners while the broker runs: who accepts at them, and what a reload makes of them. Not how one is opened.
//!
//! A reload prepares everything before it touches anything: if one listener cannot be opened, all stay as they were.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use whimbrel_net::Inherited;

use crate::{
    authenticators::Authenticators,
    broker::Error,
    certificates,
    config::{Address, Config, Listener, Methods, Protocol},
    doors::{self, Opened},
    worker::{Door, Doorway, Seat, Shared, accept},
};

/// How long a socket that is closed at a reload is waited for, so that the next reload can open it again.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// The listeners of a broker.
pub(crate) struct Listeners {
    shared: Arc<Shared>,
    authenticators: Authenticators,
    open: Mutex<Vec<Open>>,
    hall: Mutex<Option<Hall>>,
    watch: Mutex<Option<certificates::Watch>>,
}

/// Where accepting runs, until the broker ends.
struct Hall {
    seats: Arc<[Seat]>,
    runtime: Handle,
    thread: thread::JoinHandle<()>,
    /// Ends the thread when it is dropped.
    stop: oneshot::Sender<()>,
}

/// A listener that is open.
struct Open {
    listener: Listener,
    methods: Methods,
    doorway: Arc<Doorway>,
    /// Doors that are no longer entered: connections that came through them may be there still.
    former: Vec<Weak<Door>>,
    sockets: Vec<Socket>,
}

/// One of its sockets.
struct Socket {
    place: String,
    address: Option<SocketAddr>,
    accepting: JoinHandle<()>,
}

/// A listener as the control door tells of it: one for all of its addresses.
pub(crate) struct Entrance {
    pub(crate) door: Arc<Door>,
    pub(crate) addresses: Vec<String>,
    pub(crate) methods: Methods,
}

/// What has come of a reload.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Listeners that there were not before.
    pub(crate) opened: Vec<String>,
    /// Listeners that there are no more.
    pub(crate) closed: Vec<String>,
}

/// What becomes of a listener of the new configuration.
enum Plan {
    /// It is there, and is as it was.
    Keep(Open),
    /// It is there, and who comes from now on finds it changed.
    Change(Open, Arc<Door>),
    Open(Opened),
}

impl Listeners {
    /// Begins to accept.
    pub(crate) fn start(
        config: &Config,
        opened: Vec<Opened>,
        seats: Arc<[Seat]>,
        authenticators: Authenticators,
        shared: &Arc<Shared>,
    ) -> Result<Arc<Self>, Error> {
        let system = |what| move |source| Error::System { what, source };
        let hall = Hall::start(seats).map_err(system("the thread that accepts connections"))?;
        let mut open = Vec::new();
        for (listener, opened) in config.listeners.iter().zip(opened) {
            let methods = config.methods(listener);
            let listener = listener.clone();
            let began = hall.open(listener, methods, opened, shared);
            open.push(began.map_err(system("a socket that accepts connections"))?);
        }
        let listeners = Arc::new(Listeners {
            shared: shared.clone(),
            authenticators,
            open: Mutex::new(open),
            hall: Mutex::new(Some(hall)),
            watch: Mutex::default(),
        });
        listeners.watch().map_err(system("the thread that watches certificates"))?;
        Ok(listeners)
    }

    /// Has the files of certificates watched, once anybody speaks TLS.
    fn watch(self: &Arc<Self>) -> io::Result<()> {
        let mut watch = self.watch.lock();
        if watch.is_none() && self.doors().iter().any(|door| door.tls.is_some()) {
            *watch = Some(certificates::Watch::start(Arc::downgrade(self), &self.shared)?);
        }
        Ok(())
    }

    /// Every socket with its listener, in the order of the configuration.
    pub(crate) fn places(&self) -> Vec<(String, Listener)> {
        let open = self.open.lock();
        let all = open.iter().flat_map(|open| open.sockets.iter().map(move |socket| (socket, open)));
        all.map(|(socket, open)| (socket.place.clone(), open.listener.clone())).collect()
    }

    /// The addresses of all sockets that are no files.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let open = self.open.lock();
        open.iter().flat_map(|open| &open.sockets).filter_map(|socket| socket.address).collect()
    }

    /// The listeners as they are told of.
    pub(crate) fn entrances(&self) -> Vec<Entrance> {
        let entrance = |open: &Open| Entrance {
            door: open.doorway.door(),
            addresses: open.sockets.iter().map(|socket| socket.place.clone()).collect(),
            methods: open.methods.clone(),
        };
        self.open.lock().iter().map(entrance).collect()
    }

    /// Every door through which somebody comes or may have come who is there still.
    pub(crate) fn doors(&self) -> Vec<Arc<Door>> {
        self.open.lock().iter().flat_map(Open::doors).collect()
    }

    /// Makes the listeners those of `config`, or says why all stay as they are. Everything else of `config` is in force
    /// already; whoever asks is the only one.
    pub(crate) fn change(self: &Arc<Self>, config: &Config) -> Result<Changed, Error> {
        let hall = self.hall.lock();
        let Some(hall) = hall.as_ref() else { return Ok(Changed::default()) }; // The broker ends.
        let mut open = self.open.lock();
        let mut left: Vec<Open> = std::mem::take(&mut *open);
        let mut plans = Vec::new();
        for listener in &config.listeners {
            match self.plan(config, listener, &mut left) {
                Ok(plan) => plans.push(plan),
                Err(error) => {
                    // Nothing was touched yet. The order is told of and counts for nothing else.
                    left.extend(plans.into_iter().filter_map(Plan::into_before));
                    *open = left;
                    return Err(error);
                }
            }
        }
        let (mut changed, mut failed) = (Changed::default(), None);
        for (listener, plan) in config.listeners.iter().zip(plans) {
            let (listener, methods) = (listener.clone(), config.methods(listener));
            match plan {
                Plan::Keep(before) => open.push(before),
                Plan::Change(before, door) => {
                    if let (Address::Unix(path), true) =
                        (&listener.address, listener.unix_mode != before.listener.unix_mode)
                    {
                        // What was passed to this process is not ours to change.
                        if let Ok(None) = Inherited::of_this_process().unix(path) {
                            let mode = fs::Permissions::from_mode(listener.unix_mode.bits());
                            let _ = fs::set_permissions(path, mode);
                        }
                    }
                    if lets_others_in(&before, &listener, &methods) {
                        self.disconnect(&before);
                    }
                    open.push(before.entered_by(door, listener, methods));
                }
                Plan::Open(opened) => {
                    let label = listener.label();
                    match hall.open(listener, methods, opened, &self.shared) {
                        Ok(new) => open.push(new),
                        Err(source) => failed = Some(source),
                    }
                    changed.opened.push(label);
                }
            }
        }
        for gone in &left {
            changed.closed.push(gone.listener.label());
            self.disconnect(gone);
            gone.sockets.iter().for_each(|socket| socket.accepting.abort());
        }
        drop(open);
        let until = Instant::now() + CLOSED_WITHIN;
        let is_open = |gone: &Open| gone.sockets.iter().any(|socket| !socket.accepting.is_finished());
        while left.iter().any(is_open) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        let system = |what| move |source| Error::System { what, source };
        if let Some(source) = failed {
            return Err(system("a socket that accepts connections")(source));
        }
        self.watch().map_err(system("the thread that watches certificates"))?;
        Ok(changed)
    }

    /// Whoever came through any door of this listener is disconnected.
    fn disconnect(&self, open: &Open) {
        open.doors().iter().for_each(|door| door.closed.store(true, Relaxed));
        self.shared.trust_changes.fetch_add(1, Relaxed);
    }

    /// What is to become of a listener; one that is there already is taken out of `left`.
    fn plan(&self, config: &Config, listener: &Listener, left: &mut Vec<Open>) -> Result<Plan, Error> {
        let methods = config.methods(listener);
        // Where the system chooses the port, the address alone does not say which one is meant.
        let chosen = listener.address.sockets().iter().any(|address| address.port() == 0);
        let here = |open: &Open| {
            let Listener { name, address, ipv6_only, protocol, .. } = &open.listener;
            (address, *ipv6_only) == (&listener.address, listener.ipv6_only)
                && (*protocol == Protocol::Quic) == (listener.protocol == Protocol::Quic)
                && (!chosen || *name == listener.name)
        };
        let Some(at) = left.iter().position(here) else {
            let door = doors::door(
                config,
                listener,
                self.authenticators.chain(listener, &methods)?,
                Arc::default(),
            )?;
            return Ok(Plan::Open(Opened { sockets: doors::open_sockets(listener)?, door }));
        };
        let same = |open: &Open| (&open.listener, &open.methods) == (listener, &methods);
        if left.get(at).is_some_and(same) {
            return Ok(Plan::Keep(left.remove(at)));
        }
        let connections =
            left.get(at).map(|open| open.doorway.door().connections.clone()).unwrap_or_default();
        let door =
            doors::door(config, listener, self.authenticators.chain(listener, &methods)?, connections)?;
        Ok(Plan::Change(left.remove(at), door))
    }

    /// Nobody is accepted any more; returns when it is so.
    pub(crate) fn stop(&self) {
        drop(self.watch.lock().take());
        if let Some(Hall { thread, stop, .. }) = self.hall.lock().take() {
            drop(stop);
            let _ = thread.join(); // A panic there was reported where it happened.
        }
    }
}

impl Open {
    /// Every door through which somebody comes or may have come who is there still.
    fn doors(&self) -> Vec<Arc<Door>> {
        let former = self.former.iter().filter_map(Weak::upgrade);
        former.chain([self.doorway.door()]).collect()
    }

    /// The same sockets with another door behind them.
    fn entered_by(mut self, door: Arc<Door>, listener: Listener, methods: Methods) -> Open {
        let former = self.doorway.replace(door);
        self.former.retain(|door| door.strong_count() > 0);
        self.former.push(Arc::downgrade(&former));
        Open { listener, methods, ..self }
    }
}

/// Whether whoever is connected may be somebody who would not be let in now.
fn lets_others_in(before: &Open, after: &Listener, methods: &Methods) -> bool {
    let asked = |listener: &Listener| {
        (
            (listener.protocol, listener.proxy_protocol, listener.proxy_trusted.clone()),
            (listener.client_certificates, listener.client_ca.clone(), listener.crl.clone()),
            (listener.identity, listener.identity_as),
        )
    };
    *methods != before.methods || asked(&before.listener) != asked(after)
}

impl Plan {
    /// The listener that there was.
    fn into_before(self) -> Option<Open> {
        match self {
            Plan::Keep(open) | Plan::Change(open, _) => Some(open),
            Plan::Open(_) => None,
        }
    }
}

impl Hall {
    fn start(seats: Arc<[Seat]>) -> io::Result<Hall> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new().name("accept".into()).spawn(move || {
            let _ = runtime.block_on(stopped); // Either way: the broker ends.
        })?;
        Ok(Hall { seats, runtime: handle, thread, stop })
    }

    /// Begins to accept at the sockets of a listener.
    fn open(
        &self,
        listener: Listener,
        methods: Methods,
        opened: Opened,
        shared: &Arc<Shared>,
    ) -> io::Result<Open> {
        let _inside = self.runtime.enter();
        let doorway = Arc::new(Doorway::new(opened.door));
        let mut sockets = Vec::new();
        for socket in opened.sockets {
            let (place, address) = (socket.place().unwrap_or_default(), socket.address());
            let entry = socket.into_entry(&doorway.door())?;
            let accepting =
                accept(entry, doorway.clone(), self.seats.clone(), shared.clone(), shared.engine.counters());
            sockets.push(Socket { place, address, accepting: self.runtime.spawn(accepting) });
        }
        Ok(Open { listener, methods, doorway, former: Vec::new(), sockets })
    }
}
