//! Every limit is reached: what the client is told, what is counted, and what is on the heap then and afterwards.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share fails by panicking"
)]

mod it {
    mod connections;
    mod crowds;
    mod links;
    mod packets;
    mod passwords;
    mod queues;
    mod reach;
    mod sessions;
    mod sockets;
    mod stores;
    mod table;
    mod topics;
    mod websockets;
}
