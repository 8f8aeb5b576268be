//! The codec's values as the test kit's, and the test kit's packets in an order in which they can be compared.

use whimbrel_codec::Version;
use whimbrel_testkit as kit;

/// The same version.
pub(crate) fn version_of(version: Version) -> kit::Version {
    match version {
        Version::V31 => kit::Version::V31,
        Version::V311 => kit::Version::V311,
        Version::V5 => kit::Version::V5,
    }
}

/// Properties in the order of their identifiers; those that may repeat keep theirs.
pub(crate) fn sorted(mut packet: kit::Packet) -> kit::Packet {
    match &mut packet {
        kit::Packet::Connect(connect) => {
            sort(&mut connect.properties);
            connect.will.iter_mut().for_each(|will| sort(&mut will.properties));
            // A delay of 0 is as good as none.
            let delay = kit::Property::WillDelay(0);
            connect.will.iter_mut().for_each(|will| will.properties.0.retain(|property| *property != delay));
        }
        kit::Packet::ConnAck(ack) => sort(&mut ack.properties),
        kit::Packet::Publish(publish) => sort(&mut publish.properties),
        kit::Packet::PubAck(ack)
        | kit::Packet::PubRec(ack)
        | kit::Packet::PubRel(ack)
        | kit::Packet::PubComp(ack) => sort(&mut ack.properties),
        kit::Packet::Subscribe(subscribe) => sort(&mut subscribe.properties),
        kit::Packet::Unsubscribe(unsubscribe) => sort(&mut unsubscribe.properties),
        kit::Packet::SubAck(ack) | kit::Packet::UnsubAck(ack) => sort(&mut ack.properties),
        kit::Packet::Disconnect(end) | kit::Packet::Auth(end) => sort(&mut end.properties),
        kit::Packet::PingReq | kit::Packet::PingResp => {}
    }
    packet
}

fn sort(properties: &mut kit::Properties) {
    properties.0.sort_by_key(kit::Property::id);
}
