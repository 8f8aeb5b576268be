//! The last packet to a client: which one its version and state allow when the server ends the connection.

use alloc::vec::Vec;

use super::{Connection, State};
use crate::codec::{ConnAck, Disconnect, ReasonCode, Version};

/// Appends what the client is told before the server closes, or nothing where its version has no word for it.
///
/// * Before CONNACK: a CONNACK with the reason in 5.0 [MQTT-3.14.0-1]; in 3.x a return code only where one fits,
///   otherwise the connection is closed without a CONNACK [MQTT-3.2.2-6].
/// * After CONNACK: DISCONNECT in 5.0, nothing in 3.x, which has no DISCONNECT from the server.
///
/// A packet that was never understood as a CONNECT gets no answer. The text is left out where the packet would be too
/// large for the client [MQTT-3.2.2-19], [MQTT-3.14.2-3], and so is the packet where it is too large even then
/// [MQTT-3.1.2-24].
pub fn farewell(connection: &Connection, reason: ReasonCode, reason_string: Option<&str>, out: &mut Vec<u8>) {
    let fits = |len: usize| len <= connection.client_packet_bytes_max as usize;
    match (connection.state, connection.version) {
        (State::Open, Version::V5) => {
            let mut disconnect = Disconnect { reason, reason_string, ..Disconnect::default() };
            if !fits(disconnect.encoded_len(Version::V5)) {
                disconnect.reason_string = None;
            }
            if fits(disconnect.encoded_len(Version::V5)) {
                disconnect.encode(Version::V5, out);
            }
        }
        (State::Open, _) => {}
        (State::Awaiting | State::Deciding | State::Exchanging, Version::V5) if connection.version_known => {
            let mut connack = ConnAck { reason: connack_reason(reason), ..ConnAck::default() };
            connack.properties.reason_string = reason_string;
            if !fits(connack.encoded_len(Version::V5)) {
                connack.properties.reason_string = None;
            }
            if fits(connack.encoded_len(Version::V5)) {
                connack.encode(Version::V5, out);
            }
        }
        (State::Awaiting, _) if reason == ReasonCode::UnsupportedProtocolVersion => {
            // [MQTT-3.1.2-2] of 3.1.1: return code 1, in the form that every version reads.
            ConnAck { reason, ..ConnAck::default() }.encode(Version::V311, out);
        }
        (State::Deciding, version) if answers_in_3x(reason) => {
            ConnAck { reason, ..ConnAck::default() }.encode(version, out);
        }
        (State::Awaiting | State::Deciding | State::Exchanging, _) => {}
    }
}

/// CONNACK has fewer codes than DISCONNECT: what it has no word for is a protocol error.
fn connack_reason(reason: ReasonCode) -> ReasonCode {
    use crate::codec::{PacketType, Peer};
    match reason {
        // Not the client's fault.
        ReasonCode::ServerShuttingDown | ReasonCode::AdministrativeAction => ReasonCode::ServerUnavailable,
        _ if reason.allowed_in(PacketType::ConnAck, Peer::Server) => reason,
        _ => ReasonCode::ProtocolError,
    }
}

/// Whether 3.x has a return code that means this.
fn answers_in_3x(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::UnsupportedProtocolVersion
            | ReasonCode::ClientIdNotValid
            | ReasonCode::ServerUnavailable
            | ReasonCode::ServerBusy
            | ReasonCode::ServerShuttingDown
            | ReasonCode::QuotaExceeded
            | ReasonCode::ConnectionRateExceeded
            | ReasonCode::UseAnotherServer
            | ReasonCode::ServerMoved
            | ReasonCode::BadUserNameOrPassword
            | ReasonCode::Banned
            | ReasonCode::NotAuthorized
    )
}
