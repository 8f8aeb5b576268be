//! How to connect: to whom, as whom, for how long, and within which limits. Nothing here is checked; connecting does.

use std::{fmt, time::Duration};

use whimbrel_net::{Address, tls::Connector};
use whimbrel_proto::codec::{
    Connect, ConnectProperties as WireProperties, UserProperties, Version, Will as WireWill,
};

use crate::{
    Message, ScramHash,
    message::{pairs, wire_properties},
};

/// Everything that a client is started with. [`Options::new`] has the defaults; what shall be different is written before it:
///
/// ```
/// use whimbrel_client::{Options, Version};
///
/// let address = "broker.example:1883".parse()?;
/// let options = Options { version: Version::V311, keep_alive_secs: 20, ..Options::new(address) };
/// # Ok::<(), whimbrel_client::AddressError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub address: Address,
    /// Whom to trust and who we are where the address is one of TLS (`mqtts://`, `wss://`). `None` by default: the
    /// machine's own CAs are trusted, what the scheme stands for is offered (ALPN), and no certificate is shown.
    pub tls: Option<Connector>,
    /// Protocol version; 5.0 by default.
    pub version: Version,
    /// The client's name at the server; two clients with one name disconnect each other. Empty by default: the server
    /// chooses one, which the client then keeps over reconnects.
    pub client_id: String,
    /// Whether the first connection discards an older session of this name. Later connections resume.
    ///
    /// Before 5.0 this is Clean Session, and says also how long a session lasts: if true, as long as the connection; if
    /// false, as long as the server likes. True by default.
    pub clean_start: bool,
    /// Seconds that the server keeps the session while there is no connection, in 5.0; 300 by default. A client that
    /// starts clean ends its session when it disconnects, since nobody will come back to it.
    pub session_expiry_secs: u32,
    /// Longest silence of the client in seconds, 0 for any; 60 by default. The server may impose another one.
    pub keep_alive_secs: u16,
    /// User name and password.
    pub credentials: Credentials,
    /// Whether name and password are proved by SCRAM with this hash (5.0) instead of being sent. A server that does not prove in
    /// turn that it knows the user is not believed. `None` by default. The password is then text, and what takes time is
    /// done on a thread of the runtime's for that.
    pub scram: Option<ScramHash>,
    /// What the server publishes when this client goes without a word.
    pub will: Option<Will>,
    /// Properties of CONNECT, in 5.0.
    pub properties: ConnectProperties,
    /// Pauses between attempts to connect; `None` for a client that ends with its connection.
    pub reconnect: Option<Backoff>,
    /// How long to wait for others.
    pub timeouts: Timeouts,
    /// What may wait in memory.
    pub limits: Limits,
    /// Topic aliases that are assigned to outgoing topics, in 5.0, at most what the server takes; 0 by default.
    pub topic_aliases_out_max: u16,
    /// Whether the program acknowledges messages itself, by [`Received::ack`](crate::Received::ack). Otherwise a message
    /// is acknowledged when it is taken from [`Events`](crate::Events).
    pub manual_ack: bool,
}

impl Options {
    /// The defaults for this server.
    #[must_use]
    pub fn new(address: Address) -> Options {
        Options {
            address,
            tls: None,
            version: Version::V5,
            client_id: String::new(),
            clean_start: true,
            session_expiry_secs: 300,
            keep_alive_secs: 60,
            credentials: Credentials::default(),
            scram: None,
            will: None,
            properties: ConnectProperties::default(),
            reconnect: Some(Backoff::default()),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            topic_aliases_out_max: 0,
            manual_ack: false,
        }
    }

