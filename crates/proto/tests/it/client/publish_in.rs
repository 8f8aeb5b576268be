//! PUBLISH from the server: delivered, acknowledged, and at QoS 2 delivered once.

use whimbrel_proto::{
    Violation,
    client::Session,
    codec::{Malformed, Packet, PacketType::*, Publish, PublishProperties, QoS, ReasonCode, Version},
};

use crate::it::transcript::{Client, accepted, connect, persistent, publish};

const ALL: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn deliver(client: &mut Client, qos: QoS, packet_id: u16) -> Vec<String> {
    client.receive(Packet::Publish(publish(qos, packet_id, "t")))
}

fn again(client: &mut Client, qos: QoS, packet_id: u16) -> Vec<String> {
    client.receive(Packet::Publish(Publish { dup: true, ..publish(qos, packet_id, "t") }))
}

#[test]
fn v5_4_5_0_2_a_message_is_acknowledged_once_the_application_has_taken_it() {
    acknowledged_once_taken(&[Version::V5]);
}

#[test]
fn v311_4_5_0_2_a_message_is_acknowledged_once_the_application_has_taken_it() {
    acknowledged_once_taken(&[Version::V31, Version::V311]);
}

fn acknowledged_once_taken(versions: &[Version]) {
    for &version in versions {
        let mut client = Client::open(version);
        assert_eq!(deliver(&mut client, QoS::AtMostOnce, 0), ["= message q0 `t`"]);
        assert!(client.acks.is_empty());
        assert_eq!(deliver(&mut client, QoS::AtLeastOnce, 5), ["= message q1 `t`"]);
        assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBACK #5"]);
        assert_eq!(deliver(&mut client, QoS::ExactlyOnce, 6), ["= message q2 `t`"]);
        assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBREC #6"]);
        assert_eq!(client.receive_ack(PubRel, 6, ReasonCode::Success), ["> PUBCOMP #6"]);
    }
}

#[test]
fn v5_4_3_2_5_after_puback_the_identifier_is_a_new_message_whatever_dup_says() {
    let mut client = Client::open(Version::V5);
    deliver(&mut client, QoS::AtLeastOnce, 5);
    client.acknowledge(0, ReasonCode::Success);
    assert_eq!(again(&mut client, QoS::AtLeastOnce, 5), ["= message q1 dup `t`"]);
}

#[test]
fn v5_4_3_3_10_until_pubrel_the_same_identifier_is_acknowledged_and_not_delivered() {
    for version in ALL {
        let mut client = Client::open(version);
        deliver(&mut client, QoS::ExactlyOnce, 5);
        client.acknowledge(0, ReasonCode::Success);
        assert_eq!(again(&mut client, QoS::ExactlyOnce, 5), ["> PUBREC #5"]);
        assert_eq!(client.receive_ack(PubRel, 5, ReasonCode::Success), ["> PUBCOMP #5"]);
    }
}

#[test]
fn v5_4_3_3_10_a_message_that_the_application_still_holds_is_not_delivered_again_either() {
    let mut client = Client::open(Version::V311);
    deliver(&mut client, QoS::ExactlyOnce, 5);
    assert!(again(&mut client, QoS::ExactlyOnce, 5).is_empty());
    // One answer of the application for each PUBLISH of the server: the first now, the second when it asks again.
    assert_eq!(client.acknowledge(0, ReasonCode::Success), ["> PUBREC #5", "> PUBREC #5"]);
    assert_eq!(again(&mut client, QoS::ExactlyOnce, 5), ["> PUBREC #5"]);
}

#[test]
fn v5_4_3_3_12_after_pubcomp_the_identifier_is_a_new_message() {
    for version in ALL {
        let mut client = Client::open(version);
        deliver(&mut client, QoS::ExactlyOnce, 5);
        client.acknowledge(0, ReasonCode::Success);
        client.receive_ack(PubRel, 5, ReasonCode::Success);
        assert_eq!(again(&mut client, QoS::ExactlyOnce, 5), ["= message q2 dup `t`"]);
    }
}

#[test]
fn v5_4_3_3_9_after_pubrec_with_an_error_the_identifier_is_a_new_message() {
    let mut client = Client::open(Version::V5);
    deliver(&mut client, QoS::ExactlyOnce, 5);
    assert_eq!(client.acknowledge(0, ReasonCode::QuotaExceeded), ["> PUBREC #5 QuotaExceeded"]);
    assert_eq!(deliver(&mut client, QoS::ExactlyOnce, 5), ["= message q2 `t`"]);
}

#[test]
fn v5_4_3_3_11_every_pubrel_is_answered_by_pubcomp() {
    let mut client = Client::open(Version::V5);
    let lines = client.receive_ack(PubRel, 9, ReasonCode::Success);
    assert_eq!(lines, ["= stray PubRel #9", "> PUBCOMP #9 PacketIdNotFound"]);
    let mut client = Client::open(Version::V311);
    let lines = client.receive_ack(PubRel, 9, ReasonCode::Success);
    assert_eq!(lines, ["= stray PubRel #9", "> PUBCOMP #9"]);
}

#[test]
fn v311_a_refusal_has_no_word_and_is_an_acknowledgement() {
    let mut client = Client::open(Version::V311);
    deliver(&mut client, QoS::ExactlyOnce, 5);
    assert_eq!(client.acknowledge(0, ReasonCode::QuotaExceeded), ["> PUBREC #5"]);
    assert_eq!(again(&mut client, QoS::ExactlyOnce, 5), ["> PUBREC #5"]);
}

