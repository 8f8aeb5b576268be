//! What a CONNECT gets, and how CONNACK says it.

use whimbrel_proto::{
    codec::{ConnAck, Connect, Packet, QoS, ReasonCode, Version, Will},
    server::{
        Authentication, Limits, Negotiated, Refused,
        connect::{Durability, connack, connack_fits},
        negotiate,
    },
};

use super::{asks, told};

const V5: Version = Version::V5;
const ALL: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn granted(connect: &Connect<'_>, limits: &Limits) -> Negotiated {
    negotiate(connect, limits).expect("a good CONNECT")
}

fn refused(connect: &Connect<'_>, limits: &Limits) -> Option<ReasonCode> {
    negotiate(connect, limits).err().map(|Refused(reason)| reason)
}

/// The bytes of the CONNACK.
fn answer(negotiated: &Negotiated, session_present: bool, limits: &Limits) -> Vec<u8> {
    let mut out = Vec::new();
    connack(negotiated, session_present, None, limits, &mut out);
    out
}

#[test]
fn v5_3_1_2_21_the_keep_alive_of_the_server_takes_the_place_of_a_longer_one() {
    let limits = Limits { keep_alive_secs_max: 20, ..Limits::default() };
    for version in ALL {
        for (asked, is_long) in [(0, true), (1, false), (20, false), (21, true)] {
            let got = granted(&Connect { keep_alive_secs: asked, ..asks(version) }, &limits);
            let is_imposed = is_long && version == V5;
            assert_eq!((got.keep_alive_imposed, got.version), (is_imposed, version));
            assert_eq!(got.keep_alive_secs, if is_imposed { 20 } else { asked }, "{version} {asked}");
            if version == V5 {
                let bytes = answer(&got, false, &limits);
                let Some(Packet::ConnAck(ack)) = told(&bytes, V5) else { panic!("{bytes:02x?}") };
                assert_eq!(ack.properties.server_keep_alive_secs, is_imposed.then_some(20));
            }
        }
    }
}

#[test]
fn a_session_lives_as_long_as_asked_and_at_most_as_long_as_any_may() {
    let limits = Limits { session_expiry_secs_max: 60, ..Limits::default() };
    for (asked, secs, is_capped) in
        [(None, 0, false), (Some(59), 59, false), (Some(60), 60, false), (Some(61), 60, true)]
    {
        let mut connect = asks(V5);
        connect.properties.session_expiry_secs = asked;
        let got = granted(&connect, &limits);
        assert_eq!((got.session_expiry_secs, got.session_expiry_capped), (secs, is_capped));
        let bytes = answer(&got, false, &limits);
        let Some(Packet::ConnAck(ack)) = told(&bytes, V5) else { panic!("{bytes:02x?}") };
        assert_eq!(ack.properties.session_expiry_secs, is_capped.then_some(60));
    }
    for version in [Version::V31, Version::V311] {
        for (clean_start, secs) in [(true, 0), (false, 60)] {
            let got = granted(&Connect { clean_start, ..asks(version) }, &limits);
            assert_eq!(
                (got.session_expiry_secs, got.session_expiry_capped, got.clean_start),
                (secs, false, clean_start)
            );
        }
    }
}

#[test]
fn what_the_client_allows_holds_below_the_own_limits() {
    let limits = Limits { inflight_max: 10, topic_aliases_out_max: 10, ..Limits::default() };
    for (allowed, most) in [(9, 9), (10, 10), (11, 10)] {
        let mut connect = asks(V5);
        connect.properties.receive_maximum = Some(allowed);
        connect.properties.topic_alias_max = Some(allowed);
        connect.properties.packet_size_max = Some(u32::from(allowed) * 100);
        let got = granted(&connect, &limits);
        assert_eq!((got.receive_maximum, got.topic_aliases_max), (most, most));
        assert_eq!(got.packet_bytes_max, u32::from(allowed) * 100);
    }
    let got = granted(&asks(V5), &limits);
    assert_eq!((got.receive_maximum, got.topic_aliases_max, got.packet_bytes_max), (10, 0, u32::MAX));
}

