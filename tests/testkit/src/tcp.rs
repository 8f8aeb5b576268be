//! The driver over TCP: any broker at an address, events waited for with a deadline. Nothing here knows MQTT.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::driver::{Driver, Link, Quiet, Received};

/// How long to wait for a broker to close its half after ours; then the connection is dropped all the same.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How late a broker that counts in whole seconds may be.
const SLACK: Duration = Duration::from_millis(1500);

/// Real connections to a real broker.
#[derive(Debug)]
pub struct Tcp {
    address: SocketAddr,
    deadline: Duration,
    streams: Vec<Option<TcpStream>>,
}

impl Tcp {
    /// Connects to `address`; what is expected must come within `deadline`.
    pub fn new(address: SocketAddr, deadline: Duration) -> Self {
        Self { address, deadline, streams: Vec::new() }
    }

    fn read(&mut self, link: Link, deadline: Duration) -> Received {
        let Some(stream) = self.streams.get_mut(link.0).and_then(Option::as_mut) else {
            return Received::Closed;
        };
        let mut buffer = vec![0; 64 * 1024];
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            stream.set_read_timeout(Some(left)).expect("a read time-out can be set");
            match stream.read(&mut buffer) {
                Ok(0) => return Received::Closed,
                Ok(len) => {
                    buffer.truncate(len);
                    return Received::Bytes(buffer);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Received::Nothing;
                }
                Err(_) => return Received::Closed,
            }
        }
    }
}

impl Driver for Tcp {
    fn open(&mut self) -> Link {
        let stream = TcpStream::connect_timeout(&self.address, self.deadline)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.address));
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_write_timeout(Some(self.deadline)).expect("a write time-out can be set");
        self.streams.push(Some(stream));
        Link(self.streams.len() - 1)
    }

    fn send(&mut self, link: Link, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(link.0).and_then(Option::as_mut) else { return };
        if let Err(error) = stream.write_all(bytes) {
            let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!late, "the broker did not read {} bytes within the deadline", bytes.len());
        }
    }

    fn receive(&mut self, link: Link) -> Received {
        self.read(link, self.deadline)
    }

    /// Shuts our half and waits until the broker, having noticed, closes its own: what follows happens after the cut.
    fn close(&mut self, link: Link) {
        let Some(Some(stream)) = self.streams.get(link.0) else { return };
        let gone = stream.shutdown(Shutdown::Write).is_err();
        let end = Instant::now() + CLOSE_WAIT;
        while !gone && Instant::now() < end {
            if self.read(link, end.saturating_duration_since(Instant::now())) == Received::Closed {
                break;
            }
        }
        if let Some(stream) = self.streams.get_mut(link.0) {
            *stream = None;
        }
    }

    fn advance(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn quiet(&mut self, _link: Link) -> Quiet {
        Quiet::Fence
    }

    fn slack(&self) -> Duration {
        SLACK
    }
}
