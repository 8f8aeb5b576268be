//! The machine's events, owned, and what each means for the program.

use tokio::time::Instant;
use whimbrel_proto::{
    client::{Ack, Event as MachineEvent, Token, Unfinished},
    codec::{ConnAck, Disconnect, PacketId, PacketType, ReasonCode},
};

use super::Link;
use crate::{
    Connected, ConnectionError, Event, Granted, PublishError, Received, error::ServerReason,
    message::owned_pairs,
};

/// An event that borrows neither the buffer nor the machine.
#[derive(Debug)]
pub(super) enum Happened {
    Connected(Accepted),
    Refused(ServerReason),
    Message(Received, Option<Ack>),
    Delivery { token: Token, reason: ReasonCode, reason_string: Option<String> },
    Answered { packet_id: PacketId, granted: Granted },
    Pong,
    Auth { reason: ReasonCode, data: Option<Vec<u8>> },
    Disconnected(ServerReason),
    Stray { kind: PacketType, packet_id: PacketId },
}

/// What CONNACK said.
#[derive(Debug)]
pub(super) struct Accepted {
    session_present: bool,
    unfinished: Vec<Unfinished>,
    assigned_client_id: Option<String>,
    session_expiry_secs: Option<u32>,
    response_information: Option<String>,
    authentication_data: Option<Vec<u8>>,
    reason_string: Option<String>,
    user_properties: Vec<(String, String)>,
}

impl From<MachineEvent<'_>> for Happened {
    fn from(event: MachineEvent<'_>) -> Happened {
        let granted = |reasons: Vec<ReasonCode>, words: Option<&str>| Granted {
            reasons,
            reason_string: words.map(str::to_owned),
        };
        match event {
            MachineEvent::Connected(connected) => {
                let told = &connected.connack.properties;
                Happened::Connected(Accepted {
                    session_present: connected.session_present,
                    unfinished: connected.unfinished,
                    assigned_client_id: told.assigned_client_id.map(str::to_owned),
                    session_expiry_secs: told.session_expiry_secs,
                    response_information: told.response_information.map(str::to_owned),
                    authentication_data: told.authentication_data.map(<[u8]>::to_vec),
                    reason_string: told.reason_string.map(str::to_owned),
                    user_properties: owned_pairs(told.user_properties),
                })
            }
            MachineEvent::Refused(connack) => Happened::Refused(refusal(&connack)),
            MachineEvent::Message { publish, topic, ack } => {
                Happened::Message(Received::new(&publish, topic), ack)
            }
            MachineEvent::Delivery { token, reason, reason_string } => {
                Happened::Delivery { token, reason, reason_string: reason_string.map(str::to_owned) }
            }
            MachineEvent::Subscribed(suback) => Happened::Answered {
                packet_id: suback.packet_id,
                granted: granted(suback.reasons.iter().collect(), suback.reason_string),
            },
            MachineEvent::Unsubscribed(unsuback) => Happened::Answered {
                packet_id: unsuback.packet_id,
                granted: granted(unsuback.reasons.iter().collect(), unsuback.reason_string),
            },
            MachineEvent::Pong => Happened::Pong,
            MachineEvent::Auth(auth) => {
                Happened::Auth { reason: auth.reason, data: auth.authentication_data.map(<[u8]>::to_vec) }
            }
            MachineEvent::Disconnected(disconnect) => Happened::Disconnected(farewell(&disconnect)),
            MachineEvent::Stray { kind, packet_id } => Happened::Stray { kind, packet_id },
        }
    }
}

fn refusal(connack: &ConnAck<'_>) -> ServerReason {
    ServerReason {
        reason: connack.reason,
        reason_string: connack.properties.reason_string.map(str::to_owned),
        server_reference: connack.properties.server_reference.map(str::to_owned),
    }
}

fn farewell(disconnect: &Disconnect<'_>) -> ServerReason {
    ServerReason {
        reason: disconnect.reason,
        reason_string: disconnect.reason_string.map(str::to_owned),
        server_reference: disconnect.server_reference.map(str::to_owned),
    }
}

impl Link<'_> {
    /// Tells whom it concerns.
    pub(super) fn act(&mut self, happened: Happened) -> Result<(), ConnectionError> {
        match happened {
            Happened::Connected(accepted) => {
                self.check_server(accepted.authentication_data.as_deref())?;
                self.connected(accepted);
            }
            Happened::Refused(said) => return Err(ConnectionError::Refused(said)),
            Happened::Message(received, ack) => self.work.inbox.push_message(received, ack),
            Happened::Delivery { token, reason, reason_string } => {
                let outcome = if reason.is_error() {
                    Err(PublishError::Refused { reason, reason_string })
                } else {
                    Ok(reason)
                };
                self.work.deliveries.resolve(token, outcome);
            }
            Happened::Answered { packet_id, granted } => self.answered(packet_id, granted),
            Happened::Pong => self.pong(),
            Happened::Auth { reason, data } => self.auth(reason, data.as_deref())?,
            Happened::Disconnected(said) => return Err(ConnectionError::Disconnected(said)),
            Happened::Stray { kind, packet_id } => {
                tracing::debug!(?kind, %packet_id, "an acknowledgement for nothing");
            }
        }
        Ok(())
    }

    fn connected(&mut self, accepted: Accepted) {
        let work = &mut *self.work;
        if let Some(id) = accepted.assigned_client_id {
            // The session is kept under it [MQTT-3.1.3-2].
            work.options.client_id = id;
        }
        for unfinished in accepted.unfinished {
            work.again.extend(work.deliveries.session_gone(unfinished));
        }
        work.inbox.push_change(Event::Connected(Connected {
            session_present: accepted.session_present,
            client_id: work.options.client_id.clone(),
            limits: self.connection.server().clone(),
            session_expiry_secs: accepted.session_expiry_secs,
            response_information: accepted.response_information,
            reason_string: accepted.reason_string,
            user_properties: accepted.user_properties,
        }));
        work.was_connected = true;
        work.connected_since = Some(Instant::now());
        if let Some(first) = work.first.take() {
            let _ = first.send(Ok(()));
        }
        if !accepted.session_present {
            self.resubscribe();
        }
    }
}
