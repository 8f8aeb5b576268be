//! The properties of 5.0 as a list in wire order. Nothing here says which packet may carry which: `decode` does.

use std::fmt;

use crate::wire::{Broken, Bytes, Reader, bytes};

/// One property with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// 0x01.
    PayloadFormat(u8),
    /// 0x02, in seconds.
    MessageExpiry(u32),
    /// 0x03.
    ContentType(String),
    /// 0x08.
    ResponseTopic(String),
    /// 0x09.
    CorrelationData(Vec<u8>),
    /// 0x0B.
    SubscriptionId(u32),
    /// 0x11, in seconds.
    SessionExpiry(u32),
    /// 0x12.
    AssignedClientId(String),
    /// 0x13, in seconds.
    ServerKeepAlive(u16),
    /// 0x15.
    AuthenticationMethod(String),
    /// 0x16.
    AuthenticationData(Vec<u8>),
    /// 0x17.
    RequestProblemInformation(u8),
    /// 0x18, in seconds.
    WillDelay(u32),
    /// 0x19.
    RequestResponseInformation(u8),
    /// 0x1A.
    ResponseInformation(String),
    /// 0x1C.
    ServerReference(String),
    /// 0x1F.
    ReasonString(String),
    /// 0x21.
    ReceiveMaximum(u16),
    /// 0x22.
    TopicAliasMaximum(u16),
    /// 0x23.
    TopicAlias(u16),
    /// 0x24.
    MaximumQos(u8),
    /// 0x25.
    RetainAvailable(u8),
    /// 0x26.
    User(String, String),
    /// 0x27, in bytes.
    MaximumPacketSize(u32),
    /// 0x28.
    WildcardAvailable(u8),
    /// 0x29.
    SubscriptionIdsAvailable(u8),
    /// 0x2A.
    SharedAvailable(u8),
}

use Property as P;

impl Property {
    /// The identifier on the wire.
    pub fn id(&self) -> u8 {
        match self {
            P::PayloadFormat(_) => 0x01,
            P::MessageExpiry(_) => 0x02,
            P::ContentType(_) => 0x03,
            P::ResponseTopic(_) => 0x08,
            P::CorrelationData(_) => 0x09,
            P::SubscriptionId(_) => 0x0B,
            P::SessionExpiry(_) => 0x11,
            P::AssignedClientId(_) => 0x12,
            P::ServerKeepAlive(_) => 0x13,
            P::AuthenticationMethod(_) => 0x15,
            P::AuthenticationData(_) => 0x16,
            P::RequestProblemInformation(_) => 0x17,
            P::WillDelay(_) => 0x18,
            P::RequestResponseInformation(_) => 0x19,
            P::ResponseInformation(_) => 0x1A,
            P::ServerReference(_) => 0x1C,
            P::ReasonString(_) => 0x1F,
            P::ReceiveMaximum(_) => 0x21,
            P::TopicAliasMaximum(_) => 0x22,
            P::TopicAlias(_) => 0x23,
            P::MaximumQos(_) => 0x24,
            P::RetainAvailable(_) => 0x25,
            P::User(..) => 0x26,
            P::MaximumPacketSize(_) => 0x27,
            P::WildcardAvailable(_) => 0x28,
            P::SubscriptionIdsAvailable(_) => 0x29,
            P::SharedAvailable(_) => 0x2A,
        }
    }

