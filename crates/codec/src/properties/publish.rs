//! The properties of a message: of PUBLISH, and of a will once its delay is taken out.

use super::{Property, PropertyId, SubscriptionIds, UserProperties, once, put_if};
use crate::body::Block;
use crate::reader::Reader;
use crate::{CountSink, Malformed, Peer, Sink};

/// What a message carries beside topic and payload.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties<'a> {
    /// Payload Format Indicator: whether the sender says that the payload is UTF-8. Nobody has checked it.
    pub payload_is_utf8: Option<bool>,
    /// Message Expiry Interval in seconds.
    pub message_expiry_secs: Option<u32>,
    /// Topic Alias, never 0. Not in a will.
    pub topic_alias: Option<u16>,
    /// Response Topic: a valid topic name.
    pub response_topic: Option<&'a str>,
    /// Correlation Data.
    pub correlation_data: Option<&'a [u8]>,
    /// Subscription Identifiers, from a server only. Not in a will.
    pub subscription_ids: SubscriptionIds<'a>,
    /// Content Type.
    pub content_type: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

/// Who carries the properties: it decides what is allowed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Publish(Peer),
    Will,
    /// A block that a server keeps to forward.
    Forwarded,
}

impl<'a> PublishProperties<'a> {
    /// Whether there is none at all.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Field by field: this is asked for every PUBLISH, and comparing with an empty one compares whole lists.
        self.payload_is_utf8.is_none()
            && self.message_expiry_secs.is_none()
            && self.topic_alias.is_none()
            && self.response_topic.is_none()
            && self.correlation_data.is_none()
            && self.content_type.is_none()
            && self.subscription_ids.is_empty()
            && self.user_properties.is_empty()
    }

    /// Writes what a server forwards unaltered, in wire form: payload format, response topic, correlation
    /// data, content type, and the user properties in their order. Expiry, alias and subscription
    /// identifiers are the delivery's own. `[MQTT-3.3.2-4]`, `[MQTT-3.3.2-15]` to `[MQTT-3.3.2-20]`
    pub fn forwarded(&self, out: &mut impl Sink) {
        put_if(self.payload_is_utf8, Property::PayloadFormatIndicator, out);
        put_if(self.response_topic, Property::ResponseTopic, out);
        put_if(self.correlation_data, Property::CorrelationData, out);
        put_if(self.content_type, Property::ContentType, out);
        self.user_properties.put_block(out);
    }

    /// How many bytes [`forwarded`](Self::forwarded) writes.
    #[must_use]
    pub fn forwarded_len(&self) -> usize {
        let mut count = CountSink::default();
        self.forwarded(&mut count);
        count.bytes
    }

    /// Reads back what [`forwarded`](Self::forwarded) wrote. It never fails: what does not parse, and all
    /// that follows it, reads as absent.
    #[must_use]
    pub fn from_forwarded(bytes: &'a [u8]) -> PublishProperties<'a> {
        let mut properties = PublishProperties::default();
        let mut block = Reader::new(bytes);
        let mut lists = Lists::default();
        let unread = loop {
            let here = block.rest();
            match Property::next(&mut block) {
                Ok(Some(property))
                    if properties.take(property, Carrier::Forwarded, here, &mut lists).is_ok() => {}
                _ => break here.len(),
            }
        };
        if let Some(first) = lists.user_properties {
            let read = first.get(..first.len() - unread).unwrap_or(&[]);
            properties.user_properties = UserProperties::from_block(read);
        }
        properties
    }

    /// Reads a whole block. The Will Delay Interval, which is not the message's, goes into `will_delay`.
    pub(crate) fn read(
        mut block: Reader<'a>,
        carrier: Carrier,
        will_delay: &mut Option<u32>,
    ) -> Result<PublishProperties<'a>, Malformed> {
        let mut properties = PublishProperties::default();
        let mut lists = Lists::default();
        loop {
            let here = block.rest();
            match Property::next(&mut block)? {
                None => break,
                Some(Property::WillDelayInterval(secs)) if carrier == Carrier::Will => {
                    once(will_delay, secs, PropertyId::WillDelayInterval)?;
                }
                Some(property) => properties.take(property, carrier, here, &mut lists)?,
            }
        }
        properties.user_properties = lists.user_properties();
        properties.subscription_ids = lists.subscription_ids();
        Ok(properties)
    }

    fn take(
        &mut self,
        property: Property<'a>,
        carrier: Carrier,
        here: &'a [u8],
        lists: &mut Lists<'a>,
    ) -> Result<(), Malformed> {
        let id = property.id();
        match (property, carrier) {
            (Property::PayloadFormatIndicator(is_utf8), _) => once(&mut self.payload_is_utf8, is_utf8, id),
            (Property::MessageExpiryInterval(secs), Carrier::Publish(_) | Carrier::Will) => {
                once(&mut self.message_expiry_secs, secs, id)
            }
            (Property::ContentType(string), _) => once(&mut self.content_type, string, id),
            (Property::ResponseTopic(topic), _) => once(&mut self.response_topic, topic, id),
            (Property::CorrelationData(bytes), _) => once(&mut self.correlation_data, bytes, id),
            (Property::User(..), _) => {
                lists.user_properties.get_or_insert(here);
                Ok(())
            }
            (Property::TopicAlias(alias), Carrier::Publish(_)) => once(&mut self.topic_alias, alias, id),
            (Property::SubscriptionIdentifier(_), Carrier::Publish(Peer::Server)) => {
                lists.subscription_ids.get_or_insert(here);
                Ok(())
            }
            // [MQTT-3.3.4-6]
            (Property::SubscriptionIdentifier(_), Carrier::Publish(Peer::Client)) => {
                Err(Malformed::SubscriptionIdFromClient)
            }
            (property, _) => property.refuse(),
        }
    }
}

impl Block for PublishProperties<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.topic_alias, Property::TopicAlias, out);
        put_if(self.message_expiry_secs, Property::MessageExpiryInterval, out);
        self.subscription_ids.put_block(out);
        self.forwarded(out);
    }
}

/// Where in the block the first of each list begins; the list is found again from there.
#[derive(Default)]
struct Lists<'a> {
    user_properties: Option<&'a [u8]>,
    subscription_ids: Option<&'a [u8]>,
}

impl<'a> Lists<'a> {
    fn user_properties(&self) -> UserProperties<'a> {
        self.user_properties.map(UserProperties::from_block).unwrap_or_default()
    }

    fn subscription_ids(&self) -> SubscriptionIds<'a> {
        self.subscription_ids.map(SubscriptionIds::from_block).unwrap_or_default()
    }
}
