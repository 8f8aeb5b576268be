//! The broker's way out writes what PUBLISH writes.

use whimbrel_codec::Version::V5;
use whimbrel_codec::{PacketId, Publish, PublishHead, PublishProperties, QoS, SubscriptionIds, Version};

use super::wire::VERSIONS;

/// The same packet by both ways.
fn same_by_both_ways(publish: &Publish<'_>, version: Version) {
    let mut expect = Vec::new();
    publish.encode(version, &mut expect);
    let ids: Vec<u32> = publish.properties.subscription_ids.iter().collect();
    let mut forwarded = Vec::new();
    publish.properties.forwarded(&mut forwarded);
    let head = PublishHead {
        dup: publish.dup,
        qos: publish.qos,
        retain: publish.retain,
        topic: publish.topic,
        packet_id: publish.packet_id,
        topic_alias: publish.properties.topic_alias,
        message_expiry_secs: publish.properties.message_expiry_secs,
        subscription_ids: &ids,
        forwarded: &forwarded,
    };
    let mut frame = Vec::new();
    let layout = head.encode(version, publish.payload.len(), &mut frame);
    frame.extend_from_slice(publish.payload);
    assert_eq!(frame, expect);
    assert_eq!(frame.len(), head.frame_len(version, publish.payload.len()));
    assert_eq!(frame.len(), publish.encoded_len(version));
    match (layout.packet_id_at, publish.packet_id.filter(|_| publish.qos != QoS::AtMostOnce)) {
        (Some(at), Some(id)) => assert_eq!(frame[at..at + 2], id.value().to_be_bytes()),
        (at, id) => assert_eq!((at, id), (None, None)),
    }
}

#[test]
fn sizes_around_each_border_of_the_remaining_length() {
    let payload = vec![7; 2_097_160];
    for version in VERSIONS {
        for len in (0..=130).chain(16_360..=16_390).chain(2_097_130..=2_097_160) {
            let publish = Publish {
                qos: QoS::AtLeastOnce,
                topic: "sensors/1/temperature",
                packet_id: PacketId::new(0x1234),
                payload: &payload[..len],
                ..Publish::default()
            };
            same_by_both_ways(&publish, version);
        }
    }
}

#[test]
fn sizes_around_each_border_of_the_property_length() {
    let ids = [1; 9000];
    for count in (0..70).chain(8185..8200) {
        let publish = Publish {
            topic: "t",
            properties: PublishProperties {
                subscription_ids: SubscriptionIds::from_slice(&ids[..count]),
                topic_alias: Some(1),
                ..PublishProperties::default()
            },
            ..Publish::default()
        };
        same_by_both_ways(&publish, V5);
    }
}

#[test]
fn a_topic_that_no_packet_can_carry_is_cut() {
    let topic = "é".repeat(40_000);
    let publish = Publish { topic: &topic, ..Publish::default() };
    for version in VERSIONS {
        same_by_both_ways(&publish, version);
        let mut wire = Vec::new();
        publish.encode(version, &mut wire);
        let Ok(whimbrel_codec::Packet::Publish(read)) =
            super::wire::decode(&wire, version, whimbrel_codec::Peer::Client)
        else {
            panic!("refused")
        };
        assert_eq!(read.topic, "é".repeat(32_767));
    }
}

#[test]
fn a_copied_frame_is_patched_where_the_layout_says() {
    let head =
        PublishHead { qos: QoS::AtLeastOnce, topic: "a", packet_id: PacketId::new(1), ..Default::default() };
    let mut frame = vec![];
    let layout = head.encode(V5, 0, &mut frame);
    let at = layout.packet_id_at.unwrap();
    frame[at..at + 2].copy_from_slice(&[0xab, 0xcd]);
    frame[0] = whimbrel_codec::publish_first_byte(true, QoS::ExactlyOnce, true);
    assert_eq!(frame, super::wire::bytes("3d 06 0001'a' abcd 00"));
}

mod random {
    use proptest::prelude::*;

    use super::super::draw::{Parts, pool};
    use super::*;

    proptest! {
        #[test]
        fn publish_head_equals_publish(pool in pool()) {
            let parts = Parts::new(&pool);
            for version in VERSIONS {
                let publish = parts.draw().publish(version, whimbrel_codec::Peer::Server);
                same_by_both_ways(&publish, version);
            }
        }
    }
}
