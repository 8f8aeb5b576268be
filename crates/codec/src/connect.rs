//! CONNECT: the shape of the request. Not whether to accept it.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketType, Peer, QoS, Sink, Version, Will};

const USER_NAME: u8 = 0b1000_0000;
const PASSWORD: u8 = 0b0100_0000;
const WILL_RETAIN: u8 = 0b0010_0000;
const WILL_QOS_SHIFT: u8 = 3;
const WILL: u8 = 0b0000_0100;
const CLEAN_START: u8 = 0b0000_0010;
const RESERVED: u8 = 0b0000_0001;

/// CONNECT: connection request.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that the client speaks. Encoding writes this one, whatever else the caller names.
    pub version: Version,
    /// Clean Start; before 5.0 Clean Session.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 turns it off.
    pub keep_alive_secs: u16,
    /// Client Identifier; may be empty.
    pub client_id: &'a str,
    /// The will.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password. Before 5.0 only with a user name.
    pub password: Option<&'a [u8]>,
    /// The properties; empty before 5.0.
    pub properties: ConnectProperties<'a>,
}

/// The properties of a CONNECT.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectProperties<'a> {
    /// Session Expiry Interval in seconds; 0xFFFF_FFFF never expires.
    pub session_expiry_secs: Option<u32>,
    /// Receive Maximum, never 0.
    pub receive_maximum: Option<u16>,
    /// Maximum Packet Size in bytes, never 0.
    pub packet_size_max: Option<u32>,
    /// Topic Alias Maximum.
    pub topic_alias_max: Option<u16>,
    /// Request Response Information.
    pub request_response_information: Option<bool>,
    /// Request Problem Information.
    pub request_problem_information: Option<bool>,
    /// Authentication Method.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data; only with a method.
    pub authentication_data: Option<&'a [u8]>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

impl<'a> Connect<'a> {
    /// Reads a frame of this type. `version` plays no part: the packet names its own.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification. [`Malformed::ProtocolName`] and
    /// [`Malformed::ProtocolLevel`] come before anything else, so that a server can answer them.
    pub fn decode(frame: Frame<'a>, _version: Version, from: Peer) -> Result<Connect<'a>, Malformed> {
        // The direction is the same in every version.
        frame.kind.check_direction(Version::V5, from)?;
        let mut body = Reader::new(frame.body);
        let version = read_version(&mut body)?;
        // 3.1 does not use the flags of the first byte here.
        frame.kind.check_flags(frame.flags, version)?;
        let flags = ConnectFlags::read(body.u8()?, version)?;
        let keep_alive_secs = body.u16()?;
        let properties = if version.has_properties() {
            ConnectProperties::read(body.block()?)?
        } else {
            ConnectProperties::default()
        };
        // [MQTT-3.1.3-1], [MQTT-3.1.3-3]: the order of the payload.
        let client_id = body.str()?;
        let will = match flags.will {
            Some((qos, retain)) => Some(Will::read(&mut body, qos, retain, version)?),
            None => None,
        };
        // 3.1: the remaining length takes precedence over the flags, for clients older still that set them in vain.
        let ends = |body: &Reader<'_>| version == Version::V31 && body.is_empty();
        let user_name = if flags.user_name && !ends(&body) { Some(body.str()?) } else { None };
        let password = if flags.password && !ends(&body) { Some(body.binary()?) } else { None };
        body.end()?;
        let clean_start = flags.clean_start;
        Ok(Connect {
            version,
            clean_start,
            keep_alive_secs,
            client_id,
            will,
            user_name,
            password,
            properties,
        })
    }

    /// The version that a CONNECT names, even when the rest of it is malformed: it decides how to answer.
    ///
    /// # Errors
    ///
    /// [`Malformed::ProtocolName`], [`Malformed::ProtocolLevel`], or a body that ends before them.
    pub fn version_of(frame: Frame<'_>) -> Result<Version, Malformed> {
        read_version(&mut Reader::new(frame.body))
    }

    /// The size of the whole packet in bytes. `version` plays no part: the packet names its own.
    #[must_use]
    pub fn encoded_len(&self, _version: Version) -> usize {
        frame_len(self, self.version)
    }

    /// Writes the whole packet. `version` plays no part: the packet names its own.
    pub fn encode(&self, _version: Version, out: &mut impl Sink) {
        put_frame(PacketType::Connect, self, self.version, out);
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if let Some(will) = self.will {
            flags |= WILL | will.qos.bits() << WILL_QOS_SHIFT;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        for (bit, set) in [
            (CLEAN_START, self.clean_start),
            (USER_NAME, self.user_name.is_some()),
            (PASSWORD, self.password.is_some()),
        ] {
            if set {
                flags |= bit;
            }
        }
        flags
    }
}

impl Body for Connect<'_> {
    fn put_body(&self, _version: Version, out: &mut impl Sink) {
        out.put_str(self.version.protocol_name());
        out.put_u8(self.version.level());
        out.put_u8(self.flags());
        out.put_u16(self.keep_alive_secs);
        if self.version.has_properties() {
            self.properties.put_counted(out);
        }
        out.put_str(self.client_id);
        if let Some(will) = &self.will {
            will.put(self.version, out);
        }
        if let Some(user_name) = self.user_name {
            out.put_str(user_name);
        }
        if let Some(password) = self.password {
            out.put_binary(password);
        }
    }
}

/// Reads protocol name and level.
fn read_version(body: &mut Reader<'_>) -> Result<Version, Malformed> {
    let name = body.binary()?;
    if !matches!(name, b"MQTT" | b"MQIsdp") {
        // [MQTT-3.1.2-1]
        return Err(Malformed::ProtocolName);
    }
    match (name, body.u8()?) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        // [MQTT-3.1.2-2]
        (_, level) => Err(Malformed::ProtocolLevel(level)),
    }
}

