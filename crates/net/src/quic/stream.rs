//! The one stream of a QUIC connection, as something to read from and to write to.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt, WriteError};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lost::{lost, read_failed, write_failed};

/// Said where a connection ends in order.
const DONE: VarInt = VarInt::from_u32(0);

/// Where what is sent stands.
enum Last {
    /// More may be sent.
    Open,
    /// Nothing more is sent; ready when the other end has all.
    Arriving(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The other end has all, or wants nothing more.
    Arrived,
}

/// A QUIC connection with its stream.
pub struct QuicStream {
    sending: SendStream,
    receiving: RecvStream,
    connection: Connection,
    /// What the other end has shown, its own certificate first.
    certificates: Vec<CertificateDer<'static>>,
    last: Last,
    /// The socket, where it is this connection's alone.
    _endpoint: Option<Endpoint>,
}

impl QuicStream {
    /// A stream of a connection whose handshake is over.
    pub(super) fn new(
        connection: Connection,
        (sending, receiving): (SendStream, RecvStream),
        endpoint: Option<Endpoint>,
    ) -> QuicStream {
        let shown =
            connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificates = shown.map(|shown| *shown).unwrap_or_default();
        QuicStream { sending, receiving, connection, certificates, last: Last::Open, _endpoint: endpoint }
    }

    /// Where the other end is at present.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// The certificates that the other end has shown, its own first; nothing if it has shown none.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        Some(&*self.certificates).filter(|shown| !shown.is_empty())
    }
}

impl fmt::Debug for QuicStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QuicStream").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        // Without it the peer would be told nothing until everything that knows the connection has gone.
        self.connection.close(DONE, b"");
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = buffer.initialize_unfilled();
        match ready!(self.get_mut().receiving.poll_read(context, unfilled)) {
            Ok(count) => buffer.advance(count),
            Err(error) => return Poll::Ready(read_failed(error)),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        Pin::new(&mut this.sending).poll_write(context, bytes).map_err(|error| {
            if let WriteError::Stopped(_) = error {
                // Who wants to hear nothing has nothing to say either: that would be half a connection.
                this.connection.close(DONE, b"");
            }
            write_failed(error)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written leaves by itself.
        Poll::Ready(Ok(()))
    }

    /// Ends what is sent, and waits until the other end has it: a connection that is dropped loses what is under way.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Last::Open = this.last {
            if let Some(error) = this.connection.close_reason() {
                return Poll::Ready(Err(lost(&error)));
            }
            let _ = this.sending.finish(); // A peer that wants nothing more has all that it wants.
            let arrived = this.sending.stopped();
            this.last = Last::Arriving(Box::pin(async move {
                let _ = arrived.await; // It has all, or has gone, having been told that nothing more comes.
            }));
        }
        if let Last::Arriving(arriving) = &mut this.last {
            ready!(arriving.as_mut().poll(context));
            this.last = Last::Arrived;
        }
        Poll::Ready(Ok(()))
    }
}
