//! A scenario's world: one broker behind a driver, the connections to it, and a transcript of all that was said. What
//! a connection can send and expect is in `client`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::builders::publish;
use crate::client::Client;
use crate::decode::{Sender, decode};
use crate::driver::{Driver, Quiet, Received};
use crate::packet::{Connect, Packet, Publish, Version};
use crate::peer::Peer;

/// What is asked of the broker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// What the specification makes a duty. Where it only recommends or permits, every permitted behaviour passes.
    Text,
    /// That, what the specification recommends, and what Whimbrel promises where the text leaves the choice.
    House,
}

/// The world of one scenario.
pub struct World {
    core: Rc<RefCell<Core>>,
    version: Version,
    demand: Demand,
}

impl World {
    /// A world without connections. Scenarios that run in several versions ask `version`.
    pub fn new(driver: Box<dyn Driver>, version: Version, demand: Demand) -> Self {
        Self { core: Rc::new(RefCell::new(Core::new(driver))), version, demand }
    }

    /// The version in which this run takes place.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether more than the letter of the specification is asked.
    pub fn house(&self) -> bool {
        self.demand == Demand::House
    }

    /// A CONNECT of this run's version: clean, keep-alive of a minute.
    pub fn client(&self, client_id: &str) -> Connect {
        Connect::new(self.version, client_id)
    }

    /// Opens a network connection and sends nothing. `name` is for the transcript.
    pub fn open(&mut self, name: &str) -> Client {
        self.open_as(name, self.version)
    }

    /// Opens a network connection on which packets will be read as of this version.
    pub fn open_as(&mut self, name: &str, version: Version) -> Client {
        let mut core = self.core.borrow_mut();
        let link = core.driver.open();
        core.peers.push(Peer::new(name, link, version));
        let index = core.peers.len() - 1;
        core.say(index, "opens a connection".into());
        drop(core);
        Client::new(Rc::clone(&self.core), index, self.demand)
    }

    /// Opens a connection, sends this CONNECT, and expects that it is accepted.
    #[track_caller]
    pub fn connect(&mut self, connect: Connect) -> Client {
        let mut client = self.start(connect);
        let ack = client.expect_connack();
        assert_eq!(ack.code, 0, "the code of CONNACK");
        client
    }

    /// Opens a connection, sends this CONNECT, and expects nothing.
    #[track_caller]
    pub fn start(&mut self, connect: Connect) -> Client {
        let name = if connect.client_id.is_empty() { "(no id)" } else { &connect.client_id };
        let mut client = self.open_as(name, connect.version);
        client.send_packet(Packet::Connect(Box::new(connect)));
        client
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        let mut core = self.core.borrow_mut();
        core.transcript.push(format!("{:>14}  {time:?} pass", ""));
        core.driver.advance(time);
    }

    /// Lets `seconds` pass, and as much as an event that is then due may be late.
    pub fn past(&mut self, seconds: u64) {
        let slack = self.core.borrow().driver.slack();
        let margin = if slack.is_zero() { Duration::from_millis(1) } else { slack };
        self.advance(Duration::from_secs(seconds) + margin);
    }

    /// Asserts that seconds that were counted down are as they should be: exactly on virtual time, up to the slack and
    /// the seconds begun less over a network.
    #[track_caller]
    pub fn expect_seconds(&self, counted: Option<u32>, expected: u32) {
        let slack = u32::try_from(self.core.borrow().driver.slack().as_secs()).unwrap_or(0);
        let lowest = if slack == 0 { expected } else { expected.saturating_sub(slack + 1) };
        let counted = counted.expect("an interval in seconds");
        assert!(
            (lowest..=expected).contains(&counted),
            "{counted} seconds where {lowest} to {expected} are left"
        );
    }

    /// Waits until the broker has dealt with everything that was sent to it.
    #[track_caller]
    pub fn settle(&mut self) {
        Core::settle(&self.core);
    }

    /// Says something about the broker that the text leaves free; it is shown with the result.
    pub fn note(&mut self, text: impl Into<String>) {
        self.core.borrow_mut().note(text.into());
    }

    /// What the scenario has noted.
    pub fn notes(&self) -> Vec<String> {
        self.core.borrow().notes.clone()
    }

    /// Everything that was said, one line each.
    pub fn transcript(&self) -> String {
        self.core.borrow().transcript.join("\n")
    }

    /// Takes back what the scenario left in a broker that goes on living: connections, sessions, retained messages.
    pub fn clean_up(&mut self) {
        let mut core = self.core.borrow_mut();
        for index in 0..core.peers.len() {
            if !core.peers[index].closed {
                let link = core.peers[index].link;
                core.driver.close(link);
            }
        }
        let left = std::mem::take(&mut core.left);
        for (version, client_id) in left.sessions {
            let connect = Connect::new(version, &client_id);
            core.exchange(&[Packet::Connect(Box::new(connect))], version);
        }
        let clears: Vec<Packet> =
            left.retained.iter().map(|topic| Packet::Publish(publish(topic, "").retain())).collect();
        if clears.is_empty() {
            return;
        }
        let mut packets = vec![Packet::Connect(Box::new(Connect::new(Version::V311, "sweeper")))];
        packets.extend(clears);
        packets.push(Packet::PingReq);
        core.exchange(&packets, Version::V311);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what was said:\n{}", self.transcript());
        }
    }
}

/// What a scenario may leave behind in a broker.
#[derive(Debug, Default)]
struct Left {
    sessions: BTreeSet<(Version, String)>,
    retained: BTreeSet<String>,
}

