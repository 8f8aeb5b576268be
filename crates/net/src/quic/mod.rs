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

/// Both sides ask for the path to be tried with larger packets, and for nothing else that costs anything when idle. How
/// long a silent peer is waited for is a question of the protocol inside, which has a keep-alive of its own.
fn transport(streams: u32) -> Arc<TransportConfig> {
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
    Arc::new(transport)
}
