//! The server's machine alone, one connection at a time.

mod auth;
mod farewell;
mod limits;
mod negotiate;
mod packets;
mod time;

use whimbrel_proto::{
    Millis, Violation,
    codec::{Connect, Packet, Peer, Split, Version, split},
    server::{Connection, Event, Limits, negotiate as negotiated},
};

/// A CONNECT with a keep-alive of ten seconds.
fn asks(version: Version) -> Connect<'static> {
    Connect { version, client_id: "c", clean_start: true, keep_alive_secs: 10, ..Connect::default() }
}

/// Gives the machine a packet of a client of this version, and what comes of it to `look`.
fn receive<T>(
    connection: &mut Connection,
    packet: &Packet<'_>,
    version: Version,
    limits: &Limits,
    look: impl FnOnce(Result<Event<'_>, Violation>) -> T,
) -> T {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    let Ok(Split::Whole { frame, .. }) = split(&bytes, u32::MAX) else { panic!("no frame") };
    look(connection.handle(frame, limits, Millis(0)))
}

/// The violation in a packet; none where it is taken.
fn violation(
    connection: &mut Connection,
    packet: &Packet<'_>,
    version: Version,
    limits: &Limits,
) -> Option<Violation> {
    receive(connection, packet, version, limits, |taken| taken.err())
}

/// A connection on which this CONNECT has been accepted.
fn open_with(connect: &Connect<'_>, limits: &Limits) -> Connection {
    let mut connection = Connection::new(limits, Millis(0));
    assert_eq!(violation(&mut connection, &Packet::Connect(*connect), connect.version, limits), None);
    connection.accept(&negotiated(connect, limits).expect("a good CONNECT"), Millis(0));
    connection
}

/// A connection of this version that is open.
fn open(version: Version, limits: &Limits) -> Connection {
    open_with(&asks(version), limits)
}

/// The one packet in these bytes, or none.
fn told(bytes: &[u8], version: Version) -> Option<Packet<'_>> {
    if bytes.is_empty() {
        return None;
    }
    let Ok(Split::Whole { frame, len }) = split(bytes, u32::MAX) else { panic!("{bytes:02x?}") };
    assert_eq!(len, bytes.len(), "one packet");
    Some(Packet::decode(frame, version, Peer::Server).expect("a good packet"))
}
