//! The targets, and their list. Not where their inputs come from.

mod client_bytes;
mod configuration;
mod decode;
mod engine;
mod pair;
mod password_file;
mod retained;
mod round_trip;
mod second_opinion;
mod server_bytes;
mod trie;

/// A function that must survive every input.
#[derive(Copy, Clone, Debug)]
pub struct Target {
    /// Its name, which its corpus and its wrapper in `fuzz/` have too.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// How its inputs are made where nothing measures coverage.
    pub(crate) shape: Shape,
    /// Inputs that `cargo test` makes, so many that a target takes about a second.
    pub test_count: u32,
}

/// What a valid input of a target looks like.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Shape {
    /// A byte of choice and packets of both sides.
    Packets,
    /// A byte of limits, a script, and what a client sends.
    ClientPackets,
    /// A byte of settings, a script, and what a server sends.
    ServerPackets,
    /// Operations: every byte means something.
    Operations,
    /// Operations with the packets of several clients among them.
    Conversations,
    /// The text of a configuration.
    Configuration,
    /// The text of a password file.
    PasswordFile,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("decode", decode::decode, Shape::Packets, 60_000),
    target("round_trip", round_trip::round_trip, Shape::Packets, 60_000),
    target("second_opinion", second_opinion::second_opinion, Shape::Packets, 60_000),
    target("server_bytes", server_bytes::server_bytes, Shape::ClientPackets, 25_000),
    target("client_bytes", client_bytes::client_bytes, Shape::ServerPackets, 8_000),
    target("pair", pair::pair, Shape::Operations, 4_000),
    target("trie", trie::trie, Shape::Operations, 8_000),
    target("retained", retained::retained, Shape::Operations, 8_000),
    target("session", engine::session::session, Shape::Operations, 3_000),
    target("conversations", engine::conversations::conversations, Shape::Conversations, 5_000),
    target("configuration", configuration::configuration, Shape::Configuration, 1_500),
    target("password_file", password_file::password_file, Shape::PasswordFile, 12_000),
];

const fn target(name: &'static str, run: fn(&[u8]), shape: Shape, test_count: u32) -> Target {
    Target { name, run, shape, test_count }
}
