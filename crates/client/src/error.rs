//! What can go wrong, by what was attempted: a connection, a message, a request.

use std::{fmt, io, sync::Arc};

use whimbrel_net::DialError;
use whimbrel_proto::{Violation, client::Misuse, codec::ReasonCode};

/// Why there is no connection, or no longer one. Cheap to clone: everybody who waited gets it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The network connection did not come about.
    #[error(transparent)]
    Dial(Arc<DialError>),
    /// The options ask for something that cannot be sent.
    #[error("CONNECT cannot be sent: {0}")]
    Options(Misuse),
    /// The server refused in CONNACK.
    #[error("the server refused the connection: {0}")]
    Refused(ServerReason),
    /// The server ended the connection with DISCONNECT.
    #[error("the server ended the connection: {0}")]
    Disconnected(ServerReason),
    /// The server closed the network connection without a word.
    #[error("the server closed the connection without a word{}", hint(*.before_connack))]
    Closed {
        /// Whether that was before CONNACK.
        before_connack: bool,
    },
    /// The network connection broke.
    #[error("the connection broke: {0}")]
    Lost(Arc<io::Error>),
    /// The server broke the protocol, or did not answer in time.
    #[error("the server broke the protocol: {0}")]
    Violation(Violation),
    /// The server wants to exchange AUTH packets, which this client does not do.
    #[error("the server wants an exchange of authentication data, which this client does not offer")]
    AuthenticationExchange,
    /// The client could not prove who it is, or the server has not proved that it knows the client.
    #[error("{0}")]
    Authentication(#[from] AuthenticationError),
    /// The program ended it.
    #[error("the connection was ended by this program")]
    Ended,
}

/// Why an authentication by SCRAM came to nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// Only MQTT 5.0 has methods of authentication.
    #[error("SCRAM needs protocol version 5")]
    Version,
    /// The user name or the password is missing.
    #[error("SCRAM needs a user name and a password")]
    Credentials,
    /// The user name or the password is empty, no text, or has characters that SCRAM does not allow.
    #[error("the user name or the password has characters that SCRAM does not allow")]
    Characters,
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Randomness,
    /// What the server has said is not to be answered, or not to be believed.
    #[error("the server was not believed: {0}")]
    Fault(whimbrel_scram::Fault),
}

fn hint(before_connack: bool) -> &'static str {
    if before_connack { " before it accepted; does it speak MQTT, and this version of it?" } else { "" }
}

/// What a server says when it refuses or ends a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReason {
    /// The reason code; before 5.0 the one that means the return code.
    pub reason: ReasonCode,
    /// The server's words.
    pub reason_string: Option<String>,
    /// Another server that the client may use.
    pub server_reference: Option<String>,
}

impl fmt::Display for ServerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.name())?;
        if let Some(words) = &self.reason_string {
            write!(f, " ({words})")?;
        }
        if let Some(reference) = &self.server_reference {
            write!(f, "; use {reference}")?;
        }
        Ok(())
    }
}

impl ConnectionError {
    /// The server's reason code, where it gave one.
    #[must_use]
    pub fn reason(&self) -> Option<ReasonCode> {
        match self {
            ConnectionError::Refused(said) | ConnectionError::Disconnected(said) => Some(said.reason),
            _ => None,
        }
    }

    /// Whether trying again as before cannot help: the client then ends.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ConnectionError::Options(_)
            | ConnectionError::AuthenticationExchange
            | ConnectionError::Authentication(_)
            | ConnectionError::Ended => true,
            // Malformed packets and broken rules would only repeat themselves, and a client that comes back after its name
            // was taken over fights with the other one for ever.
            ConnectionError::Refused(said) | ConnectionError::Disconnected(said) => matches!(
                said.reason,
                ReasonCode::MalformedPacket
                    | ReasonCode::ProtocolError
                    | ReasonCode::UnsupportedProtocolVersion
                    | ReasonCode::ClientIdNotValid
                    | ReasonCode::BadUserNameOrPassword
                    | ReasonCode::NotAuthorized
                    | ReasonCode::Banned
                    | ReasonCode::BadAuthenticationMethod
                    | ReasonCode::SessionTakenOver
                    | ReasonCode::TopicNameInvalid
                    | ReasonCode::TopicFilterInvalid
                    | ReasonCode::PacketTooLarge
                    | ReasonCode::PayloadFormatInvalid
                    | ReasonCode::RetainNotSupported
                    | ReasonCode::QoSNotSupported
                    | ReasonCode::UseAnotherServer
                    | ReasonCode::ServerMoved
            ),
            _ => false,
        }
    }
}

/// Why a message was not delivered to the server, or why that is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server did not take it.
    #[error("the server refused the message: {}{}", reason.name(), in_brackets(reason_string.as_deref()))]
    Refused {
        /// The reason code.
        reason: ReasonCode,
        /// The server's words.
        reason_string: Option<String>,
    },
    /// It cannot be sent, or not to this server.
    #[error("the message cannot be sent: {0}")]
    Misuse(#[from] Misuse),
    /// It was sent at QoS 0, and the connection broke before it had left this machine.
    #[error("the connection broke before the message had left")]
    NotSent,
    /// It was sent at QoS 2, and then the session was lost: the server may have it or not, and sending it again could
    /// bring it twice.
    #[error("the session was lost; whether the server has the message is not known")]
    SessionLost,
    /// As many messages wait as may.
    #[error("as many messages wait to be sent as may")]
    QueueFull,
    /// The client has ended; the last [`Event::Disconnected`](crate::Event::Disconnected) says why.
    #[error("the client has ended")]
    ClientEnded,
}

/// Why a request of the program came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It cannot be sent, or not to this server.
    #[error("the request cannot be sent: {0}")]
    Misuse(#[from] Misuse),
    /// The client has ended; the last [`Event::Disconnected`](crate::Event::Disconnected) says why.
    #[error("the client has ended")]
    ClientEnded,
}

fn in_brackets(words: Option<&str>) -> String {
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}
