//! Byte streams in and out: addresses, dialling and listening over TCP, Unix sockets and QUIC, with TLS and WebSocket where
//! they are asked for. Knows no MQTT but its name.
#![forbid(unsafe_code)]

mod address;
mod dial;
mod envelope;
mod inherited;
mod listen;
mod networks;
mod peer;
mod proxy;
pub mod quic;
mod stream;
pub mod tls;
mod unix;
pub mod ws;

pub use address::{Address, AddressError, PORT, QUIC_PORT, Scheme, TLS_PORT, WS_PATH};
pub use dial::{DialError, Dialler, dial};
pub use envelope::Envelope;
pub use inherited::Inherited;
pub use listen::{BACKLOG, IpVersions, ListenError, listen, listen_udp};
pub use networks::{Network, Networks, NotANetwork};
pub use peer::Peer;
pub use proxy::{Proxied, read_proxied};
pub use stream::Stream;
pub use unix::{UNIX_PATH_BYTES_MAX, UnixListenError, UnixPlace, listen_unix};
