//! Byte streams in and out: addresses, dialling and listening over TCP, with TLS and WebSocket where they are asked for.
//! Knows no MQTT but its name.
#![forbid(unsafe_code)]

mod address;
mod dial;
mod listen;
mod networks;
mod peer;
mod stream;
pub mod tls;
pub mod ws;

pub use address::{Address, AddressError, PORT, Scheme, TLS_PORT, WS_PATH};
pub use dial::{DialError, Dialler, dial};
pub use listen::{BACKLOG, IpVersions, ListenError, listen};
pub use networks::{Network, Networks, NotANetwork};
pub use peer::Peer;
pub use stream::Stream;
