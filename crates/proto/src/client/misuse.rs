//! The caller's fault: what it asked for cannot be sent on this connection. Nothing has been written then.

use core::fmt;

use crate::codec::{Malformed, QoS, ReasonCode, Version};

/// A packet that must not be sent. The connection goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// CONNACK has not come yet, or the connection is over.
    NotOpen,
    /// As many messages as the server's Receive Maximum allows are unacknowledged, or no packet identifier is free.
    NoRoom,
    /// A field of the packet breaks the specification: a wildcard in a topic name, a string that is too long.
    Malformed(Malformed),
    /// This version of the protocol has no place for something that was asked, such as a property in 3.1.1.
    NotInVersion(Version),
    /// The packet has more bytes than the server takes.
    PacketTooLarge {
        /// Bytes of the packet.
        bytes: usize,
        /// What the server takes.
        bytes_max: u32,
    },
    /// The server takes no QoS above this.
    QosNotSupported(QoS),
    /// The server keeps no retained messages.
    RetainNotSupported,
    /// The server takes no topic alias above this.
    TopicAliasTooHigh(u16),
    /// Aliases are assigned automatically on this connection, so the caller cannot choose one.
    TopicAliasAutomatic,
    /// The payload is not the UTF-8 that its format indicator promises.
    PayloadNotUtf8,
    /// The message's expiry interval passed before it could be sent.
    Expired,
    /// The server takes no wildcards in topic filters.
    WildcardsNotAvailable,
    /// The server keeps no subscription identifiers.
    SubscriptionIdsNotAvailable,
    /// The server has no shared subscriptions.
    SharedNotAvailable,
    /// 3.1 and 3.1.1 with a session that shall last need a client identifier.
    ClientIdMissing,
    /// A client may not send this reason code in this packet.
    ReasonNotAllowed(ReasonCode),
    /// DISCONNECT cannot set a session expiry after CONNECT set none.
    SessionExpiryRaised,
    /// AUTH without an authentication method in CONNECT.
    NoAuthenticationMethod,
    /// AUTH while it is the server's turn, or an answer to nothing.
    AuthOutOfTurn,
}

impl From<Malformed> for Misuse {
    fn from(malformed: Malformed) -> Self {
        Misuse::Malformed(malformed)
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Misuse::NotOpen => "there is no connection",
            Misuse::NoRoom => "the server takes no more messages before it has acknowledged some",
            Misuse::Malformed(malformed) => return malformed.fmt(f),
            Misuse::NotInVersion(version) => {
                let version = match version {
                    Version::V31 => "3.1",
                    Version::V311 => "3.1.1",
                    Version::V5 => "5.0",
                };
                return write!(f, "MQTT {version} has no place for a property or option that was given");
            }
            Misuse::PacketTooLarge { bytes, bytes_max } => {
                return write!(f, "the packet has {bytes} bytes and the server takes {bytes_max}");
            }
            Misuse::QosNotSupported(qos_max) => {
                return write!(f, "the server takes no QoS above {qos_max}");
            }
            Misuse::RetainNotSupported => "the server keeps no retained messages",
            Misuse::TopicAliasTooHigh(0) => "the server takes no topic aliases",
            Misuse::TopicAliasTooHigh(max) => {
                return write!(f, "the server takes no topic alias above {max}");
            }
            Misuse::TopicAliasAutomatic => "topic aliases are assigned automatically on this connection",
            Misuse::PayloadNotUtf8 => "the payload is not the UTF-8 that its format indicator promises",
            Misuse::Expired => "the message expired before it could be sent",
            Misuse::WildcardsNotAvailable => "the server takes no wildcards in topic filters",
            Misuse::SubscriptionIdsNotAvailable => "the server keeps no subscription identifiers",
            Misuse::SharedNotAvailable => "the server has no shared subscriptions",
            Misuse::ClientIdMissing => "a session that shall last needs a client identifier",
            Misuse::ReasonNotAllowed(reason) => {
                return write!(f, "a client may not send `{}` here", reason.name());
            }
            Misuse::SessionExpiryRaised => "DISCONNECT cannot set a session expiry after CONNECT set none",
            Misuse::NoAuthenticationMethod => "CONNECT named no authentication method",
            Misuse::AuthOutOfTurn => "the authentication does not wait for this client",
        };
        f.write_str(text)
    }
}

impl core::error::Error for Misuse {}
