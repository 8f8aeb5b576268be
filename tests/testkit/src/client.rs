//! What a scenario does with one connection: send a packet, expect a packet, expect nothing, expect the end. An
//! expectation takes the first packet of its kind; the order between kinds is free unless `next` is used.

use std::cell::RefCell;
use std::rc::Rc;

use crate::builders::publish;
use crate::driver::Quiet;
use crate::packet::{
    Ack, ConnAck, Disconnect, Options, Packet, Publish, QoS, SubAck, Subscribe, Unsubscribe, Version,
};
use crate::property::{Properties, Property};
use crate::world::{Core, Demand};

/// One connection of the scenario.
pub struct Client {
    core: Rc<RefCell<Core>>,
    index: usize,
    demand: Demand,
    connack: Option<ConnAck>,
    next_id: u16,
}

/// How a server has answered something that it must not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// CONNACK with this code, then the close.
    ConnAck(u8),
    /// DISCONNECT with this code, then the close.
    Disconnect(u8),
    /// The close without a word.
    Closed,
    /// It has not refused: the connection goes on, and this has come.
    Accepted(Vec<String>),
}

impl Client {
    pub(crate) fn new(core: Rc<RefCell<Core>>, index: usize, demand: Demand) -> Self {
        Self { core, index, demand, connack: None, next_id: 20_000 }
    }

    /// The CONNACK that was accepted.
    #[track_caller]
    pub fn connack(&self) -> &ConnAck {
        self.connack.as_ref().expect("CONNACK has been expected before")
    }

    /// The version that this connection speaks.
    pub fn version(&self) -> Version {
        self.core.borrow().peers[self.index].version
    }

    /// Stops checking the rules that hold on every connection: after this the server is given wrong bytes.
    pub fn unchecked(&mut self) {
        self.core.borrow_mut().peers[self.index].checked = false;
    }

