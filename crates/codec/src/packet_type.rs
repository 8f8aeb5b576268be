//! The fifteen packet types with their flags and directions. Not their contents.

use crate::{Malformed, Version};

/// Who sent a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The side that opened the connection with CONNECT.
    Client,
    /// The side that answered with CONNACK.
    Server,
}

/// The type of a control packet: the upper half of its first byte.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Connection request.
    Connect = 1,
    /// Connect acknowledgement.
    ConnAck,
    /// Publish message.
    Publish,
    /// Publish acknowledgement (QoS 1).
    PubAck,
    /// Publish received (QoS 2, part 1).
    PubRec,
    /// Publish release (QoS 2, part 2).
    PubRel,
    /// Publish complete (QoS 2, part 3).
    PubComp,
    /// Subscribe request.
    Subscribe,
    /// Subscribe acknowledgement.
    SubAck,
    /// Unsubscribe request.
    Unsubscribe,
    /// Unsubscribe acknowledgement.
    UnsubAck,
    /// Ping request.
    PingReq,
    /// Ping response.
    PingResp,
    /// Disconnect notification.
    Disconnect,
    /// Authentication exchange (5.0 only).
    Auth,
}

impl PacketType {
    /// The type for its number on the wire; `None` for 0 and above 15.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<PacketType> {
        Some(match bits {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }

    /// The number on the wire, 1 to 15.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// The name as the specification writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PacketType::Connect => "CONNECT",
            PacketType::ConnAck => "CONNACK",
            PacketType::Publish => "PUBLISH",
            PacketType::PubAck => "PUBACK",
            PacketType::PubRec => "PUBREC",
            PacketType::PubRel => "PUBREL",
            PacketType::PubComp => "PUBCOMP",
            PacketType::Subscribe => "SUBSCRIBE",
            PacketType::SubAck => "SUBACK",
            PacketType::Unsubscribe => "UNSUBSCRIBE",
            PacketType::UnsubAck => "UNSUBACK",
            PacketType::PingReq => "PINGREQ",
            PacketType::PingResp => "PINGRESP",
            PacketType::Disconnect => "DISCONNECT",
            PacketType::Auth => "AUTH",
        }
    }

    /// The first byte of a packet whose flags are all reserved. PUBLISH has flags of its own.
    #[inline]
    pub(crate) const fn first_byte(self) -> u8 {
        self.bits() << 4 | self.reserved_flags()
    }

    /// The value that the specification lists for the four reserved flag bits.
    #[inline]
    const fn reserved_flags(self) -> u8 {
        match self {
            PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// Refuses flags that no version of the protocol allows.
    #[inline]
    pub(crate) const fn check_flags_of_any_version(self, flags: u8) -> Result<(), Malformed> {
        let dup_tolerated = match self {
            // CONNECT is read first, so that a server knows in which version to answer.
            PacketType::Publish | PacketType::Connect => return Ok(()),
            // MQTT 3.1 set DUP when it sent one of these again.
            PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 0b1000,
            _ => 0,
        };
        if flags & !dup_tolerated == self.reserved_flags() { Ok(()) } else { Err(Malformed::Flags(self)) }
    }

    /// Refuses flags that this version does not allow. PUBLISH has flags of its own and does not come here.
    pub(crate) const fn check_flags(self, flags: u8, version: Version) -> Result<(), Malformed> {
        match (self, version) {
            (_, Version::V31) => self.check_flags_of_any_version(flags),
            // [MQTT-2.1.3-1]
            _ if flags == self.reserved_flags() => Ok(()),
            _ => Err(Malformed::Flags(self)),
        }
    }

    /// Refuses a packet that this side must not send in this version.
    pub(crate) const fn check_direction(self, version: Version, from: Peer) -> Result<(), Malformed> {
        let allowed = match self {
            PacketType::Connect | PacketType::Subscribe | PacketType::Unsubscribe | PacketType::PingReq => {
                matches!(from, Peer::Client)
            }
            PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp => {
                matches!(from, Peer::Server)
            }
            PacketType::Auth if !version.has_properties() => return Err(Malformed::AuthBeforeV5),
            // Before 5.0 a server had nothing to say when it closed a connection.
            PacketType::Disconnect => version.has_properties() || matches!(from, Peer::Client),
            _ => true,
        };
        if allowed { Ok(()) } else { Err(Malformed::Direction(self)) }
    }
}

impl core::fmt::Display for PacketType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
