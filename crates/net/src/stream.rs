//! A connection over any transport, as something to read from and to write to. Not how it came about.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

use crate::{
    quic::QuicStream,
    tls::{LOOK_BYTES, explain_io, offers_resumption},
    ws::WebSocket,
};

/// A connection that stands: its handshakes are over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// TCP and nothing else.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
    /// QUIC.
    Quic(Box<QuicStream>),
    /// WebSocket over one of the others.
    WebSocket(Box<WebSocket>),
}

impl Stream {
    /// The socket below, where it is one of TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Tls(stream) => Some(stream.get_ref().0),
            Stream::Unix(_) | Stream::Quic(_) => None,
            Stream::WebSocket(stream) => stream.inner().tcp(),
        }
    }

    /// Waits until the other end of a connection that was accepted has said something, or has closed; nothing is read.
    /// Whether these are the first words of TLS with whoever was here before, by what it says.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn first_words(&mut self) -> io::Result<bool> {
        let Stream::Tcp(stream) = self else { return self.ready().await.map(|_| false) };
        poll_fn(|context| {
            // On the stack, and not in what waits.
            let mut bytes = [0; LOOK_BYTES];
            let mut look = ReadBuf::new(&mut bytes);
            ready!(stream.poll_peek(context, &mut look))?;
            Poll::Ready(Ok(offers_resumption(look.filled())))
        })
        .await
    }

    /// Whether the other end has closed its sending half, whatever it has said before.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn is_given_up(&mut self) -> io::Result<bool> {
        Ok(self.ready().await?.is_read_closed())
    }

    async fn ready(&mut self) -> io::Result<Ready> {
        match self {
            Stream::Tcp(stream) => stream.ready(Interest::READABLE).await,
            Stream::Tls(stream) => stream.get_ref().0.ready(Interest::READABLE).await,
            Stream::Unix(stream) => stream.ready(Interest::READABLE).await,
            // These have their handshakes behind them.
            Stream::Quic(_) | Stream::WebSocket(_) => Ok(Ready::READABLE),
        }
    }
}

/// What TLS has against the other end comes as an error of the stream; it is put into words here.
fn explained<T>(polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    polled.map_err(explain_io)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => match Pin::new(stream).poll_read(context, buffer) {
                // Many close without the farewell of TLS. Whoever reads knows by its own framing whether anything is
                // missing.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                polled => explained(polled),
            },
            Stream::Quic(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::WebSocket(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => explained(Pin::new(stream).poll_write(context, bytes)),
            Stream::Quic(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::WebSocket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = || slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => explained(Pin::new(stream).poll_write_vectored(context, slices)),
            Stream::Quic(stream) => Pin::new(stream).poll_write(context, first()),
            Stream::WebSocket(stream) => Pin::new(stream).poll_write(context, first()),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => explained(Pin::new(stream).poll_flush(context)),
            Stream::Quic(stream) => Pin::new(stream).poll_flush(context),
            Stream::WebSocket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => explained(Pin::new(stream).poll_shutdown(context)),
            Stream::Quic(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::WebSocket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
