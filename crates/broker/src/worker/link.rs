//! A TCP connection as the engine sees it: something to write to from any thread, and somebody to wake.

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
    TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use whimbrel_engine::{Wire, Written};

/// How long a connection is silent before TCP asks whether the peer is there.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(300);

/// The write half of a socket, shared with whoever has something to send. The descriptor lives until the last holder
/// lets go, so that nobody ever writes to one that was given to somebody else.
pub(crate) struct TcpWire {
    half: OwnedWriteHalf,
    task: Mutex<Option<Waker>>,
    /// Somebody wants the task to look at its link.
    woken: AtomicBool,
}

impl TcpWire {
    pub(crate) fn new(stream: std::net::TcpStream) -> io::Result<(OwnedReadHalf, Arc<TcpWire>)> {
        stream.set_nodelay(true)?;
        // Clients before 5.0 may do without MQTT's keep-alive; one that has died unseen is found all the same.
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEP_ALIVE))?;
        stream.set_nonblocking(true)?;
        let (reader, half) = TcpStream::from_std(stream)?.into_split();
        let wire = TcpWire { half, task: Mutex::new(None), woken: AtomicBool::new(false) };
        Ok((reader, Arc::new(wire)))
    }

    /// Names the task that owns the connection.
    pub(crate) fn register(&self, context: &Context<'_>) {
        *self.task.lock() = Some(context.waker().clone());
    }

    /// Whether [`Self::take_woken`] will say yes.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether somebody has called since the last time.
    pub(crate) fn take_woken(&self) -> bool {
        // The load spares a locked instruction in the common case.
        self.woken.load(Ordering::Acquire) && self.woken.swap(false, Ordering::AcqRel)
    }

    /// Ready when the socket can take more.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half.as_ref().poll_write_ready(context)
    }

    /// No more bytes to the client; it may still be read from.
    pub(crate) fn shut_down(&self) {
        // Whether the peer has gone already makes no difference.
        let _ = SockRef::from(self.half.as_ref()).shutdown(Shutdown::Write);
    }
}

impl Wire for TcpWire {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let written = match parts {
            [part] => self.half.try_write(part),
            parts => {
                let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                self.half.try_write_vectored(&slices)
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
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }

    fn peer(&self) -> Option<String> {
        self.half.peer_addr().ok().map(|address| address.to_string())
    }
}
