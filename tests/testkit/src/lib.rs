//! An independent MQTT peer for tests: packets of the three versions as bytes, right and wrong, a strict decoder, and
//! scenarios whose one text runs against a broker in memory on virtual time or over TCP. It is the second opinion, so
//! it shares no code with the crates under test.
//!
//! A scenario opens connections in a [`World`] and sends and expects on the [`Client`]s it gets:
//!
//! ```no_run
//! # use whimbrel_testkit::*;
//! # let driver = Box::new(Tcp::new(([127, 0, 0, 1], 1883).into(), std::time::Duration::from_secs(5)));
//! let mut world = World::new(driver, Version::V5, Demand::Text);
//! let mut sub = world.connect(v5("sub"));
//! sub.subscribe(1, "a/b", QoS1).expect_suback(&[1]);
//! let mut publisher = world.connect(v5("pub"));
//! publisher.publish(publish("a/b", "hello").at(QoS1, 7)).expect_puback(7);
//! sub.taken("a/b", "hello").expect_qos(QoS1);
//! sub.expect_nothing();
//! ```

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test kit fails by panicking, with the transcript of what was said"
)]

mod builders;
mod client;
mod decode;
mod driver;
mod encode;
mod memory;
mod packet;
mod peer;
mod property;
mod scram;
mod tcp;
mod wire;
mod world;

pub use QoS::{QoS0, QoS1, QoS2};
pub use builders::{publish, v5, v31, v311, will};
pub use client::{Client, Refusal};
pub use decode::{Sender, decode};
pub use driver::{Driver, Link, Quiet, Received};
pub use memory::Memory;
pub use packet::{
    Ack, ConnAck, Connect, Disconnect, Options, Packet, Publish, QoS, SubAck, Subscribe, Unsubscribe,
    Version, Will,
};
pub use property::{Properties, Property};
pub use scram::{Prover, SCRAM, auth_data};
pub use tcp::Tcp;
pub use wire::{Broken, Bytes, Reader, bytes, hex};
pub use world::{Demand, World};
