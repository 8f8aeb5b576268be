//! QUIC: one connection carries one stream in both directions, and the protocol that is spoken in it is agreed upon by its
//! name (ALPN). Not the sockets of TCP, and not TLS itself, whose certificates and settings serve here as well.
//!
//! Data before the end of the handshake (0-RTT) is neither sent nor taken: whoever has recorded it could send it again. A
//! peer may change its address while it is connected; its new one is verified before much is sent there.

mod dial;
mod listener;
mod lost;
mod stream;

use std::{sync::Arc, time::Duration};

use quinn::{TransportConfig, VarInt};

pub(crate) use dial::connect;
pub use listener::{QuicArrival, QuicListener, RECEIVE_BUFFER_BYTES};
pub use stream::QuicStream;

/// What one side takes before it has been read, and holds before it has arrived: what a connection may cost at most.
const WINDOW_BYTES: u32 = 256 << 10;

/// How often a listener asks whether a silent peer is there, as TCP's keep-alive does, and how long it waits for any sign.
const ASKS_EVERY: Duration = Duration::from_secs(300);
const WAITS_FOR: VarInt = VarInt::from_u32(900_000);

/// A peer may open one stream. Who has vanished without a word is found, also where the protocol inside has no keep-alive.
fn server_transport() -> Arc<TransportConfig> {
    let mut transport = transport(1);
    transport.keep_alive_interval(Some(ASKS_EVERY)).max_idle_timeout(Some(WAITS_FOR.into()));
    Arc::new(transport)
}

/// A client leaves it to the protocol inside to find out whether its server is there.
fn client_transport() -> Arc<TransportConfig> {
    Arc::new(transport(0))
}

fn transport(streams: u32) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(WINDOW_BYTES.into())
        .initial_rtt(Duration::from_millis(100))
        .max_idle_timeout(None);
    transport
}
