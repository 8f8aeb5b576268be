//! A broker of a few hundred lines that keeps what it has acknowledged, across kills, save for the lies it is told to
//! tell, which it counts. For the tests of the account only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use whimbrel_codec::{
    ConnAck, Connect, Packet, PacketId, PacketType, Peer, Publish, QoS, ReasonCode, Reasons, Split, SubAck,
    Subscribe, UserProperties, Version, matches, split,
};

use super::broker::Broker;
use super::publisher::acknowledge;

/// What it does against its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// One of so many messages is acknowledged and given to nobody.
    Forget(u64),
    /// One of so many QoS 2 messages is given to everybody twice.
    Twice(u64),
    /// One of so many QoS 0 messages is given to nobody, or to everybody twice.
    Qos0(u64, usize),
    /// Each start one retained value is gone.
    RetainedLost,
    /// Each start one retained value is the first that the topic ever had.
    RetainedStale,
    /// Each start the session with this start of its client identifier is gone.
    Session(&'static str),
}

/// The broker. What it holds is its disk: a kill cuts the connections and no more.
pub(super) struct Liar {
    disk: Arc<Mutex<Disk>>,
    lie: Lie,
    starts: usize,
}

#[derive(Default)]
struct Disk {
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<String, Vec<u8>>,
    first_retained: BTreeMap<String, Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
    forgotten: BTreeSet<Vec<u8>>,
    messages: u64,
    unpromised: u64,
    told: u64,
    /// The number of the start that runs; connections of an earlier one are dead.
    epoch: u64,
    streams: Vec<TcpStream>,
}

#[derive(Default)]
struct Session {
    version: Version,
    is_persistent: bool,
    filters: Vec<(String, QoS)>,
    outgoing: VecDeque<Delivery>,
    /// QoS 2 messages that have come and are not released.
    open: BTreeSet<PacketId>,
    packet_id: u16,
    link: Option<TcpStream>,
}

#[derive(Clone)]
struct Delivery {
    packet_id: PacketId,
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    is_received: bool,
}

impl Liar {
    pub(super) fn new(lie: Lie) -> Liar {
        Liar { disk: Arc::default(), lie, starts: 0 }
    }

    /// How many lies it told: messages forgotten or doubled, values and sessions dropped.
    pub(super) fn told(&self) -> u64 {
        lock(&self.disk).told
    }

    fn lie_at_start(&mut self, disk: &mut Disk) {
        // Of what was retained at QoS 0 nothing was promised.
        let promised: Vec<_> =
            disk.first_retained.keys().filter(|topic| disk.retained.contains_key(*topic)).collect();
        let topic = promised.get(self.starts % promised.len().max(1)).map(|topic| (*topic).clone());
        match (self.lie, topic) {
            (Lie::RetainedLost, Some(topic)) => {
                disk.retained.remove(&topic);
                disk.told += 1;
            }
            (Lie::RetainedStale, Some(topic)) => {
                if let Some(first) = disk.first_retained.get(&topic) {
                    disk.retained.insert(topic, first.clone());
                    disk.told += 1;
                }
            }
            (Lie::Session(start), _) => {
                let before = disk.sessions.len();
                disk.sessions.retain(|client_id, _| !client_id.contains(start));
                disk.told += (before - disk.sessions.len()) as u64;
            }
            _ => {}
        }
    }
}

