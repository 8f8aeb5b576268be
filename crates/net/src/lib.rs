//! Byte streams in and out: addresses, dialling and listening over TCP. Knows no MQTT.
#![forbid(unsafe_code)]

mod address;
mod dial;
mod listen;

pub use address::{Address, AddressError, PORT};
pub use dial::{DialError, dial};
pub use listen::{BACKLOG, IpVersions, ListenError, listen};