    /// Hands the CONNECT of these options to `give`; borrowed lists live as long as the call. With `first`, the first message
    /// of SCRAM, it names the method, and no user name or password.
    pub(crate) fn with_connect<T>(
        &self,
        clean_start: bool,
        first: Option<&str>,
        give: impl FnOnce(&Connect<'_>) -> T,
    ) -> T {
        let user = pairs(&self.properties.user_properties);
        let will_user = self.will.as_ref().map(|will| pairs(&will.message.properties.user_properties));
        let will = self.will.as_ref().map(|will| WireWill {
            qos: will.message.qos,
            retain: will.message.retain,
            topic: &will.message.topic,
            payload: &will.message.payload,
            delay_secs: will.delay_secs,
            properties: wire_properties(&will.message.properties, will_user.as_deref().unwrap_or_default()),
        });
        let v5 = self.version == Version::V5;
        let properties = &self.properties;
        give(&Connect {
            version: self.version,
            clean_start,
            keep_alive_secs: self.keep_alive_secs,
            client_id: &self.client_id,
            will,
            user_name: self.credentials.user_name.as_deref().filter(|_| first.is_none()),
            password: self.credentials.password.as_deref().filter(|_| first.is_none()),
            properties: WireProperties {
                session_expiry_secs: (v5 && self.session_expiry_secs > 0).then_some(self.session_expiry_secs),
                receive_maximum: properties.receive_maximum,
                packet_size_max: properties.packet_bytes_max,
                topic_alias_max: properties.topic_aliases_max,
                request_response_information: properties.request_response_information,
                request_problem_information: properties.request_problem_information,
                authentication_method: match (first, self.scram) {
                    (Some(_), Some(hash)) => Some(hash.method()),
                    _ => properties.authentication_method.as_deref(),
                },
                authentication_data: match first {
                    Some(first) => Some(first.as_bytes()),
                    None => properties.authentication_data.as_deref(),
                },
                user_properties: UserProperties::from_pairs(&user),
            },
        })
    }
}

/// Who the client says it is.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The user name.
    pub user_name: Option<String>,
    /// The password; not text, although it mostly is.
    pub password: Option<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    /// Leaves the password out: options get printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .field("password", &password)
            .finish()
    }
}

/// A message that the server publishes for the client when the connection ends without DISCONNECT.
#[derive(Clone, Debug)]
pub struct Will {
    /// The message.
    pub message: Message,
    /// Seconds that the server waits for the client to come back, in 5.0.
    pub delay_secs: u32,
}

/// Properties of CONNECT. What is `None` is not sent, and the specification's default holds.
#[derive(Clone, Debug, Default)]
pub struct ConnectProperties {
    /// Messages of QoS 1 and 2 that the server may have under way to this client; 65,535 if not sent.
    pub receive_maximum: Option<u16>,
    /// Largest packet that the server may send, in bytes. The server drops what is larger, so by default there is no limit
    /// but the protocol's, 256 MiB; memory is used as the bytes arrive.
    pub packet_bytes_max: Option<u32>,
    /// Topic aliases that the server may set; none if not sent.
    pub topic_aliases_max: Option<u16>,
    /// Whether the server shall tell response information.
    pub request_response_information: Option<bool>,
    /// Whether the server may send reason strings.
    pub request_problem_information: Option<bool>,
    /// Name of an authentication method. A server that then asks for more than CONNECT carries ends the connection.
    pub authentication_method: Option<String>,
    /// First data of the method.
    pub authentication_data: Option<Vec<u8>>,
    /// User properties.
    pub user_properties: Vec<(String, String)>,
}

/// Pauses between attempts: each twice as long as the one before, up to a maximum, shortened by chance to between half
/// and all of it, so that a fleet does not come back at one moment. A connection that stood longer than the pause that would
/// follow starts them anew.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause; 1 s by default.
    pub first: Duration,
    /// The longest pause; 60 s by default.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

/// How long to wait for others.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the network connection, lookup included; 20 s by default.
    pub dial: Duration,
    /// For CONNACK; 20 s by default.
    pub connack: Duration,
    /// For anything after PINGREQ; 20 s by default.
    pub ping: Duration,
    /// For the server to close after DISCONNECT; 2 s by default.
    pub close: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            dial: Duration::from_secs(20),
            connack: Duration::from_secs(20),
            ping: Duration::from_secs(20),
            close: Duration::from_secs(2),
        }
    }
}

/// What may wait in memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that wait to be sent; beyond it [`Client::publish`](crate::Client::publish) waits. 100 by default.
    pub publishes_waiting_max: usize,
    /// Messages that wait for the program; beyond it the client does not read. 100 by default.
    pub messages_waiting_max: usize,
    /// Bytes of topics and payloads that wait for the program; beyond it, by at most one message, the client does not read.
    /// 16 MiB by default.
    pub messages_waiting_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { publishes_waiting_max: 100, messages_waiting_max: 100, messages_waiting_bytes_max: 16 << 20 }
    }
}
