//! Properties of 5.0: reading one, and the two lists that every packet shares. Not the sets of each packet.

mod id;
mod publish;
mod subscription_ids;
mod user;

pub use id::PropertyId;
pub(crate) use publish::Carrier;
pub use publish::PublishProperties;
pub use subscription_ids::SubscriptionIds;
pub use user::UserProperties;

use crate::reader::Reader;
use crate::{Malformed, QoS, Sink};

/// One property with its value, checked against the range that the specification gives.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Property<'a> {
    PayloadFormatIndicator(bool),
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionIdentifier(u32),
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelayInterval(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQoS(QoS),
    RetainAvailable(bool),
    User(&'a str, &'a str),
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdentifierAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

impl<'a> Property<'a> {
    /// Reads the next property of a block; `None` at its end.
    pub(crate) fn next(block: &mut Reader<'a>) -> Result<Option<Property<'a>>, Malformed> {
        if block.is_empty() {
            return Ok(None);
        }
        match Property::read(block) {
            Ok(property) => Ok(Some(property)),
            Err(Malformed::Truncated) => Err(Malformed::PropertyTruncated),
            Err(malformed) => Err(malformed),
        }
    }

    fn read(block: &mut Reader<'a>) -> Result<Property<'a>, Malformed> {
        let number = block.varint()?;
        let id = PropertyId::from_number(number).ok_or(Malformed::PropertyUnknown(number))?;
        Ok(match id {
            PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(boolean(block, id)?),
            PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(block.u32()?),
            PropertyId::ContentType => Property::ContentType(block.str()?),
            PropertyId::ResponseTopic => Property::ResponseTopic(response_topic(block)?),
            PropertyId::CorrelationData => Property::CorrelationData(block.binary()?),
            PropertyId::SubscriptionIdentifier => {
                Property::SubscriptionIdentifier(not_zero(block.varint()?, id)?)
            }
            PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(block.u32()?),
            PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(block.str()?),
            PropertyId::ServerKeepAlive => Property::ServerKeepAlive(block.u16()?),
            PropertyId::AuthenticationMethod => Property::AuthenticationMethod(block.str()?),
            PropertyId::AuthenticationData => Property::AuthenticationData(block.binary()?),
            PropertyId::RequestProblemInformation => Property::RequestProblemInformation(boolean(block, id)?),
            PropertyId::WillDelayInterval => Property::WillDelayInterval(block.u32()?),
            PropertyId::RequestResponseInformation => {
                Property::RequestResponseInformation(boolean(block, id)?)
            }
            PropertyId::ResponseInformation => Property::ResponseInformation(block.str()?),
            PropertyId::ServerReference => Property::ServerReference(block.str()?),
            PropertyId::ReasonString => Property::ReasonString(block.str()?),
            PropertyId::ReceiveMaximum => Property::ReceiveMaximum(not_zero(block.u16()?, id)?),
            PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(block.u16()?),
            PropertyId::TopicAlias => Property::TopicAlias(topic_alias(block)?),
            PropertyId::MaximumQoS => {
                Property::MaximumQoS(if boolean(block, id)? { QoS::AtLeastOnce } else { QoS::AtMostOnce })
            }
            PropertyId::RetainAvailable => Property::RetainAvailable(boolean(block, id)?),
            PropertyId::UserProperty => Property::User(block.str()?, block.str()?),
            PropertyId::MaximumPacketSize => Property::MaximumPacketSize(not_zero(block.u32()?, id)?),
            PropertyId::WildcardSubscriptionAvailable => {
                Property::WildcardSubscriptionAvailable(boolean(block, id)?)
            }
            PropertyId::SubscriptionIdentifierAvailable => {
                Property::SubscriptionIdentifierAvailable(boolean(block, id)?)
            }
            PropertyId::SharedSubscriptionAvailable => {
                Property::SharedSubscriptionAvailable(boolean(block, id)?)
            }
        })
    }

    /// The identifier, for the packet that does not take this property.
    pub(crate) fn id(self) -> PropertyId {
        match self {
            Property::PayloadFormatIndicator(_) => PropertyId::PayloadFormatIndicator,
            Property::MessageExpiryInterval(_) => PropertyId::MessageExpiryInterval,
            Property::ContentType(_) => PropertyId::ContentType,
            Property::ResponseTopic(_) => PropertyId::ResponseTopic,
            Property::CorrelationData(_) => PropertyId::CorrelationData,
            Property::SubscriptionIdentifier(_) => PropertyId::SubscriptionIdentifier,
            Property::SessionExpiryInterval(_) => PropertyId::SessionExpiryInterval,
            Property::AssignedClientIdentifier(_) => PropertyId::AssignedClientIdentifier,
            Property::ServerKeepAlive(_) => PropertyId::ServerKeepAlive,
            Property::AuthenticationMethod(_) => PropertyId::AuthenticationMethod,
            Property::AuthenticationData(_) => PropertyId::AuthenticationData,
            Property::RequestProblemInformation(_) => PropertyId::RequestProblemInformation,
            Property::WillDelayInterval(_) => PropertyId::WillDelayInterval,
            Property::RequestResponseInformation(_) => PropertyId::RequestResponseInformation,
            Property::ResponseInformation(_) => PropertyId::ResponseInformation,
            Property::ServerReference(_) => PropertyId::ServerReference,
            Property::ReasonString(_) => PropertyId::ReasonString,
            Property::ReceiveMaximum(_) => PropertyId::ReceiveMaximum,
            Property::TopicAliasMaximum(_) => PropertyId::TopicAliasMaximum,
            Property::TopicAlias(_) => PropertyId::TopicAlias,
            Property::MaximumQoS(_) => PropertyId::MaximumQoS,
            Property::RetainAvailable(_) => PropertyId::RetainAvailable,
            Property::User(..) => PropertyId::UserProperty,
            Property::MaximumPacketSize(_) => PropertyId::MaximumPacketSize,
            Property::WildcardSubscriptionAvailable(_) => PropertyId::WildcardSubscriptionAvailable,
            Property::SubscriptionIdentifierAvailable(_) => PropertyId::SubscriptionIdentifierAvailable,
            Property::SharedSubscriptionAvailable(_) => PropertyId::SharedSubscriptionAvailable,
        }
    }

    /// The error for a packet that does not take this property.
    #[cold]
    pub(crate) fn refuse<T>(self) -> Result<T, Malformed> {
        Err(Malformed::PropertyNotAllowed(self.id()))
    }

    pub(crate) fn put(self, out: &mut impl Sink) {
        out.put_u8(self.id() as u8);
        match self {
            Property::PayloadFormatIndicator(value)
            | Property::RequestProblemInformation(value)
            | Property::RequestResponseInformation(value)
            | Property::RetainAvailable(value)
            | Property::WildcardSubscriptionAvailable(value)
            | Property::SubscriptionIdentifierAvailable(value)
            | Property::SharedSubscriptionAvailable(value) => out.put_u8(u8::from(value)),
            Property::MaximumQoS(qos) => out.put_u8(qos.bits()),
            Property::ServerKeepAlive(value)
            | Property::ReceiveMaximum(value)
            | Property::TopicAliasMaximum(value)
            | Property::TopicAlias(value) => out.put_u16(value),
            Property::MessageExpiryInterval(value)
            | Property::SessionExpiryInterval(value)
            | Property::WillDelayInterval(value)
            | Property::MaximumPacketSize(value) => out.put_u32(value),
            Property::SubscriptionIdentifier(value) => out.put_varint(value),
            Property::ContentType(string)
            | Property::ResponseTopic(string)
            | Property::AssignedClientIdentifier(string)
            | Property::AuthenticationMethod(string)
            | Property::ResponseInformation(string)
            | Property::ServerReference(string)
            | Property::ReasonString(string) => out.put_str(string),
            Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => out.put_binary(bytes),
            Property::User(name, value) => {
                out.put_str(name);
                out.put_str(value);
            }
        }
    }
}

/// Reads a whole block. User properties, which every packet takes, are collected; all others go to `take`.
pub(crate) fn read_block<'a>(
    mut block: Reader<'a>,
    mut take: impl FnMut(Property<'a>) -> Result<(), Malformed>,
) -> Result<UserProperties<'a>, Malformed> {
    let mut user_properties = None;
    loop {
        let here = block.rest();
        match Property::next(&mut block)? {
            None => return Ok(user_properties.map(UserProperties::from_block).unwrap_or_default()),
            Some(Property::User(..)) => {
                user_properties.get_or_insert(here);
            }
            Some(property) => take(property)?,
        }
    }
}

/// Takes the value of a property that may come once.
#[inline]
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, id: PropertyId) -> Result<(), Malformed> {
    if slot.is_some() {
        return Err(Malformed::PropertyDuplicate(id));
    }
    *slot = Some(value);
    Ok(())
}

/// Writes a property if it is there.
#[inline]
pub(crate) fn put_if<'a, T>(value: Option<T>, property: fn(T) -> Property<'a>, out: &mut impl Sink) {
    if let Some(value) = value {
        property(value).put(out);
    }
}

fn boolean(block: &mut Reader<'_>, id: PropertyId) -> Result<bool, Malformed> {
    match block.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::PropertyValue(id)),
    }
}

fn not_zero<T: Default + PartialEq>(value: T, id: PropertyId) -> Result<T, Malformed> {
    if value == T::default() { Err(Malformed::PropertyValue(id)) } else { Ok(value) }
}

fn topic_alias(block: &mut Reader<'_>) -> Result<u16, Malformed> {
    match block.u16()? {
        // [MQTT-3.3.2-8]
        0 => Err(Malformed::TopicAliasZero),
        alias => Ok(alias),
    }
}

fn response_topic<'a>(block: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    match block.topic_name() {
        Ok("") => Err(Malformed::ResponseTopicEmpty),
        // [MQTT-3.3.2-14]
        Err(Malformed::TopicWildcard) => Err(Malformed::ResponseTopicWildcard),
        other => other,
    }
}
