//! The only place from which a promise leaves: CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
//!
//! A promise leaves in the order in which its line of packets was handled. Sessions and retained messages live in
//! memory, so whatever is promised here has happened already and nothing is held back.

use whimbrel_proto::{
    codec::{Ack as AckPacket, PacketId, PacketType, ReasonCode, Reasons, SubAck, UnsubAck, Version},
    server::{Negotiated, connect::connack},
};

use crate::{Turn, session::Locked};

/// A packet that tells a client that the server has taken responsibility.
pub(crate) enum Promise<'a> {
    ConnAck { negotiated: &'a Negotiated, session_present: bool, assigned: Option<&'a str> },
    PubAck(PacketId, ReasonCode),
    PubRec(PacketId, ReasonCode),
    PubRel(PacketId, ReasonCode),
    PubComp(PacketId, ReasonCode),
    SubAck(PacketId, &'a [ReasonCode]),
    UnsubAck(PacketId, &'a [ReasonCode]),
}

/// Lets a promise leave on the session's link, if it still has one.
pub(crate) fn leave(to: &mut Locked<'_>, turn: &mut Turn, promise: Promise<'_>) {
    let limits = &to.engine.limits.connection;
    let Some(link) = to.state.open_link() else { return };
    link.append(turn, |version, out| match promise {
        Promise::ConnAck { negotiated, session_present, assigned } => {
            connack(negotiated, session_present, assigned, limits, out);
        }
        Promise::PubAck(id, reason) => AckPacket::new(id, reason).encode(PacketType::PubAck, version, out),
        Promise::PubRec(id, reason) => AckPacket::new(id, reason).encode(PacketType::PubRec, version, out),
        Promise::PubRel(id, reason) => AckPacket::new(id, reason).encode(PacketType::PubRel, version, out),
        Promise::PubComp(id, reason) => AckPacket::new(id, reason).encode(PacketType::PubComp, version, out),
        Promise::SubAck(packet_id, reasons) => {
            let spoken: Vec<ReasonCode>;
            let mut reasons = reasons;
            if version == Version::V31 {
                // 3.1 has no failure code: a refused filter gets a granted QoS, and nothing is delivered.
                spoken = reasons
                    .iter()
                    .map(|reason| if reason.is_error() { ReasonCode::Success } else { *reason })
                    .collect();
                reasons = &spoken;
            }
            let reasons = Reasons::from_slice(reasons);
            SubAck { packet_id, reason_string: None, user_properties: Default::default(), reasons }
                .encode(version, out);
        }
        Promise::UnsubAck(packet_id, reasons) => {
            let reasons = Reasons::from_slice(reasons);
            UnsubAck { packet_id, reason_string: None, user_properties: Default::default(), reasons }
                .encode(version, out);
        }
    });
    to.engine.follow(&mut to.state);
    to.mark_dirty(turn);
}
