//! One connection: its socket, what has come of a packet that is not whole, and what the socket would not take yet.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

/// A client.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The start of a packet whose rest has not come.
    pub(crate) tail: Vec<u8>,
    out: Vec<u8>,
    /// How much of `out` has been written.
    written: usize,
    /// Whether `out` waits for the end of the turn.
    pub(crate) dirty: bool,
    /// Whether the socket takes nothing until it says so.
    blocked: bool,
    /// Whether the client speaks 5.0.
    pub(crate) is_v5: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Connection {
            stream,
            tail: Vec::new(),
            out: Vec::new(),
            written: 0,
            dirty: false,
            blocked: false,
            is_v5: false,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reads once; 0 at the end of the stream.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    #[inline]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// The socket takes bytes again.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes what waits, as far as the socket takes it. To a client that is gone nothing is written: the poll tells.
    pub(crate) fn flush(&mut self) {
        self.dirty = false;
        while !self.blocked && self.waiting() > 0 {
            match self.stream.write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.written = self.out.len(),
            }
        }
        if self.waiting() == 0 {
            self.out.clear();
            self.written = 0;
        } else if self.written > self.out.len() / 2 {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }
}
