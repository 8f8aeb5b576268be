//! CONNACK: the answer to CONNECT. Not how the server comes to it.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketType, Peer, QoS, ReasonCode, Sink, Version};

/// CONNACK: connect acknowledgement.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server resumes a session. In 3.1 there is no such flag: neither read nor written.
    pub session_present: bool,
    /// The answer. Before 5.0 a return code, see [`ReasonCode::connect_return_code`].
    pub reason: ReasonCode,
    /// The properties; empty before 5.0.
    pub properties: ConnAckProperties<'a>,
}

/// The properties of a CONNACK.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAckProperties<'a> {
    /// Session Expiry Interval in seconds, if it is not the client's.
    pub session_expiry_secs: Option<u32>,
    /// Receive Maximum, never 0.
    pub receive_maximum: Option<u16>,
    /// Maximum QoS: 0 or 1. QoS 2 is told by its absence, and written so.
    pub qos_max: Option<QoS>,
    /// Retain Available.
    pub retain_available: Option<bool>,
    /// Maximum Packet Size in bytes, never 0.
    pub packet_size_max: Option<u32>,
    /// Assigned Client Identifier.
    pub assigned_client_id: Option<&'a str>,
    /// Topic Alias Maximum.
    pub topic_alias_max: Option<u16>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// Wildcard Subscription Available.
    pub wildcard_available: Option<bool>,
    /// Subscription Identifiers Available.
    pub subscription_ids_available: Option<bool>,
    /// Shared Subscription Available.
    pub shared_available: Option<bool>,
    /// Server Keep Alive in seconds.
    pub server_keep_alive_secs: Option<u16>,
    /// Response Information.
    pub response_information: Option<&'a str>,
    /// Server Reference.
    pub server_reference: Option<&'a str>,
    /// Authentication Method.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data.
    pub authentication_data: Option<&'a [u8]>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

impl<'a> ConnAck<'a> {
    /// Reads a frame of this type.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<ConnAck<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let session_present = read_acknowledge_flags(body.u8()?, version)?;
        let code = body.u8()?;
        let reason = if version.has_properties() {
            ReasonCode::read(code, PacketType::ConnAck, from)?
        } else {
            ReasonCode::from_connect_return_code(code)
                .ok_or(Malformed::ReasonCode { packet: PacketType::ConnAck, code })?
        };
        // [MQTT-3.2.2-6]
        if session_present && reason != ReasonCode::Success {
            return Err(Malformed::SessionPresentOnError);
        }
        let properties = if version.has_properties() {
            ConnAckProperties::read(body.block()?)?
        } else {
            ConnAckProperties::default()
        };
        body.end()?;
        Ok(ConnAck { session_present, reason, properties })
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet. Before 5.0 the reason becomes the nearest return code.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::ConnAck, self, version, out);
    }
}

impl Body for ConnAck<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        out.put_u8(u8::from(self.session_present && version != Version::V31));
        if version.has_properties() {
            out.put_u8(self.reason as u8);
            self.properties.put_counted(out);
        } else {
            out.put_u8(self.reason.connect_return_code());
        }
    }
}

fn read_acknowledge_flags(flags: u8, version: Version) -> Result<bool, Malformed> {
    match (version, flags) {
        // 3.1 reserves the whole byte and gives it no value to hold against a server.
        (Version::V31, _) | (_, 0) => Ok(false),
        (_, 1) => Ok(true),
        // [MQTT-3.2.2-1]
        _ => Err(Malformed::ConnAckFlags),
    }
}

impl<'a> ConnAckProperties<'a> {
    fn read(block: Reader<'a>) -> Result<ConnAckProperties<'a>, Malformed> {
        let mut read = ConnAckProperties::default();
        let user_properties = read_block(block, |property| read.take(property))?;
        Ok(ConnAckProperties { user_properties, ..read })
    }

    fn take(&mut self, property: Property<'a>) -> Result<(), Malformed> {
        let id = property.id();
        match property {
            Property::SessionExpiryInterval(secs) => once(&mut self.session_expiry_secs, secs, id),
            Property::ReceiveMaximum(max) => once(&mut self.receive_maximum, max, id),
            Property::MaximumQoS(qos) => once(&mut self.qos_max, qos, id),
            Property::RetainAvailable(available) => once(&mut self.retain_available, available, id),
            Property::MaximumPacketSize(bytes) => once(&mut self.packet_size_max, bytes, id),
            Property::AssignedClientIdentifier(name) => once(&mut self.assigned_client_id, name, id),
            Property::TopicAliasMaximum(max) => once(&mut self.topic_alias_max, max, id),
            Property::ReasonString(string) => once(&mut self.reason_string, string, id),
            Property::WildcardSubscriptionAvailable(available) => {
                once(&mut self.wildcard_available, available, id)
            }
            Property::SubscriptionIdentifierAvailable(available) => {
                once(&mut self.subscription_ids_available, available, id)
            }
            Property::SharedSubscriptionAvailable(available) => {
                once(&mut self.shared_available, available, id)
            }
            Property::ServerKeepAlive(secs) => once(&mut self.server_keep_alive_secs, secs, id),
            Property::ResponseInformation(string) => once(&mut self.response_information, string, id),
            Property::ServerReference(string) => once(&mut self.server_reference, string, id),
            Property::AuthenticationMethod(method) => once(&mut self.authentication_method, method, id),
            Property::AuthenticationData(data) => once(&mut self.authentication_data, data, id),
            other => other.refuse(),
        }
    }
}

impl Block for ConnAckProperties<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.session_expiry_secs, Property::SessionExpiryInterval, out);
        put_if(self.receive_maximum, Property::ReceiveMaximum, out);
        put_if(self.qos_max.filter(|&qos| qos != QoS::ExactlyOnce), Property::MaximumQoS, out);
        put_if(self.retain_available, Property::RetainAvailable, out);
        put_if(self.packet_size_max, Property::MaximumPacketSize, out);
        put_if(self.assigned_client_id, Property::AssignedClientIdentifier, out);
        put_if(self.topic_alias_max, Property::TopicAliasMaximum, out);
        put_if(self.reason_string, Property::ReasonString, out);
        put_if(self.wildcard_available, Property::WildcardSubscriptionAvailable, out);
        put_if(self.subscription_ids_available, Property::SubscriptionIdentifierAvailable, out);
        put_if(self.shared_available, Property::SharedSubscriptionAvailable, out);
        put_if(self.server_keep_alive_secs, Property::ServerKeepAlive, out);
        put_if(self.response_information, Property::ResponseInformation, out);
        put_if(self.server_reference, Property::ServerReference, out);
        put_if(self.authentication_method, Property::AuthenticationMethod, out);
        put_if(self.authentication_data, Property::AuthenticationData, out);
        self.user_properties.put_block(out);
    }
}
