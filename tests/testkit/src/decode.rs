//! Bytes to packets, strictly by the text: the peer's second opinion. Whatever a server sends goes through here, so a
//! reserved bit, a reason code that the packet may not carry or a property in the wrong place fails every scenario.

use crate::packet::{
    Ack, ConnAck, Connect, Disconnect, Options, Packet, Publish, SubAck, Subscribe, Unsubscribe, Version,
    Will,
};
use crate::property::{Properties, Property};
use crate::wire::{Broken, Reader};

/// Who sent a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Takes the first packet from `input`, or nothing while it is not whole. The length of the packet comes with it.
pub fn decode(input: &[u8], version: Version, from: Sender) -> Result<Option<(Packet, usize)>, Broken> {
    let Some((first, len)) = frame(input)? else { return Ok(None) };
    let Some(whole) = input.get(..len.end) else { return Ok(None) };
    let body = &whole[len.start..];
    let packet = Body { version, from, first, input: Reader::new(body) }.read()?;
    Ok(Some((packet, len.end)))
}

/// The first byte, and where the body is; nothing while the fixed header is not whole.
fn frame(input: &[u8]) -> Result<Option<(u8, std::ops::Range<usize>)>, Broken> {
    let Some((&first, rest)) = input.split_first() else { return Ok(None) };
    let ends = rest.iter().take(4).position(|byte| byte & 0x80 == 0);
    if ends.is_none() && rest.len() < 4 {
        return Ok(None);
    }
    let mut reader = Reader::new(rest);
    let len = usize::try_from(reader.variable()?).unwrap_or(usize::MAX);
    let start = input.len() - reader.rest().len();
    Ok(Some((first, start..start + len)))
}

struct Body<'a> {
    version: Version,
    from: Sender,
    first: u8,
    input: Reader<'a>,
}

const CONNACK_CODES: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];
const PUBACK_CODES: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL_CODES: &[u8] = &[0x00, 0x92];
const SUBACK_CODES: &[u8] = &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const SUBACK_CODES_311: &[u8] = &[0x00, 0x01, 0x02, 0x80];
const SUBACK_CODES_31: &[u8] = &[0x00, 0x01, 0x02];
const UNSUBACK_CODES: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
const DISCONNECT_CODES_CLIENT: &[u8] =
    &[0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
const DISCONNECT_CODES_SERVER: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
    0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];
const AUTH_CODES: &[u8] = &[0x00, 0x18, 0x19];

const WILL_PROPERTIES: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];
const CONNECT_PROPERTIES: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
const CONNACK_PROPERTIES: &[u8] =
    &[0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A];
const PUBLISH_PROPERTIES_CLIENT: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26];
const PUBLISH_PROPERTIES_SERVER: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26];
const ACK_PROPERTIES: &[u8] = &[0x1F, 0x26];
const SUBSCRIBE_PROPERTIES: &[u8] = &[0x0B, 0x26];
const UNSUBSCRIBE_PROPERTIES: &[u8] = &[0x26];
const DISCONNECT_PROPERTIES_CLIENT: &[u8] = &[0x11, 0x1F, 0x26];
const DISCONNECT_PROPERTIES_SERVER: &[u8] = &[0x1C, 0x1F, 0x26];
const AUTH_PROPERTIES: &[u8] = &[0x15, 0x16, 0x1F, 0x26];

