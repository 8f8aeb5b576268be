//! CONNECT and CONNACK: what the client asked for, what this server grants, and how it says so.

use alloc::{boxed::Box, vec::Vec};

use super::Limits;
use crate::codec::{ConnAck, ConnAckProperties, Connect, QoS, ReasonCode, UserProperties, Version};

/// CONNECT is refused with this reason code; in 3.x its return code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub ReasonCode);

/// What a connection runs by once CONNECT is accepted.
#[derive(Clone, Debug)]
pub struct Negotiated {
    /// Protocol version.
    pub version: Version,
    /// The client's identifier; empty when the server shall assign one [MQTT-3.1.3-6].
    pub client_id: Box<str>,
    /// Whether an old session is discarded.
    pub clean_start: bool,
    /// Seconds that the session outlives the connection; at most the server's longest.
    pub session_expiry_secs: u32,
    /// Whether the client asked for more than it got (5.0 is told).
    pub session_expiry_capped: bool,
    /// Keep-alive in force, in seconds; 0 for none.
    pub keep_alive_secs: u16,
    /// Whether the server's keep-alive replaces the client's (5.0 is told) [MQTT-3.1.2-21].
    pub keep_alive_imposed: bool,
    /// Messages in flight to the client.
    pub receive_maximum: u16,
    /// Largest packet to the client in bytes [MQTT-3.1.2-24].
    pub packet_bytes_max: u32,
    /// Topic aliases towards the client.
    pub topic_aliases_max: u16,
    /// Whether packets other than CONNACK, DISCONNECT and PUBLISH may say why in words [MQTT-3.1.2-29].
    pub problem_information: bool,
    /// How sure an acknowledgement is, in a word that a 5.0 client is told; nothing where the caller says nothing.
    pub durability: Option<Durability>,
    /// The authentication method of CONNECT, which CONNACK repeats. Whether the server knows it is the caller's to say.
    pub authentication: Option<Box<Authentication>>,
}

/// What CONNACK says of an authentication method that has succeeded [MQTT-4.12.0-5].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The method.
    pub method: Box<str>,
    /// Its last data, if it has any for the client.
    pub data: Option<Box<[u8]>>,
}

/// What an acknowledgement is worth, as a user property of CONNACK tells it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What was acknowledged is lost with the server's process.
    Memory,
    /// It survives the end of the process.
    Process,
    /// It survives a loss of power.
    Power,
}

impl Durability {
    const fn pairs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Durability::Memory => &[("whimbrel-durability", "memory")],
            Durability::Process => &[("whimbrel-durability", "process")],
            Durability::Power => &[("whimbrel-durability", "power")],
        }
    }
}

/// Decides what the client gets. Pure: it asks neither who the client is nor which sessions exist.
///
/// # Errors
/// CONNECT asks for what this server does not give.
pub fn negotiate(connect: &Connect<'_>, limits: &Limits) -> Result<Negotiated, Refused> {
    let properties = &connect.properties;
    let v5 = connect.version == Version::V5;
    check_client_id(connect, limits)?;
    if let Some(will) = &connect.will {
        if will.qos > limits.qos_max {
            return Err(Refused(ReasonCode::QoSNotSupported)); // [MQTT-3.2.2-12]
        }
        if will.retain && !limits.retain_available {
            return Err(Refused(ReasonCode::RetainNotSupported)); // [MQTT-3.2.2-13]
        }
    }
    let asked = match (v5, connect.clean_start) {
        (true, _) => properties.session_expiry_secs.unwrap_or(0),
        (false, true) => 0,
        // 3.1.1 has no expiry: such a session lives as long as any may.
        (false, false) => u32::MAX,
    };
    let session_expiry_secs = asked.min(limits.session_expiry_secs_max);
    let keep_alive_long =
        connect.keep_alive_secs == 0 || connect.keep_alive_secs > limits.keep_alive_secs_max;
    // A 3.1.1 client cannot be told another keep-alive, so its own holds.
    let keep_alive_imposed = v5 && keep_alive_long;
    Ok(Negotiated {
        version: connect.version,
        client_id: connect.client_id.into(),
        clean_start: connect.clean_start,
        session_expiry_secs,
        session_expiry_capped: v5 && asked > session_expiry_secs,
        keep_alive_secs: if keep_alive_imposed {
            limits.keep_alive_secs_max
        } else {
            connect.keep_alive_secs
        },
        keep_alive_imposed,
        receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX).min(limits.inflight_max),
        packet_bytes_max: properties.packet_size_max.unwrap_or(u32::MAX),
        topic_aliases_max: properties.topic_alias_max.unwrap_or(0).min(limits.topic_aliases_out_max),
        problem_information: v5 && properties.request_problem_information != Some(false),
        durability: None,
        authentication: properties
            .authentication_method
            .map(|method| Box::new(Authentication { method: method.into(), data: None })),
    })
}