/// The state behind the world and its clients.
pub(crate) struct Core {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) peers: Vec<Peer>,
    transcript: Vec<String>,
    notes: Vec<String>,
    left: Left,
}

impl Core {
    fn new(driver: Box<dyn Driver>) -> Self {
        Self { driver, peers: Vec::new(), transcript: Vec::new(), notes: Vec::new(), left: Left::default() }
    }

    /// Keeps a remark for the result.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Adds a line about one connection.
    pub(crate) fn say(&mut self, index: usize, text: String) {
        let name = self.peers[index].name.clone();
        self.transcript.push(format!("{name:>14}  {text}"));
    }

    /// Sends bytes on a connection. What they mean is noted when they have become whole packets.
    pub(crate) fn send(&mut self, index: usize, bytes: &[u8]) {
        let version = self.peers[index].version;
        self.peers[index].sending.extend(bytes);
        let mut whole = false;
        loop {
            match decode(&self.peers[index].sending, version, Sender::Client) {
                Ok(Some((packet, len))) => {
                    whole = true;
                    self.say(index, format!("→ {packet}"));
                    self.remember(&packet);
                    self.peers[index].sent(&packet);
                    self.peers[index].sending.drain(..len);
                }
                Ok(None) => break,
                Err(_) => {
                    whole = false;
                    self.peers[index].sending.clear();
                    break;
                }
            }
        }
        if !whole {
            let shown: String = bytes.iter().take(64).map(|b| format!("{b:02x} ")).collect();
            let more = if bytes.len() > 64 { format!("… ({} bytes)", bytes.len()) } else { String::new() };
            self.say(index, format!("→ {shown}{more}"));
        }
        let link = self.peers[index].link;
        self.driver.send(link, bytes);
    }

    fn remember(&mut self, packet: &Packet) {
        match packet {
            Packet::Connect(connect) => {
                self.left.sessions.insert((connect.version, connect.client_id.clone()));
                if let Some(will) = connect.will.as_ref().filter(|will| will.retain) {
                    self.left.retained.insert(will.topic.clone());
                }
            }
            Packet::Publish(Publish { retain: true, topic, .. }) if !topic.is_empty() => {
                self.left.retained.insert(topic.clone());
            }
            _ => {}
        }
    }

    /// Takes what has come on a connection. False when nothing came before the deadline, or nothing can come.
    #[track_caller]
    pub(crate) fn receive(&mut self, index: usize) -> bool {
        if self.peers[index].closed {
            return false;
        }
        let link = self.peers[index].link;
        match self.driver.receive(link) {
            Received::Nothing => return false,
            Received::Closed => {
                self.peers[index].closed = true;
                self.say(index, "← closed".into());
            }
            Received::Bytes(bytes) => {
                self.peers[index].raw.extend(bytes);
                let (texts, broken) = self.peers[index].read();
                for text in texts {
                    self.say(index, format!("← {text}"));
                }
                let assigned = self.peers[index].inbox.iter().find_map(|packet| match packet {
                    Packet::ConnAck(ack) => ack.properties.assigned_client_id(),
                    _ => None,
                });
                if let Some(id) = assigned {
                    self.left.sessions.insert((self.peers[index].version, id));
                }
                if let Some(broken) = broken {
                    panic!("{}: {broken}", self.peers[index].name);
                }
            }
        }
        true
    }

    /// Cuts a connection.
    pub(crate) fn cut(&mut self, index: usize) {
        if !self.peers[index].closed {
            self.say(index, "cuts the connection".into());
            self.peers[index].closed = true;
            let link = self.peers[index].link;
            self.driver.close(link);
        }
    }

    /// Waits until the broker has dealt with everything. Over a network every connection is asked twice with a ping:
    /// after the first answers all requests have been dealt with, after the second all that they caused has come.
    #[track_caller]
    pub(crate) fn settle(core: &Rc<RefCell<Self>>) {
        let count = core.borrow().peers.len();
        for _round in 0..2 {
            for index in 0..count {
                let mut core = core.borrow_mut();
                let link = core.peers[index].link;
                if core.peers[index].closed {
                    continue;
                }
                if core.driver.quiet(link) == Quiet::Proven {
                    while core.receive(index) {}
                } else if core.peers[index].connected {
                    core.fence(index);
                }
            }
        }
    }

    #[track_caller]
    fn fence(&mut self, index: usize) {
        let pongs = |peer: &Peer| peer.inbox.iter().filter(|p| **p == Packet::PingResp).count();
        let wanted = pongs(&self.peers[index]) + 1;
        self.send(index, &Packet::PingReq.encode(self.peers[index].version));
        while pongs(&self.peers[index]) < wanted && self.receive(index) {}
        let peer = &mut self.peers[index];
        if let Some(last) = peer.inbox.iter().rposition(|p| *p == Packet::PingResp) {
            peer.inbox.remove(last);
        } else {
            assert!(peer.closed, "{}: PINGREQ is not answered [MQTT-3.12.4-1]", peer.name);
        }
    }

    /// Sends packets on a connection of its own and waits until it is answered, without any check.
    fn exchange(&mut self, packets: &[Packet], version: Version) {
        let link = self.driver.open();
        for packet in packets {
            self.driver.send(link, &packet.encode(version));
        }
        self.driver.send(link, &Packet::Disconnect(crate::packet::Disconnect::new(0)).encode(version));
        while matches!(self.driver.receive(link), Received::Bytes(_)) {}
        self.driver.close(link);
    }
}