impl Broker for Liar {
    fn start(&mut self) -> Result<SocketAddr, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (disk, lie) = (self.disk.clone(), self.lie);
        let mut held = lock(&disk);
        self.lie_at_start(&mut held);
        self.starts += 1;
        let epoch = held.epoch;
        drop(held);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (disk, mut held) = (disk.clone(), lock(&disk));
                if held.epoch != epoch {
                    return;
                }
                held.streams.extend(stream.try_clone());
                drop(held);
                thread::spawn(move || {
                    Talk { disk, lie, epoch, stream, client_id: None, version: Version::V5 }.run()
                });
            }
        });
        Ok(address)
    }

    fn kill(&mut self) -> Result<(), String> {
        let mut disk = lock(&self.disk);
        disk.epoch += 1;
        for stream in disk.streams.drain(..) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        disk.sessions.retain(|_, session| session.is_persistent);
        disk.sessions.values_mut().for_each(|session| session.link = None);
        Ok(())
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection.
struct Talk {
    disk: Arc<Mutex<Disk>>,
    lie: Lie,
    epoch: u64,
    stream: TcpStream,
    client_id: Option<String>,
    version: Version,
}

impl Talk {
    fn run(mut self) {
        let mut input = Vec::new();
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = self.stream.read(&mut buffer) {
            input.extend_from_slice(&buffer[..read]);
            while let Ok(Split::Whole { frame, len }) = split(&input, 1 << 20) {
                let packet = Packet::decode(frame, self.version, Peer::Client).unwrap();
                let disk = self.disk.clone();
                let mut disk = lock(&disk);
                // What a dead process has read does not count.
                if disk.epoch != self.epoch {
                    return;
                }
                self.handle(&mut disk, &packet);
                drop(disk);
                input.drain(..len);
            }
        }
    }

    fn handle(&mut self, disk: &mut Disk, packet: &Packet<'_>) {
        let mut out = Vec::new();
        match packet {
            Packet::Connect(connect) => self.connect(disk, connect, &mut out),
            Packet::Subscribe(subscribe) => self.subscribe(disk, subscribe, &mut out),
            Packet::Publish(publish) => self.publish(disk, publish, &mut out),
            Packet::PubRel(ack) => {
                self.session(disk).open.remove(&ack.packet_id);
                acknowledge(PacketType::PubComp, ack.packet_id, self.version, &mut out);
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.session(disk).outgoing.retain(|delivery| delivery.packet_id != ack.packet_id);
            }
            Packet::PubRec(ack) => {
                let outgoing = &mut self.session(disk).outgoing;
                for delivery in outgoing.iter_mut().filter(|delivery| delivery.packet_id == ack.packet_id) {
                    delivery.is_received = true;
                }
                acknowledge(PacketType::PubRel, ack.packet_id, self.version, &mut out);
            }
            Packet::PingReq => Packet::PingResp.encode(self.version, &mut out),
            _ => {}
        }
        // A client that is gone does not hear it.
        let _ = self.stream.write_all(&out);
    }

    fn session<'d>(&self, disk: &'d mut Disk) -> &'d mut Session {
        let client_id = self.client_id.clone().unwrap();
        disk.sessions.entry(client_id).or_default()
    }

    fn connect(&mut self, disk: &mut Disk, connect: &Connect<'_>, out: &mut Vec<u8>) {
        self.version = connect.version;
        self.client_id = Some(connect.client_id.to_owned());
        if connect.clean_start {
            disk.sessions.remove(connect.client_id);
        }
        let session_present = disk.sessions.contains_key(connect.client_id);
        let session = self.session(disk);
        session.version = connect.version;
        session.is_persistent = !connect.clean_start;
        session.link = self.stream.try_clone().ok();
        ConnAck { session_present, ..ConnAck::default() }.encode(self.version, out);
        for delivery in &session.outgoing {
            match delivery.is_received {
                true => acknowledge(PacketType::PubRel, delivery.packet_id, self.version, out),
                false => delivery.put(true, self.version, out),
            }
        }
    }

    fn subscribe(&self, disk: &mut Disk, subscribe: &Subscribe<'_>, out: &mut Vec<u8>) {
        let retained = disk.retained.clone();
        let session = self.session(disk);
        for (filter, options) in subscribe.filters.iter() {
            session.filters.push((filter.to_owned(), options.qos));
            let reasons = [ReasonCode::granted(options.qos)];
            let reasons = Reasons::from_slice(&reasons);
            let (packet_id, user_properties) = (subscribe.packet_id, UserProperties::default());
            SubAck { packet_id, reason_string: None, user_properties, reasons }.encode(self.version, out);
            for (topic, payload) in retained.iter().filter(|(topic, _)| matches(filter, topic)) {
                session.deliver(topic, payload, options.qos, true, out);
            }
        }
    }

    fn publish(&self, disk: &mut Disk, publish: &Publish<'_>, out: &mut Vec<u8>) {
        let id = publish.packet_id;
        let is_new =
            publish.qos != QoS::ExactlyOnce || id.is_some_and(|id| self.session(disk).open.insert(id));
        if is_new && publish.retain {
            let (topic, payload) = (publish.topic.to_owned(), publish.payload.to_vec());
            if publish.qos != QoS::AtMostOnce {
                disk.first_retained.entry(topic.clone()).or_insert_with(|| payload.clone());
            }
            disk.retained.insert(topic, payload);
        } else if is_new {
            for _ in 0..self.copies(disk, publish) {
                disk.deliver(publish);
            }
        }
        let Some(packet_id) = id else { return };
        let answer = if publish.qos == QoS::ExactlyOnce { PacketType::PubRec } else { PacketType::PubAck };
        acknowledge(answer, packet_id, self.version, out);
    }

    /// How often everybody gets this message of QoS 0.
    fn copies_unpromised(&self, disk: &mut Disk) -> usize {
        disk.unpromised += 1;
        match self.lie {
            Lie::Qos0(every, copies) if disk.unpromised.is_multiple_of(every) => {
                disk.told += 1;
                copies
            }
            _ => 1,
        }
    }

    /// How often everybody gets this message.
    fn copies(&self, disk: &mut Disk, publish: &Publish<'_>) -> usize {
        if publish.qos == QoS::AtMostOnce {
            return self.copies_unpromised(disk);
        }
        // What is sent again because its PUBACK was cut off has had its lie, or is spared.
        if !disk.seen.insert(publish.payload.to_vec()) {
            return usize::from(!disk.forgotten.contains(publish.payload));
        }
        disk.messages += 1;
        match self.lie {
            Lie::Forget(every) if disk.messages.is_multiple_of(every) => {
                disk.told += 1;
                disk.forgotten.insert(publish.payload.to_vec());
                0
            }
            Lie::Twice(every) if publish.qos == QoS::ExactlyOnce && disk.messages.is_multiple_of(every) => {
                disk.told += 1;
                2
            }
            _ => 1,
        }
    }
}

