//! Packets do not end where segments end.

use whimbrel_testkit::{Connect, Packet, QoS, Subscribe, Version, publish};

use super::running::start;

/// CONNECT, SUBSCRIBE, messages to oneself, PINGREQ.
fn conversation(version: Version) -> Vec<u8> {
    [
        Packet::Connect(Box::new(Connect::new(version, "eager"))),
        Packet::Subscribe(Subscribe::one(1, "own/#", QoS::QoS2)),
        Packet::Publish(publish("own/1", "one")),
        Packet::Publish(publish("own/2", "x".repeat(200)).at(QoS::QoS1, 2)),
        Packet::Publish(publish("own/3", "three").at(QoS::QoS2, 3)),
        Packet::PingReq,
    ]
    .into_iter()
    .flat_map(|packet| packet.encode(version))
    .collect()
}

fn kinds(packets: &[Packet]) -> Vec<&'static str> {
    packets.iter().map(Packet::name).collect()
}

/// Writes the conversation in pieces and gives what comes until PINGRESP.
fn answers(version: Version, piece: usize) -> Vec<Packet> {
    let running = start();
    let mut client = running.open(version);
    for bytes in conversation(version).chunks(piece) {
        client.send_bytes(bytes);
    }
    let mut answers = Vec::new();
    loop {
        let packet = client.next().expect("PINGRESP comes before the end");
        let last = packet == Packet::PingResp;
        answers.push(packet);
        if last {
            return answers;
        }
    }
}

#[test]
fn everything_in_one_segment_is_answered_in_order() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let answers = answers(version, usize::MAX);
        let expected = ["CONNACK", "SUBACK", "PUBLISH", "PUBLISH", "PUBACK", "PUBLISH", "PUBREC", "PINGRESP"];
        assert_eq!(kinds(&answers), expected, "{version}");
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_answers() {
    for version in [Version::V31, Version::V311, Version::V5] {
        assert_eq!(answers(version, 1), answers(version, usize::MAX), "{version}");
    }
}
