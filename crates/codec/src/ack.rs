//! PUBACK, PUBREC, PUBREL and PUBCOMP, which share one shape. Not the flows that they belong to.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketId, PacketType, Peer, ReasonCode, Sink, Version};

/// An acknowledgement of the QoS 1 and QoS 2 flows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The packet identifier of the PUBLISH.
    pub packet_id: PacketId,
    /// The reason code; before 5.0 there is none, and it reads as success.
    pub reason: ReasonCode,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement without properties.
    #[must_use]
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Ack<'a> {
        Ack { packet_id, reason, reason_string: None, user_properties: UserProperties::default() }
    }

    /// Reads a frame of one of the four types.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    #[inline]
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Ack<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let packet_id = body.packet_id()?;
        let mut ack = Ack::new(packet_id, ReasonCode::Success);
        if version.has_properties() && !body.is_empty() {
            ack.read_reason(&mut body, frame.kind, from)?;
        }
        body.end()?;
        Ok(ack)
    }

    /// The reason code, and after it the properties, may be left out from the end.
    fn read_reason(&mut self, body: &mut Reader<'a>, kind: PacketType, from: Peer) -> Result<(), Malformed> {
        self.reason = ReasonCode::read(body.u8()?, kind, from)?;
        if body.is_empty() {
            return Ok(());
        }
        let mut reason_string = None;
        self.user_properties = read_block(body.block()?, |property| match property {
            Property::ReasonString(string) => once(&mut reason_string, string, property.id()),
            other => other.refuse(),
        })?;
        self.reason_string = reason_string;
        Ok(())
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    #[inline]
    pub fn encoded_len(&self, _kind: PacketType, version: Version) -> usize {
        if self.is_short(version) { 4 } else { frame_len(self, version) }
    }

    /// Writes the whole packet as `kind`, which is one of the four types. What can be left out is.
    #[inline]
    pub fn encode(&self, kind: PacketType, version: Version, out: &mut impl Sink) {
        if self.is_short(version) {
            let [high, low] = self.packet_id.value().to_be_bytes();
            out.put(&[kind.first_byte(), 2, high, low]);
        } else {
            put_frame(kind, self, version, out);
        }
    }

    #[inline]
    fn is_short(&self, version: Version) -> bool {
        !version.has_properties() || (self.reason == ReasonCode::Success && !self.has_properties())
    }

    #[inline]
    fn has_properties(&self) -> bool {
        self.reason_string.is_some() || !self.user_properties.is_empty()
    }
}

impl Body for Ack<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u16(self.packet_id.value());
        if self.is_short(version) {
            return;
        }
        out.put_u8(self.reason as u8);
        if self.has_properties() {
            self.put_counted(out);
        }
    }
}

impl Block for Ack<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.reason_string, Property::ReasonString, out);
        self.user_properties.put_block(out);
    }
}
