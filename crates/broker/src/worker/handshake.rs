//! From an accepted socket to a connection on which MQTT is spoken: what a proxy says of it, the handshakes of TLS and of
//! WebSocket, in their time, and who the client's certificate says it is.

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::time::timeout;
use whimbrel_engine::Count;
use whimbrel_net::{
    Networks, Peer, Proxied, Stream,
    quic::QuicArrival,
    read_proxied,
    tls::{Acceptor, Identity},
    ws,
};

use super::link::{Prepared, SocketWire};
use super::{
    Door, Place, Shared,
    gate::{Entered, Gate, Pass},
    task::Task,
    telling::Kind,
    turnstile::Turnstile,
    with_bench,
    wrapped::{Socket, Wrapped},
};

/// How a listener speaks TLS.
pub(crate) struct DoorTls {
    pub(crate) acceptor: Arc<Acceptor>,
}

/// Whom a listener believes whose a connection is.
pub(crate) struct DoorProxy {
    pub(crate) trusted: Networks,
    /// Whether what it tells of the client's certificate counts.
    pub(crate) asks_certificate: bool,
    /// Whether there has to be one.
    pub(crate) needs_certificate: bool,
}

/// What those go through who are not inside yet.
pub(super) struct Crossing {
    /// Who may begin.
    pub(super) gate: Arc<Gate>,
    /// Of those, who goes on.
    pub(super) turnstile: Turnstile,
}

/// What did not come about, and why.
struct Failed {
    what: &'static str,
    why: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed { what, why } = self;
        write!(out, "no {what}: {why}")
    }
}

/// A connection on which MQTT may begin.
struct Shaken {
    stream: Stream,
    /// Who the client's certificate says it is.
    identity: Option<Arc<str>>,
    peer: Peer,
    /// Until CONNECT is answered, where there was a handshake.
    pass: Option<Pass>,
}

