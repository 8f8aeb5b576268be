//! Accepts connections and places each with the worker that has the fewest.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
};
use whimbrel_engine::{Count, Counters};
use whimbrel_net::{Peer, UnixPlace, quic::QuicListener};

use super::{Arrival, Door, Guest, Shared, count_of};

/// Where connections come in.
pub(crate) enum Entry {
    Tcp(TcpListener),
    Quic(QuicListener),
    Unix {
        listener: UnixListener,
        /// The file, which goes when nobody listens any more, if it is ours.
        _place: Option<UnixPlace>,
    },
}

impl Entry {
    async fn accept(&self, counts: bool) -> io::Result<(Arrival, Peer)> {
        match self {
            Entry::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Arrival::Tcp(stream.into_std()?), address.into()))
            }
            Entry::Quic(listener) => {
                // Where somebody is to be counted by the address, it has to be its own.
                let arrival = listener.accept(counts).await?;
                let peer = arrival.peer().map(Peer::Socket).ok_or(io::ErrorKind::NotConnected)?;
                Ok((Arrival::Quic(arrival), peer))
            }
            Entry::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer::of_unix(&stream);
                Ok((Arrival::Unix(stream.into_std()?), peer))
            }
        }
    }
}

/// A worker as a listener sees it.
pub(crate) type Seat = (mpsc::UnboundedSender<Guest>, Arc<AtomicUsize>);

/// How long a listener rests when the system has no file descriptor or memory left for a connection.
const REST: Duration = Duration::from_millis(100);

/// How often the log says that connections are refused, at most.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What those who are accepted come through. It can be replaced while the listener is open.
pub(crate) struct Doorway(Mutex<Arc<Door>>);

impl Doorway {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        Doorway(Mutex::new(door))
    }

    /// The door for whoever comes now.
    pub(crate) fn door(&self) -> Arc<Door> {
        self.0.lock().clone()
    }

    /// Puts another door in its place, and gives the one that was there.
    pub(crate) fn replace(&self, door: Arc<Door>) -> Arc<Door> {
        std::mem::replace(&mut *self.0.lock(), door)
    }
}

/// Accepts until it is cancelled.
pub(crate) async fn accept(
    listener: Entry,
    doorway: Arc<Doorway>,
    seats: Arc<[Seat]>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
) {
    let mut resting = false;
    let mut told: Option<Instant> = None;
    loop {
        tokio::task::consume_budget().await; // A flood at one listener is no reason not to look at the others.
        let counts = doorway.door().counts_addresses();
        match listener.accept(counts).await {
            Ok((stream, peer)) => {
                let door = doorway.door();
                resting = false;
                let Err(refused) = may_enter(&door, peer, &shared) else {
                    place(stream, peer, &door, &seats, &shared);
                    continue;
                };
                // Cheaper than a handshake: the socket closes before anything is read.
                counters.add(refused, 1);
                if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                    told = Some(Instant::now());
                    let (name, what) = (&door.name, in_words(refused));
                    tracing::warn!(listener = %name, address = %peer, "{what} is reached: more are refused");
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !resting {
                    tracing::warn!(listener = %doorway.door().name, %error, "no connection can be accepted now; trying again");
                }
                resting = true;
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Whether the error says something about the connection, not about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Whether this one is let in; else what is counted.
fn may_enter(door: &Door, peer: Peer, shared: &Shared) -> Result<(), Count> {
    if is_full(door, shared) {
        return Err(Count::ConnectionsLimit);
    }
    let now = shared.micros();
    // A proxy comes as often as its clients do; theirs are counted once they are known. The address first: who comes too often
    // takes nobody else's place.
    if let Some(source) = peer.ip().filter(|source| !door.is_proxy(*source)) {
        door.rates.arrive_from(source, now).map_err(count_of)?;
    }
    door.rates.arrive(now).map_err(count_of)
}

/// What was reached.
fn in_words(refused: Count) -> &'static str {
    match refused {
        Count::ConnectionRateLimit => "the rate of connections (connection_rate_max)",
        Count::SourceRateLimit => "the rate of connections of one address (source_rate_max)",
        _ => "the limit of connections",
    }
}

/// Whether nobody more is let in, not even to say who it is. A little beyond the limit of connections a CONNECT is
/// still read: it may take over a connection that there is, and who is refused hears why.
fn is_full(door: &Door, shared: &Shared) -> bool {
    shared.connections.load(Relaxed) >= shared.connections_max.saturating_add(shared.waiting_room)
        || door.connections.load(Relaxed) >= door.connections_max
}

fn place(stream: Arrival, peer: Peer, door: &Arc<Door>, seats: &[Seat], shared: &Shared) {
    let Some((guests, load)) = seats.iter().min_by_key(|(_, load)| load.load(Relaxed)) else { return };
    shared.connections.fetch_add(1, Relaxed);
    door.connections.fetch_add(1, Relaxed);
    load.fetch_add(1, Relaxed);
    if guests.send(Guest { stream, peer, door: door.clone() }).is_err() {
        super::leave(shared, door, load); // The server is ending.
    }
}
