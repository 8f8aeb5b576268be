//! A broker's listener of one transport: its words in the configuration, and the address by which it is reached. Not the
//! broker.

use std::{fmt, path::Path, process::Command, str::FromStr};

/// What carries MQTT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP and nothing else.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket over TCP.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// QUIC.
    Quic,
    /// A Unix socket.
    Unix,
}

impl Transport {
    /// Every one.
    pub const ALL: [Transport; 6] =
        [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss, Transport::Quic, Transport::Unix];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
            Transport::Quic => "quic",
            Transport::Unix => "unix",
        }
    }
}

impl Transport {
    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss | Transport::Quic)
    }

    /// A listener besides for whoever looks at a port of TCP to see whether the broker runs, where it has none.
    fn besides(self, port: &impl fmt::Display) -> String {
        match self {
            Transport::Quic | Transport::Unix => format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\n"),
            _ => String::new(),
        }
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(word: &str) -> Result<Transport, String> {
        let known = Transport::ALL.into_iter().find(|transport| transport.word() == word);
        let words = Transport::ALL.map(Transport::word).join(", ");
        known.ok_or_else(|| format!("{word} is no transport; there are {words}"))
    }
}

/// A listener of a broker that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its words in the configuration of Whimbrel, and those of one for TCP at the same port where it is none.
    pub configuration: String,
    /// Where it is reached.
    pub address: String,
}

impl Listener {
    /// A listener on a port of the loopback, or of a Unix socket in `folder`; certificates are made there by `whimbrel`, the
    /// program, where TLS is spoken.
    pub fn new(
        transport: Transport,
        port: impl fmt::Display,
        folder: &Path,
        whimbrel: &Path,
    ) -> Result<Listener, String> {
        let (place, protocol, scheme) = match transport {
            Transport::Tcp => (format!("127.0.0.1:{port}"), "mqtt", ""),
            Transport::Tls => (format!("127.0.0.1:{port}"), "mqtts", "mqtts://"),
            Transport::Ws => (format!("127.0.0.1:{port}"), "ws", "ws://"),
            Transport::Wss => (format!("127.0.0.1:{port}"), "wss", "wss://"),
            Transport::Quic => (format!("127.0.0.1:{port}"), "quic", "quic://"),
            Transport::Unix => (format!("unix:{}", folder.join("mqtt.sock").display()), "mqtt", ""),
        };
        let mut configuration = format!("[[listener]]\naddress = \"{place}\"\nprotocol = \"{protocol}\"\n");
        if transport.is_tls() {
            let certificates = folder.join("certificates");
            let mut command = Command::new(whimbrel);
            let made = command.args(["cert", "dev"]).arg(&certificates).output();
            let made = made.map_err(|error| format!("{}: {error}", whimbrel.display()))?;
            if !made.status.success() {
                return Err(String::from_utf8_lossy(&made.stderr).into_owned());
            }
            let file = |name: &str| certificates.join(name).display().to_string();
            let (certificate, key) = (file("server.pem"), file("server.key"));
            configuration += &format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n");
        }
        configuration += &transport.besides(&port);
        Ok(Listener { configuration, address: format!("{scheme}{place}") })
    }

    /// The CA that certificates in this folder are from.
    #[must_use]
    pub fn ca_file(folder: &Path) -> std::path::PathBuf {
        folder.join("certificates").join("ca.pem")
    }
}
