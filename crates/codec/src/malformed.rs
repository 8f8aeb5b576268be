//! What a peer did wrong: one variant per way, each with its statement and its reason code. Not errors of ours.

mod statement;

use core::fmt;

use crate::{PacketType, PropertyId, ReasonCode};

/// A violation of the specification in the bytes that a peer sent.
///
/// [`statement`](Malformed::statement) names the rule, [`reason`](Malformed::reason) the code to close the
/// connection with in 5.0.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Packet type 0.
    PacketTypeReserved,
    /// Flags of the fixed header that the packet type does not have.
    Flags(PacketType),
    /// A packet that this side does not send.
    Direction(PacketType),
    /// AUTH on a connection of 3.1 or 3.1.1.
    AuthBeforeV5,
    /// A variable byte integer of more than four bytes.
    VariableIntegerTooLong,
    /// A variable byte integer with more bytes than its value needs.
    VariableIntegerNotMinimal,
    /// A packet above the maximum packet size.
    PacketTooLarge,
    /// A packet that ends within a field.
    Truncated,
    /// A packet that goes on after its last field.
    TrailingBytes,
    /// A string that is not well-formed UTF-8.
    StringNotUtf8,
    /// A string with U+0000.
    StringNul,
    /// A string of more than 65,535 bytes, which no packet can carry.
    StringTooLong,
    /// A packet identifier of 0.
    PacketIdZero,

    /// A property length that goes past the end of the packet.
    PropertyLength,
    /// A property that goes past the end of its block.
    PropertyTruncated,
    /// A property identifier that the specification does not define.
    PropertyUnknown(u32),
    /// A property that does not belong into this packet.
    PropertyNotAllowed(PropertyId),
    /// A property that may come once and came twice.
    PropertyDuplicate(PropertyId),
    /// A value out of the property's range.
    PropertyValue(PropertyId),

    /// CONNECT: a protocol name that is neither `MQTT` nor `MQIsdp`.
    ProtocolName,
    /// CONNECT: a protocol level that does not go with the name, or is unknown.
    ProtocolLevel(u8),
    /// CONNECT: the reserved flag is set.
    ConnectFlagReserved,
    /// CONNECT: Will QoS 3.
    WillQoS3,
    /// CONNECT: Will QoS without a will.
    WillQoSWithoutWill,
    /// CONNECT: Will Retain without a will.
    WillRetainWithoutWill,
    /// CONNECT before 5.0: a password without a user name.
    PasswordWithoutUserName,
    /// CONNECT with authentication data, or AUTH: no authentication method.
    AuthenticationMethodMissing(PacketType),

    /// CONNACK: a reserved acknowledge flag is set.
    ConnAckFlags,
    /// CONNACK: a refusal with Session Present.
    SessionPresentOnError,
    /// A reason code, or a return code, that is unknown or that this side does not send in this packet.
    ReasonCode {
        /// The packet that carried it.
        packet: PacketType,
        /// The code.
        code: u8,
    },
    /// SUBACK or UNSUBACK without a reason code.
    NoReasonCodes(PacketType),

    /// PUBLISH: QoS 3.
    PublishQoS3,
    /// PUBLISH: DUP at QoS 0.
    DupOnQoS0,
    /// PUBLISH: neither a topic name nor an alias.
    TopicMissing,
    /// PUBLISH: topic alias 0.
    TopicAliasZero,
    /// PUBLISH: a subscription identifier from a client.
    SubscriptionIdFromClient,
    /// An empty response topic.
    ResponseTopicEmpty,
    /// A response topic with a wildcard.
    ResponseTopicWildcard,

    /// An empty topic name.
    TopicEmpty,
    /// A topic name with a wildcard.
    TopicWildcard,
    /// A topic name or filter with U+0000.
    TopicNul,
    /// A topic name or filter of more than 65,535 bytes, which no packet can carry.
    TopicTooLong,
    /// An empty topic filter.
    FilterEmpty,
    /// A `#` that is not the last level, or not alone in it.
    FilterMultiLevelWildcard,
    /// A `+` that is not alone in its level.
    FilterSingleLevelWildcard,
    /// A shared subscription with an empty share name.
    ShareNameEmpty,
    /// A shared subscription with a wildcard in the share name.
    ShareNameWildcard,
    /// A shared subscription without a filter after the share name.
    ShareFilterMissing,

    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    NoFilters(PacketType),
    /// SUBSCRIBE: maximum QoS 3.
    SubscribeQoS3,
    /// SUBSCRIBE: a reserved bit of the options is set.
    SubscribeOptionsReserved,
    /// SUBSCRIBE: retain handling 3.
    RetainHandling3,
    /// SUBSCRIBE: No Local on a shared subscription.
    NoLocalOnShared,

    /// DISCONNECT: a session expiry interval from a server.
    SessionExpiryFromServer,
}

