//! Which statement of which specification a violation breaks. Where a rule has no identifier: its section.

use crate::{Malformed, PacketType, Version};

impl Malformed {
    /// The statement that this breaks, as the specification of `version` numbers it: `MQTT-1.5.5-1`, or
    /// `section 2.1.2` where the rule has no identifier. 3.1 has none at all; it is answered with those of
    /// 3.1.1, which restates it. Rules that only 5.0 has are named by 5.0.
    #[must_use]
    pub const fn statement(self, version: Version) -> &'static str {
        match version {
            Version::V5 => self.statement_v5(),
            Version::V31 | Version::V311 => match self.statement_v311() {
                Some(statement) => statement,
                None => self.statement_v5(),
            },
        }
    }

    const fn statement_v5(self) -> &'static str {
        match self {
            Malformed::PacketTypeReserved | Malformed::Direction(_) | Malformed::AuthBeforeV5 => {
                "section 2.1.2"
            }
            Malformed::Flags(PacketType::PubRel) => "MQTT-3.6.1-1",
            Malformed::Flags(PacketType::Subscribe) => "MQTT-3.8.1-1",
            Malformed::Flags(PacketType::Unsubscribe) => "MQTT-3.10.1-1",
            Malformed::Flags(PacketType::Disconnect) => "MQTT-3.14.1-1",
            Malformed::Flags(PacketType::Auth) => "MQTT-3.15.1-1",
            Malformed::Flags(_) => "MQTT-2.1.3-1",
            Malformed::VariableIntegerTooLong => "section 1.5.5",
            Malformed::VariableIntegerNotMinimal => "MQTT-1.5.5-1",
            Malformed::PacketTooLarge => "MQTT-3.2.2-15",
            Malformed::Truncated | Malformed::TrailingBytes => "section 2.1.4",
            Malformed::StringNotUtf8 => "MQTT-1.5.4-1",
            Malformed::StringNul => "MQTT-1.5.4-2",
            Malformed::StringTooLong => "section 1.5.4",
            Malformed::PacketIdZero => "MQTT-2.2.1-3",
            Malformed::PropertyLength => "section 2.2.2.1",
            Malformed::PropertyTruncated
            | Malformed::PropertyUnknown(_)
            | Malformed::PropertyNotAllowed(_)
            | Malformed::PropertyDuplicate(_)
            | Malformed::PropertyValue(_) => "section 2.2.2.2",
            Malformed::ReasonCode { packet, .. } => reason_code_statement(packet),
            Malformed::NoReasonCodes(_) => "section 2.4",
            Malformed::NoFilters(PacketType::Unsubscribe) => "MQTT-3.10.3-2",
            Malformed::NoFilters(_) => "MQTT-3.8.3-2",
            Malformed::AuthenticationMethodMissing(PacketType::Auth) => "section 3.15.2.2.2",
            Malformed::AuthenticationMethodMissing(_) => "section 3.1.2.11.10",
            Malformed::ProtocolName => "MQTT-3.1.2-1",
            Malformed::ProtocolLevel(_) => "MQTT-3.1.2-2",
            Malformed::ConnectFlagReserved => "MQTT-3.1.2-3",
            Malformed::WillQoSWithoutWill => "MQTT-3.1.2-11",
            Malformed::WillQoS3 => "MQTT-3.1.2-12",
            Malformed::WillRetainWithoutWill => "MQTT-3.1.2-13",
            Malformed::PasswordWithoutUserName => "section 3.1.2.9",
            Malformed::ConnAckFlags => "MQTT-3.2.2-1",
            Malformed::SessionPresentOnError => "MQTT-3.2.2-6",
            Malformed::SessionExpiryFromServer => "MQTT-3.14.2-2",
            _ => self.statement_of_message_v5(),
        }
    }

    /// The rules of PUBLISH, SUBSCRIBE, topics and filters.
    const fn statement_of_message_v5(self) -> &'static str {
        match self {
            Malformed::DupOnQoS0 => "MQTT-3.3.1-2",
            Malformed::PublishQoS3 => "MQTT-3.3.1-4",
            Malformed::TopicMissing => "section 3.3.2.1",
            Malformed::TopicWildcard => "MQTT-3.3.2-2",
            Malformed::TopicAliasZero => "MQTT-3.3.2-8",
            Malformed::ResponseTopicWildcard => "MQTT-3.3.2-14",
            Malformed::SubscriptionIdFromClient => "MQTT-3.3.4-6",
            Malformed::SubscribeQoS3 | Malformed::RetainHandling3 => "section 3.8.3.1",
            Malformed::NoLocalOnShared => "MQTT-3.8.3-4",
            Malformed::SubscribeOptionsReserved => "MQTT-3.8.3-5",
            Malformed::FilterMultiLevelWildcard => "MQTT-4.7.1-1",
            Malformed::FilterSingleLevelWildcard => "MQTT-4.7.1-2",
            Malformed::TopicEmpty | Malformed::FilterEmpty | Malformed::ResponseTopicEmpty => "MQTT-4.7.3-1",
            Malformed::TopicNul => "MQTT-4.7.3-2",
            Malformed::TopicTooLong => "MQTT-4.7.3-3",
            Malformed::ShareNameEmpty => "MQTT-4.8.2-1",
            Malformed::ShareNameWildcard | Malformed::ShareFilterMissing => "MQTT-4.8.2-2",
            _ => "section 4.13.1",
        }
    }

    /// Where 3.1.1 has the rule under another number, or another rule.
    const fn statement_v311(self) -> Option<&'static str> {
        Some(match self {
            Malformed::PacketTypeReserved | Malformed::Direction(_) | Malformed::AuthBeforeV5 => {
                "section 2.2.1"
            }
            Malformed::Flags(PacketType::PubRel) => "MQTT-3.6.1-1",
            Malformed::Flags(PacketType::Subscribe) => "MQTT-3.8.1-1",
            Malformed::Flags(PacketType::Unsubscribe) => "MQTT-3.10.1-1",
            Malformed::Flags(PacketType::Disconnect) => "MQTT-3.14.1-1",
            Malformed::Flags(_) => "MQTT-2.2.2-1",
            Malformed::VariableIntegerTooLong
            | Malformed::VariableIntegerNotMinimal
            | Malformed::PacketTooLarge
            | Malformed::Truncated
            | Malformed::TrailingBytes => "section 2.2.3",
            Malformed::StringNotUtf8 => "MQTT-1.5.3-1",
            Malformed::StringNul => "MQTT-1.5.3-2",
            Malformed::StringTooLong => "section 1.5.3",
            Malformed::PacketIdZero => "MQTT-2.3.1-1",
            Malformed::WillQoSWithoutWill => "MQTT-3.1.2-13",
            Malformed::WillQoS3 => "MQTT-3.1.2-14",
            Malformed::WillRetainWithoutWill => "MQTT-3.1.2-15",
            Malformed::PasswordWithoutUserName => "MQTT-3.1.2-22",
            Malformed::ConnAckFlags => "section 3.2.2.1",
            Malformed::SessionPresentOnError => "MQTT-3.2.2-4",
            Malformed::ReasonCode { packet: PacketType::SubAck, .. } => "MQTT-3.9.3-2",
            Malformed::ReasonCode { .. } => "section 3.2.2.3",
            Malformed::NoReasonCodes(_) => "MQTT-3.8.4-5",
            Malformed::TopicMissing => "MQTT-4.7.3-1",
            Malformed::NoFilters(PacketType::Subscribe) => "MQTT-3.8.3-3",
            Malformed::SubscribeQoS3 | Malformed::SubscribeOptionsReserved => "MQTT-3-8.3-4",
            Malformed::FilterMultiLevelWildcard => "MQTT-4.7.1-2",
            Malformed::FilterSingleLevelWildcard => "MQTT-4.7.1-3",
            _ => return None,
        })
    }
}

/// The statement that bounds the reason codes of a packet.
const fn reason_code_statement(packet: PacketType) -> &'static str {
    match packet {
        PacketType::ConnAck => "MQTT-3.2.2-8",
        PacketType::PubAck => "MQTT-3.4.2-1",
        PacketType::PubRec => "MQTT-3.5.2-1",
        PacketType::PubRel => "MQTT-3.6.2-1",
        PacketType::PubComp => "MQTT-3.7.2-1",
        PacketType::SubAck => "MQTT-3.9.3-2",
        PacketType::UnsubAck => "MQTT-3.11.3-2",
        PacketType::Disconnect => "MQTT-3.14.2-1",
        PacketType::Auth => "MQTT-3.15.2-1",
        _ => "section 2.4",
    }
}
