//! Any packet: one match from frame to packet and back. Not the packets' contents.

use crate::{
    Ack, Auth, ConnAck, Connect, Disconnect, Frame, Malformed, PacketType, Peer, Publish, Sink, SubAck,
    Subscribe, UnsubAck, Unsubscribe, Version,
};

/// A packet of any type, borrowing from the buffer that it was read from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Connection request.
    Connect(Connect<'a>),
    /// Connect acknowledgement.
    ConnAck(ConnAck<'a>),
    /// Publish message.
    Publish(Publish<'a>),
    /// Publish acknowledgement (QoS 1).
    PubAck(Ack<'a>),
    /// Publish received (QoS 2, part 1).
    PubRec(Ack<'a>),
    /// Publish release (QoS 2, part 2).
    PubRel(Ack<'a>),
    /// Publish complete (QoS 2, part 3).
    PubComp(Ack<'a>),
    /// Subscribe request.
    Subscribe(Subscribe<'a>),
    /// Subscribe acknowledgement.
    SubAck(SubAck<'a>),
    /// Unsubscribe request.
    Unsubscribe(Unsubscribe<'a>),
    /// Unsubscribe acknowledgement.
    UnsubAck(UnsubAck<'a>),
    /// Ping request.
    PingReq,
    /// Ping response.
    PingResp,
    /// Disconnect notification.
    Disconnect(Disconnect<'a>),
    /// Authentication exchange.
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a frame that `from` sent on a connection of this version. A CONNECT names its own version.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Packet<'a>, Malformed> {
        Ok(match frame.kind {
            PacketType::Publish => Packet::Publish(Publish::decode(frame, version, from)?),
            PacketType::PubAck => Packet::PubAck(Ack::decode(frame, version, from)?),
            PacketType::PubRec => Packet::PubRec(Ack::decode(frame, version, from)?),
            PacketType::PubRel => Packet::PubRel(Ack::decode(frame, version, from)?),
            PacketType::PubComp => Packet::PubComp(Ack::decode(frame, version, from)?),
            PacketType::Connect => Packet::Connect(Connect::decode(frame, version, from)?),
            PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(frame, version, from)?),
            PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(frame, version, from)?),
            PacketType::SubAck => Packet::SubAck(SubAck::decode(frame, version, from)?),
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(frame, version, from)?),
            PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(frame, version, from)?),
            PacketType::PingReq => empty(frame, version, from).map(|()| Packet::PingReq)?,
            PacketType::PingResp => empty(frame, version, from).map(|()| Packet::PingResp)?,
            PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(frame, version, from)?),
            PacketType::Auth => Packet::Auth(Auth::decode(frame, version, from)?),
        })
    }

    /// The type of this packet.
    #[must_use]
    pub fn kind(&self) -> PacketType {
        match self {
            Packet::Connect(_) => PacketType::Connect,
            Packet::ConnAck(_) => PacketType::ConnAck,
            Packet::Publish(_) => PacketType::Publish,
            Packet::PubAck(_) => PacketType::PubAck,
            Packet::PubRec(_) => PacketType::PubRec,
            Packet::PubRel(_) => PacketType::PubRel,
            Packet::PubComp(_) => PacketType::PubComp,
            Packet::Subscribe(_) => PacketType::Subscribe,
            Packet::SubAck(_) => PacketType::SubAck,
            Packet::Unsubscribe(_) => PacketType::Unsubscribe,
            Packet::UnsubAck(_) => PacketType::UnsubAck,
            Packet::PingReq => PacketType::PingReq,
            Packet::PingResp => PacketType::PingResp,
            Packet::Disconnect(_) => PacketType::Disconnect,
            Packet::Auth(_) => PacketType::Auth,
        }
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        match self {
            Packet::Connect(packet) => packet.encoded_len(version),
            Packet::ConnAck(packet) => packet.encoded_len(version),
            Packet::Publish(packet) => packet.encoded_len(version),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.encoded_len(self.kind(), version)
            }
            Packet::Subscribe(packet) => packet.encoded_len(version),
            Packet::SubAck(packet) => packet.encoded_len(version),
            Packet::Unsubscribe(packet) => packet.encoded_len(version),
            Packet::UnsubAck(packet) => packet.encoded_len(version),
            Packet::PingReq | Packet::PingResp => 2,
            Packet::Disconnect(packet) => packet.encoded_len(version),
            Packet::Auth(packet) => packet.encoded_len(version),
        }
    }

    /// Writes the whole packet. Fields that `version` does not have are left out.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        match self {
            Packet::Connect(packet) => packet.encode(version, out),
            Packet::ConnAck(packet) => packet.encode(version, out),
            Packet::Publish(packet) => packet.encode(version, out),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.encode(self.kind(), version, out);
            }
            Packet::Subscribe(packet) => packet.encode(version, out),
            Packet::SubAck(packet) => packet.encode(version, out),
            Packet::Unsubscribe(packet) => packet.encode(version, out),
            Packet::UnsubAck(packet) => packet.encode(version, out),
            Packet::PingReq | Packet::PingResp => out.put(&[self.kind().first_byte(), 0]),
            Packet::Disconnect(packet) => packet.encode(version, out),
            Packet::Auth(packet) => packet.encode(version, out),
        }
    }
}

/// PINGREQ and PINGRESP are nothing but a fixed header.
fn empty(frame: Frame<'_>, version: Version, from: Peer) -> Result<(), Malformed> {
    frame.check(version, from)?;
    if frame.body.is_empty() { Ok(()) } else { Err(Malformed::TrailingBytes) }
}