#[test]
fn v5_3_3_4_9_a_server_that_exceeds_our_receive_maximum_breaks_the_protocol() {
    let mut asked = connect(Version::V5);
    asked.properties.receive_maximum = Some(2);
    let mut client = Client::start(&asked, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::AtLeastOnce, 1);
    deliver(&mut client, QoS::ExactlyOnce, 2);
    let third = Packet::Publish(publish(QoS::AtLeastOnce, 3, "t"));
    // PUBACK makes room; PUBREC does not, PUBCOMP does.
    client.acknowledge(0, ReasonCode::Success);
    deliver(&mut client, QoS::AtLeastOnce, 3);
    client.acknowledge(0, ReasonCode::Success);
    client.acknowledge(0, ReasonCode::Success);
    deliver(&mut client, QoS::AtLeastOnce, 4);
    assert_eq!(client.try_receive(third), Err(Violation::ReceiveMaximumExceeded));
    let mut client = Client::start(&asked, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::ExactlyOnce, 1);
    deliver(&mut client, QoS::ExactlyOnce, 2);
    client.acknowledge(0, ReasonCode::Success);
    client.receive_ack(PubRel, 1, ReasonCode::Success);
    assert!(client.try_receive(third).is_ok());
}

fn aliased(topic: &'static str, alias: u16) -> Packet<'static> {
    let properties = PublishProperties { topic_alias: Some(alias), ..PublishProperties::default() };
    Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce, 0, topic) })
}

#[test]
fn v5_3_3_2_10_every_alias_up_to_our_maximum_is_accepted() {
    let mut asked = connect(Version::V5);
    asked.properties.topic_alias_max = Some(3);
    let mut client = Client::start(&asked, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    for (topic, alias) in [("a", 1), ("b", 3), ("c", 2)] {
        client.receive(aliased(topic, alias));
    }
    for (topic, alias) in [("a", 1), ("b", 3), ("c", 2)] {
        assert_eq!(client.receive(aliased("", alias)), [format!("= message q0 `{topic}`")]);
    }
    client.receive(aliased("d", 3));
    assert_eq!(client.receive(aliased("", 3)), ["= message q0 `d`"]);
    assert_eq!(client.try_receive(aliased("e", 4)), Err(Violation::TopicAliasTooHigh));
}

#[test]
fn an_alias_that_was_never_set_breaks_the_protocol() {
    let mut asked = connect(Version::V5);
    asked.properties.topic_alias_max = Some(3);
    let mut client = Client::start(&asked, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    assert_eq!(client.try_receive(aliased("", 1)), Err(Violation::TopicAliasUnknown));
}

#[test]
fn v5_3_1_2_26_without_a_maximum_no_alias_is_allowed() {
    let mut client = Client::open(Version::V5);
    assert_eq!(client.try_receive(aliased("t", 1)), Err(Violation::TopicAliasTooHigh));
}

#[test]
fn an_alias_in_a_message_that_is_not_delivered_again_counts() {
    let mut asked = connect(Version::V5);
    asked.properties.topic_alias_max = Some(3);
    let mut client = Client::start(&asked, Session::default());
    client.receive(Packet::ConnAck(accepted(false)));
    deliver(&mut client, QoS::ExactlyOnce, 5);
    client.acknowledge(0, ReasonCode::Success);
    let properties = PublishProperties { topic_alias: Some(1), ..PublishProperties::default() };
    client.receive(Packet::Publish(Publish { properties, ..publish(QoS::ExactlyOnce, 5, "t") }));
    assert_eq!(client.receive(aliased("", 1)), ["= message q0 `t`"]);
}

#[test]
fn v5_3_3_1_4_qos_3_and_wildcards_are_malformed() {
    let mut client = Client::open(Version::V311);
    let qos3 = client.receive_bytes(&[0x36, 5, 0, 1, b't', 0, 1]);
    assert_eq!(qos3, Err(Violation::Malformed(Malformed::PublishQoS3)));
    let wildcard = client.receive_bytes(&[0x30, 3, 0, 1, b'+']);
    assert_eq!(wildcard, Err(Violation::Malformed(Malformed::TopicWildcard)));
}

#[test]
fn packets_that_only_a_client_sends_break_the_protocol() {
    for bytes in [&[0xc0, 0][..], &[0x82, 6, 0, 1, 0, 1, b'a', 0], &[0xa2, 5, 0, 1, 0, 1, b'a']] {
        let mut client = Client::open(Version::V311);
        assert!(client.receive_bytes(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn v5_4_9_a_pubrel_of_an_earlier_connection_gives_nothing_of_the_quota_back() {
    for sent_again in [false, true] {
        let mut asked = persistent(Version::V5);
        asked.properties.receive_maximum = Some(2);
        let mut client = Client::start(&asked, Session::default());
        client.receive(Packet::ConnAck(accepted(false)));
        deliver(&mut client, QoS::ExactlyOnce, 1);
        client.acknowledge(0, ReasonCode::Success);
        let mut client = Client::start(&asked, client.lose());
        client.receive(Packet::ConnAck(accepted(true)));
        if sent_again {
            assert_eq!(again(&mut client, QoS::ExactlyOnce, 1), ["> PUBREC #1"]);
        }
        client.receive_ack(PubRel, 1, ReasonCode::Success);
        client.receive_ack(PubRel, 1, ReasonCode::Success); // Of no message at all.
        deliver(&mut client, QoS::AtLeastOnce, 2);
        deliver(&mut client, QoS::AtLeastOnce, 3);
        let third = Packet::Publish(publish(QoS::AtLeastOnce, 4, "t"));
        assert_eq!(client.try_receive(third), Err(Violation::ReceiveMaximumExceeded));
    }
}
