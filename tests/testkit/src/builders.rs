//! How a test says which packet it wants: a CONNECT, a will, a PUBLISH or a SUBSCRIBE with what differs from the plain
//! one, and what it expects of a PUBLISH that has come.

use crate::packet::{Ack, Connect, Disconnect, Options, Publish, QoS, Subscribe, Version, Will};
use crate::property::{Properties, Property};

/// A CONNECT of MQTT 5.0: Clean Start, keep-alive of a minute.
pub fn v5(client_id: &str) -> Connect {
    Connect::new(Version::V5, client_id)
}

/// A CONNECT of MQTT 3.1.1: clean session, keep-alive of a minute.
pub fn v311(client_id: &str) -> Connect {
    Connect::new(Version::V311, client_id)
}

/// A CONNECT of MQTT 3.1: clean session, keep-alive of a minute.
pub fn v31(client_id: &str) -> Connect {
    Connect::new(Version::V31, client_id)
}

impl Connect {
    /// A CONNECT that starts clean, with a keep-alive of a minute.
    pub fn new(version: Version, client_id: &str) -> Self {
        Self {
            version,
            clean: true,
            keep_alive: 60,
            client_id: client_id.into(),
            will: None,
            user_name: None,
            password: None,
            properties: Properties::none(),
        }
    }

    /// Clean Start (Clean Session) 0.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.clean = false;
        self
    }

    /// Asks for a session that outlives the connection, and goes on with the one there may be: Clean Session 0
    /// before 5.0; in 5.0 Clean Start 0 and an expiry of an hour.
    #[must_use]
    pub fn persistent(self) -> Self {
        match self.version {
            Version::V5 => self.resume().expiry(3600),
            Version::V31 | Version::V311 => self.resume(),
        }
    }

    /// Keep Alive in seconds.
    #[must_use]
    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// The Will Message.
    #[must_use]
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// User Name.
    #[must_use]
    pub fn user_name(mut self, name: &str) -> Self {
        self.user_name = Some(name.into());
        self
    }

    /// Password.
    #[must_use]
    pub fn password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.password = Some(password.as_ref().to_vec());
        self
    }

    /// One more property (5.0).
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.0.push(property);
        self
    }

    /// Session Expiry Interval in seconds (5.0).
    #[must_use]
    pub fn expiry(self, seconds: u32) -> Self {
        self.with(Property::SessionExpiry(seconds))
    }

    /// Receive Maximum (5.0).
    #[must_use]
    pub fn receive_maximum(self, count: u16) -> Self {
        self.with(Property::ReceiveMaximum(count))
    }

    /// Maximum Packet Size in bytes (5.0).
    #[must_use]
    pub fn packet_size_max(self, size: u32) -> Self {
        self.with(Property::MaximumPacketSize(size))
    }

    /// Topic Alias Maximum (5.0).
    #[must_use]
    pub fn alias_max(self, count: u16) -> Self {
        self.with(Property::TopicAliasMaximum(count))
    }
}

/// A Will Message of QoS 0, not retained.
pub fn will(topic: &str, payload: impl AsRef<[u8]>) -> Will {
    Will {
        topic: topic.into(),
        payload: payload.as_ref().to_vec(),
        qos: 0,
        retain: false,
        properties: Properties::none(),
    }
}

impl Will {
    /// Will QoS.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos as u8;
        self
    }

    /// Will Retain 1.
    #[must_use]
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Will Delay Interval in seconds (5.0).
    #[must_use]
    pub fn delay(self, seconds: u32) -> Self {
        self.with(Property::WillDelay(seconds))
    }

    /// One more Will Property (5.0).
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.0.push(property);
        self
    }
}

/// A PUBLISH of QoS 0, not retained.
pub fn publish(topic: &str, payload: impl AsRef<[u8]>) -> Publish {
    Publish {
        dup: false,
        qos: 0,
        retain: false,
        topic: topic.into(),
        id: 0,
        properties: Properties::none(),
        payload: payload.as_ref().to_vec(),
    }
}

impl Publish {
    /// At this QoS, with this Packet Identifier (ignored for QoS 0).
    #[must_use]
    pub fn at(mut self, qos: QoS, id: u16) -> Self {
        self.qos = qos as u8;
        self.id = id;
        self
    }

    /// RETAIN 1.
    #[must_use]
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// DUP 1.
    #[must_use]
    pub fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    /// One more property (5.0).
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.0.push(property);
        self
    }

    /// Message Expiry Interval in seconds (5.0).
    #[must_use]
    pub fn expiry(self, seconds: u32) -> Self {
        self.with(Property::MessageExpiry(seconds))
    }

    /// Topic Alias (5.0).
    #[must_use]
    pub fn alias(self, alias: u16) -> Self {
        self.with(Property::TopicAlias(alias))
    }

    /// Asserts the QoS of a received PUBLISH.
    #[track_caller]
    pub fn expect_qos(self, qos: QoS) -> Self {
        assert_eq!(self.qos, qos as u8, "the QoS of {self}");
        self
    }

    /// Asserts the RETAIN flag of a received PUBLISH.
    #[track_caller]
    pub fn expect_retain(self, retain: bool) -> Self {
        assert_eq!(self.retain, retain, "the RETAIN flag of {self}");
        self
    }

    /// Asserts the DUP flag of a received PUBLISH.
    #[track_caller]
    pub fn expect_dup(self, dup: bool) -> Self {
        assert_eq!(self.dup, dup, "the DUP flag of {self}");
        self
    }

    /// Asserts the Packet Identifier of a received PUBLISH.
    #[track_caller]
    pub fn expect_id(self, id: u16) -> Self {
        assert_eq!(self.id, id, "the packet identifier of {self}");
        self
    }

    /// Asserts the Subscription Identifiers of a received PUBLISH, in ascending order.
    #[track_caller]
    pub fn expect_subscription_ids(self, ids: &[u32]) -> Self {
        assert_eq!(self.properties.subscription_ids(), ids, "the subscription identifiers of {self}");
        self
    }
}

impl Subscribe {
    /// A SUBSCRIBE of one filter.
    pub fn one(id: u16, filter: &str, options: impl Into<Options>) -> Self {
        Self { id, properties: Properties::none(), filters: vec![(filter.into(), options.into())] }
    }

    /// One more filter.
    #[must_use]
    pub fn and(mut self, filter: &str, options: impl Into<Options>) -> Self {
        self.filters.push((filter.into(), options.into()));
        self
    }

    /// One more property (5.0).
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.0.push(property);
        self
    }

    /// Subscription Identifier (5.0).
    #[must_use]
    pub fn subscription_id(self, id: u32) -> Self {
        self.with(Property::SubscriptionId(id))
    }
}

impl Ack {
    /// An acknowledgement without properties.
    pub fn new(id: u16, code: u8) -> Self {
        Self { id, code, properties: Properties::none() }
    }
}

impl Disconnect {
    /// A DISCONNECT or AUTH without properties.
    pub fn new(code: u8) -> Self {
        Self { code, properties: Properties::none() }
    }

    /// One more property (5.0).
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.0.push(property);
        self
    }
}
