//! Waiting with an end, and a new client's view of retained topics. Not the sessions that are put to the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use whimbrel_codec::{
    Filters, Packet, PacketId, PacketType, QoS, Subscribe, SubscribeOptions, UserProperties, Version,
};

use super::publisher::{Publisher, acknowledge, read_payload};
use super::socket::{Broken, Socket};

/// How long a healthy broker may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells whether something has changed within a length of time.
pub(super) struct Watch {
    patience: Duration,
    count: u64,
    since: Instant,
}

impl Watch {
    pub(super) fn new(patience: Duration) -> Watch {
        Watch { patience, count: 0, since: Instant::now() }
    }

    /// Whether to go on waiting, now that so much has come.
    pub(super) fn sees(&mut self, count: u64) -> bool {
        if count != self.count {
            (self.count, self.since) = (count, Instant::now());
        }
        self.since.elapsed() < self.patience
    }
}

/// Sends PINGREQ and handles what comes before its answer.
pub(super) fn ping(
    socket: &mut Socket,
    version: Version,
    handle: &mut dyn FnMut(&Packet<'_>, &mut Vec<u8>),
) -> Result<(), Broken> {
    let mut out = Vec::new();
    Packet::PingReq.encode(version, &mut out);
    socket.send(&out)?;
    loop {
        out.clear();
        match socket.next(ANSWER_TIMEOUT)? {
            None => return Err(Broken::Silent("PINGRESP")),
            Some(Packet::PingResp) => return Ok(()),
            Some(packet) => handle(&packet, &mut out),
        }
        socket.send(&out)?;
    }
}

/// What a new client gets.
struct Looker {
    version: Version,
    lane: usize,
    found: BTreeMap<String, u64>,
    heard: u64,
}

impl Looker {
    fn handle(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        let Packet::Publish(publish) = packet else { return };
        self.heard += 1;
        // A value that cannot be read is one that nobody published.
        let number = read_payload(publish.payload).filter(|(lane, _)| *lane == self.lane);
        self.found.insert(publish.topic.to_owned(), number.map_or(u64::MAX, |(_, number)| number));
        if let Some(packet_id) = publish.packet_id {
            acknowledge(PacketType::PubAck, packet_id, self.version, out);
        }
    }
}

/// What a new client gets for the retained topics of a publisher; it waits for those that must be there.
pub(super) fn look(
    address: SocketAddr,
    publisher: &Publisher,
    owed: &[&String],
    patience: Duration,
) -> Result<BTreeMap<String, u64>, Broken> {
    let (version, lane) = (publisher.version, publisher.lane);
    let client_id = format!("{}-look", publisher.client_id);
    let (mut socket, _) = Socket::connect(address, version, &client_id, false, patience)?;
    subscribe(&mut socket, version, &format!("{}/retained/+", publisher.topic()))?;
    let mut looker = Looker { version, lane, found: BTreeMap::new(), heard: 0 };
    let mut watch = Watch::new(patience);
    let mut out = Vec::new();
    loop {
        let before = looker.heard;
        ping(&mut socket, version, &mut |packet, out| looker.handle(packet, out))?;
        let is_missing = owed.iter().any(|topic| !looker.found.contains_key(*topic));
        if looker.heard != before {
            continue;
        }
        if !is_missing || !watch.sees(looker.heard) {
            return Ok(looker.found);
        }
        // A broker may fetch retained messages in its own time.
        if let Some(packet) = socket.next(patience / 4)? {
            looker.handle(&packet, &mut out);
        }
        socket.send(&out)?;
        out.clear();
    }
}

fn subscribe(socket: &mut Socket, version: Version, filter: &str) -> Result<(), Broken> {
    let filters = [(filter, SubscribeOptions::with_qos(QoS::AtLeastOnce))];
    let packet = Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).ok_or(Broken::Silent("packet identifier"))?,
        subscription_id: None,
        user_properties: UserProperties::default(),
        filters: Filters::from_slice(&filters),
    });
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    socket.send(&out)
}
