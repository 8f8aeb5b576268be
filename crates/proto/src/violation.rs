//! The peer's fault: one variant per way to be wrong, with its statement and the reason code that 5.0 asks for.

use core::fmt;

use crate::codec::{Malformed, PacketType, ReasonCode, Version};

/// A peer broke the protocol; the network connection ends [MQTT-4.13.1-1].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The bytes are wrong.
    Malformed(Malformed),
    /// The first packet was not CONNECT.
    ConnectExpected,
    /// No CONNECT within the time-out.
    ConnectTimeout,
    /// A second CONNECT.
    SecondConnect,
    /// The first packet from the server was neither CONNACK nor AUTH.
    ConnAckExpected,
    /// No CONNACK within the time-out.
    ConnAckTimeout,
    /// CONNACK says that a session is present although the client has none.
    SessionPresent,
    /// A packet that this peer may not send, or not now.
    Unexpected(PacketType),
    /// Nothing came for one and a half times the keep-alive.
    KeepAliveTimeout,
    /// No PINGRESP, or anything else, within the time-out.
    PingTimeout,
    /// SUBACK or UNSUBACK with another number of reason codes than its request had filters.
    ReasonCount(PacketType),
    /// More unacknowledged messages than the receive maximum allows.
    ReceiveMaximumExceeded,
    /// A topic alias above the maximum.
    TopicAliasTooHigh,
    /// An empty topic name with an alias that was never set.
    TopicAliasUnknown,
    /// A topic name longer, or with more levels, than this server takes.
    TopicTooLong,
    /// A topic filter longer, or with more levels, than this server takes.
    FilterTooLong,
    /// More user properties than this server takes.
    UserPropertiesTooMany,
    /// More topic filters in one packet than this server takes.
    FiltersTooMany,
    /// DISCONNECT sets a session expiry although CONNECT set none.
    SessionExpiryRaised,
    /// AUTH although CONNECT named no authentication method.
    AuthUnexpected,
    /// AUTH or CONNACK with another authentication method than CONNECT.
    AuthMethodChanged,
    /// AUTH that is not this peer's to send now, or with a reason code that does not fit.
    AuthOutOfTurn,
    /// Something other than AUTH or DISCONNECT while CONNECT is not yet answered.
    NotAuthenticated(PacketType),
    /// A re-authentication was begun and not gone on with.
    AuthTimeout,
    /// The payload says that it is UTF-8 and is not.
    PayloadNotUtf8,
    /// QoS above the maximum that the server told.
    QosNotSupported,
    /// RETAIN although the server told that it keeps none.
    RetainNotSupported,
    /// A wildcard in a filter although the server told that it takes none.
    WildcardNotSupported,
    /// A subscription identifier although the server told that it keeps none.
    SubscriptionIdNotSupported,
    /// A shared subscription although the server told that it makes none.
    SharedNotSupported,
    /// A receiver's queue is full and the policy is to refuse; 3.x has no other way to tell.
    QuotaExceeded,
    /// The disk of the server is full or has failed and the policy is to refuse; 3.x has no other way to tell.
    DiskTakesNothing,
    /// The client may not publish this, and the policy is to disconnect; 3.x and QoS 0 have no other way to tell.
    NotAuthorized,
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        Violation::Malformed(malformed)
    }
}

impl Violation {
    /// The reason code for CONNACK or DISCONNECT in 5.0.
    #[must_use]
    pub fn reason(self) -> ReasonCode {
        match self {
            Violation::Malformed(malformed) => malformed.reason(),
            Violation::ConnectExpected
            | Violation::SecondConnect
            | Violation::ConnAckExpected
            | Violation::SessionPresent
            | Violation::Unexpected(_)
            | Violation::ReasonCount(_)
            | Violation::TopicAliasUnknown
            | Violation::SessionExpiryRaised
            | Violation::AuthUnexpected
            | Violation::AuthMethodChanged
            | Violation::AuthOutOfTurn
            | Violation::NotAuthenticated(_) => ReasonCode::ProtocolError,
            Violation::ConnectTimeout | Violation::ConnAckTimeout => ReasonCode::MaximumConnectTime,
            Violation::KeepAliveTimeout | Violation::PingTimeout => ReasonCode::KeepAliveTimeout,
            Violation::ReceiveMaximumExceeded => ReasonCode::ReceiveMaximumExceeded,
            Violation::TopicAliasTooHigh => ReasonCode::TopicAliasInvalid,
            Violation::TopicTooLong => ReasonCode::TopicNameInvalid,
            Violation::FilterTooLong => ReasonCode::TopicFilterInvalid,
            Violation::UserPropertiesTooMany | Violation::FiltersTooMany | Violation::QuotaExceeded => {
                ReasonCode::QuotaExceeded
            }
            Violation::DiskTakesNothing => ReasonCode::ImplementationSpecific,
            Violation::NotAuthorized | Violation::AuthTimeout => ReasonCode::NotAuthorized,
            Violation::PayloadNotUtf8 => ReasonCode::PayloadFormatInvalid,
            Violation::QosNotSupported => ReasonCode::QoSNotSupported,
            Violation::RetainNotSupported => ReasonCode::RetainNotSupported,
            Violation::WildcardNotSupported => ReasonCode::WildcardSubscriptionsNotSupported,
            Violation::SubscriptionIdNotSupported => ReasonCode::SubscriptionIdsNotSupported,
            Violation::SharedNotSupported => ReasonCode::SharedSubscriptionsNotSupported,
        }
    }

