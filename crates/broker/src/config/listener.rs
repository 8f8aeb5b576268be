//! The room `[[listener]]`: one table for each address on which clients may connect. Not the sockets.

use std::path::PathBuf;

use whimbrel_net::Network;

use super::LISTENER;
use super::address::Address;
use super::authentication::Methods;
use super::form::{FileMode, MqttVersion, PageOrigin, UrlPath};
use super::key::Reload;
use super::room::room;
use super::setting::{Auto, Choice};
use super::store::Durability;

room! {
    /// An address on which clients may connect. The table may be repeated, once for each address; without
    /// any, the broker listens on localhost only.
    ///
    /// A listener that other machines can reach and that asks nobody for a password or a certificate does not start.
    ///
    /// A reload opens the listeners that are new, closes those that are gone (their clients are told so: 0x98), and
    /// changes the others for whoever connects from then on. If one of them cannot be as it is written, all stay as they
    /// were. docs/transports.md says who stays connected.
    pub struct Listener(LISTENER) {
        /// The name of the listener in logs and messages. Without one its address serves. Two listeners
        /// cannot have the same.
        name: Option<String> = None, example("house");

        /// An IP address and a port. `0.0.0.0` is every IPv4 address of the machine, `[::]` every address,
        /// `localhost` both loopback addresses (the one that the machine does not have is left out). Port 0
        /// lets the system choose one. `unix:/path` is a Unix socket, for programs of this machine: a file there that is
        /// none is not touched, a socket is replaced if nobody listens at it; in the configuration file a relative path
        /// counts from the folder of that file. The flag can be repeated and replaces all listeners of the file and of
        /// the environment.
        address: Address = Address::Localhost { port: 1883 }, flag("listen");

        /// What is spoken on the connections: `mqtt` is MQTT over TCP, readable for everybody on the way; `mqtts` is MQTT
        /// over TLS. A handshake costs a key exchange and a signature, one that resumes an earlier session no signature;
        /// an idle connection holds the state of TLS besides its own. `ws` and `wss` are WebSocket over the one and over
        /// the other: what pages in browsers speak. `quic` is MQTT over QUIC, by UDP: a device that changes its address keeps
        /// its connection. docs/transports.md shows the whole way.
        protocol: Protocol = Protocol::Mqtt;

        /// The versions of MQTT that are spoken here. A client of another one is refused: CONNACK says so (0x84; 1 before 5.0).
        /// If nothing is set, all are.
        versions: Vec<MqttVersion> = Vec::new(), example("5.0");

        /// The server's certificate, in a file (PEM) with those between it and its CA behind it; several, in [], for
        /// several names: a client gets the one for the name that it asks for (SNI), else the first. In the
        /// configuration file a relative path counts from the folder of that file. Certificates, keys, client_ca and
        /// crl are read again at a reload and within two seconds after one of the files has changed: all of them
        /// count at once, or, if something is wrong, none. Who is connected stays, unless client_ca or crl now say
        /// otherwise.
        certificate: Vec<PathBuf> = Vec::new(), example("server.pem"), reload(Reload::Reread);

        /// The private key of the certificate (PEM, not locked by a password), or those of the certificates in their order.
        key: Vec<PathBuf> = Vec::new(), example("server.key"), reload(Reload::Reread);

        /// The lowest version of TLS that is taken: `1.2` or `1.3`. QUIC has 1.3 and nothing else.
        tls_version_min: TlsVersion = TlsVersion::Tls12;

        /// Whether clients show a certificate: `none` are asked for one, `optional` asks and lets in who has none,
        /// `required` lets in only who has a good one. A bad one is refused in both cases.
        client_certificates: ClientCertificates = ClientCertificates::None;

        /// The CAs (PEM) whose certificates are good for clients.
        client_ca: Option<PathBuf> = None, example("clients-ca.pem"), reload(Reload::Reread);

        /// The certificates of clients that their CAs have revoked: lists (PEM, X509 CRL), one of every CA that has
        /// issued a client's certificate; clients of a CA without a list are refused. Who is connected with a certificate
        /// that was revoked meanwhile is disconnected.
        crl: Option<PathBuf> = None, example("clients.crl"), reload(Reload::Reread);

        /// Which part of its certificate says who a client is: `common_name` is the first CN of the subject,
        /// `alternative_name` the first host name, URI or mail address, `subject` the whole subject as in
        /// `CN=lamp-7,O=House`; `none` looks at none of them. A certificate without that part is refused.
        identity: Identity = Identity::None;

        /// What that part is for the client: its `user_name`, whatever its CONNECT says, and then no password is asked
        /// for; or its `client_id`, and a CONNECT with another one, or with none, is refused. A client without a
        /// certificate (client_certificates is `optional`) is asked as authentication says.
        identity_as: IdentityAs = IdentityAs::UserName;

        /// How long everything before MQTT may take: the handshake of TLS and the request of WebSocket. Then the
        /// connection is closed.
        handshake_timeout_secs: u16 = 10, within(1, 600), unit("seconds");

        /// The path of the URL at which WebSocket is served: `ws://host:port/mqtt`. At any other there is nothing (404).
        path: UrlPath = UrlPath::usual();

        /// The pages that may connect by WebSocket, by the origin of each: scheme, host and port of its URL. `*` is every
        /// page, `null` one without an origin, such as a file. If nothing is set, pages may connect that came from the same
        /// host, whatever the port, where that is an IP address or `localhost`: any other name has to be here, since its
        /// owner can have it lead to this broker. Every other page is refused (403): a browser connects for whatever page
        /// it shows, also to a broker that nobody outside can reach. Programs that are no browsers are not asked.
        origins: Vec<PageOrigin> = Vec::new(), example("https://app.example");

        /// The longest head of a request for WebSocket; a browser's with large cookies has a few thousand. A longer one
        /// is refused (431), one of more than 64 fields too.
        upgrade_bytes_max: u32 = 8_192, within(512, 65_536), unit("bytes");

        /// Whether every connection begins with a header of the PROXY protocol (version 1 or 2), by which a proxy such as
        /// HAProxy says whose connection it passes on. The address in it is the client's, in the log and for whoever
        /// asks. Who is not in proxy_trusted is refused before anything is read. With client_certificates what the proxy
        /// tells of the client's certificate counts (version 2): `required` refuses who has shown none that the proxy found
        /// good, and identity may be `common_name`.
        proxy_protocol: bool = false;

        /// The proxies in front of this listener, by their addresses: nobody else may connect where proxy_protocol is
        /// true. Of a request for WebSocket that comes from one of
        /// them X-Forwarded-For says whose it is: the last address in it that is no such proxy. From anybody else the
        /// field counts for nothing.
        proxy_trusted: Vec<Network> = Vec::new(), example("10.0.0.0/8");

        /// Who may connect to a Unix socket, as the mode of its file: read and write for the account of the broker (6), its
        /// group (6), all others (0).
        unix_mode: FileMode = FileMode::usual();

        /// Whether `[::]` takes IPv6 connections only. If not, it takes IPv4 connections too. It changes
        /// nothing for any other address.
        ipv6_only: bool = false;

        /// Connections at once on this listener. `auto` is as many as limits.connections_max allows for all
        /// listeners together.
        connections_max: Auto<u32> = Auto::Auto, within(1, 10_000_000), unit("connections");

        /// Connections in a second on this listener, of everybody together. Who comes beyond is closed before a handshake
        /// costs anything. `auto` sets no rate: how many handshakes may be under way follows the load all the same.
        connection_rate_max: Auto<u32> = Auto::Auto, within(1, 1_000_000), unit("connections per second");

        /// Connections in a second of one address, in IPv6 of one network of 64 bits. Behind a proxy (proxy_protocol, or
        /// X-Forwarded-For from proxy_trusted) it is the client's address that counts. `auto` sets no rate: many clients may
        /// stand behind one address.
        source_rate_max: Auto<u32> = Auto::Auto, within(1, 1_000_000), unit("connections per second");

        /// Connections of one source that may come at once before source_rate_max holds them back. `auto` is those of one
        /// second.
        source_burst_max: Auto<u32> = Auto::Auto, within(1, 1_000_000), unit("connections");

        /// How long a connection is silent before TCP asks whether the client's machine is there, and asks again every 15
        /// seconds: after nine questions without an answer, or after tcp_user_timeout_secs, the connection has ended. MQTT's own
        /// keep-alive is the client's affair; this finds who is gone whatever the client has chosen.
        tcp_keep_alive_secs: u16 = 300, within(1, 32_767), unit("seconds");

        /// How long what was sent may go unacknowledged by the client's machine before the connection counts as lost
        /// (TCP_USER_TIMEOUT). At 0 it is the system's affair, which tries for a quarter of an hour.
        tcp_user_timeout_secs: u16 = 60, within(0, 3_600), unit("seconds");

        /// Who may connect here, as authentication.method says it: `["certificate", "password_file"]` is who has a
        /// certificate with a name in it, and of those without one who is in authentication.password_file. Where identity
        /// is a user name, `certificate` comes first if it is not named. `auto` is what authentication.method says.
        authentication: Auto<Methods> = Auto::Auto;

        /// How sure what is promised to clients of this listener has to be: `memory`, `process` or `power`. `auto` is what
        /// store.durability says.
        durability: Auto<Durability> = Auto::Auto;

        /// Messages in a second of one connection here; beyond, it is read from more slowly. At 0 as many as it likes. `auto`
        /// is what quota.messages_per_sec says.
        messages_per_sec: Auto<u32> = Auto::Auto, within(0, 100_000_000), unit("messages");

        /// Bytes in a second of one connection here, of everything that it sends. At 0 as many as it likes. `auto` is what
        /// quota.bytes_per_sec says.
        bytes_per_sec: Auto<u32> = Auto::Auto, within(0, 4_294_967_295), unit("bytes");

        /// Lets a listener start that other machines can reach and that asks nobody for a password. Everybody
        /// who reaches the address can then read and write every topic. The flag sets it for every listener.
        danger_allow_anonymous_on_network: bool = false, flag("danger-allow-anonymous-on-network");
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket over TLS.
    Wss,
    /// MQTT over QUIC.
    Quic,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nobody is asked.
    None,
    /// Everybody is asked.
    Optional,
    /// Who has none is not let in.
    Required,
}

/// Which part of a client's certificate says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// None of them.
    None,
    /// The first common name of the subject.
    CommonName,
    /// The first host name, URI or mail address among the alternative names.
    AlternativeName,
    /// The whole subject.
    Subject,
}

