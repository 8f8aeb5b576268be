//! One connection as its client sees it: what has come, and the rules that a server must keep on any connection
//! whatever the scenario is about. Not the sending and expecting: that is `client`.

use std::collections::BTreeMap;

use crate::decode::{Sender, decode};
use crate::driver::Link;
use crate::packet::{Connect, Disconnect, Packet, Publish, Version};
use crate::property::{Properties, Property};

/// How far a delivery to this client has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// PUBLISH has come, not answered.
    Published,
    /// PUBREC is sent; the PUBLISH must not come again.
    Received,
}

/// One connection of the scenario.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) link: Link,
    pub(crate) version: Version,
    /// Packets that no expectation has taken, as they came.
    pub(crate) inbox: Vec<Packet>,
    /// Whether the connection is over, by either side.
    pub(crate) closed: bool,
    /// Whether CONNACK with success has come.
    pub(crate) connected: bool,
    /// Whether the rules are checked; not where wrong bytes may have confused the server legitimately.
    pub(crate) checked: bool,
    /// Bytes that have come and were not yet read as packets.
    pub(crate) raw: Vec<u8>,
    /// Bytes that were sent and are not yet a whole packet.
    pub(crate) sending: Vec<u8>,
    /// Whether what comes is left as bytes.
    pub(crate) opaque: bool,
    /// The CONNECT that was sent.
    connect: Option<Connect>,
    answered: bool,
    resumed: bool,
    ended: bool,
    aliases: BTreeMap<u16, String>,
    /// Deliveries of this connection that are not complete.
    deliveries: BTreeMap<u16, Stage>,
    /// Answers that the server owes: type of the answer, packet identifier, and the count of filters or packets.
    owed: BTreeMap<(u8, u16), usize>,
}

const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBCOMP: u8 = 7;
const SUBACK: u8 = 9;
const UNSUBACK: u8 = 11;

