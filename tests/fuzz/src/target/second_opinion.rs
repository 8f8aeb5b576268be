//! Two readers that share no code, the codec and the test kit's: of servers they accept the same packets, of clients the
//! codec accepts none that the test kit refuses, and they read the same in them.

use whimbrel_codec::{Malformed, Packet, PacketType, Peer, ReasonCode, Split, Version, split};
use whimbrel_testkit as kit;

use super::decode::VERSIONS;
use crate::machine::kit::{sorted, version_of};

/// The first byte is not used, so that the inputs are those of `decode`; then packets.
pub(super) fn second_opinion(data: &[u8]) {
    let Some((_, mut rest)) = data.split_first() else { return };
    while let Ok(Split::Whole { frame, len }) = split(rest, u32::MAX) {
        for version in VERSIONS {
            for (from, sender) in [(Peer::Client, kit::Sender::Client), (Peer::Server, kit::Sender::Server)] {
                let ours = Packet::decode(frame, version, from);
                let theirs = kit::decode(&rest[..len], version_of(version), sender);
                match (&ours, &theirs) {
                    (Ok(ours), Ok(Some((theirs, _)))) => same(ours, theirs, version, sender),
                    (Err(_), Err(_)) => {}
                    (Ok(packet), Err(_)) if kit_is_strict(packet, version) => {}
                    (Err(malformed), Ok(_)) if kit_is_lenient(malformed, from) => {}
                    _ => panic!("{version} from {from:?}: {:02x?}\n{ours:?}\n{theirs:?}", &rest[..len]),
                }
            }
        }
        rest = &rest[len..];
    }
}

/// No statement forbids a client to refer the server to another, table 2-6 has 0x8C for DISCONNECT; 3.1 lets flags and bytes be that it does not use, and the
/// user name be missing where its flag is set.
fn kit_is_strict(packet: &Packet<'_>, version: Version) -> bool {
    match packet {
        Packet::Disconnect(end) => {
            end.server_reference.is_some() || end.reason == ReasonCode::BadAuthenticationMethod
        }
        Packet::Connect(connect) => connect.version == Version::V31,
        _ => version == Version::V31,
    }
}

/// The test kit is strict with servers: what a client sent it reads to tell it. It asks for no authentication, and for no
/// letter in a response topic.
fn kit_is_lenient(malformed: &Malformed, from: Peer) -> bool {
    match malformed {
        Malformed::AuthenticationMethodMissing(_) | Malformed::ResponseTopicEmpty => true,
        Malformed::ReasonCode { packet, .. } if *packet == PacketType::Auth => true,
        _ => from == Peer::Client,
    }
}

/// What the codec writes of its packet is what the test kit has read, apart from the order of properties.
fn same(ours: &Packet<'_>, theirs: &kit::Packet, version: Version, sender: kit::Sender) {
    let mut bytes = Vec::new();
    ours.encode(version, &mut bytes);
    match kit::decode(&bytes, version_of(version), sender) {
        Ok(Some((read, _))) => assert_eq!(sorted(read), sorted(theirs.clone()), "{version}"),
        other => panic!("{ours:?} is written as {bytes:02x?}: {other:?}"),
    }
}
