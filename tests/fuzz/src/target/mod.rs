//! The targets, and their list. Not where their inputs come from.

mod address;
mod client_bytes;
mod configuration;
mod control;
mod decode;
mod engine;
mod pair;
mod password_file;
mod proxy_header;
mod records;
mod retained;
mod rights;
mod round_trip;
mod rule_files;
mod scram;
mod second_opinion;
mod segments;
mod server_bytes;
mod trie;
mod websocket;

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
    /// A size of pieces, and a header of the PROXY protocol.
    ProxyHeader,
    /// A choice of rules, and a request for a WebSocket.
    Upgrade,
    /// A size of reads, and frames of a WebSocket's client.
    Frames,
    /// A choice of the reader, and a message of SCRAM.
    Scram,
    /// The text of a file of rules.
    RuleFile,
    /// The text of Mosquitto's.
    AclFile,
    /// The text of the one of its plug-in.
    DynamicSecurity,
    /// Records of a store, each with its length before it.
    Records,
    /// Addresses, URLs and networks.
    Addresses,
    /// Requests to the control door.
    Requests,
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
    target("proxy_header", proxy_header::proxy_header, Shape::ProxyHeader, 100_000),
    target("ws_request", websocket::request, Shape::Upgrade, 10_000),
    target("ws_frames", websocket::frames, Shape::Frames, 5_000),
    target("scram", scram::scram, Shape::Scram, 20_000),
    target("rule_file", rule_files::rule_file, Shape::RuleFile, 1_500),
    target("acl_file", rule_files::acl_file, Shape::AclFile, 4_000),
    target("dynamic_security", rule_files::dynamic_security, Shape::DynamicSecurity, 2_500),
    target("rights", rights::rights, Shape::Operations, 300),
    target("records", records::records, Shape::Records, 3_000),
    target("segments", segments::segments, Shape::Operations, 500),
    target("address", address::address, Shape::Addresses, 20_000),
    target("control", control::control, Shape::Requests, 2_000),
];

const fn target(name: &'static str, run: fn(&[u8]), shape: Shape, test_count: u32) -> Target {
    Target { name, run, shape, test_count }
}
