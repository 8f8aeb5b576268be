//! A connection as the engine sees it: something to write to from any thread, and somebody to wake.
//!
//! To plain TCP whoever has something to send writes itself. Where bytes are wrapped (TLS, WebSocket, a Unix socket), only the task that owns the
//! connection can do that: others hand over to it.

use std::{
    io::{self, IoSlice},
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{
    TcpStream, UnixStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use whimbrel_engine::{Wire, Written};
use whimbrel_net::{Peer, Stream, quic::QuicArrival};

use super::Arrival;

/// How often TCP asks again where the peer does not answer.
const TCP_KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Bytes that wait for the owner of a wrapped connection, at most. Beyond, and from the moment at which the socket
/// takes no more, the rest stays where it is counted: in the link.
const HANDOVER_BYTES: usize = 32 << 10;

/// The way to a client, shared with whoever has something to send. A descriptor lives until the last holder lets go,
/// so that nobody ever writes to one that was given to somebody else.
pub(crate) struct SocketWire {
    way: Way,
    task: Mutex<Option<Waker>>,
    /// Somebody wants the task to look at its link.
    woken: AtomicBool,
}

/// Who writes.
enum Way {
    /// Whoever has something to send.
    Tcp(OwnedWriteHalf),
    /// The owner of the connection.
    Owner(Box<Handover>),
}

/// What others have left for the owner of a wrapped connection to send.
struct Handover {
    waiting: Mutex<Vec<u8>>,
    /// The socket takes no more: nothing is taken either.
    stuck: AtomicBool,
    /// The connection is over.
    gone: AtomicBool,
    peer: Peer,
}

/// How it is found out that a client's machine is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpOptions {
    /// How long a connection is silent before TCP asks.
    pub(crate) keep_alive: Duration,
    /// How long what was sent may go unacknowledged, where it is not the system's affair.
    pub(crate) user_timeout: Option<Duration>,
}

/// What has arrived, for this worker's runtime.
pub(super) enum Prepared {
    Stream(Stream),
    Quic(QuicArrival),
}

/// Sets what the sockets of all connections have in common.
pub(super) fn prepare(arrival: Arrival, options: TcpOptions) -> io::Result<Prepared> {
    let stream = match arrival {
        Arrival::Tcp(stream) => stream,
        Arrival::Unix(stream) => {
            stream.set_nonblocking(true)?;
            return UnixStream::from_std(stream).map(Stream::Unix).map(Prepared::Stream);
        }
        Arrival::Quic(arrival) => return Ok(Prepared::Quic(arrival)),
    };
    stream.set_nodelay(true)?;
    // Clients before 5.0 may do without MQTT's keep-alive; one that has died unseen is found all the same.
    let keep_alive = TcpKeepalive::new().with_time(options.keep_alive).with_interval(TCP_KEEP_ALIVE_EVERY);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    #[cfg(target_os = "linux")]
    if let Some(patience) = options.user_timeout {
        SockRef::from(&stream).set_tcp_user_timeout(Some(patience))?;
    }
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream).map(Stream::Tcp).map(Prepared::Stream)
}

impl SocketWire {
    /// The wire of a plain connection, and the other half of its socket.
    pub(super) fn plain(stream: TcpStream) -> (OwnedReadHalf, Arc<SocketWire>) {
        let (reader, half) = stream.into_split();
        (reader, Arc::new(SocketWire::new(Way::Tcp(half))))
    }

    /// The wire of a connection that its owner writes.
    pub(super) fn owned(peer: Peer) -> Arc<SocketWire> {
        Arc::new(SocketWire::new(Way::Owner(Box::new(Handover {
            waiting: Mutex::new(Vec::new()),
            stuck: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            peer,
        }))))
    }

    fn new(way: Way) -> SocketWire {
        SocketWire { way, task: Mutex::new(None), woken: AtomicBool::new(false) }
    }

    /// Names the task that owns the connection.
    pub(super) fn register(&self, context: &Context<'_>) {
        *self.task.lock() = Some(context.waker().clone());
    }

