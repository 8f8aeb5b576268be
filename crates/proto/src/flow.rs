//! What dies with the network connection: the inbound quota and the topic aliases of both directions.

use alloc::{boxed::Box, vec::Vec};

use crate::{Violation, codec::Malformed};

/// Acknowledgements that are owed to the peer: how many QoS 1 and 2 messages it may still send.
#[derive(Clone, Debug)]
pub struct Quota {
    receive_maximum: u16,
    owed: u16,
}

impl Quota {
    /// A quota of `receive_maximum` messages, the value told to the peer.
    #[must_use]
    pub fn new(receive_maximum: u16) -> Self {
        Quota { receive_maximum, owed: 0 }
    }

    /// A PUBLISH of QoS 1 or 2 came. False when it is one more than was allowed [MQTT-3.3.4-7].
    pub fn take(&mut self) -> bool {
        if self.owed >= self.receive_maximum {
            return false;
        }
        self.owed += 1;
        true
    }

    /// The acknowledgement that ends a message has left: PUBACK, PUBCOMP, or PUBREC with an error.
    pub fn give_back(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }
}

/// Topic aliases that the peer sets: alias → topic name. They end with the connection [MQTT-3.3.2-7].
/// Nothing is allocated before the first.
#[derive(Clone, Debug, Default)]
pub struct AliasesIn {
    /// Absent until the first comes: few clients have any.
    known: Option<Box<KnownAliases>>,
}

#[derive(Clone, Debug, Default)]
struct KnownAliases {
    /// Of the topics.
    bytes: usize,
    topics: Vec<Option<Box<str>>>,
}

impl AliasesIn {
    /// Bytes of the topic names behind the aliases.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |known: &KnownAliases| known.bytes + known.topics.len() * size_of::<Option<Box<str>>>();
        self.known.as_deref().map_or(0, bytes)
    }

    /// The topic that a PUBLISH means: its own, or the one behind the alias. Accepts aliases 1 to `max`, the value told to
    /// the peer.
    ///
    /// # Errors
    /// The alias is above the maximum, or empty topic and unknown alias.
    pub fn resolve<'a>(
        &'a mut self,
        topic: &'a str,
        alias: Option<u16>,
        max: u16,
    ) -> Result<&'a str, Violation> {
        let Some(alias) = alias else { return Ok(topic) };
        if alias == 0 {
            return Err(Violation::Malformed(Malformed::TopicAliasZero));
        }
        if alias > max {
            return Err(Violation::TopicAliasTooHigh); // [MQTT-3.2.2-17]
        }
        let at = usize::from(alias - 1);
        if topic.is_empty() {
            let topics = self.known.as_ref().map(|known| &known.topics);
            let topic = topics.and_then(|topics| topics.get(at)).and_then(|topic| topic.as_deref());
            return topic.ok_or(Violation::TopicAliasUnknown);
        }
        let known = self.known.get_or_insert_default();
        if known.topics.len() <= at {
            known.topics.resize(at + 1, None);
        }
        if let Some(slot) = known.topics.get_mut(at)
            && slot.as_deref() != Some(topic)
        {
            let before = slot.replace(topic.into()).map_or(0, |before| before.len());
            known.bytes = known.bytes - before + topic.len();
        }
        Ok(topic)
    }
}

/// Longer topics get no alias from us: it would cost more memory than the operator expects of one.
const ALIASED_TOPIC_BYTES_MAX: usize = 256;

/// Topic aliases that we set towards a peer that allows them: the first topics of a connection get one each.
#[derive(Clone, Debug)]
pub struct AliasesOut {
    max: u16,
    topics: Vec<Box<str>>,
}

/// How to write the topic of an outgoing PUBLISH.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Alias {
    /// The peer knows this alias: send it with an empty topic.
    Known(u16),
    /// Send topic and alias: the peer learns it.
    New(u16),
    /// No alias left: send the topic alone.
    None,
}

impl AliasesOut {
    /// Sets at most `max` aliases, what the peer allows [MQTT-3.1.2-26] and our own limit.
    #[must_use]
    pub fn new(max: u16) -> Self {
        AliasesOut { max, topics: Vec::new() }
    }

    /// The alias for this topic. An alias `New` counts as known afterwards, so the packet must be sent.
    ///
    /// Aliases are never re-assigned: at most 64 by default, so a look is short.
    pub fn assign(&mut self, topic: &str) -> Alias {
        if topic.len() > ALIASED_TOPIC_BYTES_MAX {
            return Alias::None;
        }
        if let Some(at) = self.topics.iter().position(|known| &**known == topic) {
            return u16::try_from(at + 1).map_or(Alias::None, Alias::Known);
        }
        match u16::try_from(self.topics.len() + 1) {
            Ok(alias) if alias <= self.max => {
                self.topics.push(topic.into());
                Alias::New(alias)
            }
            _ => Alias::None,
        }
    }
}