#[test]
fn client_identifiers_by_version() {
    let limits = Limits { topic_bytes_max: 30, ..Limits::default() };
    let strict = Limits { client_id_31_strict: true, ..limits.clone() };
    let wrong = Some(ReasonCode::ClientIdNotValid);
    let check = |version, id: &str, clean_start, limits: &Limits, expect| {
        let connect = Connect { client_id: id, clean_start, ..asks(version) };
        assert_eq!(refused(&connect, limits), expect, "{version} {id:?} {clean_start}");
    };
    // [MQTT-3.1.3-6] of 5.0: the server assigns one.
    check(V5, "", false, &limits, None);
    check(V5, "", true, &limits, None);
    // [MQTT-3.1.3-8] of 3.1.1.
    check(Version::V311, "", true, &limits, None);
    check(Version::V311, "", false, &limits, wrong);
    check(Version::V311, "c", false, &limits, None);
    check(Version::V31, "", true, &limits, wrong);
    let [short, long] = [23, 24].map(|length| "é".repeat(length));
    let roomy = Limits { topic_bytes_max: 100, ..strict.clone() };
    check(Version::V31, &short, true, &roomy, None);
    check(Version::V31, &long, true, &roomy, wrong);
    check(Version::V31, &long, true, &Limits { client_id_31_strict: false, ..roomy.clone() }, None);
    check(Version::V311, &long, true, &roomy, None);
    for version in ALL {
        check(version, &"c".repeat(30), true, &limits, None);
        check(version, &"c".repeat(31), true, &limits, wrong);
        check(version, &"c".repeat(32), true, &limits, wrong);
    }
}

#[test]
fn v5_3_2_2_12_and_13_a_will_that_the_server_does_not_take() {
    let limits = Limits { qos_max: QoS::AtLeastOnce, retain_available: false, ..Limits::default() };
    let check = |qos, retain, limits: &Limits, expect| {
        let will = Some(Will { topic: "w", qos, retain, ..Will::default() });
        assert_eq!(refused(&Connect { will, ..asks(V5) }, limits), expect);
    };
    check(QoS::AtLeastOnce, false, &limits, None);
    check(QoS::ExactlyOnce, false, &limits, Some(ReasonCode::QoSNotSupported));
    check(QoS::AtMostOnce, true, &limits, Some(ReasonCode::RetainNotSupported));
    check(QoS::ExactlyOnce, true, &Limits::default(), None);
}

#[test]
fn v5_4_12_0_5_and_6_connack_repeats_the_method_of_connect_and_carries_its_last_data() {
    let limits = Limits::default();
    let mut connect = asks(V5);
    assert_eq!(granted(&connect, &limits).authentication, None);
    connect.properties.authentication_method = Some("m");
    let mut negotiated = granted(&connect, &limits);
    let authentication = Authentication { method: "m".into(), data: None };
    assert_eq!(negotiated.authentication.as_deref(), Some(&authentication));
    for data in [None, Some(&b"proof"[..])] {
        let authentication = Authentication { method: "m".into(), data: data.map(Box::from) };
        negotiated.authentication = Some(Box::new(authentication));
        let mut out = Vec::new();
        connack(&negotiated, false, None, &limits, &mut out);
        let Some(Packet::ConnAck(told)) = told(&out, V5) else { panic!("no CONNACK") };
        let properties = told.properties;
        assert_eq!((properties.authentication_method, properties.authentication_data), (Some("m"), data));
    }
}