    /// The statement of the specification that was broken, or the section where it has no number.
    #[must_use]
    pub fn statement(self, version: Version) -> &'static str {
        let v5 = version == Version::V5;
        match self {
            Violation::Malformed(malformed) => malformed.statement(version),
            Violation::ConnectExpected => "MQTT-3.1.0-1",
            Violation::SecondConnect => "MQTT-3.1.0-2",
            Violation::ConnectTimeout => "section 3.1.4",
            Violation::ConnAckExpected => "MQTT-3.2.0-1",
            Violation::ConnAckTimeout => "section 3.2",
            Violation::SessionPresent if v5 => "MQTT-3.2.2-4",
            Violation::SessionPresent => "MQTT-3.2.2-1",
            Violation::PingTimeout => "MQTT-3.12.4-1",
            Violation::ReasonCount(PacketType::UnsubAck) => "MQTT-3.11.3-1",
            Violation::ReasonCount(_) if v5 => "MQTT-3.8.4-6",
            Violation::ReasonCount(_) => "MQTT-3.8.4-5",
            Violation::Unexpected(_) => "section 2.1.2",
            Violation::KeepAliveTimeout if v5 => "MQTT-3.1.2-22",
            Violation::KeepAliveTimeout => "MQTT-3.1.2-24",
            Violation::ReceiveMaximumExceeded => "MQTT-3.3.4-7",
            Violation::TopicAliasTooHigh => "MQTT-3.3.2-9",
            Violation::TopicAliasUnknown => "section 3.3.2.3.4",
            Violation::SessionExpiryRaised => "section 3.14.2.2.2",
            Violation::AuthUnexpected => "MQTT-4.12.0-7",
            Violation::AuthMethodChanged => "MQTT-4.12.0-5",
            Violation::AuthOutOfTurn => "section 4.12",
            Violation::NotAuthenticated(_) => "MQTT-3.1.2-30",
            Violation::AuthTimeout => "MQTT-4.12.1-2",
            Violation::PayloadNotUtf8 => "section 3.3.2.3.2",
            Violation::QosNotSupported => "MQTT-3.2.2-11",
            Violation::RetainNotSupported => "MQTT-3.2.2-14",
            Violation::WildcardNotSupported => "section 3.2.2.3.11",
            Violation::SubscriptionIdNotSupported => "section 3.2.2.3.12",
            Violation::SharedNotSupported => "section 3.2.2.3.13",
            Violation::NotAuthorized => "section 5.4.2",
            Violation::TopicTooLong
            | Violation::FilterTooLong
            | Violation::UserPropertiesTooMany
            | Violation::FiltersTooMany
            | Violation::DiskTakesNothing
            | Violation::QuotaExceeded => "a limit of this server",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Violation::Malformed(malformed) => return malformed.fmt(f),
            Violation::ConnectExpected => "the first packet must be CONNECT",
            Violation::ConnectTimeout => "no CONNECT came in time",
            Violation::SecondConnect => "CONNECT may be sent only once on a connection",
            Violation::ConnAckExpected => "the first packet of a server must be CONNACK",
            Violation::ConnAckTimeout => "no CONNACK came in time",
            Violation::SessionPresent => "CONNACK says that a session is present, and there is none",
            Violation::PingTimeout => "nothing was received in time after PINGREQ",
            Violation::ReasonCount(kind) => {
                return write!(f, "{kind:?} has another number of reason codes than its request had filters");
            }
            Violation::Unexpected(kind) => return write!(f, "{kind:?} may not be sent by this peer now"),
            Violation::KeepAliveTimeout => "nothing was received for one and a half times the keep-alive",
            Violation::ReceiveMaximumExceeded => "more unacknowledged messages than the receive maximum",
            Violation::TopicAliasTooHigh => "the topic alias is above the topic alias maximum",
            Violation::TopicAliasUnknown => "the topic alias was never set on this connection",
            Violation::TopicTooLong => "the topic is longer or deeper than this server takes",
            Violation::FilterTooLong => "the topic filter is longer or deeper than this server takes",
            Violation::UserPropertiesTooMany => "more user properties than this server takes",
            Violation::FiltersTooMany => "more topic filters in one packet than this server takes",
            Violation::SessionExpiryRaised => {
                "a session expiry of 0 at CONNECT cannot be raised at DISCONNECT"
            }
            Violation::AuthUnexpected => "AUTH was sent although CONNECT named no authentication method",
            Violation::AuthMethodChanged => "the authentication method is not the one of CONNECT",
            Violation::AuthOutOfTurn => "AUTH was sent out of turn",
            Violation::NotAuthenticated(kind) => {
                return write!(f, "{kind:?} may not be sent before the authentication has succeeded");
            }
            Violation::AuthTimeout => "the authentication was not gone on with in time",
            Violation::PayloadNotUtf8 => "the payload is not the UTF-8 that its format indicator promises",
            Violation::QosNotSupported => "the QoS is above the maximum of this server",
            Violation::RetainNotSupported => "retained messages are not available on this server",
            Violation::WildcardNotSupported => "wildcards are not available on this server",
            Violation::SubscriptionIdNotSupported => {
                "subscription identifiers are not available on this server"
            }
            Violation::SharedNotSupported => "shared subscriptions are not available on this server",
            Violation::QuotaExceeded => "the queue of a receiver is full",
            Violation::DiskTakesNothing => "the disk of the server takes nothing",
            Violation::NotAuthorized => "the client may not publish to this topic",
        };
        f.write_str(text)
    }
}

impl core::error::Error for Violation {}
