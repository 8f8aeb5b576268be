//! The last packet, where there is a word for it.

use whimbrel_proto::{
    Millis,
    codec::{Connect, Packet, ReasonCode, Version},
    server::{Connection, Limits, farewell},
};

use super::{asks, open_with, told, violation};

/// A connection whose CONNECT has come and is not yet decided on.
fn deciding(connect: &Connect<'_>) -> Connection {
    let mut connection = Connection::new(&Limits::default(), Millis(0));
    assert_eq!(
        violation(&mut connection, &Packet::Connect(*connect), connect.version, &Limits::default()),
        None
    );
    connection
}

/// What the client is told, in a word.
fn words(connection: &Connection, reason: ReasonCode, text: Option<&str>) -> String {
    let mut out = Vec::new();
    farewell(connection, reason, text, &mut out);
    // A CONNACK to who speaks no version that we know has the form of 3.1.1.
    match told(&out, connection.version()) {
        None => "nothing".to_owned(),
        Some(Packet::ConnAck(ack)) => {
            format!("CONNACK {:?}{}", ack.reason, said(ack.properties.reason_string))
        }
        Some(Packet::Disconnect(packet)) => {
            format!("DISCONNECT {:?}{}", packet.reason, said(packet.reason_string))
        }
        Some(other) => panic!("{other:?}"),
    }
}

fn said(text: Option<&str>) -> String {
    text.map(|text| format!(" {text}")).unwrap_or_default()
}

#[test]
fn v5_3_14_0_1_connack_before_and_disconnect_after() {
    let connect = asks(Version::V5);
    let check = |reason, text, before: &str, after: &str| {
        assert_eq!(words(&deciding(&connect), reason, text), before);
        assert_eq!(words(&open_with(&connect, &Limits::default()), reason, text), after);
    };
    check(ReasonCode::ServerBusy, None, "CONNACK ServerBusy", "DISCONNECT ServerBusy");
    check(
        ReasonCode::QuotaExceeded,
        Some("why"),
        "CONNACK QuotaExceeded why",
        "DISCONNECT QuotaExceeded why",
    );
    // CONNACK has no such code.
    check(ReasonCode::KeepAliveTimeout, None, "CONNACK ProtocolError", "DISCONNECT KeepAliveTimeout");
}

#[test]
fn v311_a_return_code_where_one_fits_and_nothing_else() {
    for version in [Version::V31, Version::V311] {
        let connect = asks(version);
        let check = |reason, before: &str| {
            assert_eq!(words(&deciding(&connect), reason, Some("why")), before);
            assert_eq!(words(&open_with(&connect, &Limits::default()), reason, Some("why")), "nothing");
        };
        check(ReasonCode::ServerBusy, "CONNACK ServerUnavailable");
        check(ReasonCode::ClientIdNotValid, "CONNACK ClientIdNotValid");
        check(ReasonCode::NotAuthorized, "CONNACK NotAuthorized");
        check(ReasonCode::ProtocolError, "nothing");
        check(ReasonCode::KeepAliveTimeout, "nothing");
    }
}

#[test]
fn v311_3_1_2_2_who_speaks_an_unknown_version_is_told_so_and_who_speaks_none_is_not() {
    let connection = Connection::new(&Limits::default(), Millis(0));
    let version = ReasonCode::UnsupportedProtocolVersion;
    assert_eq!(words(&connection, version, None), "CONNACK UnsupportedProtocolVersion");
    assert_eq!(words(&connection, ReasonCode::ProtocolError, None), "nothing");
    assert_eq!(words(&connection, ReasonCode::ServerBusy, None), "nothing");
}

#[test]
fn v5_a_connect_that_breaks_a_rule_after_its_version_is_answered() {
    let limits = Limits { user_properties_max: 0, ..Limits::default() };
    let mut connect = asks(Version::V5);
    connect.properties.user_properties = whimbrel_proto::codec::UserProperties::from_pairs(&[("a", "1")]);
    let mut connection = Connection::new(&limits, Millis(0));
    assert!(violation(&mut connection, &Packet::Connect(connect), Version::V5, &limits).is_some());
    assert_eq!(words(&connection, ReasonCode::QuotaExceeded, None), "CONNACK QuotaExceeded");
}

#[test]
fn v5_3_2_2_19_and_3_14_2_3_the_text_and_then_the_packet_give_way_to_the_size_that_is_taken() {
    for is_open in [false, true] {
        let connection = |packet_size_max| {
            let mut connect = asks(Version::V5);
            connect.properties.packet_size_max = Some(packet_size_max);
            if is_open { open_with(&connect, &Limits::default()) } else { deciding(&connect) }
        };
        let mut with = Vec::new();
        farewell(&connection(1_000), ReasonCode::ServerBusy, Some("why"), &mut with);
        let mut without = Vec::new();
        farewell(&connection(1_000), ReasonCode::ServerBusy, None, &mut without);
        let check = |packet_size_max: usize, expect: &[u8]| {
            let mut out = Vec::new();
            farewell(&connection(packet_size_max as u32), ReasonCode::ServerBusy, Some("why"), &mut out);
            assert_eq!(out, expect, "{packet_size_max}");
        };
        check(with.len(), &with);
        check(with.len() - 1, &without);
        check(without.len(), &without);
        check(without.len() - 1, &[]);
    }
}