    /// Whether [`Self::take_woken`] will say yes.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether somebody has called since the last time.
    pub(super) fn take_woken(&self) -> bool {
        // The load spares a locked instruction in the common case.
        self.woken.load(Ordering::Acquire) && self.woken.swap(false, Ordering::AcqRel)
    }

    /// Ready when more can be written.
    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.way {
            Way::Tcp(half) => half.as_ref().poll_write_ready(context),
            // The owner tries to write before it asks, and is woken by the socket where that did not go.
            Way::Owner(handover) if handover.stuck.load(Ordering::Acquire) => Poll::Pending,
            Way::Owner(_) => Poll::Ready(Ok(())),
        }
    }

    /// No more bytes to the client; it may still be read from.
    pub(super) fn shut_down(&self) {
        if let Way::Tcp(half) = &self.way {
            // Whether the peer has gone already makes no difference.
            let _ = SockRef::from(half.as_ref()).shutdown(Shutdown::Write);
        }
    }

    /// For the owner: what has been handed over.
    pub(super) fn take(&self) -> Vec<u8> {
        match &self.way {
            Way::Tcp(_) => Vec::new(),
            Way::Owner(handover) => std::mem::take(&mut *handover.waiting.lock()),
        }
    }

    /// From the owner: whether the socket takes no more.
    pub(super) fn set_stuck(&self, stuck: bool) {
        if let Way::Owner(handover) = &self.way {
            handover.stuck.store(stuck, Ordering::Release);
        }
    }

    /// From the owner: the connection is over, and what was handed over goes nowhere.
    pub(super) fn set_gone(&self) {
        if let Way::Owner(handover) = &self.way {
            handover.gone.store(true, Ordering::Release);
            *handover.waiting.lock() = Vec::new();
        }
    }

    fn wake_task(&self) {
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

impl Handover {
    /// Takes as much as there is room for.
    fn take_in(&self, parts: &[&[u8]]) -> Written {
        if self.gone.load(Ordering::Acquire) {
            return Written::Gone;
        }
        if self.stuck.load(Ordering::Acquire) {
            return Written::Blocked;
        }
        let mut waiting = self.waiting.lock();
        let before = waiting.len();
        for part in parts {
            let room = HANDOVER_BYTES.saturating_sub(waiting.len()).min(part.len());
            waiting.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        match waiting.len() - before {
            0 => Written::Blocked,
            taken => Written::Bytes(taken),
        }
    }
}

impl Wire for SocketWire {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let half = match &self.way {
            Way::Tcp(half) => half,
            Way::Owner(handover) => {
                let written = handover.take_in(parts);
                if let Written::Bytes(_) = written {
                    self.wake_task();
                }
                return written;
            }
        };
        let written = match parts {
            [part] => half.try_write(part),
            parts => {
                let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                half.try_write_vectored(&slices)
            }
        };
        match written {
            Ok(0) => Written::Gone,
            Ok(bytes) => Written::Bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Blocked,
            Err(_) => Written::Gone,
        }
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.wake_task();
    }

    fn peer(&self) -> Option<String> {
        match &self.way {
            Way::Tcp(half) => half.peer_addr().ok().map(|address| address.to_string()),
            Way::Owner(handover) => Some(handover.peer.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_listener_has_its_own_patience_with_machines_that_are_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for (keep_alive, user_timeout) in [(300, None), (7, Some(Duration::from_secs(9)))] {
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let options = TcpOptions { keep_alive: Duration::from_secs(keep_alive), user_timeout };
            let prepared = prepare(Arrival::Tcp(listener.accept().unwrap().0), options).unwrap();
            let Prepared::Stream(stream) = prepared else { panic!("it is TCP") };
            let socket = SockRef::from(stream.tcp().unwrap());
            assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), options.keep_alive);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), TCP_KEEP_ALIVE_EVERY);
            #[cfg(target_os = "linux")]
            assert_eq!(socket.tcp_user_timeout().unwrap(), user_timeout);
        }
    }
}