    // Sending.

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.core.borrow_mut().send(self.index, bytes.as_ref());
        self
    }

    /// Sends a packet.
    #[track_caller]
    pub fn send_packet(&mut self, packet: Packet) -> &mut Self {
        let bytes = packet.encode(self.version());
        self.send(bytes)
    }

    /// SUBSCRIBE to one filter.
    #[track_caller]
    pub fn subscribe(&mut self, id: u16, filter: &str, options: impl Into<Options>) -> &mut Self {
        self.subscribe_with(Subscribe::one(id, filter, options))
    }

    /// SUBSCRIBE.
    #[track_caller]
    pub fn subscribe_with(&mut self, subscribe: Subscribe) -> &mut Self {
        self.send_packet(Packet::Subscribe(subscribe))
    }

    /// SUBSCRIBE to one filter, granted as asked. What the subscription brings at once stays to be expected.
    #[track_caller]
    pub fn subscribed(&mut self, filter: &str, options: impl Into<Options>) -> &mut Self {
        let (id, options) = (self.fresh_id(), options.into());
        self.subscribe(id, filter, options);
        self.expect_suback(&[options.0 & 3])
    }

    /// UNSUBSCRIBE.
    #[track_caller]
    pub fn unsubscribe(&mut self, id: u16, filters: &[&str]) -> &mut Self {
        let filters = filters.iter().map(|&filter| filter.into()).collect();
        self.send_packet(Packet::Unsubscribe(Unsubscribe { id, properties: Properties::none(), filters }))
    }

    /// PUBLISH.
    #[track_caller]
    pub fn publish(&mut self, publish: Publish) -> &mut Self {
        self.send_packet(Packet::Publish(publish))
    }

    /// PUBLISH with the whole exchange of its QoS, accepted by the server.
    #[track_caller]
    pub fn published(&mut self, mut publish: Publish) -> &mut Self {
        if publish.qos > 0 && publish.id == 0 {
            publish.id = self.fresh_id();
        }
        let (qos, id) = (publish.qos, publish.id);
        self.publish(publish);
        match qos {
            1 => _ = self.expect_puback(id),
            2 => {
                self.expect_pubrec(id);
                self.pubrel(id);
                self.expect_pubcomp(id);
            }
            _ => {}
        }
        self
    }

    /// A PUBLISH of this text at this QoS with the whole exchange.
    #[track_caller]
    pub fn say(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: QoS) -> &mut Self {
        self.published(publish(topic, payload).at(qos, 0))
    }

    /// PUBACK.
    pub fn puback(&mut self, id: u16) -> &mut Self {
        self.send_packet(Packet::PubAck(Ack::new(id, 0)))
    }

    /// PUBREC.
    pub fn pubrec(&mut self, id: u16) -> &mut Self {
        self.send_packet(Packet::PubRec(Ack::new(id, 0)))
    }

    /// PUBREL.
    pub fn pubrel(&mut self, id: u16) -> &mut Self {
        self.send_packet(Packet::PubRel(Ack::new(id, 0)))
    }

    /// PUBCOMP.
    pub fn pubcomp(&mut self, id: u16) -> &mut Self {
        self.send_packet(Packet::PubComp(Ack::new(id, 0)))
    }

    /// PINGREQ.
    pub fn ping(&mut self) -> &mut Self {
        self.send_packet(Packet::PingReq)
    }

    /// DISCONNECT, and the close of the connection.
    pub fn disconnect(&mut self) {
        self.disconnect_with(Disconnect::new(0));
    }

    /// DISCONNECT with this reason and these properties (5.0), and the close of the connection.
    #[track_caller]
    pub fn disconnect_with(&mut self, disconnect: Disconnect) {
        self.send_packet(Packet::Disconnect(disconnect));
        self.cut();
    }

    /// Waits until the broker has dealt with everything that anybody has sent.
    #[track_caller]
    pub fn settle(&mut self) -> &mut Self {
        Core::settle(&self.core);
        self
    }

    /// The network connection breaks.
    pub fn cut(&mut self) {
        self.core.borrow_mut().cut(self.index);
    }

    // Expecting.

    /// CONNACK, whatever its code.
    #[track_caller]
    pub fn expect_connack(&mut self) -> ConnAck {
        let ack = self
            .expect("CONNACK", |packet| if let Packet::ConnAck(a) = packet { Some(a.clone()) } else { None });
        self.connack = Some(ack.clone());
        ack
    }

    /// SUBACK with these codes. Its Packet Identifier is that of a SUBSCRIBE without answer, or the peer complains.
    #[track_caller]
    pub fn expect_suback(&mut self, codes: &[u8]) -> &mut Self {
        let ack = self.any_suback();
        assert_eq!(ack.codes, codes, "the codes of SUBACK {}", ack.id);
        self
    }

    /// SUBACK, whatever its codes.
    #[track_caller]
    pub fn any_suback(&mut self) -> SubAck {
        self.expect("SUBACK", |packet| if let Packet::SubAck(a) = packet { Some(a.clone()) } else { None })
    }

    /// UNSUBACK with these codes; before 5.0 it has none.
    #[track_caller]
    pub fn expect_unsuback(&mut self, codes: &[u8]) -> &mut Self {
        let ack =
            self.expect("UNSUBACK", |p| if let Packet::UnsubAck(a) = p { Some(a.clone()) } else { None });
        if self.version() == Version::V5 {
            assert_eq!(ack.codes, codes, "the codes of UNSUBACK {}", ack.id);
        }
        self
    }

    /// PUBACK with a code that accepts.
    #[track_caller]
    pub fn expect_puback(&mut self, id: u16) -> Ack {
        let ack = self.puback_for(id);
        assert!(ack.code < 0x80, "PUBACK {id} refuses with 0x{:02X}", ack.code);
        ack
    }

    /// PUBACK, whatever its code.
    #[track_caller]
    pub fn puback_for(&mut self, id: u16) -> Ack {
        self.expect(&format!("PUBACK {id}"), |p| match p {
            Packet::PubAck(a) if a.id == id => Some(a.clone()),
            _ => None,
        })
    }

    /// PUBREC with a code that accepts.
    #[track_caller]
    pub fn expect_pubrec(&mut self, id: u16) -> Ack {
        let ack = self.pubrec_for(id);
        assert!(ack.code < 0x80, "PUBREC {id} refuses with 0x{:02X}", ack.code);
        ack
    }

    /// PUBREC, whatever its code.
    #[track_caller]
    pub fn pubrec_for(&mut self, id: u16) -> Ack {
        self.expect(&format!("PUBREC {id}"), |p| match p {
            Packet::PubRec(a) if a.id == id => Some(a.clone()),
            _ => None,
        })
    }

    /// PUBREL, whatever its code.
    #[track_caller]
    pub fn expect_pubrel(&mut self, id: u16) -> Ack {
        self.expect(&format!("PUBREL {id}"), |p| match p {
            Packet::PubRel(a) if a.id == id => Some(a.clone()),
            _ => None,
        })
    }

    /// PUBCOMP, whatever its code.
    #[track_caller]
    pub fn expect_pubcomp(&mut self, id: u16) -> Ack {
        self.expect(&format!("PUBCOMP {id}"), |p| match p {
            Packet::PubComp(a) if a.id == id => Some(a.clone()),
            _ => None,
        })
    }

    /// PINGRESP.
    #[track_caller]
    pub fn expect_pingresp(&mut self) -> &mut Self {
        self.expect("PINGRESP", |packet| (*packet == Packet::PingResp).then_some(()));
        self
    }

    /// AUTH.
    #[track_caller]
    pub fn expect_auth(&mut self) -> Disconnect {
        self.expect("AUTH", |packet| if let Packet::Auth(a) = packet { Some(a.clone()) } else { None })
    }

    /// The next PUBLISH, whatever it is.
    #[track_caller]
    pub fn delivery(&mut self) -> Publish {
        self.expect("PUBLISH", |packet| if let Packet::Publish(p) = packet { Some(p.clone()) } else { None })
    }

    /// The next PUBLISH, with this topic and payload. It is not acknowledged.
    #[track_caller]
    pub fn expect_publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Publish {
        let expected = format!("PUBLISH {topic:?} {:?}", String::from_utf8_lossy(payload.as_ref()));
        let found = self
            .expect(&expected, |packet| if let Packet::Publish(p) = packet { Some(p.clone()) } else { None });
        assert!(
            found.topic == topic && found.payload == payload.as_ref(),
            "{}: expected {expected}, but the next one is {found}",
            self.name()
        );
        found
    }

    /// The next PUBLISH, with this topic and payload, and the whole exchange of its QoS.
    #[track_caller]
    pub fn taken(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Publish {
        let publish = self.expect_publish(topic, payload);
        self.acknowledge(&publish);
        publish
    }

    /// Asserts that a delivery which waited for this connection has not been sent before. Over a network nobody knows
    /// when a broker has noticed the end of the earlier connection: what it wrote there meanwhile comes with DUP.
    #[track_caller]
    pub fn expect_waited(&mut self, publish: &Publish) {
        let mut core = self.core.borrow_mut();
        let link = core.peers[self.index].link;
        if core.driver.quiet(link) == Quiet::Proven {
            assert!(!publish.dup, "DUP in {publish}, which has waited");
        }
    }

    /// The whole exchange that a delivery asks for.
    #[track_caller]
    pub fn acknowledge(&mut self, publish: &Publish) {
        match publish.qos {
            1 => _ = self.puback(publish.id),
            2 => {
                self.pubrec(publish.id);
                self.expect_pubrel(publish.id);
                self.pubcomp(publish.id);
            }
            _ => {}
        }
    }

    /// The next packet of any kind, as they came.
    #[track_caller]
    pub fn next_packet(&mut self) -> Packet {
        self.expect("any packet", |packet| Some(packet.clone()))
    }

    /// Nothing has come that was not expected, nothing comes, and the connection is open.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> &mut Self {
        Core::settle(&self.core);
        let core = self.core.borrow();
        let peer = &core.peers[self.index];
        let left: Vec<String> = peer.inbox.iter().map(ToString::to_string).collect();
        assert!(left.is_empty(), "{}: expected nothing more, but {} came", peer.name, left.join(", "));
        assert!(!peer.closed, "{}: the connection is closed", peer.name);
        drop(core);
        self
    }

    /// A 5.0 server ends the connection with DISCONNECT and this reason. The text demands the close and recommends the
    /// packet, so by the letter the close alone passes, and another reason is noted.
    #[track_caller]
    pub fn expect_disconnect(&mut self, code: u8) {
        self.expect_disconnect_one_of(&[code]);
    }

    /// The same with several reasons that are all right.
    #[track_caller]
    pub fn expect_disconnect_one_of(&mut self, codes: &[u8]) {
        match self.refusal() {
            Refusal::Disconnect(code) if codes.contains(&code) => {}
            Refusal::Closed if self.demand == Demand::Text => {}
            Refusal::Disconnect(code) if self.demand == Demand::Text => {
                let note = format!("DISCONNECT with 0x{code:02X} where the text has {codes:02X?}");
                self.core.borrow_mut().note(note);
            }
            other => panic!("{}: expected DISCONNECT with {codes:02X?}, not {other:02X?}", self.name()),
        }
    }

    /// The server closes the connection. In 5.0 a DISCONNECT with any reason may come before.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.refusal() {
            Refusal::Closed => {}
            Refusal::Disconnect(_) if self.version() == Version::V5 => {}
            other => panic!("{}: expected the close of the connection, not {other:02X?}", self.name()),
        }
    }

    /// The server refuses a CONNECT: with CONNACK and any code, or by the close alone.
    #[track_caller]
    pub fn expect_closed_or_refused(&mut self) {
        match self.refusal() {
            Refusal::Closed | Refusal::ConnAck(_) => {}
            other => panic!("{}: expected that CONNECT is refused, not {other:02X?}", self.name()),
        }
    }

    /// CONNACK with this code, then the close.
    #[track_caller]
    pub fn expect_refused(&mut self, code: u8) {
        match self.refusal() {
            Refusal::ConnAck(found) if found == code => {}
            other => panic!("{}: expected CONNACK 0x{code:02X}, not {other:02X?}", self.name()),
        }
    }

    /// How the server answers: until it closes, or for as long as the driver waits. PINGRESP or a CONNACK with success
    /// say that it has accepted.
    #[track_caller]
    pub fn refusal(&mut self) -> Refusal {
        loop {
            let more = {
                let mut core = self.core.borrow_mut();
                let peer = &core.peers[self.index];
                let accepted = peer.inbox.contains(&Packet::PingResp)
                    || peer.inbox.iter().any(|p| matches!(p, Packet::ConnAck(a) if a.code == 0));
                !accepted && core.receive(self.index)
            };
            if !more {
                break;
            }
        }
        let core = self.core.borrow();
        let peer = &core.peers[self.index];
        if !peer.closed {
            return Refusal::Accepted(peer.inbox.iter().map(ToString::to_string).collect());
        }
        peer.inbox
            .iter()
            .find_map(|packet| match packet {
                Packet::ConnAck(ack) if ack.code != 0 => Some(Refusal::ConnAck(ack.code)),
                Packet::Disconnect(d) => Some(Refusal::Disconnect(d.code)),
                _ => None,
            })
            .unwrap_or(Refusal::Closed)
    }

    /// The bytes that the server sends until it closes, not read as packets: for an answer whose version is open.
    /// Nothing when it does not close.
    #[track_caller]
    pub fn bytes_until_closed(&mut self) -> Option<Vec<u8>> {
        let mut core = self.core.borrow_mut();
        core.peers[self.index].opaque = true;
        while core.receive(self.index) {}
        let peer = &core.peers[self.index];
        peer.closed.then(|| peer.raw.clone())
    }

    /// The packets that have come and that nothing has taken; takes them.
    pub fn drain(&mut self) -> Vec<Packet> {
        std::mem::take(&mut self.core.borrow_mut().peers[self.index].inbox)
    }

    /// Takes what the server has sent so far, after it has dealt with everything.
    #[track_caller]
    pub fn drain_settled(&mut self) -> Vec<Packet> {
        Core::settle(&self.core);
        self.drain()
    }

    /// What the server tells as its Receive Maximum.
    #[track_caller]
    pub fn server_receive_maximum(&self) -> u16 {
        self.connack().properties.receive_maximum().unwrap_or(u16::MAX)
    }

    /// What the server tells as its Topic Alias Maximum.
    #[track_caller]
    pub fn server_alias_max(&self) -> u16 {
        self.connack().properties.topic_alias_maximum().unwrap_or(0)
    }

    /// The Assigned Client Identifier of the CONNACK.
    #[track_caller]
    pub fn assigned_id(&self) -> String {
        self.connack()
            .properties
            .find(|p| if let Property::AssignedClientId(id) = p { Some(id.clone()) } else { None })
            .expect("an assigned client identifier [MQTT-3.2.2-16]")
    }

    fn fresh_id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    fn name(&self) -> String {
        self.core.borrow().peers[self.index].name.clone()
    }

    #[track_caller]
    fn expect<T>(&mut self, what: &str, pick: impl Fn(&Packet) -> Option<T>) -> T {
        loop {
            let mut core = self.core.borrow_mut();
            let inbox = &mut core.peers[self.index].inbox;
            if let Some((at, found)) =
                inbox.iter().enumerate().find_map(|(at, p)| pick(p).map(|found| (at, found)))
            {
                inbox.remove(at);
                return found;
            }
            if !core.receive(self.index) {
                let peer = &core.peers[self.index];
                let end = if peer.closed { "the connection is closed" } else { "nothing more comes" };
                let left: Vec<String> = peer.inbox.iter().map(ToString::to_string).collect();
                let left =
                    if left.is_empty() { String::new() } else { format!("; there is {}", left.join(", ")) };
                let message = format!("{}: expected {what}, but {end}{left}", peer.name);
                drop(core);
                panic!("{message}");
            }
        }
    }
}
