//! SUBACK: the answer to SUBSCRIBE.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketId, PacketType, Peer, ReasonCode, Reasons, Sink, Version};

/// SUBACK: subscribe acknowledgement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The packet identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
    /// One reason code per filter.
    pub reasons: Reasons<'a>,
}

impl<'a> SubAck<'a> {
    /// Reads a frame of this type.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<SubAck<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let packet_id = body.packet_id()?;
        let mut reason_string = None;
        let user_properties = if version.has_properties() {
            read_block(body.block()?, |property| match property {
                Property::ReasonString(string) => once(&mut reason_string, string, property.id()),
                other => other.refuse(),
            })?
        } else {
            UserProperties::default()
        };
        let reasons = read_reasons(body.rest(), version, from)?;
        Ok(SubAck { packet_id, reason_string, user_properties, reasons })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet. In 3.1.1 every error becomes 0x80. 3.1 has no way to tell one: a refused
    /// filter reads as granted with QoS 0.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::SubAck, self, version, out);
    }
}

impl Body for SubAck<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u16(self.packet_id.value());
        if version.has_properties() {
            self.put_counted(out);
        }
        for reason in self.reasons.iter() {
            out.put_u8(match version {
                Version::V31 if reason.is_error() => ReasonCode::GRANTED_QOS0 as u8,
                Version::V311 if reason.is_error() => ReasonCode::Unspecified as u8,
                _ => reason as u8,
            });
        }
    }
}

impl Block for SubAck<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.reason_string, Property::ReasonString, out);
        self.user_properties.put_block(out);
    }
}

fn read_reasons(bytes: &[u8], version: Version, from: Peer) -> Result<Reasons<'_>, Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::NoReasonCodes(PacketType::SubAck));
    }
    for &code in bytes {
        let known = match (version, code) {
            (_, 0..=2) => true,
            (Version::V31, _) => false,
            // 3.1.1 [MQTT-3.9.3-2]
            (Version::V311, code) => code == ReasonCode::Unspecified as u8,
            (Version::V5, code) => ReasonCode::read(code, PacketType::SubAck, from).is_ok(),
        };
        if !known {
            return Err(Malformed::ReasonCode { packet: PacketType::SubAck, code });
        }
    }
    Ok(Reasons::from_bytes(bytes))
}
