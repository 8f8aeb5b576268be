//! What one MQTT connection may say: the rules of a connection and of the session behind it.
//!
//! Pure: bytes, time and answers come in, events and bytes go out. No socket, clock, disk or randomness.
//! [`server`] and [`client`] are two different machines over the same parts:
//!
//! * [`Outgoing`] and [`Incoming`] are the delivery state of a session in its two directions; they outlive the
//!   network connection;
//! * [`flow`] is what dies with the connection: quotas and topic aliases;
//! * [`Violation`] is the peer's fault, with its statement and the reason code that 5.0 asks for.
//!
//! What a message means for everybody else (routing, retained messages, wills) is not here but in
//! `whimbrel-engine`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod client;
pub mod flow;
mod incoming;
mod outgoing;
pub mod server;
mod time;
mod violation;

pub use incoming::{Incoming, Release};
pub use outgoing::{Outgoing, Sent, Stage, UnknownPacketId};
pub use time::Millis;
pub use violation::Violation;
pub use whimbrel_codec as codec;
