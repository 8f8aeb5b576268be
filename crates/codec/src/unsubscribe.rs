//! UNSUBSCRIBE: filters to give up.

use core::fmt;

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, read_block};
use crate::reader::Reader;
use crate::topic::read_topic_filter;
use crate::{Frame, Malformed, PacketId, PacketType, Peer, Sink, Version};

/// UNSUBSCRIBE: unsubscribe request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The packet identifier.
    pub packet_id: PacketId,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
    /// What to unsubscribe from; at least one.
    pub filters: UnsubscribeFilters<'a>,
}

impl<'a> Unsubscribe<'a> {
    /// Reads a frame of this type. Every filter is valid afterwards.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Unsubscribe<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let packet_id = body.packet_id()?;
        let user_properties = if version.has_properties() {
            read_block(body.block()?, Property::refuse)?
        } else {
            UserProperties::default()
        };
        // [MQTT-3.10.3-2]
        if body.is_empty() {
            return Err(Malformed::NoFilters(PacketType::Unsubscribe));
        }
        let filters = UnsubscribeFilters { source: Source::Payload(body.rest()) };
        while !body.is_empty() {
            read_topic_filter(body.binary()?)?;
        }
        Ok(Unsubscribe { packet_id, user_properties, filters })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::Unsubscribe, self, version, out);
    }
}

impl Body for Unsubscribe<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u16(self.packet_id.value());
        if version.has_properties() {
            self.user_properties.put_counted(out);
        }
        for filter in self.filters.iter() {
            out.put_str(filter);
        }
    }
}

/// The filters of an UNSUBSCRIBE, in order.
#[derive(Copy, Clone)]
pub struct UnsubscribeFilters<'a> {
    source: Source<'a>,
}

#[derive(Copy, Clone)]
enum Source<'a> {
    /// A payload that has been checked.
    Payload(&'a [u8]),
    Slice(&'a [&'a str]),
}

impl<'a> UnsubscribeFilters<'a> {
    /// These filters.
    #[must_use]
    pub const fn from_slice(filters: &'a [&'a str]) -> Self {
        UnsubscribeFilters { source: Source::Slice(filters) }
    }

    /// Each filter.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let (payload, filters) = match self.source {
            Source::Payload(payload) => (payload, [].as_slice()),
            Source::Slice(filters) => ([].as_slice(), filters),
        };
        PayloadFilters { payload: Reader::new(payload) }.chain(filters.iter().copied())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }
}

impl Default for UnsubscribeFilters<'_> {
    fn default() -> Self {
        UnsubscribeFilters::from_slice(&[])
    }
}

impl PartialEq for UnsubscribeFilters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UnsubscribeFilters<'_> {}

impl fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[derive(Clone)]
struct PayloadFilters<'a> {
    payload: Reader<'a>,
}

impl<'a> Iterator for PayloadFilters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.payload.str().ok()
    }
}
