//! A message on its way to the server, owned: it outlives the call that publishes it. Not a packet, which borrows.

use alloc::{boxed::Box, vec::Vec};

use super::Misuse;
use crate::codec::{PublishProperties, QoS, check_topic_name};

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expiry_secs: Option<u32>,
    pub(super) topic_alias: Option<u16>,
    /// The other properties in wire form.
    pub(super) forwarded: Box<[u8]>,
}

impl Message {
    /// A message without properties.
    ///
    /// # Errors
    /// The topic is no topic name: empty, too long, with a wildcard or U+0000.
    pub fn new(topic: &str, payload: Vec<u8>, qos: QoS, retain: bool) -> Result<Message, Misuse> {
        check_topic_name(topic)?; // [MQTT-3.3.2-2]
        let topic = topic.into();
        Ok(Message {
            topic,
            payload,
            qos,
            retain,
            expiry_secs: None,
            topic_alias: None,
            forwarded: Box::default(),
        })
    }

    /// The message with these properties; subscription identifiers are the server's and no client sends them.
    ///
    /// A topic alias is the caller's choice of a number; the topic is sent along each time. Leave it out where the
    /// connection assigns aliases itself.
    ///
    /// # Errors
    /// A property breaks the specification, or promises UTF-8 that the payload is not.
    pub fn with_properties(mut self, properties: &PublishProperties<'_>) -> Result<Message, Misuse> {
        if let Some(topic) = properties.response_topic {
            check_topic_name(topic)?; // [MQTT-3.3.2-14]
        }
        let mut forwarded = Vec::new();
        properties.forwarded(&mut forwarded);
        // The encoder cuts what is too long, and a reader stops at what is wrong: both show as a difference.
        let read = PublishProperties::from_forwarded(&forwarded);
        let kept = PublishProperties {
            message_expiry_secs: properties.message_expiry_secs,
            topic_alias: properties.topic_alias,
            ..read
        };
        if kept != *properties {
            // [MQTT-3.3.4-6] is among them.
            return Err(Misuse::Malformed(first_fault(properties)));
        }
        // Of a payload Unicode's rule is asked, not that of strings: U+0000 may be in it (section 3.3.2.3.2).
        if properties.payload_is_utf8 == Some(true) && core::str::from_utf8(&self.payload).is_err() {
            return Err(Misuse::PayloadNotUtf8);
        }
        self.expiry_secs = properties.message_expiry_secs;
        self.topic_alias = properties.topic_alias;
        self.forwarded = forwarded.into();
        Ok(self)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The QoS that it is published with.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether the server shall keep it.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// Whether it carries anything that 3.1 and 3.1.1 have no place for.
    pub(super) fn needs_v5(&self) -> bool {
        self.expiry_secs.is_some() || self.topic_alias.is_some() || !self.forwarded.is_empty()
    }
}

/// Names what is wrong with properties that do not survive the wire.
fn first_fault(properties: &PublishProperties<'_>) -> crate::codec::Malformed {
    use crate::codec::{Malformed, check_str};
    if !properties.subscription_ids.is_empty() {
        return Malformed::SubscriptionIdFromClient;
    }
    let strings = properties.content_type.into_iter();
    let pairs = properties.user_properties.iter().flat_map(|(name, value)| [name, value]);
    strings.chain(pairs).find_map(|string| check_str(string).err()).unwrap_or(Malformed::StringTooLong)
}
