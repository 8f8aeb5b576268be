//! The dialling side of TLS and WebSocket without a connection, for whoever moves the bytes himself: plain bytes in, wrapped
//! bytes out, and back. Not the sockets.

use std::{
    fmt,
    io::{self, BufRead, Write},
};

use rustls::{ClientConnection, HandshakeKind};

use crate::{
    Address,
    tls::{Connector, explain},
    ws::Wrap,
};

/// What wraps the bytes of one connection.
pub struct Envelope {
    tls: Option<Box<ClientConnection>>,
    websocket: Option<Box<Wrap>>,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Envelope").finish_non_exhaustive()
    }
}

impl Envelope {
    /// For a connection to this address; nothing where its bytes go as they are. `connector` is for addresses that are
    /// spoken to by TLS.
    ///
    /// # Errors
    /// TLS is needed and there is no connector, or the host is no name for it.
    pub fn new(address: &Address, connector: Option<&Connector>) -> io::Result<Option<Envelope>> {
        let tls = match (address.scheme().is_tls(), connector) {
            (false, _) => None,
            (true, Some(connector)) => Some(Box::new(connector.begin(address.host())?)),
            (true, None) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "no connector for TLS")),
        };
        let websocket = address.path().map(|path| Wrap::new(&address.authority(), path)).transpose()?;
        let is_bare = tls.is_none() && websocket.is_none();
        Ok((!is_bare).then(|| Envelope { tls, websocket: websocket.map(Box::new) }))
    }

    /// Takes what is to be sent out of `plain`, as soon as it may be, and puts what is to be sent now behind `wire`.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn seal(&mut self, plain: &mut Vec<u8>, wire: &mut Vec<u8>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.websocket.as_mut().map_or(Ok(()), |websocket| websocket.seal(plain, wire));
        };
        if let Some(websocket) = &mut self.websocket {
            let mut frames = Vec::new();
            websocket.seal(plain, &mut frames)?;
            tls.writer().write_all(&frames)?;
        } else {
            // What comes before the end of the handshake waits inside for it.
            tls.writer().write_all(plain)?;
            plain.clear();
        }
        put(tls, wire)
    }

    /// Puts what ends the connection behind `wire`.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn close(&mut self, wire: &mut Vec<u8>) -> io::Result<()> {
        let mut frames = Vec::new();
        if let Some(websocket) = &mut self.websocket {
            websocket.close(&mut frames)?;
        }
        let Some(tls) = &mut self.tls else {
            wire.append(&mut frames);
            return Ok(());
        };
        tls.writer().write_all(&frames)?;
        tls.send_close_notify();
        put(tls, wire)
    }

    /// Takes what has come and puts what was inside behind `plain`. Whether the other end has closed. There may be
    /// something to [`Self::seal`] afterwards.
    ///
    /// # Errors
    /// The other end breaks a rule, or is not who it should be.
    pub fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return self
                .websocket
                .as_mut()
                .map_or(Ok(false), |websocket| websocket.open(wire.to_vec(), plain));
        };
        let (mut inside, mut is_over) = (Vec::new(), false);
        while !wire.is_empty() && !is_over {
            tls.read_tls(&mut wire)?;
            let state = tls
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, explain(&error)))?;
            is_over = state.peer_has_closed();
            let mut reader = tls.reader();
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let part = reader.fill_buf()?;
                let count = part.len();
                inside.extend_from_slice(part);
                reader.consume(count);
                left = left.saturating_sub(count.max(1));
            }
        }
        match &mut self.websocket {
            Some(websocket) if !inside.is_empty() => Ok(websocket.open(inside, plain)? || is_over),
            Some(_) => Ok(is_over),
            None => {
                plain.append(&mut inside);
                Ok(is_over)
            }
        }
    }

    /// Where TLS is spoken and its handshake is over: whether it resumed an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> Option<bool> {
        let kind = self.tls.as_ref()?.handshake_kind()?;
        Some(kind == HandshakeKind::Resumed)
    }
}

fn put(tls: &mut ClientConnection, wire: &mut Vec<u8>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(wire)?;
    }
    Ok(())
}