/// What that part is for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityAs {
    /// Its user name.
    UserName,
    /// Its client identifier.
    ClientId,
}

impl Choice for Protocol {
    const WORDS: &'static [&'static str] = &["mqtt", "mqtts", "ws", "wss", "quic"];
    const VALUES: &'static [Self] = &[Self::Mqtt, Self::Mqtts, Self::Ws, Self::Wss, Self::Quic];
}

impl Choice for TlsVersion {
    const WORDS: &'static [&'static str] = &["1.2", "1.3"];
    const VALUES: &'static [Self] = &[Self::Tls12, Self::Tls13];
}

impl Choice for ClientCertificates {
    const WORDS: &'static [&'static str] = &["none", "optional", "required"];
    const VALUES: &'static [Self] = &[Self::None, Self::Optional, Self::Required];
}

impl Choice for Identity {
    const WORDS: &'static [&'static str] = &["none", "common_name", "alternative_name", "subject"];
    const VALUES: &'static [Self] = &[Self::None, Self::CommonName, Self::AlternativeName, Self::Subject];
}

impl Choice for IdentityAs {
    const WORDS: &'static [&'static str] = &["user_name", "client_id"];
    const VALUES: &'static [Self] = &[Self::UserName, Self::ClientId];
}

impl Protocol {
    /// Whether TLS is spoken.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss | Self::Quic)
    }

    /// Whether WebSocket is spoken.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// What carries MQTT, for whoever reads the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Mqtt => "TCP",
            Self::Mqtts => "TLS",
            Self::Ws => "WebSocket",
            Self::Wss => "WebSocket over TLS",
            Self::Quic => "QUIC",
        }
    }
}

impl Listener {
    /// A listener on this address with everything else at its default.
    pub fn on(address: Address) -> Self {
        Self { address, ..Self::default() }
    }

    /// What logs and messages call it: its name, else its address.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}
