//! Messages as the program sees them, owned: those it publishes and those it receives.

use std::{fmt, sync::Arc};

use whimbrel_proto::{
    client::{self, Ack, Misuse},
    codec::{Publish, PublishProperties, QoS, ReasonCode, UserProperties},
};

use crate::inbox::Inbox;

/// A message: what is said about what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The quality of service that it is published with, or was received with.
    pub qos: QoS,
    /// Whether the server shall keep it, or had kept it.
    pub retain: bool,
    /// Properties, in 5.0.
    pub properties: Properties,
}

impl Message {
    /// A message of QoS 0 without properties.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Message {
        Message { topic: topic.into(), payload: payload.into(), ..Message::default() }
    }

    /// The message with this quality of service.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Message {
        self.qos = qos;
        self
    }

    /// The message, to be kept by the server as the topic's last one. An empty payload deletes what is kept.
    #[must_use]
    pub fn retain(mut self) -> Message {
        self.retain = true;
        self
    }

    /// As the protocol takes it.
    pub(crate) fn into_wire(self) -> Result<client::Message, Misuse> {
        let user = pairs(&self.properties.user_properties);
        let properties = wire_properties(&self.properties, &user);
        let message = client::Message::new(&self.topic, self.payload, self.qos, self.retain)?;
        if properties == PublishProperties::default() {
            Ok(message)
        } else {
            message.with_properties(&properties)
        }
    }
}

/// Properties of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Whether the payload is said to be UTF-8 text.
    pub payload_is_utf8: Option<bool>,
    /// Seconds after which the message is of no use any more. Time that it waits in the client counts.
    pub message_expiry_secs: Option<u32>,
    /// The alias that stood for the topic, or that shall stand for it on this connection.
    pub topic_alias: Option<u16>,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// What the answer shall carry.
    pub correlation_data: Option<Vec<u8>>,
    /// What the payload is.
    pub content_type: Option<String>,
    /// Names and values of the program's own, in order.
    pub user_properties: Vec<(String, String)>,
}

/// A message that came.
#[derive(Debug)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// Whether the server says that it may have sent it before.
    pub dup: bool,
    /// The packet identifier; absent at QoS 0.
    pub packet_id: Option<u16>,
    /// Identifiers of the subscriptions that it came by.
    pub subscription_ids: Vec<u32>,
    /// With [`Options::manual_ack`](crate::Options::manual_ack) at QoS 1 and 2: the acknowledgement that the program owes.
    pub ack: Option<Acknowledgement>,
}

impl Received {
    /// Takes what is to be kept out of the packet, which borrows.
    pub(crate) fn new(publish: &Publish<'_>, topic: &str) -> Received {
        let properties = &publish.properties;
        let message = Message {
            topic: topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
            properties: Properties {
                payload_is_utf8: properties.payload_is_utf8,
                message_expiry_secs: properties.message_expiry_secs,
                topic_alias: properties.topic_alias,
                response_topic: properties.response_topic.map(str::to_owned),
                correlation_data: properties.correlation_data.map(<[u8]>::to_vec),
                content_type: properties.content_type.map(str::to_owned),
                user_properties: owned_pairs(properties.user_properties),
            },
        };
        Received {
            message,
            dup: publish.dup,
            packet_id: publish.packet_id.map(|id| id.value()),
            subscription_ids: properties.subscription_ids.iter().collect(),
            ack: None,
        }
    }
}

/// The acknowledgement that the program owes for a message. Dropped, it is never sent: the message stays with the
/// server, which sends it again on the next connection, and stops sending when its window is full of such.
#[must_use = "a message that is not acknowledged stays with the server"]
pub struct Acknowledgement {
    pub(crate) ack: Ack,
    pub(crate) inbox: Arc<Inbox>,
}

impl Acknowledgement {
    /// The program has the message. Acknowledgements leave in the order of the messages, whatever the order of the calls.
    pub fn send(self) {
        self.inbox.acknowledge(self.ack, ReasonCode::Success);
    }

    /// The program refuses the message with this reason. Before 5.0 this is an acknowledgement like any other.
    ///
    /// # Errors
    /// PUBACK and PUBREC have no such reason code; the acknowledgement is spent.
    pub fn refuse(self, reason: ReasonCode) -> Result<(), Misuse> {
        use whimbrel_proto::codec::{PacketType, Peer};
        if !reason.allowed_in(PacketType::PubAck, Peer::Client) || !reason.is_error() {
            return Err(Misuse::ReasonNotAllowed(reason));
        }
        self.inbox.acknowledge(self.ack, reason);
        Ok(())
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acknowledgement").field(&self.ack.packet_id()).finish()
    }
}

/// The pairs as the codec takes them.
pub(crate) fn pairs(owned: &[(String, String)]) -> Vec<(&str, &str)> {
    owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

pub(crate) fn owned_pairs(pairs: UserProperties<'_>) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn wire_properties<'a>(
    properties: &'a Properties,
    user: &'a [(&'a str, &'a str)],
) -> PublishProperties<'a> {
    PublishProperties {
        payload_is_utf8: properties.payload_is_utf8,
        message_expiry_secs: properties.message_expiry_secs,
        topic_alias: properties.topic_alias,
        response_topic: properties.response_topic.as_deref(),
        correlation_data: properties.correlation_data.as_deref(),
        content_type: properties.content_type.as_deref(),
        user_properties: UserProperties::from_pairs(user),
        ..PublishProperties::default()
    }
}
