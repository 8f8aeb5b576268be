//! From an accepted socket to a connection on which MQTT is spoken: the handshake of TLS, in its time, and who the
//! client's certificate says it is.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use whimbrel_engine::Count;
use whimbrel_net::{
    Stream,
    tls::{Acceptor, Identity},
};

use super::link::SocketWire;
use super::{
    Door, Place, Shared,
    task::Task,
    telling::Kind,
    turnstile::Turnstile,
    with_bench,
    wrapped::{Socket, Wrapped},
};

/// How a listener speaks TLS.
pub(crate) struct DoorTls {
    pub(crate) acceptor: Arc<Acceptor>,
    /// Which part of a client's certificate says who it is, and whether that is its client identifier; else it is its
    /// user name.
    pub(crate) identity: Option<(Identity, bool)>,
    pub(crate) within: Duration,
}

/// Speaks TLS with whoever has connected, then has its task run.
pub(super) async fn enter(
    stream: TcpStream,
    address: SocketAddr,
    tls: Arc<DoorTls>,
    shared: Arc<Shared>,
    turnstile: Arc<Turnstile>,
    place: Place,
) {
    let mut stopping = shared.stopping_told.subscribe();
    let handshake = timeout(tls.within, turnstile.run(tls.acceptor.accept(stream)));
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    let shaken = match outcome {
        Ok(shaken) => shaken.and_then(|stream| identified(stream, tls.identity)),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long (handshake_timeout_secs)")),
    };
    match shaken {
        Ok((stream, identity)) => {
            let wire = SocketWire::owned(address);
            let socket = Socket::Wrapped(Box::new(Wrapped::new(stream, identity, tls.acceptor.clone())));
            tokio::spawn(Task::new(&shared, socket, wire, address, place));
        }
        Err(error) => tell(&place.door, address, &error),
    }
}

type Identified = (Stream, Option<Arc<str>>);

/// Finds out who the certificate is for. A client without one is asked at its CONNECT like any other.
fn identified(stream: Stream, identity: Option<(Identity, bool)>) -> io::Result<Identified> {
    let certificate = stream.peer_certificates().and_then(<[_]>::first);
    let (Some((part, _)), Some(certificate)) = (identity, certificate) else { return Ok((stream, None)) };
    match part.of(certificate) {
        Some(name) => Ok((stream, Some(name.into()))),
        None => Err(io::Error::other(
            "the client's certificate does not have the part that is to say who it is (identity)",
        )),
    }
}

/// A few lines of this kind in a second; all are counted.
fn tell(door: &Door, address: SocketAddr, error: &io::Error) {
    with_bench(|bench| {
        bench.begin();
        bench.turn.count(Count::HandshakesFailed, 1);
        let listener = &door.name;
        bench.telling.tell(Kind::Handshake, bench.turn.now.mono, || {
            tracing::info!(%address, %listener, "no TLS: {error}");
        });
        bench.finish();
    });
}