    /// The bytes on the wire: identifier and value.
    pub fn write(&self, out: Bytes) -> Bytes {
        let out = out.u8(self.id());
        match self {
            P::PayloadFormat(v)
            | P::RequestProblemInformation(v)
            | P::RequestResponseInformation(v)
            | P::MaximumQos(v)
            | P::RetainAvailable(v)
            | P::WildcardAvailable(v)
            | P::SubscriptionIdsAvailable(v)
            | P::SharedAvailable(v) => out.u8(*v),
            P::ServerKeepAlive(v) | P::ReceiveMaximum(v) | P::TopicAliasMaximum(v) | P::TopicAlias(v) => {
                out.u16(*v)
            }
            P::MessageExpiry(v) | P::SessionExpiry(v) | P::WillDelay(v) | P::MaximumPacketSize(v) => {
                out.u32(*v)
            }
            P::SubscriptionId(v) => out.variable(usize::try_from(*v).unwrap_or(usize::MAX)),
            P::ContentType(v)
            | P::ResponseTopic(v)
            | P::AssignedClientId(v)
            | P::AuthenticationMethod(v)
            | P::ResponseInformation(v)
            | P::ServerReference(v)
            | P::ReasonString(v) => out.string(v),
            P::CorrelationData(v) | P::AuthenticationData(v) => out.string(v),
            P::User(name, value) => out.string(name).string(value),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Broken> {
        let id = input.variable()?;
        Ok(match id {
            0x01 => P::PayloadFormat(flag(input, "payload format indicator")?),
            0x02 => P::MessageExpiry(input.u32()?),
            0x03 => P::ContentType(input.string()?),
            0x08 => P::ResponseTopic(input.string()?),
            0x09 => P::CorrelationData(input.binary()?),
            0x0B => P::SubscriptionId(nonzero(input.variable()?, "subscription identifier")?),
            0x11 => P::SessionExpiry(input.u32()?),
            0x12 => P::AssignedClientId(input.string()?),
            0x13 => P::ServerKeepAlive(input.u16()?),
            0x15 => P::AuthenticationMethod(input.string()?),
            0x16 => P::AuthenticationData(input.binary()?),
            0x17 => P::RequestProblemInformation(flag(input, "request problem information")?),
            0x18 => P::WillDelay(input.u32()?),
            0x19 => P::RequestResponseInformation(flag(input, "request response information")?),
            0x1A => P::ResponseInformation(input.string()?),
            0x1C => P::ServerReference(input.string()?),
            0x1F => P::ReasonString(input.string()?),
            0x21 => P::ReceiveMaximum(nonzero(input.u16()?, "receive maximum")?),
            0x22 => P::TopicAliasMaximum(input.u16()?),
            0x23 => P::TopicAlias(nonzero(input.u16()?, "topic alias [MQTT-3.3.2-8]")?),
            0x24 => P::MaximumQos(flag(input, "maximum QoS")?),
            0x25 => P::RetainAvailable(flag(input, "retain available")?),
            0x26 => P::User(input.string()?, input.string()?),
            0x27 => P::MaximumPacketSize(nonzero(input.u32()?, "maximum packet size")?),
            0x28 => P::WildcardAvailable(flag(input, "wildcard subscription available")?),
            0x29 => P::SubscriptionIdsAvailable(flag(input, "subscription identifiers available")?),
            0x2A => P::SharedAvailable(flag(input, "shared subscription available")?),
            _ => return Err(Broken::new(format!("property 0x{id:02X} does not exist"))),
        })
    }
}

fn flag(input: &mut Reader<'_>, name: &str) -> Result<u8, Broken> {
    match input.u8()? {
        value @ 0..=1 => Ok(value),
        value => Err(Broken::new(format!("{name} is {value}, neither 0 nor 1"))),
    }
}

fn nonzero<T: Default + PartialEq>(value: T, name: &str) -> Result<T, Broken> {
    if value == T::default() {
        return Err(Broken::new(format!("{name} is zero")));
    }
    Ok(value)
}

/// A packet's properties in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<Property>);

impl Properties {
    /// No property.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The properties with their length in front.
    pub fn write(&self, out: Bytes) -> Bytes {
        out.block(&self.0.iter().fold(bytes(), |block, property| property.write(block)))
    }

    /// Reads length and properties, and refuses those that are not `allowed` (by identifier) or come twice. User
    /// Properties may repeat, and Subscription Identifiers in a PUBLISH.
    pub fn read(input: &mut Reader<'_>, allowed: &[u8], ids_repeat: bool) -> Result<Self, Broken> {
        let len = usize::try_from(input.variable()?).unwrap_or(usize::MAX);
        let mut block = Reader::new(input.take(len)?);
        let mut list: Vec<Property> = Vec::new();
        while !block.is_empty() {
            let property = Property::read(&mut block)?;
            let id = property.id();
            if !allowed.contains(&id) {
                return Err(Broken::new(format!("property 0x{id:02X} is not allowed in this packet")));
            }
            let repeats = id == 0x26 || (id == 0x0B && ids_repeat);
            if !repeats && list.iter().any(|earlier| earlier.id() == id) {
                return Err(Broken::new(format!("property 0x{id:02X} comes twice")));
            }
            list.push(property);
        }
        Ok(Self(list))
    }

    /// The first property for which `pick` has an answer.
    pub fn find<T>(&self, pick: impl Fn(&Property) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(pick)
    }

    /// Whether a property with this identifier is there.
    pub fn has(&self, id: u8) -> bool {
        self.0.iter().any(|property| property.id() == id)
    }

    /// The User Properties in their order.
    pub fn user(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .filter_map(|property| match property {
                P::User(name, value) => Some((name.as_str(), value.as_str())),
                _ => None,
            })
            .collect()
    }

    /// The Subscription Identifiers, sorted: their order has no significance.
    pub fn subscription_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self
            .0
            .iter()
            .filter_map(|property| match property {
                P::SubscriptionId(id) => Some(*id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Session Expiry Interval in seconds.
    pub fn session_expiry(&self) -> Option<u32> {
        self.find(|property| if let P::SessionExpiry(v) = property { Some(*v) } else { None })
    }

    /// Message Expiry Interval in seconds.
    pub fn message_expiry(&self) -> Option<u32> {
        self.find(|property| if let P::MessageExpiry(v) = property { Some(*v) } else { None })
    }

    /// Receive Maximum.
    pub fn receive_maximum(&self) -> Option<u16> {
        self.find(|property| if let P::ReceiveMaximum(v) = property { Some(*v) } else { None })
    }

    /// Topic Alias Maximum.
    pub fn topic_alias_maximum(&self) -> Option<u16> {
        self.find(|property| if let P::TopicAliasMaximum(v) = property { Some(*v) } else { None })
    }

    /// Topic Alias.
    pub fn topic_alias(&self) -> Option<u16> {
        self.find(|property| if let P::TopicAlias(v) = property { Some(*v) } else { None })
    }

    /// Server Keep Alive in seconds.
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.find(|property| if let P::ServerKeepAlive(v) = property { Some(*v) } else { None })
    }

    /// Maximum Packet Size in bytes.
    pub fn maximum_packet_size(&self) -> Option<u32> {
        self.find(|property| if let P::MaximumPacketSize(v) = property { Some(*v) } else { None })
    }

    /// Request Problem Information.
    pub fn request_problem_information(&self) -> Option<u8> {
        self.find(|property| if let P::RequestProblemInformation(v) = property { Some(*v) } else { None })
    }

    /// Assigned Client Identifier.
    pub fn assigned_client_id(&self) -> Option<String> {
        self.find(|property| if let P::AssignedClientId(v) = property { Some(v.clone()) } else { None })
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = self.0.iter().map(|property| format!("{property:?}")).collect();
        write!(f, " {{{}}}", words.join(", "))
    }
}
