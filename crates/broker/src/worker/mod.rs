//! A worker: one thread, one single-threaded runtime, and the connections that were placed there. Nothing slow runs
//! here; a connection may wait, a worker never.
//!
//! Its parts: [`link`] is the socket as the engine sees it, [`task`] drives one connection, [`wrapped`] is one that speaks
//! TLS or WebSocket, [`login`] is how its client is let in or not, [`handshake`] and [`turnstile`] are how that begins, [`gate`] is
//! where who begins waits its turn, [`keeper`] watches
//! deadlines, [`flusher`] writes what a turn has appended, [`releaser`] lets go what has waited for the disk, [`telling`] keeps the log readable.

mod accept;
mod admission;
mod exchange;
mod flusher;
mod gate;
mod handshake;
mod keeper;
mod link;
mod login;
mod parting;
mod releaser;
mod tail;
mod task;
mod telling;
#[cfg(test)]
mod tests;
mod turnstile;
mod wrapped;

use std::{
    cell::RefCell,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{mpsc, watch};
use whimbrel_codec::Version;
use whimbrel_engine::{Count, Engine, Level, Now, Turn, proto::Millis};
use whimbrel_net::{Peer, Stream, quic::QuicArrival, tls::Identity, ws::UpgradeRules};

use crate::{
    auth::Authenticator,
    bans::{Bans, flapping::Flapping},
    config::Config,
    guard::Guard,
    mapping, names,
    quota::Quotas,
    rates::{Rates, TooFast},
    store::{Bell, Bells, SYNCED, WRITTEN},
};
use handshake::Crossing;
use link::{Prepared, SocketWire};
use task::Task;
use turnstile::Turnstile;
use wrapped::Socket;

pub(crate) use accept::{Doorway, Entry, Seat, accept};
pub(crate) use gate::Gate;
pub(crate) use handshake::{DoorProxy, DoorTls};
pub(crate) use link::TcpOptions;
pub(crate) use telling::Words;

/// Bytes read at once. One buffer per worker, none per connection.
const READ_BYTES: usize = 64 << 10;

/// Turns that others get after the last connection has ended.
const LAST_TURNS: usize = 100;

/// A listener as its connections know it.
pub(crate) struct Door {
    /// Its name in logs.
    pub name: Arc<str>,
    pub authenticator: Arc<dyn Authenticator>,
    /// How sure what is promised here has to be.
    pub level: Level,
    pub connections: Arc<AtomicUsize>,
    pub connections_max: usize,
    /// Nobody is let in any more, and whoever came through it is disconnected.
    pub closed: AtomicBool,
    /// Present where TLS is spoken.
    pub tls: Option<Arc<DoorTls>>,
    /// Which part of a client's certificate says who it is, and whether that is its client identifier; else it is its
    /// user name.
    pub identity: Option<(Identity, bool)>,
    /// Present where a proxy says whose every connection is.
    pub proxy: Option<DoorProxy>,
    /// Present where WebSocket is spoken.
    pub upgrade: Option<UpgradeRules>,
    /// How long everything before MQTT may take.
    pub handshake_within: Duration,
    pub tcp: TcpOptions,
    /// The versions of MQTT that are spoken; all of them if it is empty.
    pub versions: Vec<Version>,
    pub rates: Rates,
    /// What it says of messages and bytes in a second instead of the settings for all.
    pub quota: [Option<u32>; 2],
}

impl Door {
    /// Whether MQTT is all that is spoken.
    fn is_plain(&self) -> bool {
        self.tls.is_none() && self.upgrade.is_none() && self.proxy.is_none()
    }

    /// Whether connections are counted, by all together or by address.
    fn counts_addresses(&self) -> bool {
        self.rates.count()
    }

    fn speaks(&self, version: Version) -> bool {
        self.versions.is_empty() || self.versions.contains(&version)
    }

    /// Whether whoever connects from there speaks for others, and may say for whom.
    fn is_proxy(&self, address: IpAddr) -> bool {
        let of_header = self.proxy.as_ref().is_some_and(|proxy| proxy.trusted.contain(address));
        of_header || self.upgrade.as_ref().is_some_and(|rules| rules.proxies.contain(address))
    }

    /// A client whom a proxy has named comes now.
    fn arrive_by_proxy(&self, client: IpAddr, shared: &Shared) -> io::Result<()> {
        self.rates.arrive_from(client, shared.micros()).map_err(|too_fast| {
            with_bench(|bench| bench.turn.count(count_of(too_fast), 1));
            io::Error::other("more connections of this address than source_rate_max allows")
        })
    }
}

/// What is counted where connections come too fast.
fn count_of(too_fast: TooFast) -> Count {
    match too_fast {
        TooFast::Listener => Count::ConnectionRateLimit,
        TooFast::Source => Count::SourceRateLimit,
    }
}

/// A connection on its way to a worker.
pub(crate) struct Guest {
    pub stream: Arrival,
    pub peer: Peer,
    pub door: Arc<Door>,
}

/// An accepted socket on its way to a worker.
pub(crate) enum Arrival {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    /// Not even a connection yet.
    Quic(QuicArrival),
}

/// What the workers and the rest of the process share.
pub(crate) struct Shared {
    pub engine: Arc<Engine>,
    started: Instant,
    /// The time by the wall clock when `started` was, in seconds since 1970: follows a clock that is set.
    wall_secs_at_start: AtomicU64,
    /// For the workers that wait for the disk.
    pub bells: Arc<Bells>,
    /// Connections on all listeners, with or without CONNECT.
    pub connections: AtomicUsize,
    pub connections_max: usize,
    /// Connections beyond the limit that may still say CONNECT.
    pub waiting_room: usize,
    /// The server is ending: every connection is told so and closed.
    pub stopping: AtomicBool,
    /// The same for those who wait for it.
    pub stopping_told: watch::Sender<bool>,
    /// Counts changes of whom listeners trust, and listeners that are closed: connections are then judged anew.
    pub trust_changes: AtomicU32,
    pub sys_interval_secs: u64,
    pub guards: Guards,
    /// Bytes that clients hold of packets that have not arrived whole and of topic aliases; those of connections whose
    /// CONNECT was not accepted yet, which may be a quarter of it; and how many they may be.
    input_bytes: AtomicUsize,
    stranger_bytes: AtomicUsize,
    input_bytes_max: usize,
}

/// Who is kept out.
pub(crate) struct Guards {
    /// Counts wrong passwords.
    pub logins: Arc<Guard>,
    pub bans: Bans,
    pub flapping: Flapping,
    pub names: names::Rules,
    pub quotas: Arc<Quotas>,
}

impl Guards {
    pub(crate) fn new(config: &Config) -> Self {
        Guards {
            logins: Arc::new(Guard::new(mapping::guard(config), config.guard.entries_max as usize)),
            bans: Bans::new(config.guard.bans_max as usize),
            flapping: Flapping::new(mapping::flapping(config)),
            names: mapping::names(config),
            quotas: Quotas::new(mapping::quota(config)),
        }
    }
}

/// What [`Shared`] is bounded by; each is explained there.
pub(crate) struct Bounds {
    pub connections_max: usize,
    pub waiting_room: usize,
    pub sys_interval_secs: u64,
    pub input_bytes_max: usize,
}

impl Shared {
    pub(crate) fn new(
        engine: Engine,
        started: Instant,
        bells: Arc<Bells>,
        guards: Guards,
        bounds: Bounds,
    ) -> Arc<Self> {
        let Bounds { connections_max, waiting_room, sys_interval_secs, input_bytes_max } = bounds;
        Arc::new(Shared {
            engine: Arc::new(engine),
            started,
            wall_secs_at_start: AtomicU64::new(wall_secs()),
            bells,
            connections: AtomicUsize::new(0),
            connections_max,
            waiting_room,
            stopping: AtomicBool::new(false),
            stopping_told: watch::Sender::new(false),
            trust_changes: AtomicU32::new(0),
            sys_interval_secs,
            guards,
            input_bytes: AtomicUsize::new(0),
            stranger_bytes: AtomicUsize::new(0),
            input_bytes_max,
        })
    }

    /// Every connection is told to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.stopping_told.send_replace(true);
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Now {
        let mono = self.mono();
        Now { mono, wall_secs: self.wall_secs_at_start.load(Relaxed) + mono.0 / 1_000 }
    }

    /// Looks at the wall clock, which may have been set.
    pub(crate) fn follow_clock(&self) {
        self.wall_secs_at_start.store(wall_secs().saturating_sub(self.mono().0 / 1_000), Relaxed);
    }

    /// The present moment for rates, in microseconds since the broker began.
    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn mono(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Seconds since 1970 by the wall clock.
pub(crate) fn wall_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How others reach a worker.
pub(crate) struct Handle {
    pub guests: mpsc::UnboundedSender<Guest>,
    /// Connections placed there.
    pub load: Arc<AtomicUsize>,
    pub gate: Arc<Gate>,
    pub thread: thread::JoinHandle<()>,
}

/// What a worker's tasks share; it never leaves its thread.
struct Bench {
    shared: Arc<Shared>,
    turn: Turn,
    read: Box<[u8]>,
    flusher: Option<Waker>,
    /// The flusher was woken and has not run yet.
    flush_due: bool,
    telling: telling::Telling,
    wires: keeper::Wires,
    /// Rung when the journal has come further.
    bell: Arc<Bell>,
    gate: Arc<Gate>,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Runs `work` with this worker's bench. Tasks run one after the other, so nobody else has it; `None` when the worker is
/// ending.
fn with_bench<R>(work: impl FnOnce(&mut Bench) -> R) -> Option<R> {
    BENCH.with(|bench| bench.try_borrow_mut().ok()?.as_mut().map(work))
}

impl Bench {
    /// Begins a turn: the time moves on.
    fn begin(&mut self) {
        self.turn.now = self.shared.now();
    }

    /// Has the bell rung when the journal has come so far that something here may leave.
    fn listen(&self) {
        let [written, synced] = self.turn.parks();
        // Who waits for room may be all that waits here: room comes with a sync.
        let synced = synced || self.shared.engine.has_waiting();
        let what = match [written, synced] {
            [false, false] => return,
            [true, false] => WRITTEN,
            [false, true] => SYNCED,
            [true, true] => WRITTEN | SYNCED,
        };
        if self.bell.wait(what) && self.shared.engine.may_release(&self.turn) {
            self.bell.ring(); // The journal has reported before anybody listened.
        }
    }

    /// Ends a turn: the log hears of it, and what it appended is written when the tasks that are ready have run.
    fn finish(&mut self) {
        let now = self.turn.now.mono;
        for notice in self.turn.notices.drain(..) {
            self.telling.notice(&notice, now);
        }
        self.telling.catch_up(now);
        self.listen();
        if self.turn.has_output() && !self.flush_due {
            self.flush_due = true;
            if let Some(flusher) = &self.flusher {
                flusher.wake_by_ref();
            }
        }
    }
}

/// Starts worker number `index`. Worker 0 also keeps the engine's timers and `$SYS`.
pub(crate) fn start(shared: &Arc<Shared>, index: usize) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (guests, inbox) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let gate = Gate::new();
    let (shared, worker_load, worker_gate) = (shared.clone(), load.clone(), gate.clone());
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let turn = shared.engine.turn();
        let bench = Bench {
            turn,
            read: vec![0; READ_BYTES].into_boxed_slice(),
            flusher: None,
            flush_due: false,
            telling: telling::Telling::default(),
            wires: keeper::Wires::default(),
            bell: shared.bells.add(),
            gate: worker_gate.clone(),
            shared: shared.clone(),
        };
        BENCH.set(Some(bench));
        runtime.block_on(work(shared, inbox, worker_load, worker_gate, index == 0));
        BENCH.set(None);
    })?;
    Ok(Handle { guests, load, gate, thread })
}

/// Takes guests in until their channel closes and every connection has ended.
async fn work(
    shared: Arc<Shared>,
    mut inbox: mpsc::UnboundedReceiver<Guest>,
    load: Arc<AtomicUsize>,
    gate: Arc<Gate>,
    keeps_engine: bool,
) {
    tokio::spawn(flusher::run());
    tokio::spawn(releaser::run());
    let keeper = tokio::spawn(keeper::run(shared.clone(), keeps_engine));
    let crossing = Arc::new(Crossing { gate: gate.clone(), turnstile: Turnstile::default() });
    let (idle, mut all_left) = mpsc::channel::<()>(1);
    let room = Arc::new(Room { load, shared, _idle: idle });
    while let Some(guest) = inbox.recv().await {
        let Guest { stream, peer, door } = guest;
        if door.closed.load(Relaxed) {
            leave(&room.shared, &door, &room.load);
            continue;
        }
        let stream = match link::prepare(stream, door.tcp) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(address = %peer, %error, "a connection ended before it was taken in");
                leave(&room.shared, &door, &room.load);
                continue;
            }
        };
        gate.come(&room.shared.engine, door.level);
        let plain = door.is_plain();
        let shared = &room.shared;
        let place = Place { door, room: room.clone() };
        match stream {
            Prepared::Stream(Stream::Tcp(stream)) if plain => {
                let (reader, wire) = SocketWire::plain(stream);
                tokio::spawn(Task::new(shared, Socket::Tcp(reader), wire, peer, place));
            }
            stream => {
                tokio::spawn(handshake::enter(stream, peer, shared.clone(), crossing.clone(), place));
            }
        }
    }
    drop(room);
    let _ = all_left.recv().await;
    // What a connection of QUIC says at its end leaves with the next turn of a task that is not ours.
    for _ in 0..LAST_TURNS {
        tokio::task::yield_now().await;
    }
    keeper.abort();
}

/// A connection's place in the counts; given up when its task ends, however it ends.
struct Place {
    door: Arc<Door>,
    room: Arc<Room>,
}

/// What all connections of a worker share. While it lives, the worker has connections.
struct Room {
    load: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    _idle: mpsc::Sender<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        leave(&self.room.shared, &self.door, &self.room.load);
    }
}

fn leave(shared: &Shared, door: &Door, load: &AtomicUsize) {
    shared.connections.fetch_sub(1, Relaxed);
    door.connections.fetch_sub(1, Relaxed);
    load.fetch_sub(1, Relaxed);
}
