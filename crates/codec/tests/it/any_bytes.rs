//! Any bytes: nothing panics, and what is accepted is stable.

use proptest::collection::vec;
use proptest::prelude::*;
use whimbrel_codec::{
    Connect, Filter, Frame, Malformed, Packet, PacketType, Peer, PublishProperties, Split, Version,
    check_topic_name, is_mqtt_utf8, split,
};

use super::draw::pool;
use super::round_trip::for_each_packet;
use super::wire::{NO_LIMIT, VERSIONS, encode};

/// Decodes by every version, from both sides. What is accepted must encode to a packet that reads the same.
fn decode_by_all(frame: Frame<'_>) {
    for version in VERSIONS {
        for from in [Peer::Client, Peer::Server] {
            match Packet::decode(frame, version, from) {
                Ok(packet) => stable(&packet, version, from),
                Err(malformed) => named(malformed, version),
            }
        }
    }
}

fn stable(packet: &Packet<'_>, version: Version, from: Peer) {
    let again = encode(packet, version);
    let Ok(Split::Whole { frame, len }) = split(&again, NO_LIMIT) else { panic!("no frame: {packet:?}") };
    assert_eq!(len, again.len());
    assert_eq!(Packet::decode(frame, version, from).as_ref(), Ok(packet));
    if let Packet::Subscribe(subscribe) = packet {
        assert!(subscribe.filters.iter().all(|(filter, _)| Filter::parse(filter).is_ok()));
        assert!(subscribe.filters.count() > 0);
    }
    if let Packet::Publish(publish) = packet {
        assert!(publish.topic.is_empty() || check_topic_name(publish.topic).is_ok());
        assert!(publish.properties.response_topic.is_none_or(|topic| check_topic_name(topic).is_ok()));
    }
}

fn named(malformed: Malformed, version: Version) {
    assert!(!malformed.statement(version).is_empty());
    assert!(malformed.reason().is_error());
    assert!(!malformed.to_string().is_empty());
}

/// Bytes that often are short lengths, identifiers and letters, so that more than the first check is reached.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0_u8..8, 2 => 0_u8..0x30, 2 => 0x20_u8..0x7f, 1 => any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn split_never_panics(input in vec(any::<u8>(), 0..20), size_max in any::<u32>()) {
        match split(&input, size_max) {
            Ok(Split::Whole { frame, len }) => {
                prop_assert!(len <= input.len() && len <= size_max as usize);
                prop_assert!(frame.body.len() < len);
                decode_by_all(frame);
            }
            Ok(Split::More { at_least }) => prop_assert!(at_least > input.len()),
            Err(malformed) => named(malformed, Version::V5),
        }
    }

    #[test]
    fn decode_never_panics(kind in 1_u8..16, flags in any::<u8>(), body in vec(byte(), 0..60)) {
        let kind = PacketType::from_bits(kind).unwrap();
        // Flags that `split` would have refused, too.
        decode_by_all(Frame { kind, flags, body: &body });
        let plain = match kind {
            PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
            _ => 0,
        };
        decode_by_all(Frame { kind, flags: plain, body: &body });
    }

    #[test]
    fn a_connect_with_any_rest_never_panics(
        version in 0..3_usize,
        flags in any::<u8>(),
        rest in vec(byte(), 0..60),
    ) {
        let version = VERSIONS[version];
        let name = version.protocol_name().as_bytes();
        let body = [&[0, name.len() as u8], name, &[version.level(), flags, 0, 0], &rest].concat();
        let frame = Frame { kind: PacketType::Connect, flags: 0, body: &body };
        prop_assert_eq!(Connect::version_of(frame), Ok(version));
        decode_by_all(frame);
    }

    #[test]
    fn a_forwarded_block_of_any_bytes_reads_as_something(block in vec(byte(), 0..40)) {
        let read = PublishProperties::from_forwarded(&block);
        let mut forwarded = Vec::new();
        read.forwarded(&mut forwarded);
        prop_assert!(forwarded.len() <= block.len());
        prop_assert_eq!(PublishProperties::from_forwarded(&forwarded), read);
    }

    #[test]
    fn utf_8_is_what_std_says_without_null(bytes in vec(prop_oneof![byte(), 0x80_u8..0xf8], 0..12)) {
        let expect = std::str::from_utf8(&bytes).is_ok_and(|string| !string.contains('\0'));
        prop_assert_eq!(is_mqtt_utf8(&bytes), expect);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_packet_with_a_byte_changed_never_panics(pool in pool(), at in any::<usize>(), to in byte()) {
        for_each_packet(&pool, |_, _, _, wire| {
            let mut wire = wire.to_vec();
            let at = at % wire.len();
            wire[at] = to;
            if let Ok(Split::Whole { frame, .. }) = split(&wire, NO_LIMIT) {
                decode_by_all(frame);
            }
        });
    }

    #[test]
    fn a_body_cut_short_never_panics(pool in pool(), at in any::<usize>()) {
        for_each_packet(&pool, |_, _, _, wire| {
            let Ok(Split::Whole { frame, .. }) = split(wire, NO_LIMIT) else { panic!("no frame") };
            let len = at % (frame.body.len() + 1);
            decode_by_all(Frame { body: &frame.body[..len], ..frame });
        });
    }
}
