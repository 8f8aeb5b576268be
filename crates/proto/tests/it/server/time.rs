//! When the server's side rings, and what that means.

use whimbrel_proto::{
    Millis, Violation,
    codec::{Packet, Version},
    server::{Connection, Limits, negotiate},
};

use super::{asks, open, receive, violation};

const ALL: [Version; 3] = [Version::V31, Version::V311, Version::V5];

#[test]
fn v5_section_3_1_4_connect_has_a_time() {
    let limits = Limits { connect_timeout_millis: 7_000, ..Limits::default() };
    let mut connection = Connection::new(&limits, Millis(5));
    assert_eq!(connection.deadline(), Millis(7_005));
    assert_eq!(connection.handle_timeout(Millis(7_004)), Ok(()));
    assert_eq!(connection.handle_timeout(Millis(7_005)), Err(Violation::ConnectTimeout));
    assert_eq!(connection.handle_timeout(Millis(9_000)), Err(Violation::ConnectTimeout));
    let never = Limits { connect_timeout_millis: 0, ..Limits::default() };
    assert_eq!(Connection::new(&never, Millis(5)).deadline(), Millis::NEVER);
}

#[test]
fn while_the_server_decides_the_client_has_nothing_to_do() {
    let limits = Limits::default();
    let mut connection = Connection::new(&limits, Millis(0));
    assert_eq!(violation(&mut connection, &Packet::Connect(asks(Version::V5)), Version::V5, &limits), None);
    assert_eq!(connection.deadline(), Millis::NEVER);
    assert_eq!(connection.handle_timeout(Millis(u64::MAX - 1)), Ok(()));
}

#[test]
fn v5_3_1_2_22_one_and_a_half_times_the_keep_alive() {
    let limits = Limits::default();
    for version in ALL {
        let mut connection = open(version, &limits);
        assert_eq!(connection.deadline(), Millis(15_000));
        assert_eq!(connection.handle_timeout(Millis(14_999)), Ok(()));
        assert_eq!(connection.handle_timeout(Millis(15_000)), Err(Violation::KeepAliveTimeout));
        assert_eq!(connection.handle_timeout(Millis(15_001)), Err(Violation::KeepAliveTimeout));
    }
}

#[test]
fn any_packet_starts_the_keep_alive_anew() {
    let limits = Limits::default();
    let mut connection = open(Version::V5, &limits);
    let connect = asks(Version::V5);
    connection.accept(&negotiate(&connect, &limits).unwrap(), Millis(1_000));
    assert_eq!(connection.deadline(), Millis(16_000));
    // The packets of these tests come at 0.
    receive(&mut connection, &Packet::PingReq, Version::V5, &limits, |taken| assert!(taken.is_ok()));
    assert_eq!(connection.deadline(), Millis(15_000));
}

#[test]
fn moments_saturate() {
    assert_eq!(Millis(1).plus_secs(2), Millis(2_001));
    assert_eq!(Millis::NEVER.plus_secs(1), Millis::NEVER);
    assert_eq!((Millis(9).since(Millis(4)), Millis(4).since(Millis(9))), (5, 0));
    assert_eq!(Millis(1) + u64::MAX, Millis::NEVER);
}
