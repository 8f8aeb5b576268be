//! SUBSCRIBE: filters with their options. Not what a subscription does.

use core::fmt;

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::topic::{is_shared, read_topic_filter};
use crate::{Frame, Malformed, PacketId, PacketType, Peer, QoS, Sink, Version};

const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RETAIN_HANDLING_SHIFT: u8 = 4;
const RESERVED: u8 = 0b1100_0000;

/// SUBSCRIBE: subscribe request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The packet identifier.
    pub packet_id: PacketId,
    /// Subscription Identifier, 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
    /// What to subscribe to; at least one.
    pub filters: Filters<'a>,
}

/// How to deliver what a filter matches. Before 5.0 only the QoS is on the wire.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscribeOptions {
    /// Maximum QoS.
    pub qos: QoS,
    /// No Local: not what this client publishes itself.
    pub no_local: bool,
    /// Retain As Published: keep the RETAIN flag of the publisher.
    pub retain_as_published: bool,
    /// Retain Handling.
    pub retain_handling: RetainHandling,
}

/// When retained messages come because of a SUBSCRIBE.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    Send = 0,
    /// Only if the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

impl<'a> Subscribe<'a> {
    /// Reads a frame of this type. Every filter is valid afterwards.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Subscribe<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let packet_id = body.packet_id()?;
        let mut subscription_id = None;
        let user_properties = if version.has_properties() {
            read_block(body.block()?, |property| match property {
                Property::SubscriptionIdentifier(id) => once(&mut subscription_id, id, property.id()),
                other => other.refuse(),
            })?
        } else {
            UserProperties::default()
        };
        // [MQTT-3.8.3-2]
        if body.is_empty() {
            return Err(Malformed::NoFilters(PacketType::Subscribe));
        }
        let filters = Filters { source: Source::Payload(body.rest()) };
        while !body.is_empty() {
            read_subscription(&mut body, version)?;
        }
        Ok(Subscribe { packet_id, subscription_id, user_properties, filters })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::Subscribe, self, version, out);
    }
}

impl Body for Subscribe<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u16(self.packet_id.value());
        if version.has_properties() {
            self.put_counted(out);
        }
        for (filter, options) in self.filters.iter() {
            out.put_str(filter);
            out.put_u8(if version.has_properties() { options.bits() } else { options.qos.bits() });
        }
    }
}

impl Block for Subscribe<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.subscription_id, Property::SubscriptionIdentifier, out);
        self.user_properties.put_block(out);
    }
}

fn read_subscription<'a>(
    body: &mut Reader<'a>,
    version: Version,
) -> Result<(&'a str, SubscribeOptions), Malformed> {
    let filter = read_topic_filter(body.binary()?)?;
    let options = SubscribeOptions::read(body.u8()?, version)?;
    // [MQTT-3.8.3-4]
    if options.no_local && is_shared(filter) {
        return Err(Malformed::NoLocalOnShared);
    }
    Ok((filter, options))
}

impl SubscribeOptions {
    /// Options that only bound the QoS, as all are before 5.0.
    #[must_use]
    pub const fn with_qos(qos: QoS) -> SubscribeOptions {
        SubscribeOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// The Subscription Options byte of 5.0.
    #[must_use]
    pub const fn bits(self) -> u8 {
        let no_local = if self.no_local { NO_LOCAL } else { 0 };
        let retain_as_published = if self.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 };
        self.qos.bits()
            | no_local
            | retain_as_published
            | (self.retain_handling as u8) << RETAIN_HANDLING_SHIFT
    }

    fn read(bits: u8, version: Version) -> Result<SubscribeOptions, Malformed> {
        let reserved = if version.has_properties() { RESERVED } else { 0b1111_1100 };
        // [MQTT-3.8.3-5], 3.1.1 [MQTT-3-8.3-4]
        if bits & reserved != 0 {
            return Err(Malformed::SubscribeOptionsReserved);
        }
        let qos = QoS::from_bits(bits & 0b11).ok_or(Malformed::SubscribeQoS3)?;
        let retain_handling = match bits >> RETAIN_HANDLING_SHIFT & 0b11 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(Malformed::RetainHandling3),
        };
        Ok(SubscribeOptions {
            qos,
            no_local: bits & NO_LOCAL != 0,
            retain_as_published: bits & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }
}

/// The filters of a SUBSCRIBE with their options, in order.
#[derive(Copy, Clone)]
pub struct Filters<'a> {
    source: Source<'a>,
}

#[derive(Copy, Clone)]
enum Source<'a> {
    /// A payload that has been checked.
    Payload(&'a [u8]),
    Slice(&'a [(&'a str, SubscribeOptions)]),
}

impl<'a> Filters<'a> {
    /// These filters.
    #[must_use]
    pub const fn from_slice(filters: &'a [(&'a str, SubscribeOptions)]) -> Self {
        Filters { source: Source::Slice(filters) }
    }

    /// Each filter with its options.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, SubscribeOptions)> + Clone + use<'a> {
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

impl Default for Filters<'_> {
    fn default() -> Self {
        Filters::from_slice(&[])
    }
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Filters<'_> {}

impl fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[derive(Clone)]
struct PayloadFilters<'a> {
    payload: Reader<'a>,
}

impl<'a> Iterator for PayloadFilters<'a> {
    type Item = (&'a str, SubscribeOptions);

    fn next(&mut self) -> Option<Self::Item> {
        // Options of earlier versions read the same in 5.0: the bits that it added are zero.
        let filter = self.payload.str().ok()?;
        let options = SubscribeOptions::read(self.payload.u8().ok()?, Version::V5).ok()?;
        Some((filter, options))
    }
}