impl Peer {
    pub(crate) fn new(name: &str, link: Link, version: Version) -> Self {
        Self {
            name: name.into(),
            link,
            version,
            inbox: Vec::new(),
            closed: false,
            connected: false,
            checked: true,
            raw: Vec::new(),
            sending: Vec::new(),
            opaque: false,
            connect: None,
            answered: false,
            resumed: false,
            ended: false,
            aliases: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }

    /// Takes note of what the client has sent.
    pub(crate) fn sent(&mut self, packet: &Packet) {
        match packet {
            Packet::Connect(connect) if self.connect.is_none() => self.connect = Some((**connect).clone()),
            Packet::Publish(p) if p.qos == 1 => *self.owed.entry((PUBACK, p.id)).or_default() += 1,
            Packet::Publish(p) if p.qos == 2 => *self.owed.entry((PUBREC, p.id)).or_default() += 1,
            Packet::PubRel(a) => *self.owed.entry((PUBCOMP, a.id)).or_default() += 1,
            Packet::Subscribe(s) => _ = self.owed.insert((SUBACK, s.id), s.filters.len()),
            Packet::Unsubscribe(u) => _ = self.owed.insert((UNSUBACK, u.id), u.filters.len()),
            Packet::PubAck(a) | Packet::PubComp(a) => _ = self.deliveries.remove(&a.id),
            Packet::PubRec(a) if a.code >= 0x80 => _ = self.deliveries.remove(&a.id),
            Packet::PubRec(a) => {
                if let Some(stage) = self.deliveries.get_mut(&a.id) {
                    *stage = Stage::Received;
                }
            }
            _ => {}
        }
    }

    /// Reads the packets that are whole in what has come, checks each, and puts them into the inbox. Gives their texts
    /// for the transcript, and the first rule that was broken.
    pub(crate) fn read(&mut self) -> (Vec<String>, Option<String>) {
        let mut texts = Vec::new();
        if self.opaque {
            return (vec![self.raw.iter().map(|b| format!("{b:02x} ")).collect()], None);
        }
        loop {
            let (mut packet, len) = match decode(&self.raw, self.version, Sender::Server) {
                Ok(Some(whole)) => whole,
                Ok(None) => return (texts, None),
                Err(broken) => {
                    let bytes: String = self.raw.iter().take(64).map(|b| format!("{b:02x} ")).collect();
                    texts.push(format!("{bytes}  ({})", broken.0));
                    self.raw.clear();
                    if !self.checked {
                        self.opaque = true;
                        return (texts, None);
                    }
                    return (texts, Some(format!("the server sent a wrong packet: {}", broken.0)));
                }
            };
            self.raw.drain(..len);
            texts.push(packet.to_string());
            let checked = self.check(&mut packet, len);
            if let Packet::ConnAck(ack) = &packet {
                self.answered = true;
                self.connected = ack.code == 0;
                // 3.1 does not tell; a session may be there whenever the client did not ask for a clean one.
                let may_be_there =
                    self.version == Version::V31 && self.connect.as_ref().is_some_and(|c| !c.clean);
                self.resumed = ack.session_present || may_be_there;
            }
            self.ended |= matches!(packet, Packet::Disconnect(_));
            self.inbox.push(packet);
            if let (Err(broken), true) = (checked, self.checked) {
                return (texts, Some(broken));
            }
        }
    }

    fn check(&mut self, packet: &mut Packet, len: usize) -> Result<(), String> {
        if self.ended {
            return Err("the server sent a packet after its DISCONNECT [MQTT-3.14.4-1]".into());
        }
        let early = !self.answered && !matches!(packet, Packet::ConnAck(_) | Packet::Auth(_));
        if early {
            return Err("the server's first packet is not CONNACK [MQTT-3.2.0-1] [MQTT-3.14.0-1]".into());
        }
        let properties = self.connect.as_ref().map(|c| c.properties.clone()).unwrap_or_default();
        let size_max = properties.maximum_packet_size().unwrap_or(u32::MAX);
        if len > usize::try_from(size_max).unwrap_or(usize::MAX) {
            return Err(format!(
                "a packet of {len} bytes where at most {size_max} are taken [MQTT-3.1.2-24]"
            ));
        }
        match packet {
            Packet::ConnAck(ack) => self.check_connack(&ack.properties, ack.code, &properties)?,
            Packet::Auth(_) if !properties.has(0x15) => {
                return Err("AUTH although CONNECT named no authentication method [MQTT-4.12.0-6]".into());
            }
            Packet::Auth(auth) => self.check_auth(auth, &properties)?,
            Packet::Publish(publish) => self.check_publish(publish, &properties)?,
            Packet::PubAck(ack) => self.check_answer(PUBACK, ack.id, None)?,
            Packet::PubRec(ack) => self.check_answer(PUBREC, ack.id, None)?,
            Packet::PubComp(ack) => self.check_answer(PUBCOMP, ack.id, None)?,
            Packet::SubAck(ack) => self.check_answer(SUBACK, ack.id, Some(ack.codes.len()))?,
            Packet::UnsubAck(ack) => {
                let codes = (self.version == Version::V5).then_some(ack.codes.len());
                self.check_answer(UNSUBACK, ack.id, codes)?;
            }
            _ => {}
        }
        if properties.request_problem_information() == Some(0) && tells_a_problem(packet) {
            return Err(
                "a reason string or user property although the client wants none [MQTT-3.1.2-29]".into()
            );
        }
        Ok(())
    }

    fn check_auth(&self, auth: &Disconnect, asked: &Properties) -> Result<(), String> {
        let method = |list: &Properties| {
            list.find(|p| if let Property::AuthenticationMethod(m) = p { Some(m.clone()) } else { None })
        };
        // Success without properties names no method.
        if !auth.properties.is_empty() && method(&auth.properties) != method(asked) {
            return Err("AUTH with another authentication method than CONNECT [MQTT-4.12.0-5]".into());
        }
        let codes: &[u8] = if self.answered { &[0x00, 0x18] } else { &[0x18] };
        if !codes.contains(&auth.code) {
            return Err(format!("AUTH 0x{:02X} from the server [MQTT-4.12.0-2] [MQTT-3.15.2-1]", auth.code));
        }
        Ok(())
    }

    fn check_connack(&self, ack: &Properties, code: u8, asked: &Properties) -> Result<(), String> {
        if self.answered {
            return Err("a second CONNACK [MQTT-3.2.0-2]".into());
        }
        let method = |list: &Properties| {
            list.find(|p| if let Property::AuthenticationMethod(m) = p { Some(m.clone()) } else { None })
        };
        if method(asked).is_none() && method(ack).is_some() {
            return Err("CONNACK names an authentication method, CONNECT did not [MQTT-4.12.0-6]".into());
        }
        if code == 0 && method(asked) != method(ack) {
            return Err("CONNACK names another authentication method than CONNECT [MQTT-4.12.0-5]".into());
        }
        let wanted =
            asked.find(|p| if let Property::RequestResponseInformation(v) = p { Some(*v) } else { None });
        if wanted != Some(1) && ack.has(0x1A) {
            return Err("response information that was not requested [MQTT-3.1.2-28]".into());
        }
        Ok(())
    }

    fn check_publish(&mut self, publish: &mut Publish, asked: &Properties) -> Result<(), String> {
        if let Some(alias) = publish.properties.topic_alias() {
            let max = asked.topic_alias_maximum().unwrap_or(0);
            if alias > max {
                return Err(format!(
                    "topic alias {alias} where {max} is the highest [MQTT-3.1.2-26] [MQTT-3.1.2-27]"
                ));
            }
            if publish.topic.is_empty() {
                publish.topic = self.aliases.get(&alias).cloned().unwrap_or_default();
            } else {
                self.aliases.insert(alias, publish.topic.clone());
            }
            if publish.topic.is_empty() {
                return Err(format!("topic alias {alias} was never set on this connection [MQTT-3.3.2-7]"));
            }
        }
        if publish.qos == 0 {
            return Ok(());
        }
        let open = self.deliveries.get(&publish.id).copied();
        match open {
            Some(Stage::Received) => {
                return Err(format!("PUBLISH {} again after its PUBREC [MQTT-4.3.3-6]", publish.id));
            }
            Some(Stage::Published) if self.version == Version::V5 || !publish.dup => {
                return Err(format!(
                    "packet identifier {} is still in use on this connection [MQTT-2.2.1-4] [MQTT-4.4.0-1]",
                    publish.id
                ));
            }
            Some(Stage::Published) => return Ok(()),
            None => {}
        }
        if publish.dup && !self.resumed {
            return Err("DUP in a first transmission [MQTT-3.3.1-3]".into());
        }
        self.deliveries.insert(publish.id, Stage::Published);
        let max = usize::from(asked.receive_maximum().unwrap_or(u16::MAX));
        if self.deliveries.len() > max {
            return Err(format!("more than {max} unacknowledged deliveries [MQTT-3.3.4-9]"));
        }
        Ok(())
    }

    fn check_answer(&mut self, kind: u8, id: u16, codes: Option<usize>) -> Result<(), String> {
        let Some(&count) = self.owed.get(&(kind, id)) else {
            return Err(format!("an answer to packet identifier {id}, which asked nothing [MQTT-2.2.1-5]"));
        };
        match codes {
            Some(codes) if codes != count => {
                return Err(format!("{codes} reason codes for {count} filters [MQTT-3.8.4-6]"));
            }
            None if matches!(kind, PUBACK | PUBREC | PUBCOMP) && count > 1 => {
                self.owed.insert((kind, id), count - 1);
            }
            _ => _ = self.owed.remove(&(kind, id)),
        }
        Ok(())
    }
}

fn tells_a_problem(packet: &Packet) -> bool {
    let properties = match packet {
        Packet::PubAck(a) | Packet::PubRec(a) | Packet::PubRel(a) | Packet::PubComp(a) => &a.properties,
        Packet::SubAck(a) | Packet::UnsubAck(a) => &a.properties,
        Packet::Auth(a) => &a.properties,
        _ => return false,
    };
    properties.has(0x1F) || properties.has(0x26)
}
