//! Control packets of the three versions as owned values that a test can build, read and compare. The bytes are made
//! in `encode` and read in `decode`.

use std::fmt;

use crate::property::Properties;

/// A protocol version.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (`MQTT`, level 4).
    V311,
    /// MQTT 5.0 (`MQTT`, level 5).
    V5,
}

impl Version {
    /// The level byte of CONNECT.
    pub fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// The protocol name of CONNECT.
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        })
    }
}

/// A quality of service. Packets keep theirs as a number, so that a wrong one can be sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum QoS {
    /// At most once.
    QoS0 = 0,
    /// At least once.
    QoS1 = 1,
    /// Exactly once.
    QoS2 = 2,
}

impl QoS {
    /// All three.
    pub const ALL: [Self; 3] = [Self::QoS0, Self::QoS1, Self::QoS2];

    /// Subscription options with No Local.
    pub fn no_local(self) -> Options {
        Options::from(self).no_local()
    }

    /// Subscription options with Retain As Published.
    pub fn retain_as_published(self) -> Options {
        Options::from(self).retain_as_published()
    }

    /// Subscription options with this Retain Handling.
    pub fn retain_handling(self, handling: u8) -> Options {
        Options::from(self).retain_handling(handling)
    }
}

/// The options byte of one filter in SUBSCRIBE, as it is on the wire.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Options(pub u8);

impl Options {
    /// With No Local.
    #[must_use]
    pub fn no_local(self) -> Self {
        Self(self.0 | 0x04)
    }

    /// With Retain As Published.
    #[must_use]
    pub fn retain_as_published(self) -> Self {
        Self(self.0 | 0x08)
    }

    /// With this Retain Handling (0 to 3; 3 is wrong).
    #[must_use]
    pub fn retain_handling(self, handling: u8) -> Self {
        Self(self.0 | handling << 4)
    }
}

impl From<QoS> for Options {
    fn from(qos: QoS) -> Self {
        Self(qos as u8)
    }
}

/// A control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Connection request.
    Connect(Box<Connect>),
    /// Connect acknowledgement.
    ConnAck(ConnAck),
    /// Publish message.
    Publish(Publish),
    /// Publish acknowledgement (QoS 1).
    PubAck(Ack),
    /// Publish received (QoS 2, part 1).
    PubRec(Ack),
    /// Publish release (QoS 2, part 2).
    PubRel(Ack),
    /// Publish complete (QoS 2, part 3).
    PubComp(Ack),
    /// Subscribe request.
    Subscribe(Subscribe),
    /// Subscribe acknowledgement.
    SubAck(SubAck),
    /// Unsubscribe request.
    Unsubscribe(Unsubscribe),
    /// Unsubscribe acknowledgement.
    UnsubAck(SubAck),
    /// Ping request.
    PingReq,
    /// Ping response.
    PingResp,
    /// Disconnect notification.
    Disconnect(Disconnect),
    /// Authentication exchange.
    Auth(Disconnect),
}

/// The Will Message of a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Will Topic.
    pub topic: String,
    /// Will Payload.
    pub payload: Vec<u8>,
    /// Will QoS.
    pub qos: u8,
    /// Will Retain.
    pub retain: bool,
    /// Will Properties (5.0).
    pub properties: Properties,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Which version it asks for.
    pub version: Version,
    /// Clean Start, or Clean Session before 5.0.
    pub clean: bool,
    /// Keep Alive in seconds.
    pub keep_alive: u16,
    /// Client Identifier.
    pub client_id: String,
    /// Will.
    pub will: Option<Will>,
    /// User Name.
    pub user_name: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// CONNECT properties (5.0).
    pub properties: Properties,
}

/// CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Session Present.
    pub session_present: bool,
    /// Reason Code, or return code before 5.0.
    pub code: u8,
    /// Properties (5.0).
    pub properties: Properties,
}

/// PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// DUP.
    pub dup: bool,
    /// QoS, 0 to 3.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// Topic Name; received through an alias it has been filled in.
    pub topic: String,
    /// Packet Identifier; zero when there is none.
    pub id: u16,
    /// Properties (5.0).
    pub properties: Properties,
    /// Payload.
    pub payload: Vec<u8>,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Packet Identifier.
    pub id: u16,
    /// Reason Code; 0 where the packet has none.
    pub code: u8,
    /// Properties (5.0).
    pub properties: Properties,
}

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Packet Identifier.
    pub id: u16,
    /// Properties (5.0).
    pub properties: Properties,
    /// Topic Filters with their options.
    pub filters: Vec<(String, Options)>,
}

/// SUBACK or UNSUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// Packet Identifier.
    pub id: u16,
    /// Properties (5.0).
    pub properties: Properties,
    /// One code for each filter; none in an UNSUBACK before 5.0.
    pub codes: Vec<u8>,
}

/// UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Packet Identifier.
    pub id: u16,
    /// Properties (5.0).
    pub properties: Properties,
    /// Topic Filters.
    pub filters: Vec<String>,
}

/// DISCONNECT or AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Reason Code; 0 where the packet has none.
    pub code: u8,
    /// Properties (5.0).
    pub properties: Properties,
}

impl Packet {
    /// The specification's name of the packet.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::PubRec(_) => "PUBREC",
            Self::PubRel(_) => "PUBREL",
            Self::PubComp(_) => "PUBCOMP",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect(_) => "DISCONNECT",
            Self::Auth(_) => "AUTH",
        }
    }
}

/// Bytes as text when they are, else as hexadecimal digits; cut after forty.
fn payload_text(payload: &[u8]) -> String {
    let short = payload.get(..40).unwrap_or(payload);
    let more = if payload.len() > 40 { format!("… ({} bytes)", payload.len()) } else { String::new() };
    match std::str::from_utf8(short) {
        Ok(text) => format!("{text:?}{more}"),
        Err(_) => format!("x{}{more}", short.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    }
}

fn name_text(name: &str) -> String {
    if name.len() <= 80 { format!("{name:?}") } else { payload_text(name.as_bytes()) }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PUBLISH {} {} QoS {}", name_text(&self.topic), payload_text(&self.payload), self.qos)?;
        if self.qos > 0 {
            write!(f, " id {}", self.id)?;
        }
        if self.dup {
            f.write_str(" DUP")?;
        }
        if self.retain {
            f.write_str(" RETAIN")?;
        }
        write!(f, "{}", self.properties)
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Publish(publish) = self {
            return write!(f, "{publish}");
        }
        f.write_str(self.name())?;
        match self {
            Self::Connect(c) => {
                write!(f, " {} {}", c.version, name_text(&c.client_id))?;
                write!(f, " clean {} keep-alive {}", u8::from(c.clean), c.keep_alive)?;
                if let Some(will) = &c.will {
                    write!(
                        f,
                        " will ({} {} QoS {}",
                        name_text(&will.topic),
                        payload_text(&will.payload),
                        will.qos
                    )?;
                    write!(f, "{}{})", if will.retain { " RETAIN" } else { "" }, will.properties)?;
                }
                write!(f, "{}", c.properties)
            }
            Self::ConnAck(a) => {
                write!(f, " 0x{:02X} session present {}{}", a.code, u8::from(a.session_present), a.properties)
            }
            Self::PubAck(a) | Self::PubRec(a) | Self::PubRel(a) | Self::PubComp(a) => {
                write!(f, " id {} 0x{:02X}{}", a.id, a.code, a.properties)
            }
            Self::Subscribe(s) => {
                write!(f, " id {}", s.id)?;
                for (filter, options) in &s.filters {
                    write!(f, " {} options 0x{:02X}", name_text(filter), options.0)?;
                }
                write!(f, "{}", s.properties)
            }
            Self::SubAck(a) | Self::UnsubAck(a) => write!(f, " id {} {:02X?}{}", a.id, a.codes, a.properties),
            Self::Unsubscribe(u) => write!(f, " id {} {:?}{}", u.id, u.filters, u.properties),
            Self::Disconnect(d) | Self::Auth(d) => write!(f, " 0x{:02X}{}", d.code, d.properties),
            Self::PingReq | Self::PingResp | Self::Publish(_) => Ok(()),
        }
    }
}