/// Goes through the handshakes with whoever has connected, then has its task run.
pub(super) async fn enter(
    arrival: Prepared,
    peer: Peer,
    shared: Arc<Shared>,
    crossing: Arc<Crossing>,
    place: Place,
) {
    let mut stopping = shared.stopping_told.subscribe();
    let door = place.door.clone();
    // Before the handshake: what changes meanwhile counts for this one too.
    let judge = door.tls.as_ref().map(|tls| (tls.acceptor.clone(), tls.acceptor.trust_changes()));
    let shaking = timeout(door.handshake_within, shake(arrival, peer, &door, &shared, &crossing));
    let shaken = tokio::select! {
        shaken = shaking => shaken,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    let late = || {
        let why = io::Error::new(io::ErrorKind::TimedOut, "it took too long (handshake_timeout_secs)");
        Failed { what: "handshake", why }
    };
    match shaken.unwrap_or_else(|_| Err(late())) {
        Ok(None) => {}
        Ok(Some(_)) if door.closed.load(Relaxed) => {} // The listener was closed meanwhile.
        Ok(Some(Shaken { stream, identity, peer, pass })) => {
            let wire = SocketWire::owned(peer);
            let socket = Socket::Wrapped(Box::new(Wrapped::new(stream, identity, judge, pass)));
            tokio::spawn(Task::new(&shared, socket, wire, peer, place));
        }
        Err(failed) => tell(&door, peer, &failed),
    }
}

async fn shake(
    arrival: Prepared,
    mut peer: Peer,
    door: &Door,
    shared: &Shared,
    crossing: &Crossing,
) -> Result<Option<Shaken>, Failed> {
    let mut stream = match arrival {
        Prepared::Stream(stream) => stream,
        Prepared::Quic(arrival) => return shake_quic(arrival, peer, door, crossing).await,
    };
    let mut proxied = None;
    // Who may be asked whom it forwards for. Behind a header that names nobody it is a client, whoever has connected.
    let mut speaker = peer.ip();
    if let Some(proxy) = &door.proxy {
        let failed = |why| Failed { what: "PROXY protocol", why };
        match pass_proxy(&mut stream, peer, proxy).await.map_err(failed)? {
            None => return Ok(None),
            Some(Proxied { client, common_name }) => {
                if let Some(client) = client {
                    door.arrive_by_proxy(client.ip(), shared).map_err(failed)?;
                }
                peer = client.map_or(peer, Peer::Socket);
                speaker = client.map(|client| client.ip());
                proxied = common_name.map(Arc::from);
            }
        }
    }
    let mut pass = None;
    if door.tls.is_some() || door.upgrade.is_some() {
        pass = may_begin(&mut stream, crossing).await?;
        if pass.is_none() {
            return Ok(None);
        }
    }
    let (mut stream, identity) = match (&door.tls, stream) {
        (Some(tls), Stream::Tcp(stream)) => {
            let failed = |why| Failed { what: "TLS", why };
            let accepted = crossing.turnstile.run(tls.acceptor.accept(stream)).await.map_err(failed)?;
            identified(accepted, door.identity).map_err(failed)?
        }
        // The configuration lets nobody speak TLS over anything but TCP.
        (_, stream) => (stream, proxied.filter(|_| door.identity.is_some())),
    };
    if let Some(rules) = &door.upgrade {
        let accepted = ws::accept(stream, rules, speaker).await;
        let ws::Accepted { stream: socket, client } =
            accepted.map_err(|why| Failed { what: "WebSocket", why })?;
        stream = socket;
        if let Some(client) = client {
            door.arrive_by_proxy(client, shared).map_err(|why| Failed { what: "WebSocket", why })?;
        }
        peer = client.map_or(peer, Peer::Host);
    }
    Ok(Some(Shaken { stream, identity, peer, pass }))
}

/// Waits until the handshake may begin; nothing, if there is none to be made. Until the client has spoken it costs nobody
/// anything and waits for itself alone.
async fn may_begin(stream: &mut Stream, crossing: &Crossing) -> Result<Option<Pass>, Failed> {
    let failed = |why| Failed { what: "handshake", why };
    let returns = stream.first_words().await.map_err(failed)?;
    let Some(entered) = crossing.gate.enter(returns).await else {
        count(Count::LineFull);
        return Ok(None);
    };
    if entered.has_waited && stream.is_given_up().await.map_err(failed)? {
        count(Count::GivenUp);
        return Ok(None);
    }
    Ok(Some(entered.pass))
}

fn count(count: Count) {
    with_bench(|bench| bench.turn.count(count, 1));
}

/// QUIC is all that comes before MQTT.
async fn shake_quic(
    arrival: QuicArrival,
    peer: Peer,
    door: &Door,
    crossing: &Crossing,
) -> Result<Option<Shaken>, Failed> {
    let failed = |why| Failed { what: "QUIC", why };
    let none =
        || failed(io::Error::new(io::ErrorKind::InvalidInput, "the listener has no certificates any more"));
    let tls = door.tls.as_ref().ok_or_else(none)?;
    // Its first packet is here: it has spoken.
    let Some(Entered { pass, .. }) = crossing.gate.enter(false).await else {
        count(Count::LineFull);
        return Ok(None);
    };
    let accepted = crossing.turnstile.run(arrival.accept(&tls.acceptor)).await.map_err(failed)?;
    let (stream, identity) = identified(accepted, door.identity).map_err(failed)?;
    Ok(Some(Shaken { stream, identity, peer, pass: Some(pass) }))
}

/// Hears from a proxy whose connection this is; nothing, if it has closed at once.
async fn pass_proxy(stream: &mut Stream, peer: Peer, proxy: &DoorProxy) -> io::Result<Option<Proxied>> {
    // Whoever may connect to a Unix socket is a proxy there: the file says who may.
    if peer.ip().is_some_and(|address| !proxy.trusted.contain(address)) {
        return Err(io::Error::other("whoever connects is none of the proxies (proxy_trusted)"));
    }
    let Some(mut proxied) = read_proxied(stream).await? else { return Ok(None) };
    if proxy.needs_certificate && proxied.common_name.is_none() {
        return Err(io::Error::other("the client has shown the proxy no certificate that it found good"));
    }
    proxied.common_name = proxied.common_name.filter(|_| proxy.asks_certificate);
    Ok(Some(proxied))
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
fn tell(door: &Door, address: Peer, failed: &Failed) {
    with_bench(|bench| {
        bench.begin();
        bench.turn.count(Count::HandshakesFailed, 1);
        let listener = &door.name;
        bench.telling.tell(Kind::Handshake, bench.turn.now.mono, || {
            tracing::info!(%address, %listener, "{failed}");
        });
        bench.finish();
    });
}
