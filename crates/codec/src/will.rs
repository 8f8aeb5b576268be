//! The will in a CONNECT. Not when it is published.

use crate::body::Block;
use crate::properties::{Carrier, Property, PublishProperties};
use crate::reader::Reader;
use crate::{Malformed, QoS, Sink, Version};

/// The message that the server publishes when the client has gone.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Will<'a> {
    /// The quality of service to publish with.
    pub qos: QoS,
    /// Whether to publish as a retained message.
    pub retain: bool,
    /// The topic name, valid and not empty.
    pub topic: &'a str,
    /// The application message, at most 65,535 bytes.
    pub payload: &'a [u8],
    /// Will Delay Interval in seconds; 0 when absent, which means the same.
    pub delay_secs: u32,
    /// The will properties without the delay; no alias and no subscription identifiers.
    pub properties: PublishProperties<'a>,
}

impl<'a> Will<'a> {
    pub(crate) fn read(
        body: &mut Reader<'a>,
        qos: QoS,
        retain: bool,
        version: Version,
    ) -> Result<Will<'a>, Malformed> {
        let mut delay_secs = None;
        let properties = if version.has_properties() {
            PublishProperties::read(body.block()?, Carrier::Will, &mut delay_secs)?
        } else {
            PublishProperties::default()
        };
        let topic = body.topic_name()?;
        // [MQTT-4.7.3-1]
        if topic.is_empty() {
            return Err(Malformed::TopicEmpty);
        }
        let payload = body.binary()?;
        Ok(Will { qos, retain, topic, payload, delay_secs: delay_secs.unwrap_or(0), properties })
    }

    pub(crate) fn put(&self, version: Version, out: &mut impl Sink) {
        if version.has_properties() {
            self.put_counted(out);
        }
        out.put_str(self.topic);
        out.put_binary(self.payload);
    }
}

impl Block for Will<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        if self.delay_secs > 0 {
            Property::WillDelayInterval(self.delay_secs).put(out);
        }
        // An alias and subscription identifiers belong to a PUBLISH: a will must not carry them.
        let allowed =
            PublishProperties { topic_alias: None, subscription_ids: Default::default(), ..self.properties };
        allowed.put_block(out);
    }
}
