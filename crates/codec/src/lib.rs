//! Packets of MQTT 3.1, 3.1.1 and 5.0 to bytes and back. Not the rules between packets: those are the protocol's.
//!
//! Three steps read a stream: [`split`] cuts the next [`Frame`] off the buffer, [`Packet::decode`] (or the
//! packet's own `decode`) checks it against the specification, and what comes back borrows from the buffer:
//! no payload, topic or property is copied. Whatever is wrong with the bytes is a [`Malformed`], which
//! names the violated statement and the reason code to answer with.
//!
//! Writing goes into any [`Sink`]. `encoded_len` tells beforehand how many bytes `encode` will put, so that
//! a caller can refuse a packet that its peer does not take, and reserve once.
//!
//! What a peer sends never makes this crate panic, allocate or recurse.
//!
//! # Lengths
//!
//! The wire gives strings and binary fields two length bytes. Fields longer than 65,535 bytes are cut at the
//! last whole character that fits, so that a frame is well-formed whatever it is made of; callers who care
//! check first. A packet whose remaining length passes [`REMAINING_LENGTH_MAX`] has no wire form:
//! the caller compares `encoded_len` with [`PACKET_SIZE_MAX`] before it encodes.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod ack;
mod auth;
mod body;
mod connack;
mod connect;
mod disconnect;
mod frame;
mod malformed;
mod packet;
mod packet_id;
mod packet_type;
mod properties;
mod publish;
mod publish_head;
mod qos;
mod reader;
mod reason_code;
mod reasons;
mod sink;
mod string;
mod suback;
mod subscribe;
mod topic;
mod unsuback;
mod unsubscribe;
mod varint;
mod version;
mod will;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::{ConnAck, ConnAckProperties};
pub use connect::{Connect, ConnectProperties};
pub use disconnect::Disconnect;
pub use frame::{Frame, PACKET_SIZE_MAX, REMAINING_LENGTH_MAX, Split, split};
pub use malformed::Malformed;
pub use packet::Packet;
pub use packet_id::PacketId;
pub use packet_type::{PacketType, Peer};
pub use properties::{PropertyId, PublishProperties, SubscriptionIds, UserProperties};
pub use publish::{Publish, publish_first_byte};
pub use publish_head::{HeadLayout, PublishHead};
pub use qos::QoS;
pub use reason_code::ReasonCode;
pub use reasons::Reasons;
pub use sink::{CountSink, Sink, SliceSink};
pub use string::{check_str, is_mqtt_utf8};
pub use suback::SubAck;
pub use subscribe::{Filters, RetainHandling, Subscribe, SubscribeOptions};
pub use topic::{Filter, check_topic_filter, check_topic_name, is_shared, matches};
pub use unsuback::UnsubAck;
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters};
pub use version::Version;
pub use will::Will;