impl Disk {
    fn deliver(&mut self, publish: &Publish<'_>) {
        for session in self.sessions.values_mut() {
            let filter = session.filters.iter().find(|(filter, _)| matches(filter, publish.topic));
            let Some(qos) = filter.map(|(_, qos)| publish.qos.min(*qos)) else { continue };
            let mut out = Vec::new();
            if qos == QoS::AtMostOnce && session.link.is_none() {
                continue;
            }
            session.deliver(publish.topic, publish.payload, qos, false, &mut out);
            if let Some(link) = &mut session.link {
                // Whoever is gone gets it when it comes back.
                let _ = link.write_all(&out);
            }
        }
    }
}

impl Session {
    fn deliver(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool, out: &mut Vec<u8>) {
        if qos == QoS::AtMostOnce {
            Publish { retain, topic, payload, ..Publish::default() }.encode(self.version, out);
            return;
        }
        self.packet_id = self.packet_id % u16::MAX + 1;
        let packet_id = PacketId::new(self.packet_id).unwrap();
        let (topic, payload) = (topic.to_owned(), payload.to_vec());
        let delivery = Delivery { packet_id, topic, payload, qos, retain, is_received: false };
        delivery.put(false, self.version, out);
        self.outgoing.push_back(delivery);
    }
}

impl Delivery {
    fn put(&self, dup: bool, version: Version, out: &mut Vec<u8>) {
        let publish = Publish {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: Some(self.packet_id),
            payload: &self.payload,
            ..Publish::default()
        };
        publish.encode(version, out);
    }
}
