//! One socket with what waits to be written and what has been read only in part. Knows no MQTT beyond frames.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Socket, Type};
use whimbrel_net::Envelope;

use super::arrival::{self, Arrivals};
use super::clock::Nanos;
use super::target::Target;

/// What may wait to be written before a publisher makes no more.
pub(super) const UNWRITTEN_BYTES_MAX: usize = 256 << 10;
/// Buffers beyond this are given back when they are empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    /// Where bytes do not go as they are.
    wrapped: Option<Box<Wrapped>>,
    /// Whether the kernel stamps what arrives.
    is_stamped: bool,
    pub(super) out: Vec<u8>,
    written: usize,
    tail: Vec<u8>,
    connected: bool,
    /// Whether something has come since acknowledging was last put off.
    has_read: bool,
}

/// What wraps the bytes of a connection, and wrapped bytes that wait to be written.
#[derive(Debug)]
struct Wrapped {
    envelope: Envelope,
    sealed: Vec<u8>,
    sent: usize,
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
        target: &Target,
        source: Option<IpAddr>,
        is_stamped: bool,
        (registry, token): (&Registry, Token),
    ) -> io::Result<Link> {
        let socket = Socket::new(target.address.domain(), Type::STREAM, None)?;
        match target.ip() {
            Some(address) => {
                socket.set_nonblocking(true)?;
                socket.set_tcp_nodelay(true)?;
                if is_stamped {
                    arrival::stamp(&socket)?;
                }
                congest_nobody(&socket, address);
                if let Some(source) = source {
                    socket.bind(&SocketAddr::new(source, 0).into())?;
                }
                match socket.connect(&target.address) {
                    Err(error) if !is_under_way(&error) => return Err(error),
                    _ => {}
                }
            }
            None => {
                // A Unix socket is there at once, or its queue is full: there is nothing to be told of later.
                socket.connect(&target.address)?;
                socket.set_nonblocking(true)?;
            }
        }
        let wrapped = target.envelope()?.map(|envelope| Wrapped { envelope, sealed: Vec::new(), sent: 0 });
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interest)?;
        Ok(Link {
            socket,
            wrapped: wrapped.map(Box::new),
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
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            match self.socket.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(wrapped) = &mut self.wrapped {
            return if self.connected { wrapped.flush(&self.socket, &mut self.out) } else { Ok(()) };
        }
        while self.connected && self.written < self.out.len() {
            let rest = self.out.get(self.written..).unwrap_or_default();
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
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
        let sealed = self.wrapped.as_ref().map_or(0, |wrapped| wrapped.sealed.len() - wrapped.sent);
        self.out.len() - self.written + sealed
    }

    /// Where TLS is spoken: whether its handshake resumed an earlier session.
    pub(super) fn is_resumed(&self) -> Option<bool> {
        self.wrapped.as_ref()?.envelope.is_resumed()
    }

    /// Writes what waits, and what the transport says at its end.
    pub(super) fn say_goodbye(&mut self) -> io::Result<()> {
        self.flush()?;
        match &mut self.wrapped {
            Some(wrapped) if self.connected => {
                wrapped.envelope.close(&mut wrapped.sealed)?;
                wrapped.send(&self.socket)
            }
            _ => Ok(()),
        }
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
                true => arrivals.receive(&self.socket, room),
                false => recv(&self.socket, &mut *room, RecvFlags::empty())
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
                let more = len == room_len || cfg!(not(unix));
                let len = match self.wrapped {
                    None => len,
                    Some(_) => match self.unwrap(buffer, kept..kept + len)? {
                        Some(len) => len,
                        None => return Ok(Input::Closed),
                    },
                };
                self.tail.clear();
                self.has_read = true;
                // A short read has emptied the socket: what comes later is told by another event.
                Ok(Input::Bytes { len: kept + len, more, at })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Input::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Puts in the place of wrapped bytes what was inside, and tells how much that is; nothing where the other end has
    /// closed. What the transport answers is written.
    fn unwrap(&mut self, buffer: &mut Vec<u8>, place: Range<usize>) -> io::Result<Option<usize>> {
        let Some(wrapped) = &mut self.wrapped else { return Ok(Some(place.len())) };
        let (wire, mut plain) = (buffer.get(place.clone()).unwrap_or_default(), Vec::new());
        let is_over = wrapped.envelope.open(wire, &mut plain)?;
        let end = place.start + plain.len();
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        if let Some(room) = buffer.get_mut(place.start..end) {
            room.copy_from_slice(&plain);
        }
        if is_over && plain.is_empty() {
            return Ok(None);
        }
        self.flush()?;
        Ok(Some(plain.len()))
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
            let _ = self.socket.set_tcp_quickack(false);
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn acknowledge_late(&mut self) {}

    pub(super) fn close(self, registry: &Registry) {
        // The socket closes either way.
        let _ = registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()));
    }
}

impl Wrapped {
    /// Wraps what waits, as far as that may leave, and writes it.
    fn flush(&mut self, socket: &Socket, plain: &mut Vec<u8>) -> io::Result<()> {
        self.envelope.seal(plain, &mut self.sealed)?;
        if plain.is_empty() && plain.capacity() > KEPT_BYTES_MAX {
            *plain = Vec::new();
        }
        self.send(socket)
    }

    fn send(&mut self, socket: &Socket) -> io::Result<()> {
        while let Some(rest) = self.sealed.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(socket, rest, SendFlags::NOSIGNAL) {
                Ok(len) => self.sent += len,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Many idle connections hold no buffer each.
        (self.sealed, self.sent) = (Vec::new(), 0);
        Ok(())
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