#[test]
fn v5_section_3_2_2_3_connack_tells_what_there_is() {
    let all = Limits::default();
    let few = Limits {
        qos_max: QoS::AtLeastOnce,
        retain_available: false,
        wildcard_available: false,
        subscription_ids_available: false,
        shared_available: false,
        ..Limits::default()
    };
    for (limits, qos_max, available) in [(&all, None, None), (&few, Some(QoS::AtLeastOnce), Some(false))] {
        let bytes = answer(&granted(&asks(V5), limits), true, limits);
        let Some(Packet::ConnAck(ConnAck { session_present, reason, properties })) = told(&bytes, V5) else {
            panic!("{bytes:02x?}")
        };
        assert_eq!((session_present, reason, properties.qos_max), (true, ReasonCode::Success, qos_max));
        assert_eq!(properties.receive_maximum, Some(limits.receive_maximum));
        assert_eq!(properties.topic_alias_max, Some(limits.topic_aliases_in_max));
        assert_eq!(properties.packet_size_max, Some(limits.packet_bytes_max));
        for told in [
            properties.retain_available,
            properties.wildcard_available,
            properties.subscription_ids_available,
            properties.shared_available,
        ] {
            assert_eq!(told, available);
        }
    }
}

#[test]
fn v31_connack_has_no_session_present() {
    let limits = Limits::default();
    for (version, bytes) in [(Version::V31, [0x20, 2, 0, 0]), (Version::V311, [0x20, 2, 1, 0])] {
        assert_eq!(answer(&granted(&asks(version), &limits), true, &limits), bytes);
        assert_eq!(answer(&granted(&asks(version), &limits), false, &limits), [0x20, 2, 0, 0]);
    }
}

#[test]
fn the_worth_of_an_acknowledgement_is_a_user_property() {
    for (durability, word) in
        [(Durability::Memory, "memory"), (Durability::Process, "process"), (Durability::Power, "power")]
    {
        let negotiated =
            Negotiated { durability: Some(durability), ..granted(&asks(V5), &Limits::default()) };
        let bytes = answer(&negotiated, false, &Limits::default());
        let Some(Packet::ConnAck(ack)) = told(&bytes, V5) else { panic!("{bytes:02x?}") };
        let pairs: Vec<_> = ack.properties.user_properties.iter().collect();
        assert_eq!(pairs, [("whimbrel-durability", word)]);
    }
}

/// Each byte less takes away what is least missed, until what is left is what must be said.
#[test]
fn v5_3_1_2_24_connack_is_no_larger_than_the_client_takes() {
    let limits = Limits {
        wildcard_available: false,
        subscription_ids_available: false,
        shared_available: false,
        ..Limits::default()
    };
    let durability = Some(Durability::Power);
    let full = Negotiated { durability, ..granted(&asks(V5), &limits) };
    let mut largest = answer(&full, false, &limits).len();
    let mut lengths = vec![largest];
    loop {
        let negotiated = Negotiated { packet_bytes_max: largest as u32 - 1, ..full.clone() };
        let bytes = answer(&negotiated, false, &limits);
        let fits = bytes.len() < largest;
        assert_eq!(connack_fits(&negotiated, None, &limits), fits);
        if !fits {
            break;
        }
        largest = bytes.len();
        lengths.push(largest);
        let exact = Negotiated { packet_bytes_max: largest as u32, ..full.clone() };
        assert!(connack_fits(&exact, None, &limits));
    }
    // The word of durability, the alias maximum, three bits of what is available, the packet size.
    let sizes: Vec<usize> = lengths.windows(2).map(|pair| pair[0] - pair[1]).collect();
    assert_eq!(sizes, [29, 3, 2, 2, 2, 5]);
    let negotiated = Negotiated { packet_bytes_max: largest as u32, ..full };
    let bytes = answer(&negotiated, false, &limits);
    let Some(Packet::ConnAck(ack)) = told(&bytes, V5) else { panic!("{bytes:02x?}") };
    assert_eq!(ack.properties.receive_maximum, Some(limits.receive_maximum), "what must be said is said");
    assert!(ack.properties.user_properties.is_empty() && ack.properties.packet_size_max.is_none());
}

#[test]
fn v5_3_2_2_16_the_identifier_that_the_server_made_is_told() {
    let limits = Limits::default();
    let negotiated = granted(&Connect { client_id: "", ..asks(V5) }, &limits);
    let mut bytes = Vec::new();
    connack(&negotiated, false, Some("made"), &limits, &mut bytes);
    let Some(Packet::ConnAck(ack)) = told(&bytes, V5) else { panic!("{bytes:02x?}") };
    assert_eq!(ack.properties.assigned_client_id, Some("made"));
}