fn check_client_id(connect: &Connect<'_>, limits: &Limits) -> Result<(), Refused> {
    let id = connect.client_id;
    let wrong = match connect.version {
        Version::V5 => false,
        // [MQTT-3.1.3-8]: an empty identifier needs a clean session.
        Version::V311 => id.is_empty() && !connect.clean_start,
        Version::V31 => id.is_empty() || (limits.client_id_31_strict && id.chars().count() > 23),
    };
    if wrong || id.len() > limits.topic_bytes_max {
        Err(Refused(ReasonCode::ClientIdNotValid))
    } else {
        Ok(())
    }
}

/// Appends the CONNACK of an accepted connection.
///
/// `assigned` is the identifier that the server made for an empty one [MQTT-3.2.2-16].
pub fn connack(
    negotiated: &Negotiated,
    session_present: bool,
    assigned: Option<&str>,
    limits: &Limits,
    out: &mut Vec<u8>,
) {
    // 3.1 has no Session Present bit.
    let session_present = session_present && negotiated.version != Version::V31;
    let properties = granted(negotiated, assigned, limits);
    ConnAck { session_present, reason: ReasonCode::Success, properties }.encode(negotiated.version, out);
}

/// Whether the client takes a packet as large as its CONNACK has to be [MQTT-3.1.2-24].
#[must_use]
pub fn connack_fits(negotiated: &Negotiated, assigned: Option<&str>, limits: &Limits) -> bool {
    fits(&granted(negotiated, assigned, limits), negotiated)
}

fn fits(properties: &ConnAckProperties<'_>, negotiated: &Negotiated) -> bool {
    let connack = ConnAck { properties: *properties, ..ConnAck::default() };
    connack.encoded_len(negotiated.version) <= negotiated.packet_bytes_max as usize
}

/// What CONNACK tells, less what the client can do without where it takes only a small packet.
fn granted<'a>(
    negotiated: &'a Negotiated,
    assigned: Option<&'a str>,
    limits: &Limits,
) -> ConnAckProperties<'a> {
    let authentication = negotiated.authentication.as_deref();
    let unavailable = |available: bool| if available { None } else { Some(false) };
    let mut properties = ConnAckProperties {
        session_expiry_secs: negotiated.session_expiry_capped.then_some(negotiated.session_expiry_secs),
        receive_maximum: Some(limits.receive_maximum),
        qos_max: (limits.qos_max < QoS::ExactlyOnce).then_some(limits.qos_max), // [MQTT-3.2.2-9]
        retain_available: unavailable(limits.retain_available),
        packet_size_max: Some(limits.packet_bytes_max),
        assigned_client_id: assigned,
        topic_alias_max: Some(limits.topic_aliases_in_max),
        wildcard_available: unavailable(limits.wildcard_available),
        subscription_ids_available: unavailable(limits.subscription_ids_available),
        shared_available: unavailable(limits.shared_available),
        server_keep_alive_secs: negotiated.keep_alive_imposed.then_some(negotiated.keep_alive_secs),
        authentication_method: authentication.map(|authentication| &*authentication.method),
        authentication_data: authentication.and_then(|authentication| authentication.data.as_deref()),
        user_properties: UserProperties::from_pairs(negotiated.durability.map_or(&[], Durability::pairs)),
        ..ConnAckProperties::default()
    };
    // Nothing depends on the first. Without the second the client sets no alias; a refusal tells it of the next three, and who takes only small packets
    // hardly sends one that is too large. All else would make it break a rule, or hold to what does not hold.
    let leave_out: [fn(&mut ConnAckProperties<'_>); 6] = [
        |properties| properties.user_properties = UserProperties::default(), // [MQTT-3.2.2-20]
        |properties| properties.topic_alias_max = None,
        |properties| properties.wildcard_available = None,
        |properties| properties.subscription_ids_available = None,
        |properties| properties.shared_available = None,
        |properties| properties.packet_size_max = None,
    ];
    for leave_out in leave_out {
        if fits(&properties, negotiated) {
            break;
        }
        leave_out(&mut properties);
    }
    properties
}