impl Body<'_> {
    fn read(mut self) -> Result<Packet, Broken> {
        self.flags()?;
        let kind = self.first >> 4;
        self.direction(kind)?;
        let packet = match kind {
            1 => Packet::Connect(Box::new(self.connect()?)),
            2 => Packet::ConnAck(self.connack()?),
            3 => Packet::Publish(self.publish()?),
            4 => Packet::PubAck(self.ack(PUBACK_CODES)?),
            5 => Packet::PubRec(self.ack(PUBACK_CODES)?),
            6 => Packet::PubRel(self.ack(PUBREL_CODES)?),
            7 => Packet::PubComp(self.ack(PUBREL_CODES)?),
            8 => Packet::Subscribe(self.subscribe()?),
            9 => Packet::SubAck(self.suback()?),
            10 => Packet::Unsubscribe(self.unsubscribe()?),
            11 => Packet::UnsubAck(self.unsuback()?),
            12 => Packet::PingReq,
            13 => Packet::PingResp,
            14 => Packet::Disconnect(self.disconnect()?),
            _ => Packet::Auth(self.auth()?),
        };
        self.input.end()?;
        Ok(packet)
    }

    /// [MQTT-2.1.3-1], and [MQTT-3.3.1-4] with [MQTT-3.3.1-2] for PUBLISH.
    fn flags(&self) -> Result<(), Broken> {
        let flags = self.first & 0x0F;
        match self.first >> 4 {
            3 if flags & 0x06 == 0x06 => Err(Broken::new("a PUBLISH of QoS 3 [MQTT-3.3.1-4]")),
            3 if flags & 0x0E == 0x08 => Err(Broken::new("DUP in a PUBLISH of QoS 0 [MQTT-3.3.1-2]")),
            3 => Ok(()),
            6 | 8 | 10 if flags == 2 => Ok(()),
            1 | 2 | 4 | 5 | 7 | 9 | 11..=15 if flags == 0 => Ok(()),
            0 => Err(Broken::new("packet type 0")),
            _ => {
                Err(Broken::new(format!("reserved flags {flags:04b} in 0x{:02X} [MQTT-2.1.3-1]", self.first)))
            }
        }
    }

    fn direction(&self, kind: u8) -> Result<(), Broken> {
        let allowed = match (self.from, kind) {
            (Sender::Client, 1 | 8 | 10 | 12) | (Sender::Server, 2 | 9 | 11 | 13) | (_, 3..=7) => true,
            (Sender::Client, 14) => true,
            (Sender::Server, 14) | (_, 15) => self.version == Version::V5,
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        Err(Broken::new(format!("packet type {kind} from the {:?} in {}", self.from, self.version)))
    }

    fn properties(&mut self, allowed: &[u8], ids_repeat: bool) -> Result<Properties, Broken> {
        if self.version == Version::V5 {
            return Properties::read(&mut self.input, allowed, ids_repeat);
        }
        Ok(Properties::none())
    }

    fn code(&mut self, allowed: &[u8]) -> Result<u8, Broken> {
        let code = self.input.u8()?;
        if allowed.contains(&code) {
            return Ok(code);
        }
        Err(Broken::new(format!("code 0x{code:02X} is not one that this packet may carry")))
    }

    fn connect(&mut self) -> Result<Connect, Broken> {
        let name = self.input.string()?;
        let level = self.input.u8()?;
        self.version = match (name.as_str(), level) {
            ("MQIsdp", 3) => Version::V31,
            ("MQTT", 4) => Version::V311,
            ("MQTT", 5) => Version::V5,
            _ => return Err(Broken::new(format!("protocol {name:?} level {level}"))),
        };
        let flags = self.input.u8()?;
        if flags & 1 != 0 || flags & 0x18 == 0x18 || (flags & 0x04 == 0 && flags & 0x38 != 0) {
            return Err(Broken::new(format!("Connect Flags {flags:08b}")));
        }
        let keep_alive = self.input.u16()?;
        let properties = self.properties(CONNECT_PROPERTIES, false)?;
        let client_id = self.input.string()?;
        let will = if flags & 0x04 == 0 {
            None
        } else {
            let properties = self.properties(WILL_PROPERTIES, false)?;
            let (topic, payload) = (self.input.string()?, self.input.binary()?);
            Some(Will { topic, payload, qos: flags >> 3 & 3, retain: flags & 0x20 != 0, properties })
        };
        let user_name = if flags & 0x80 == 0 { None } else { Some(self.input.string()?) };
        let password = if flags & 0x40 == 0 { None } else { Some(self.input.binary()?) };
        let clean = flags & 2 != 0;
        Ok(Connect {
            version: self.version,
            clean,
            keep_alive,
            client_id,
            will,
            user_name,
            password,
            properties,
        })
    }

    fn connack(&mut self) -> Result<ConnAck, Broken> {
        let flags = self.input.u8()?;
        let code = match self.version {
            Version::V5 => self.code(CONNACK_CODES)?,
            Version::V31 | Version::V311 => self.code(&[0, 1, 2, 3, 4, 5])?,
        };
        if flags > 1 {
            return Err(Broken::new(format!(
                "CONNACK flags {flags:08b}: bits 7 to 1 are reserved [MQTT-3.2.2-1]"
            )));
        }
        if flags == 1 && self.version == Version::V31 {
            return Err(Broken::new("Session Present in 3.1, where the byte is reserved"));
        }
        if flags == 1 && code != 0 {
            return Err(Broken::new(format!("Session Present with code 0x{code:02X} [MQTT-3.2.2-6]")));
        }
        let properties = self.properties(CONNACK_PROPERTIES, false)?;
        Ok(ConnAck { session_present: flags == 1, code, properties })
    }

    fn publish(&mut self) -> Result<Publish, Broken> {
        let topic = self.input.string()?;
        if topic.contains(['+', '#']) {
            return Err(Broken::new(format!("a wildcard in the topic name {topic:?} [MQTT-3.3.2-2]")));
        }
        let qos = self.first >> 1 & 3;
        let id = if qos > 0 { self.input.packet_id()? } else { 0 };
        let allowed = match self.from {
            Sender::Client => PUBLISH_PROPERTIES_CLIENT,
            Sender::Server => PUBLISH_PROPERTIES_SERVER,
        };
        let properties = self.properties(allowed, true)?;
        if topic.is_empty() && properties.topic_alias().is_none() {
            return Err(Broken::new("an empty topic name without a topic alias"));
        }
        let response =
            properties.find(|p| if let Property::ResponseTopic(t) = p { Some(t.clone()) } else { None });
        if response.is_some_and(|topic| topic.contains(['+', '#'])) {
            return Err(Broken::new("a wildcard in the response topic [MQTT-3.3.2-14]"));
        }
        let payload = self.input.take(self.input.rest().len())?.to_vec();
        let (dup, retain) = (self.first & 8 != 0, self.first & 1 != 0);
        Ok(Publish { dup, qos, retain, topic, id, properties, payload })
    }

    fn ack(&mut self, codes: &[u8]) -> Result<Ack, Broken> {
        let id = self.input.packet_id()?;
        if self.version != Version::V5 || self.input.is_empty() {
            return Ok(Ack::new(id, 0));
        }
        let code = self.code(codes)?;
        if self.input.is_empty() {
            return Ok(Ack::new(id, code));
        }
        Ok(Ack { id, code, properties: self.properties(ACK_PROPERTIES, false)? })
    }

    fn subscribe(&mut self) -> Result<Subscribe, Broken> {
        let id = self.input.packet_id()?;
        let properties = self.properties(SUBSCRIBE_PROPERTIES, false)?;
        let mut filters = Vec::new();
        while !self.input.is_empty() {
            filters.push((self.input.string()?, Options(self.input.u8()?)));
        }
        Ok(Subscribe { id, properties, filters })
    }

    fn unsubscribe(&mut self) -> Result<Unsubscribe, Broken> {
        let id = self.input.packet_id()?;
        let properties = self.properties(UNSUBSCRIBE_PROPERTIES, false)?;
        let mut filters = Vec::new();
        while !self.input.is_empty() {
            filters.push(self.input.string()?);
        }
        Ok(Unsubscribe { id, properties, filters })
    }

    fn codes(&mut self, allowed: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut codes = Vec::new();
        while !self.input.is_empty() {
            codes.push(self.code(allowed)?);
        }
        if codes.is_empty() {
            return Err(Broken::new("no code for any filter"));
        }
        Ok(codes)
    }

    fn suback(&mut self) -> Result<SubAck, Broken> {
        let id = self.input.packet_id()?;
        let properties = self.properties(ACK_PROPERTIES, false)?;
        let codes = self.codes(match self.version {
            Version::V5 => SUBACK_CODES,
            Version::V311 => SUBACK_CODES_311,
            Version::V31 => SUBACK_CODES_31,
        })?;
        Ok(SubAck { id, properties, codes })
    }

    fn unsuback(&mut self) -> Result<SubAck, Broken> {
        let id = self.input.packet_id()?;
        let properties = self.properties(ACK_PROPERTIES, false)?;
        let codes = if self.version == Version::V5 { self.codes(UNSUBACK_CODES)? } else { Vec::new() };
        Ok(SubAck { id, properties, codes })
    }

    fn disconnect(&mut self) -> Result<Disconnect, Broken> {
        if self.version != Version::V5 || self.input.is_empty() {
            return Ok(Disconnect::new(0));
        }
        let (codes, allowed) = match self.from {
            Sender::Client => (DISCONNECT_CODES_CLIENT, DISCONNECT_PROPERTIES_CLIENT),
            Sender::Server => (DISCONNECT_CODES_SERVER, DISCONNECT_PROPERTIES_SERVER),
        };
        let code = self.code(codes)?;
        if self.input.is_empty() {
            return Ok(Disconnect::new(code));
        }
        Ok(Disconnect { code, properties: self.properties(allowed, false)? })
    }

    fn auth(&mut self) -> Result<Disconnect, Broken> {
        if self.input.is_empty() {
            return Ok(Disconnect::new(0));
        }
        let code = self.code(AUTH_CODES)?;
        Ok(Disconnect { code, properties: self.properties(AUTH_PROPERTIES, false)? })
    }
}
