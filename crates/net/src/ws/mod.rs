//! WebSocket (RFC 6455) for MQTT: a stream of bytes in binary frames. Not what the bytes say.
//!
//! The rules are pure: `frame` takes frames apart and makes their heads, `head` reads the head of a request by the
//! letter, `rules` judges a request, `ask` makes one and judges its answer. `socket` is the stream, `handshake` is
//! how it begins. `wrap` is the client's side for whoever moves the bytes himself.

mod ask;
mod frame;
mod handshake;
mod head;
mod mask;
mod rules;
mod socket;
mod wrap;

pub use frame::CloseCode;
pub(crate) use handshake::connect;
pub use handshake::{Accepted, accept};
pub use rules::{Origins, UpgradeRules};
pub use socket::WebSocket;
pub(crate) use wrap::Wrap;
