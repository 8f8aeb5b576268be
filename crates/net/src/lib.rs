//! Byte streams in and out: addresses, dialling and listening over TCP, with TLS where it is asked for. Knows no MQTT.
#![forbid(unsafe_code)]

mod address;
mod dial;
mod listen;
mod stream;
pub mod tls;

pub use address::{Address, AddressError, PORT, Scheme, TLS_PORT};
pub use dial::{DialError, Dialler, dial};
pub use listen::{BACKLOG, IpVersions, ListenError, listen};
pub use stream::Stream;
