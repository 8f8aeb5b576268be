//! Cutting frames off a stream.

use whimbrel_codec::{Frame, Malformed, PacketType, ReasonCode, Split, Version, split};

use super::wire::{NO_LIMIT, bytes};

fn more(at_least: usize) -> Result<Split<'static>, Malformed> {
    Ok(Split::More { at_least })
}

#[test]
fn a_whole_frame_is_cut_off_and_the_next_left() {
    let input = bytes("c000 3003 0001'a' d000");
    let Ok(Split::Whole { frame, len }) = split(&input, NO_LIMIT) else { panic!("no frame") };
    assert_eq!((frame, len), (Frame { kind: PacketType::PingReq, flags: 0, body: &[] }, 2));
    let Ok(Split::Whole { frame, len }) = split(&input[2..], NO_LIMIT) else { panic!("no frame") };
    assert_eq!((frame, len), (Frame { kind: PacketType::Publish, flags: 0, body: b"\x00\x01a" }, 5));
}

#[test]
fn more_says_how_many_bytes_are_needed_in_all() {
    for (input, at_least) in [
        ("", 2),
        ("30", 2),
        ("30 80", 3),
        ("30 80 80", 4),
        ("30 80 80 80", 5),
        ("30 05", 7),
        ("30 05 0001", 7),
        ("30 80 01", 131),
    ] {
        assert_eq!(split(&bytes(input), NO_LIMIT), more(at_least), "{input}");
    }
}

#[test]
fn v5_section_2_1_2_packet_type_0_is_refused_at_the_first_byte() {
    for first in 0..=0x0f {
        assert_eq!(split(&[first], NO_LIMIT), Err(Malformed::PacketTypeReserved));
    }
}

#[test]
fn v5_1_5_5_1_the_remaining_length_takes_the_fewest_bytes() {
    for input in ["30 8000", "30 808000", "30 80808000", "30 ff00"] {
        assert_eq!(split(&bytes(input), NO_LIMIT), Err(Malformed::VariableIntegerNotMinimal), "{input}");
    }
}

#[test]
fn v5_section_1_5_5_the_remaining_length_has_at_most_four_bytes() {
    for input in ["30 80808080", "30 ffffffff", "30 8080808001"] {
        assert_eq!(split(&bytes(input), NO_LIMIT), Err(Malformed::VariableIntegerTooLong), "{input}");
    }
}

#[test]
fn v5_table_1_1_borders_of_the_remaining_length() {
    for (input, len) in [
        ("30 00", 2),
        ("30 7f", 2 + 127),
        ("30 8001", 3 + 128),
        ("30 ff7f", 3 + 16_383),
        ("30 808001", 4 + 16_384),
        ("30 ffff7f", 4 + 2_097_151),
        ("30 80808001", 5 + 2_097_152),
        ("30 ffffff7f", 5 + 268_435_455),
    ] {
        let expect = if len == 2 {
            let frame = Frame { kind: PacketType::Publish, flags: 0, body: &[] };
            Ok(Split::Whole { frame, len })
        } else {
            more(len)
        };
        assert_eq!(split(&bytes(input), NO_LIMIT), expect, "{input}");
    }
}

#[test]
fn v5_3_2_2_15_a_packet_too_large_is_refused_before_its_body_is_here() {
    let head = bytes("30 64");
    assert_eq!(split(&head, 102), more(102));
    assert_eq!(split(&head, 101), Err(Malformed::PacketTooLarge));
    assert_eq!(Malformed::PacketTooLarge.statement(Version::V5), "MQTT-3.2.2-15");
    assert_eq!(Malformed::PacketTooLarge.reason(), ReasonCode::PacketTooLarge);
    // Nothing can be said while the length is not known.
    assert_eq!(split(&bytes("30 ff"), 1), more(3));
}

#[test]
fn flags_that_are_wrong_in_every_version_are_refused_at_the_first_byte() {
    for kind in 1..=15_u8 {
        for flags in 0..=15_u8 {
            let kind = PacketType::from_bits(kind).unwrap();
            let fine = match kind {
                // CONNECT is refused when it is read, so that the answer can be in its version.
                PacketType::Publish | PacketType::Connect => true,
                PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => flags & 7 == 2,
                _ => flags == 0,
            };
            let expect = if fine { more(2) } else { Err(Malformed::Flags(kind)) };
            assert_eq!(split(&[kind.bits() << 4 | flags], NO_LIMIT), expect);
        }
    }
}

#[test]
fn v31_dup_may_be_set_where_later_versions_reserve_it() {
    use super::wire::{accepts, refuses};
    use whimbrel_codec::Peer::Client;
    for (first, body, kind, v311, v5) in [
        (0x8a, "0001 0001'a' 00", PacketType::Subscribe, "MQTT-3.8.1-1", "MQTT-3.8.1-1"),
        (0xaa, "0001 0001'a'", PacketType::Unsubscribe, "MQTT-3.10.1-1", "MQTT-3.10.1-1"),
        (0x6a, "0001", PacketType::PubRel, "MQTT-3.6.1-1", "MQTT-3.6.1-1"),
    ] {
        accepts(Version::V31, Client, first, body);
        let malformed = Malformed::Flags(kind);
        refuses(Version::V311, Client, (first, body), malformed, v311, ReasonCode::MalformedPacket);
        refuses(Version::V5, Client, (first, body), malformed, v5, ReasonCode::MalformedPacket);
    }
}

#[test]
fn v5_section_2_1_2_each_side_sends_only_its_packets() {
    use super::wire::decode;
    use whimbrel_codec::Peer::{Client, Server};
    use whimbrel_codec::Version::{V5, V31, V311};
    for (first, from) in [
        (0x10, Server),
        (0x20, Client),
        (0x82, Server),
        (0x90, Client),
        (0xa2, Server),
        (0xb0, Client),
        (0xc0, Server),
        (0xd0, Client),
    ] {
        let kind = PacketType::from_bits(first >> 4).unwrap();
        for version in [V31, V311, V5] {
            let refused = decode(&[first, 0], version, from).unwrap_err();
            assert_eq!(refused, Malformed::Direction(kind));
            assert_eq!(refused.reason(), ReasonCode::ProtocolError);
        }
    }
    // Before 5.0 a server closes without a word.
    for version in [V31, V311] {
        assert_eq!(decode(&[0xe0, 0], version, Server), Err(Malformed::Direction(PacketType::Disconnect)));
        assert_eq!(decode(&[0xf0, 0], version, Client), Err(Malformed::AuthBeforeV5));
    }
}

#[test]
fn v5_section_2_1_4_pings_have_no_body() {
    use super::wire::{accepts, refuses};
    use whimbrel_codec::Peer::{Client, Server};
    for (first, from) in [(0xc0, Client), (0xd0, Server)] {
        for (version, section) in [
            (Version::V31, "section 2.2.3"),
            (Version::V311, "section 2.2.3"),
            (Version::V5, "section 2.1.4"),
        ] {
            accepts(version, from, first, "");
            let trailing = Malformed::TrailingBytes;
            refuses(version, from, (first, "00"), trailing, section, ReasonCode::MalformedPacket);
        }
    }
}
