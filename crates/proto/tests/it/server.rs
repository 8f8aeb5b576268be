//! The server's machine alone, one connection at a time.

use whimbrel_proto::{
    Millis, Violation,
    codec::{Connect, Frame, Packet, PacketType, Peer, Split, Version, split},
    server::{Connection, Limits, farewell, negotiate},
};

/// A CONNECT of 5.0 has been accepted.
fn open(limits: &Limits) -> Connection {
    let connect = Connect { version: Version::V5, client_id: "c", ..Connect::default() };
    let mut bytes = Vec::new();
    connect.encode(Version::V5, &mut bytes);
    let Ok(Split::Whole { frame, .. }) = split(&bytes, u32::MAX) else { panic!("no frame") };
    let mut connection = Connection::new(limits, Millis(0));
    connection.handle(frame, limits, Millis(0)).expect("a CONNECT");
    connection.accept(&negotiate(&connect, limits).expect("a good CONNECT"), Millis(0));
    connection
}

/// Read as a CONNECT it would be refused with 0x84, which DISCONNECT does not have.
#[test]
fn v5_3_1_0_2_a_second_connect_ends_the_connection_whatever_is_in_it() {
    let limits = Limits::default();
    for body in [&b""[..], b"\x00\x04MQTX\x05\x02\x00\x00\x00\x00\x00", b"\x00\x04MQTT\x09"] {
        let mut connection = open(&limits);
        let frame = Frame { kind: PacketType::Connect, flags: 0, body };
        let violation = connection.handle(frame, &limits, Millis(0)).expect_err("a second CONNECT");
        assert_eq!(violation, Violation::SecondConnect);
        let mut words = Vec::new();
        farewell(&connection, violation.reason(), None, &mut words);
        let Ok(Split::Whole { frame, .. }) = split(&words, u32::MAX) else { panic!("{words:?}") };
        let packet = Packet::decode(frame, Version::V5, Peer::Server);
        assert!(matches!(packet, Ok(Packet::Disconnect(_))), "{packet:?}");
    }
}
