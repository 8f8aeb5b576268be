//! What is written reads back the same: every packet, every version.

use proptest::prelude::*;
use whimbrel_codec::{Packet, Peer, SliceSink, Split, Version, split};

use super::draw::{Parts, Pool, pool};
use super::wire::{NO_LIMIT, VERSIONS, decode, encode};

/// Calls `check` with one random packet of each type in each version, and its bytes.
pub(crate) fn for_each_packet(pool: &Pool, mut check: impl FnMut(Version, Peer, &Packet<'_>, &[u8])) {
    let parts = Parts::new(pool);
    for version in VERSIONS {
        let reasons = parts.draw().reasons(version);
        for (from, packet) in parts.draw().packets(version, &reasons) {
            check(version, from, &packet, &encode(&packet, version));
        }
    }
}

proptest! {
    #[test]
    fn encode_then_decode_is_the_same_packet(pool in pool()) {
        for_each_packet(&pool, |version, from, packet, wire| {
            assert_eq!(decode(wire, version, from).as_ref(), Ok(packet), "{version}");
        });
    }

    #[test]
    fn every_strict_prefix_of_a_frame_wants_more(pool in pool()) {
        for_each_packet(&pool, |_, _, packet, wire| {
            for len in 0..wire.len() {
                match split(&wire[..len], NO_LIMIT) {
                    // More than there is, and never more than will be: a reader that waits for it must not hang.
                    Ok(Split::More { at_least }) => assert!(len < at_least && at_least <= wire.len()),
                    other => panic!("{len} bytes of {packet:?}: {other:?}"),
                }
            }
        });
    }

    #[test]
    fn the_size_limit_is_the_size_of_the_packet(pool in pool()) {
        for_each_packet(&pool, |_, _, packet, wire| {
            let size = wire.len() as u32;
            let whole = matches!(split(wire, size), Ok(Split::Whole { .. }));
            assert!(whole, "{packet:?}");
            assert!(split(wire, size - 1).is_err(), "{packet:?}");
        });
    }

    #[test]
    fn a_slice_holds_a_packet_or_says_that_it_does_not(pool in pool()) {
        for_each_packet(&pool, |version, _, packet, wire| {
            let mut buffer = vec![0; wire.len()];
            for room in [0, 1, wire.len() / 2, wire.len() - 1] {
                let mut sink = SliceSink::new(&mut buffer[..room]);
                packet.encode(version, &mut sink);
                assert!(sink.overflow(), "{room} bytes for {packet:?}");
            }
            let mut sink = SliceSink::new(&mut buffer);
            packet.encode(version, &mut sink);
            assert!(!sink.overflow());
            assert_eq!(sink.written(), wire);
        });
    }
}
