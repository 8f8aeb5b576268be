//! The room `[quota]`: how much clients and users may send. Not the counting.

use super::key::Reload;
use super::room::room;

room! {
    /// How much clients and users may send. Who sends more is not refused: it is read from as fast as it may send, and
    /// waits. A second's worth may come at once. What is changed counts for whoever connects after a reload.
    pub struct Quota("quota") {
        /// Messages in a second of one connection. At 0 as many as it likes. A listener may say it otherwise.
        messages_per_sec: u32 = 0, within(0, 100_000_000), unit("messages"), reload(Reload::Live);

        /// Bytes in a second of one connection, of everything that it sends. At 0 as many as it likes. A listener may say
        /// it otherwise.
        bytes_per_sec: u32 = 0, within(0, 4_294_967_295), unit("bytes"), reload(Reload::Live);

        /// Messages in a second of all connections together that have proved one user name. At 0 as many as they like.
        user_messages_per_sec: u32 = 0, within(0, 100_000_000), unit("messages"), reload(Reload::Live);

        /// Bytes in a second of all connections together that have proved one user name. At 0 as many as they like.
        user_bytes_per_sec: u32 = 0, within(0, 4_294_967_295), unit("bytes"), reload(Reload::Live);

        /// Connections that may have proved one user name at once; one more is refused with 0x97 (3 in MQTT 3.1.1), but a
        /// client may always take its own place. At 0 as many as there are.
        user_connections: u32 = 0, within(0, 10_000_000), unit("connections"), reload(Reload::Live);
    }
}
