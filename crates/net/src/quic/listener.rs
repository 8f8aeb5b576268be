//! The accepting side of QUIC: a UDP socket with a thread of its own that hears for all of its connections. Not their
//! handshakes, which are made where the connection is going to live.

use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::{sync::oneshot, time::timeout};

use super::lost::lost;
use super::server_transport;
use super::stream::QuicStream;
use crate::{
    Stream,
    tls::{Acceptor, forget_refused},
};

/// The buffer that the system is asked for, in bytes, for what has come and was not heard yet: all connections share it.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// While so many handshakes are under way at a listener, whoever comes must first show that it is where it says it is
/// (Retry): a forged address costs its sender one packet and us nothing that stays.
const UNPROVED_MAX: usize = 64;
/// First packets that may wait to be looked at, and the bytes behind them. What comes beyond is refused.
const WAITING_MAX: usize = 1_024;
const WAITING_BYTES: u64 = 8 << 10;
const WAITING_BYTES_ALL: u64 = 4 << 20;
/// How long the last connections of a listener that is closed may take to say their farewells.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// A UDP socket at which QUIC connections are accepted, until it is dropped.
pub struct QuicListener {
    endpoint: Endpoint,
    shaking: Arc<AtomicUsize>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

/// Somebody who wants to connect, of whom nothing is known but an address.
pub struct QuicArrival {
    incoming: Option<Box<Incoming>>,
    shaking: Arc<AtomicUsize>,
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QuicListener").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for QuicArrival {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QuicArrival").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl QuicListener {
    /// Begins to hear. `acceptor` is only asked for what protects first packets; [`QuicArrival::accept`] brings its own.
    ///
    /// # Errors
    /// The socket cannot be used, or the thread does not start; or the acceptor's settings shut QUIC out.
    pub fn new(socket: UdpSocket, acceptor: &Acceptor) -> io::Result<QuicListener> {
        let mut config = ServerConfig::clone(&*acceptor.quic()?);
        config
            .max_incoming(WAITING_MAX)
            .incoming_buffer_size(WAITING_BYTES)
            .incoming_buffer_size_total(WAITING_BYTES_ALL);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let endpoint = {
            let _inside = runtime.enter();
            Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let last = endpoint.clone();
        thread::Builder::new().name("quic".into()).spawn(move || {
            runtime.block_on(async {
                let _ = stopped.await; // Either way: nobody listens any more.
                let _ = timeout(LAST_WORDS, last.wait_idle()).await;
            });
        })?;
        Ok(QuicListener { endpoint, shaking: Arc::default(), _stop: stop })
    }

    /// The next who wants to connect. Whoever has to show its address first is sent back here: where there is a crowd, or
    /// `proved` asks it of everybody.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn accept(&self, proved: bool) -> io::Result<QuicArrival> {
        loop {
            tokio::task::consume_budget().await;
            let Some(incoming) = self.endpoint.accept().await else {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "the socket is closed"));
            };
            let crowded = proved || self.shaking.load(Relaxed) >= UNPROVED_MAX;
            let incoming = match crowded && !incoming.remote_address_validated() {
                false => incoming,
                true => match incoming.retry() {
                    Ok(()) => continue,
                    Err(error) => error.into_incoming(),
                },
            };
            self.shaking.fetch_add(1, Relaxed);
            return Ok(QuicArrival { incoming: Some(Box::new(incoming)), shaking: self.shaking.clone() });
        }
    }
}

impl QuicArrival {
    /// The address from which it came; not shown to be true yet.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.incoming.as_ref().map(|incoming| incoming.remote_address())
    }

    /// Whether it has shown that the address is its own.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.remote_address_validated())
    }

    /// Makes the handshake and waits for the stream that the other end opens. Gives it up when the future is dropped.
    ///
    /// # Errors
    /// The two do not agree, or the other end goes; the error says why.
    pub async fn accept(mut self, acceptor: &Acceptor) -> io::Result<Stream> {
        let config = acceptor.quic()?;
        forget_refused(); // What somebody else's certificate was refused for is not this one's affair.
        let incoming = self.incoming.take().ok_or(io::ErrorKind::NotConnected)?;
        let connecting = incoming.accept_with(config).map_err(|error| lost(&error))?;
        let connection = connecting.await.map_err(|error| lost(&error))?;
        let streams = connection.accept_bi().await.map_err(|error| lost(&error))?;
        Ok(Stream::Quic(Box::new(QuicStream::new(connection, streams, None))))
    }
}

impl Drop for QuicArrival {
    fn drop(&mut self) {
        self.shaking.fetch_sub(1, Relaxed);
    }
}

impl Acceptor {
    /// What a QUIC connection needs of what is in force.
    fn quic(&self) -> io::Result<Arc<ServerConfig>> {
        self.loaded().for_quic(|crypto| {
            let mut config = ServerConfig::with_crypto(crypto);
            config.transport_config(server_transport());
            config
        })
    }
}
