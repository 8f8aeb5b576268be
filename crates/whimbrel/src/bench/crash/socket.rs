//! A blocking connection to the broker: packets in, bytes out. Not the sessions, which outlive it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use whimbrel_codec::{Connect, ConnectProperties, Packet, Peer, Split, Version, split};

const READ_BYTES: usize = 16 << 10;
const PACKET_BYTES_MAX: u32 = 1 << 20;
/// Sessions outlive every run.
const SESSION_EXPIRY_SECS: u32 = 86_400;
const KEEP_ALIVE_SECS: u16 = 600;

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection has ended, as it does when the broker is killed.
    Gone(io::Error),
    /// The broker does not answer.
    Silent(&'static str),
    /// The broker sent what the specification does not allow, or refused what it must grant.
    Wrong(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Gone(error) => write!(f, "the connection ended: {error}"),
            Broken::Silent(what) => write!(f, "no {what} came"),
            Broken::Wrong(what) => write!(f, "the broker sent {what}"),
        }
    }
}

/// What CONNACK said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Welcome {
    pub(super) session_present: bool,
    pub(super) receive_maximum: u16,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    version: Version,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Socket {
    /// Connects, with a session that outlives the connection if `is_persistent`.
    pub(super) fn connect(
        address: SocketAddr,
        version: Version,
        client_id: &str,
        is_persistent: bool,
        patience: Duration,
    ) -> Result<(Socket, Welcome), Broken> {
        let stream = TcpStream::connect_timeout(&address, patience).map_err(Broken::Gone)?;
        stream.set_nodelay(true).map_err(Broken::Gone)?;
        let mut socket = Socket { stream, version, buffer: vec![0; READ_BYTES], start: 0, end: 0 };
        let session_expiry_secs = is_persistent.then_some(SESSION_EXPIRY_SECS);
        let connect = Connect {
            version,
            clean_start: !is_persistent,
            keep_alive_secs: KEEP_ALIVE_SECS,
            client_id,
            properties: ConnectProperties { session_expiry_secs, ..ConnectProperties::default() },
            ..Connect::default()
        };
        let mut bytes = Vec::new();
        connect.encode(version, &mut bytes);
        socket.send(&bytes)?;
        let welcome = match socket.next(patience)? {
            Some(Packet::ConnAck(ack)) if !ack.reason.is_error() => Welcome {
                session_present: ack.session_present,
                receive_maximum: ack.properties.receive_maximum.unwrap_or(u16::MAX),
            },
            Some(packet) => return Err(Broken::Wrong(format!("{packet:?} in answer to CONNECT"))),
            None => return Err(Broken::Silent("CONNACK")),
        };
        Ok((socket, welcome))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if bytes.is_empty() { Ok(()) } else { self.stream.write_all(bytes).map_err(Broken::Gone) }
    }

    /// The next packet, or `None` when none has come within `wait`.
    pub(super) fn next(&mut self, wait: Duration) -> Result<Option<Packet<'_>>, Broken> {
        let deadline = Instant::now() + wait;
        let len = loop {
            let input = self.buffer.get(self.start..self.end).unwrap_or_default();
            match split(input, PACKET_BYTES_MAX).map_err(|wrong| Broken::Wrong(wrong.to_string()))? {
                Split::Whole { len, .. } => break len,
                Split::More { at_least } => self.make_room(at_least),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.read(left)? {
                return Ok(None);
            }
        };
        let input = self.buffer.get(self.start..self.end).unwrap_or_default();
        self.start += len;
        match split(input, PACKET_BYTES_MAX) {
            Ok(Split::Whole { frame, .. }) => Packet::decode(frame, self.version, Peer::Server)
                .map(Some)
                .map_err(|wrong| Broken::Wrong(format!("{:?}: {wrong}", frame.kind))),
            // It was whole just now.
            _ => Ok(None),
        }
    }

    /// Moves what is there to the front, so that a packet of `bytes` fits.
    fn make_room(&mut self, bytes: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let size = self.buffer.len().max(bytes).max(self.end + 1);
        self.buffer.resize(size, 0);
    }

    /// Whether something came in time.
    fn read(&mut self, wait: Duration) -> Result<bool, Broken> {
        // Zero would mean for ever.
        let wait = wait.max(Duration::from_micros(1));
        self.stream.set_read_timeout(Some(wait)).map_err(Broken::Gone)?;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.stream.read(room) {
            Ok(0) => Err(Broken::Gone(ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.end += read;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(Broken::Gone(error)),
        }
    }
}