struct ConnectFlags {
    clean_start: bool,
    will: Option<(QoS, bool)>,
    user_name: bool,
    password: bool,
}

impl ConnectFlags {
    fn read(flags: u8, version: Version) -> Result<ConnectFlags, Malformed> {
        // [MQTT-3.1.2-3]; 3.1 does not use the bit, and does not say that it is zero.
        if flags & RESERVED != 0 && version != Version::V31 {
            return Err(Malformed::ConnectFlagReserved);
        }
        let retain = flags & WILL_RETAIN != 0;
        let qos_bits = flags >> WILL_QOS_SHIFT & 0b11;
        let will = if flags & WILL != 0 {
            // [MQTT-3.1.2-12]
            let qos = QoS::from_bits(qos_bits).ok_or(Malformed::WillQoS3)?;
            Some((qos, retain))
        } else if qos_bits != 0 {
            // [MQTT-3.1.2-11]
            return Err(Malformed::WillQoSWithoutWill);
        } else if retain {
            // [MQTT-3.1.2-13]
            return Err(Malformed::WillRetainWithoutWill);
        } else {
            None
        };
        let user_name = flags & USER_NAME != 0;
        let password = flags & PASSWORD != 0;
        // 3.1.1 [MQTT-3.1.2-22]; 5.0 lifted it.
        if password && !user_name && version != Version::V5 {
            return Err(Malformed::PasswordWithoutUserName);
        }
        Ok(ConnectFlags { clean_start: flags & CLEAN_START != 0, will, user_name, password })
    }
}

impl<'a> ConnectProperties<'a> {
    fn read(block: Reader<'a>) -> Result<ConnectProperties<'a>, Malformed> {
        let mut read = ConnectProperties::default();
        let user_properties = read_block(block, |property| {
            let id = property.id();
            match property {
                Property::SessionExpiryInterval(secs) => once(&mut read.session_expiry_secs, secs, id),
                Property::ReceiveMaximum(max) => once(&mut read.receive_maximum, max, id),
                Property::MaximumPacketSize(bytes) => once(&mut read.packet_size_max, bytes, id),
                Property::TopicAliasMaximum(max) => once(&mut read.topic_alias_max, max, id),
                Property::RequestResponseInformation(wanted) => {
                    once(&mut read.request_response_information, wanted, id)
                }
                Property::RequestProblemInformation(wanted) => {
                    once(&mut read.request_problem_information, wanted, id)
                }
                Property::AuthenticationMethod(method) => once(&mut read.authentication_method, method, id),
                Property::AuthenticationData(data) => once(&mut read.authentication_data, data, id),
                other => other.refuse(),
            }
        })?;
        if read.authentication_data.is_some() && read.authentication_method.is_none() {
            return Err(Malformed::AuthenticationMethodMissing(PacketType::Connect));
        }
        Ok(ConnectProperties { user_properties, ..read })
    }
}

impl Block for ConnectProperties<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.session_expiry_secs, Property::SessionExpiryInterval, out);
        put_if(self.receive_maximum, Property::ReceiveMaximum, out);
        put_if(self.packet_size_max, Property::MaximumPacketSize, out);
        put_if(self.topic_alias_max, Property::TopicAliasMaximum, out);
        put_if(self.request_response_information, Property::RequestResponseInformation, out);
        put_if(self.request_problem_information, Property::RequestProblemInformation, out);
        put_if(self.authentication_method, Property::AuthenticationMethod, out);
        put_if(self.authentication_data, Property::AuthenticationData, out);
        self.user_properties.put_block(out);
    }
}
