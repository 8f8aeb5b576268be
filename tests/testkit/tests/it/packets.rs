//! Bytes to packets and back, and what the decoder refuses.

use whimbrel_testkit::{
    Ack, ConnAck, Disconnect, Packet, Properties, Property, QoS1, QoS2, Sender, SubAck, Subscribe,
    Unsubscribe, Version, decode, hex, publish, v5, v31, v311, will,
};

fn there_and_back(packet: Packet, version: Version, from: Sender) {
    let bytes = packet.encode(version);
    assert_eq!(decode(&bytes, version, from), Ok(Some((packet, bytes.len()))));
    let mut part = bytes.clone();
    while part.pop().is_some() {
        assert_eq!(decode(&part, version, from), Ok(None), "a part of {bytes:02x?}");
    }
}

#[test]
fn packets_survive_the_wire() {
    use Sender::{Client, Server};
    let why =
        || Properties(vec![Property::ReasonString("why".into()), Property::User("n".into(), "v".into())]);
    let whole = v5("id")
        .keep_alive(7)
        .expiry(9)
        .receive_maximum(3)
        .packet_size_max(200)
        .alias_max(4)
        .user_name("me")
        .password([0, 255])
        .will(will("w", "gone").qos(QoS2).retain().delay(5));
    for connect in [whole, v311("id").resume().will(will("w", "")), v31("id").user_name("me")] {
        there_and_back(Packet::Connect(Box::new(connect.clone())), connect.version, Client);
    }
    for version in [Version::V31, Version::V311, Version::V5] {
        there_and_back(Packet::Publish(publish("a/b", "x")), version, Server);
        there_and_back(
            Packet::Publish(publish("a/b", vec![0; 300]).at(QoS1, 7).dup().retain()),
            version,
            Client,
        );
        there_and_back(Packet::PubAck(Ack::new(7, 0)), version, Server);
        there_and_back(Packet::PubRel(Ack::new(7, 0)), version, Client);
        there_and_back(Packet::Subscribe(Subscribe::one(7, "a/#", QoS1).and("b", QoS2)), version, Client);
        let filters = vec!["a".into(), "b".into()];
        there_and_back(
            Packet::Unsubscribe(Unsubscribe { id: 7, properties: Properties::none(), filters }),
            version,
            Client,
        );
        there_and_back(
            Packet::SubAck(SubAck { id: 7, properties: Properties::none(), codes: vec![1, 2] }),
            version,
            Server,
        );
        there_and_back(Packet::PingReq, version, Client);
        there_and_back(Packet::PingResp, version, Server);
    }
    for code in [0, 0x10, 0x97] {
        there_and_back(Packet::PubRec(Ack { id: 7, code, properties: why() }), Version::V5, Server);
    }
    there_and_back(Packet::Disconnect(Disconnect { code: 0x8E, properties: why() }), Version::V5, Server);
    let properties = Properties(vec![Property::ReceiveMaximum(9), Property::AssignedClientId("x".into())]);
    there_and_back(
        Packet::ConnAck(ConnAck { session_present: true, code: 0, properties }),
        Version::V5,
        Server,
    );
}

#[test]
fn what_a_server_must_not_send_is_refused() {
    let wrong = [
        (Version::V5, "20 03 02 00 00", "a reserved flag of CONNACK"),
        (Version::V5, "20 03 01 87 00", "session present in a refusal"),
        (Version::V5, "20 03 00 01 00", "a return code of 3.1.1"),
        (Version::V5, "20 02 00 00", "no property length"),
        (Version::V31, "20 02 01 00", "session present in 3.1"),
        (Version::V311, "20 02 00 06", "a reserved return code"),
        (Version::V311, "20 03 00 00 00", "a byte too many"),
        (Version::V5, "21 03 00 00 00", "reserved flags"),
        (Version::V5, "36 06 00 01 61 00 01 00", "QoS 3"),
        (Version::V5, "38 04 00 01 61 00", "DUP at QoS 0"),
        (Version::V5, "32 06 00 01 61 00 00 00", "packet identifier 0"),
        (Version::V5, "30 04 00 01 2b 00", "a wildcard in a topic name"),
        (Version::V5, "30 03 00 00 00", "an empty topic without alias"),
        (Version::V5, "30 07 00 01 61 03 23 00 00", "alias 0"),
        (Version::V5, "30 04 00 01 ff 00", "ill-formed UTF-8"),
        (Version::V5, "30 04 00 01 00 00", "U+0000"),
        (Version::V5, "30 09 00 01 61 05 11 00 00 00 01", "a property of another packet"),
        (Version::V5, "30 08 00 01 61 04 01 00 01 00", "a property twice"),
        (Version::V5, "30 84 00 00 01 61 00", "a length longer than needed"),
        (Version::V5, "40 03 00 01 92", "a reason that PUBACK does not have"),
        (Version::V5, "62 03 00 01 10", "a reason that PUBREL does not have"),
        (Version::V5, "60 02 00 01", "PUBREL without its flag"),
        (Version::V311, "90 03 00 01 87", "a reason of 5.0 in a SUBACK"),
        (Version::V31, "90 03 00 01 80", "a refusal in 3.1"),
        (Version::V5, "90 03 00 01 00", "no code at all"),
        (Version::V5, "e0 01 04", "a client's reason for DISCONNECT"),
        (Version::V5, "e0 07 8e 05 11 00 00 00 01", "a session expiry in a server's DISCONNECT"),
        (Version::V311, "e0 00", "DISCONNECT from a server before 5.0"),
        (Version::V5, "82 06 00 01 00 00 01 61", "a client's packet"),
        (Version::V5, "d0 01 00", "a PINGRESP with a body"),
    ];
    for (version, bytes, what) in wrong {
        let found = decode(&hex(bytes), version, Sender::Server);
        assert!(found.is_err(), "{what} is not refused: {found:?}");
    }
}
