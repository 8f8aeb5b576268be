//! Packets to bytes, as a client sends them. What cannot be expressed by a packet (and is wrong) is written with
//! `wire::Bytes` instead.

use crate::packet::{Ack, Connect, Disconnect, Packet, Publish, Version};
use crate::property::Properties;
use crate::wire::{Bytes, bytes};

impl Packet {
    /// The bytes of the whole packet. Properties are written for 5.0 only; asking for some in an older version is a
    /// mistake of the test.
    #[track_caller]
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let body = |properties: &Properties, out: Bytes| block(version, properties, out);
        match self {
            Self::Connect(connect) => connect.encode(),
            Self::ConnAck(a) => {
                body(&a.properties, bytes().u8(u8::from(a.session_present)).u8(a.code)).packet(0x20)
            }
            Self::Publish(p) => p.encode(version),
            Self::PubAck(a) => a.encode(version, 0x40),
            Self::PubRec(a) => a.encode(version, 0x50),
            Self::PubRel(a) => a.encode(version, 0x62),
            Self::PubComp(a) => a.encode(version, 0x70),
            Self::Subscribe(s) => s
                .filters
                .iter()
                .fold(body(&s.properties, bytes().u16(s.id)), |out, (filter, options)| {
                    out.string(filter).u8(options.0)
                })
                .packet(0x82),
            Self::Unsubscribe(u) => u
                .filters
                .iter()
                .fold(body(&u.properties, bytes().u16(u.id)), |out, filter| out.string(filter))
                .packet(0xA2),
            Self::SubAck(a) => body(&a.properties, bytes().u16(a.id)).raw(&a.codes).packet(0x90),
            Self::UnsubAck(a) => body(&a.properties, bytes().u16(a.id)).raw(&a.codes).packet(0xB0),
            Self::PingReq => bytes().packet(0xC0),
            Self::PingResp => bytes().packet(0xD0),
            Self::Disconnect(d) => d.encode(version, 0xE0),
            Self::Auth(d) => d.encode(version, 0xF0),
        }
    }
}

#[track_caller]
fn block(version: Version, properties: &Properties, out: Bytes) -> Bytes {
    if version == Version::V5 {
        return properties.write(out);
    }
    assert!(properties.is_empty(), "properties in a packet of {version}:{properties}");
    out
}

impl Connect {
    /// The Connect Flags byte.
    pub fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |w| 0x04 | w.qos << 3 | u8::from(w.retain) << 5);
        u8::from(self.clean) << 1
            | will
            | u8::from(self.password.is_some()) << 6
            | u8::from(self.user_name.is_some()) << 7
    }

    /// The bytes of the packet.
    pub fn encode(&self) -> Vec<u8> {
        self.header(self.flags()).raw(self.payload().0).packet(0x10)
    }

    /// The variable header with these Connect Flags.
    #[track_caller]
    pub fn header(&self, flags: u8) -> Bytes {
        let out = bytes()
            .string(self.version.protocol_name())
            .u8(self.version.level())
            .u8(flags)
            .u16(self.keep_alive);
        block(self.version, &self.properties, out)
    }

    /// The payload: Client Identifier, will, User Name, Password.
    #[track_caller]
    pub fn payload(&self) -> Bytes {
        let mut out = bytes().string(&self.client_id);
        if let Some(will) = &self.will {
            out = block(self.version, &will.properties, out).string(&will.topic).string(&will.payload);
        }
        if let Some(name) = &self.user_name {
            out = out.string(name);
        }
        if let Some(password) = &self.password {
            out = out.string(password);
        }
        out
    }
}

impl Publish {
    /// The first byte of the packet.
    pub fn first_byte(&self) -> u8 {
        0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain)
    }

    #[track_caller]
    fn encode(&self, version: Version) -> Vec<u8> {
        let out = bytes().string(&self.topic);
        let out = if self.qos > 0 { out.u16(self.id) } else { out };
        block(version, &self.properties, out).raw(&self.payload).packet(self.first_byte())
    }
}

impl Ack {
    #[track_caller]
    fn encode(&self, version: Version, first: u8) -> Vec<u8> {
        let out = bytes().u16(self.id);
        let out = match (self.code, self.properties.is_empty()) {
            (0, true) => out,
            (code, true) if version == Version::V5 => out.u8(code),
            (code, _) => block(version, &self.properties, out.u8(code)),
        };
        out.packet(first)
    }
}

impl Disconnect {
    #[track_caller]
    fn encode(&self, version: Version, first: u8) -> Vec<u8> {
        let out = match (self.code, self.properties.is_empty()) {
            (0, true) => bytes(),
            (code, true) if version == Version::V5 => bytes().u8(code),
            (code, _) => block(version, &self.properties, bytes().u8(code)),
        };
        out.packet(first)
    }
}
