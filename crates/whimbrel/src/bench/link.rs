//! One socket with what waits to be written and what has been read only in part. Knows no MQTT beyond frames.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};

use super::arrival::{self, Arrivals};
use super::clock::Nanos;

/// What may wait to be written before a publisher makes no more.
pub(super) const UNWRITTEN_BYTES_MAX: usize = 256 << 10;
/// Buffers beyond this are given back when they are empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    /// Whether the kernel stamps what arrives.
    is_stamped: bool,
    pub(super) out: Vec<u8>,
    written: usize,
    tail: Vec<u8>,
    connected: bool,
    /// Whether something has come since acknowledging was last put off.
    has_read: bool,
}

/// What a read brought.
pub(super) enum Input {
    /// The buffer holds so many bytes, from its start, of which the last came at `at`; `more` says that the socket may
    /// have others.
    Bytes {
        len: usize,
        more: bool,
        at: Nanos,
    },
    /// Nothing for now.
    Nothing,
    Closed,
}

impl Link {
    pub(super) fn dial(
        address: SocketAddr,
        source: Option<IpAddr>,
        is_stamped: bool,
        (registry, token): (&Registry, Token),
    ) -> io::Result<Link> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if is_stamped {
            arrival::stamp(&socket)?;
        }
        congest_nobody(&socket, address);
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Link {
            stream,
            is_stamped,
            out: Vec::new(),
            written: 0,
            tail: Vec::new(),
            connected: false,
            has_read: true,
        })
    }

    /// The socket has become writable. For the first time, this tells how dialling ended.
    pub(super) fn on_writable(&mut self) -> io::Result<()> {
        if !self.connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.connected && self.written < self.out.len() {
            let rest = self.out.get(self.written..).unwrap_or_default();
            match send(&self.stream, rest, SendFlags::NOSIGNAL) {
                Ok(len) => self.written += len,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.written >= self.out.len() {
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES_MAX {
                self.out = Vec::new();
            }
        }
        Ok(())
    }

    pub(super) fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// Reads once into the buffer, behind what was left of the last read.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>, arrivals: &mut Arrivals) -> io::Result<Input> {
        let kept = self.tail.len();
        if buffer.len() < kept * 2 {
            buffer.resize(kept * 2, 0);
        }
        if let Some(place) = buffer.get_mut(..kept) {
            place.copy_from_slice(&self.tail);
        }
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let room_len = room.len();
        let read = loop {
            let read = match self.is_stamped {
                true => arrivals.receive(&self.stream, room),
                false => recv(&self.stream, &mut *room, RecvFlags::empty())
                    .map(|(_, len)| (len, arrivals.now()))
                    .map_err(io::Error::from),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok((0, _)) => Ok(Input::Closed),
            Ok((len, at)) => {
                self.tail.clear();
                self.has_read = true;
                // A short read has emptied the socket: what comes later is told by another event.
                Ok(Input::Bytes { len: kept + len, more: len == room_len || cfg!(not(unix)), at })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Input::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Keeps the start of a frame until the rest comes.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() && self.tail.capacity() > 0 {
            self.tail = Vec::new();
        }
        self.tail.extend_from_slice(rest);
    }

    /// A system that acknowledges every segment at once spends a sixth more on a short message, which whoever reads it
    /// pays. One acknowledgement for two segments tells the sender the same, and no message waits for either. The
    /// system comes back to its habit by itself, so that this has to be said again now and then.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn acknowledge_late(&mut self) {
        if self.connected && std::mem::take(&mut self.has_read) {
            // Without it all goes as well, at a higher price.
            let _ = socket2::SockRef::from(&self.stream).set_tcp_quickack(false);
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn acknowledge_late(&mut self) {}

    pub(super) fn close(mut self, registry: &Registry) {
        // The socket closes either way.
        let _ = registry.deregister(&mut self.stream);
    }
}

/// On the loopback interface there is nothing that could be congested: the plainest way to avoid it costs the least.
#[cfg(target_os = "linux")]
fn congest_nobody(socket: &Socket, address: SocketAddr) {
    if address.ip().is_loopback() {
        // Without it all goes as well, at the price of what the system prefers.
        let _ = socket.set_tcp_congestion(b"reno");
    }
}

#[cfg(not(target_os = "linux"))]
fn congest_nobody(_: &Socket, _: SocketAddr) {}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}
