//! UNSUBACK: the answer to UNSUBSCRIBE.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketId, PacketType, Peer, ReasonCode, Reasons, Sink, Version};

/// UNSUBACK: unsubscribe acknowledgement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The packet identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
    /// One reason code per filter; none on the wire before 5.0.
    pub reasons: Reasons<'a>,
}

impl<'a> UnsubAck<'a> {
    /// Reads a frame of this type.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<UnsubAck<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let packet_id = body.packet_id()?;
        if !version.has_properties() {
            body.end()?;
            return Ok(UnsubAck {
                packet_id,
                reason_string: None,
                user_properties: UserProperties::default(),
                reasons: Reasons::default(),
            });
        }
        let mut reason_string = None;
        let user_properties = read_block(body.block()?, |property| match property {
            Property::ReasonString(string) => once(&mut reason_string, string, property.id()),
            other => other.refuse(),
        })?;
        if body.is_empty() {
            return Err(Malformed::NoReasonCodes(PacketType::UnsubAck));
        }
        for &code in body.rest() {
            ReasonCode::read(code, PacketType::UnsubAck, from)?;
        }
        Ok(UnsubAck { packet_id, reason_string, user_properties, reasons: Reasons::from_bytes(body.rest()) })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::UnsubAck, self, version, out);
    }
}

impl Body for UnsubAck<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u16(self.packet_id.value());
        if version.has_properties() {
            self.put_counted(out);
            for reason in self.reasons.iter() {
                out.put_u8(reason as u8);
            }
        }
    }
}

impl Block for UnsubAck<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.reason_string, Property::ReasonString, out);
        self.user_properties.put_block(out);
    }
}
