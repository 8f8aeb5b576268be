//! The codec alone: a frame cut off the stream and read, and the head of a delivery written.

use std::hint::black_box;

use whimbrel_codec::{
    Filters, PacketId, Peer, Publish, PublishHead, PublishProperties, QoS, Split, Subscribe,
    SubscribeOptions, UserProperties, Version, split,
};

const TOPIC: &str = "site/4/building/17/room/203/temperature";
const PAYLOAD: [u8; 64] = [b'p'; 64];
const PACKET_BYTES_MAX: u32 = 1 << 20;

pub(crate) fn decode_publish_qos_0(iterations: u32) {
    let publish = Publish { topic: TOPIC, payload: &PAYLOAD, ..Publish::default() };
    decode_publish(&publish, Version::V311, iterations);
}

pub(crate) fn decode_publish_qos_1(iterations: u32) {
    let publish = Publish {
        qos: QoS::AtLeastOnce,
        topic: TOPIC,
        packet_id: PacketId::new(7),
        properties: PublishProperties {
            payload_is_utf8: Some(true),
            message_expiry_secs: Some(3_600),
            response_topic: Some("site/4/answers/17"),
            correlation_data: Some(b"0123456789abcdef"),
            content_type: Some("application/json"),
            user_properties: UserProperties::from_pairs(&[
                ("trace", "4bf92f3577b34da6"),
                ("unit", "celsius"),
            ]),
            ..PublishProperties::default()
        },
        payload: &PAYLOAD,
        ..Publish::default()
    };
    decode_publish(&publish, Version::V5, iterations);
}

fn decode_publish(publish: &Publish<'_>, version: Version, iterations: u32) {
    let mut bytes = Vec::new();
    publish.encode(version, &mut bytes);
    for _ in 0..iterations {
        let Ok(Split::Whole { frame, len }) = split(black_box(&bytes), PACKET_BYTES_MAX) else {
            not_cut_off()
        };
        let decoded = Publish::decode(frame, black_box(version), Peer::Client);
        black_box((decoded.expect("what the codec wrote, it reads"), len));
    }
}

pub(crate) fn encode_publish_head(iterations: u32) {
    let head = PublishHead {
        qos: QoS::AtLeastOnce,
        topic: TOPIC,
        packet_id: PacketId::new(7),
        subscription_ids: &[3],
        ..PublishHead::default()
    };
    let mut bytes = Vec::with_capacity(256);
    for _ in 0..iterations {
        bytes.clear();
        black_box(black_box(&head).encode(black_box(Version::V5), PAYLOAD.len(), &mut bytes));
        black_box(&mut bytes);
    }
}

pub(crate) fn decode_subscribe(iterations: u32) {
    let options = SubscribeOptions::with_qos(QoS::AtLeastOnce);
    let filters = [
        ("site/4/+/17/#", options),
        ("site/+/building/17/room/203/temperature", options),
        ("alarms/#", options),
    ];
    let subscribe = Subscribe {
        packet_id: PacketId::new(7).expect("7 is not 0"),
        subscription_id: Some(3),
        user_properties: UserProperties::default(),
        filters: Filters::from_slice(&filters),
    };
    let mut bytes = Vec::new();
    subscribe.encode(Version::V5, &mut bytes);
    for _ in 0..iterations {
        let Ok(Split::Whole { frame, .. }) = split(black_box(&bytes), PACKET_BYTES_MAX) else {
            not_cut_off()
        };
        let decoded = Subscribe::decode(frame, black_box(Version::V5), Peer::Client);
        let decoded = decoded.expect("what the codec wrote, it reads");
        black_box(decoded.filters.iter().map(|(filter, _)| filter.len()).sum::<usize>());
    }
}

#[expect(clippy::panic, reason = "the operation did not do what it is counted for")]
fn not_cut_off() -> ! {
    panic!("the codec does not cut off what it wrote")
}