impl Malformed {
    /// The reason code with which 5.0 closes the connection.
    ///
    /// Where a section names the code, it is that one. Where none does: what cannot be parsed is
    /// [`MalformedPacket`](ReasonCode::MalformedPacket), what parses but is not allowed is
    /// [`ProtocolError`](ReasonCode::ProtocolError), as section 1.2 defines the two.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Malformed::PacketTooLarge => ReasonCode::PacketTooLarge,
            Malformed::ProtocolName | Malformed::ProtocolLevel(_) => ReasonCode::UnsupportedProtocolVersion,
            Malformed::TopicAliasZero => ReasonCode::TopicAliasInvalid,
            Malformed::PacketTypeReserved
            | Malformed::Direction(_)
            | Malformed::AuthBeforeV5
            | Malformed::PacketIdZero
            | Malformed::PropertyDuplicate(_)
            | Malformed::PropertyValue(_)
            | Malformed::AuthenticationMethodMissing(_)
            | Malformed::SessionPresentOnError
            | Malformed::ReasonCode { .. }
            | Malformed::NoReasonCodes(_)
            | Malformed::TopicMissing
            | Malformed::SubscriptionIdFromClient
            | Malformed::ResponseTopicEmpty
            | Malformed::ResponseTopicWildcard
            | Malformed::NoFilters(_)
            | Malformed::SubscribeQoS3
            | Malformed::RetainHandling3
            | Malformed::NoLocalOnShared
            | Malformed::SessionExpiryFromServer => ReasonCode::ProtocolError,
            _ => ReasonCode::MalformedPacket,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Malformed::Flags(packet) => write!(f, "{packet} with reserved flags in its first byte"),
            Malformed::Direction(packet) => write!(f, "{packet} must not be sent by this side"),
            Malformed::PropertyUnknown(number) => write!(f, "unknown property 0x{number:02X}"),
            Malformed::PropertyNotAllowed(id) => write!(f, "property {id} is not allowed in this packet"),
            Malformed::PropertyDuplicate(id) => write!(f, "property {id} comes more than once"),
            Malformed::PropertyValue(id) => write!(f, "property {id} has a value that it must not have"),
            Malformed::ProtocolLevel(level) => {
                write!(f, "protocol level {level} is not supported, only 3.1, 3.1.1 and 5.0 are")
            }
            Malformed::AuthenticationMethodMissing(packet) => {
                write!(f, "{packet} without an authentication method")
            }
            Malformed::ReasonCode { packet, code } => {
                write!(f, "{packet} with code 0x{code:02X}, which this side must not send in it")
            }
            Malformed::NoReasonCodes(packet) => write!(f, "{packet} without a reason code"),
            Malformed::NoFilters(packet) => write!(f, "{packet} without a topic filter"),
            other => f.write_str(other.fixed_text()),
        }
    }
}

impl Malformed {
    /// What there is to say about the variants without a value of their own.
    const fn fixed_text(self) -> &'static str {
        match self {
            Malformed::PacketTypeReserved => "packet type 0 is reserved",
            Malformed::AuthBeforeV5 => "AUTH exists only in 5.0",
            Malformed::VariableIntegerTooLong => "a variable byte integer has more than four bytes",
            Malformed::VariableIntegerNotMinimal => "a variable byte integer is longer than its value needs",
            Malformed::PacketTooLarge => "the packet is larger than the maximum packet size",
            Malformed::Truncated => "the packet ends in the middle of a field",
            Malformed::TrailingBytes => "the packet goes on after its last field",
            Malformed::StringNotUtf8 => "a string is not well-formed UTF-8",
            Malformed::StringNul => "a string contains the null character",
            Malformed::StringTooLong => "a string is longer than 65535 bytes",
            Malformed::PacketIdZero => "the packet identifier is 0",
            Malformed::PropertyLength => "the property length goes past the end of the packet",
            Malformed::PropertyTruncated => "a property goes past the end of the properties",
            Malformed::ProtocolName => "the protocol name is neither MQTT nor MQIsdp",
            Malformed::ConnectFlagReserved => "the reserved flag of CONNECT is set",
            Malformed::WillQoS3 => "Will QoS is 3",
            Malformed::WillQoSWithoutWill => "Will QoS is set without a will",
            Malformed::WillRetainWithoutWill => "Will Retain is set without a will",
            Malformed::PasswordWithoutUserName => "a password without a user name",
            Malformed::ConnAckFlags => "a reserved flag of CONNACK is set",
            Malformed::SessionPresentOnError => "Session Present in a CONNACK that refuses",
            Malformed::PublishQoS3 => "PUBLISH with QoS 3",
            Malformed::DupOnQoS0 => "PUBLISH with DUP at QoS 0",
            Malformed::TopicMissing => "PUBLISH with neither a topic name nor a topic alias",
            Malformed::TopicAliasZero => "topic alias 0",
            Malformed::SubscriptionIdFromClient => "a client sent a subscription identifier in a PUBLISH",
            Malformed::ResponseTopicEmpty => "the response topic is empty",
            Malformed::ResponseTopicWildcard => "the response topic contains a wildcard",
            Malformed::TopicEmpty => "the topic name is empty",
            Malformed::TopicWildcard => "the topic name contains a wildcard",
            Malformed::TopicNul => "the topic contains the null character",
            Malformed::TopicTooLong => "the topic is longer than 65535 bytes",
            Malformed::FilterEmpty => "the topic filter is empty",
            Malformed::FilterMultiLevelWildcard => {
                "`#` must be the last level of a topic filter, and alone in it"
            }
            Malformed::FilterSingleLevelWildcard => "`+` must be alone in its level of a topic filter",
            Malformed::ShareNameEmpty => "`$share/` without a share name",
            Malformed::ShareNameWildcard => "the share name contains a wildcard",
            Malformed::ShareFilterMissing => "`$share/` and a share name without a topic filter",
            Malformed::SubscribeQoS3 => "SUBSCRIBE with a maximum QoS of 3",
            Malformed::SubscribeOptionsReserved => "a reserved bit of the subscription options is set",
            Malformed::RetainHandling3 => "SUBSCRIBE with retain handling 3",
            Malformed::NoLocalOnShared => "No Local on a shared subscription",
            Malformed::SessionExpiryFromServer => "a server sent a session expiry interval in a DISCONNECT",
            _ => "",
        }
    }
}

impl core::error::Error for Malformed {}
