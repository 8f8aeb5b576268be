//! A server of few rules around the server's machine: one client, one session, everything is accepted.

use whimbrel_proto::{
    Incoming, Millis, Outgoing, Release, Stage,
    codec::{
        Ack as AckPacket, Packet, PacketId, PacketType, PublishHead, QoS, ReasonCode, Reasons, Split, SubAck,
        Subscribe, SubscribeOptions, UnsubAck, UserProperties, Version, split,
    },
    server::{Connection, Event, Limits, connect, negotiate},
};

#[derive(Default)]
pub(crate) struct Server {
    connection: Option<Connection>,
    limits: Limits,
    session_exists: bool,
    /// CONNECT was accepted on the present connection.
    open: bool,
    version: Version,
    receive_maximum: u16,
    outgoing: Outgoing<u32>,
    incoming: Incoming,
    input: Vec<u8>,
    /// The numbers in the payloads that were accepted, in order.
    pub(crate) received: Vec<(QoS, bool, u32)>,
    pub(crate) said_goodbye: bool,
}

/// What the answer to a packet was.
#[derive(PartialEq)]
enum Answer {
    /// The end of a message of the client's, which makes room for another.
    Acknowledged,
    Other,
    /// The end of the connection.
    Over,
}

impl Server {
    pub(crate) fn accept(&mut self, now: Millis) {
        self.limits = Limits { receive_maximum: 4, topic_aliases_in_max: 2, ..Limits::default() };
        self.input.clear();
        self.open = false;
        self.connection = Some(Connection::new(&self.limits, now));
    }

    pub(crate) fn lose(&mut self) {
        self.connection = None;
        self.outgoing.link_lost();
        self.incoming.link_lost();
    }

    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.received.iter().map(|(_, _, number)| *number).collect()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.outgoing.len()
    }

    pub(crate) fn deadline(&self) -> Millis {
        self.connection.as_ref().map_or(Millis::NEVER, Connection::deadline)
    }

    pub(crate) fn handle_timeout(&mut self, now: Millis) {
        if let Some(connection) = &mut self.connection {
            connection.handle_timeout(now).expect("the client keeps the connection alive");
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open && self.connection.is_some() && self.outgoing.has_room(self.receive_maximum)
    }

    pub(crate) fn push(&mut self, qos: QoS, number: u32, out: &mut Vec<u8>) {
        let packet_id = (qos > QoS::AtMostOnce).then(|| self.outgoing.send(qos, number, |_| false));
        put_publish(self.version, false, qos, packet_id, number, out);
    }

    pub(crate) fn receive(&mut self, bytes: &[u8], now: Millis, out: &mut Vec<u8>) {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut used = 0;
        while let Ok(Split::Whole { frame, len }) = split(&input[used..], u32::MAX) {
            used += len;
            let Some(mut connection) = self.connection.take() else { return };
            let event = connection.handle(frame, &self.limits, now).expect("the client keeps the rules");
            let answer = match event {
                Event::Connect(asked) => {
                    let negotiated = negotiate(&asked, &self.limits).unwrap();
                    let present = std::mem::replace(&mut self.session_exists, true);
                    connect::connack(&negotiated, present, None, &self.limits, out);
                    self.version = negotiated.version;
                    self.receive_maximum = negotiated.receive_maximum;
                    connection.accept(&negotiated, now);
                    self.open = true;
                    self.resend(out);
                    Answer::Other
                }
                event => self.answer(event, out),
            };
            if answer == Answer::Acknowledged {
                connection.acknowledged();
            }
            self.connection = (answer != Answer::Over).then_some(connection);
        }
        self.input = input[used..].to_vec();
    }

    fn answer(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Answer {
        let version = self.version;
        match event {
            Event::Publish { publish, topic, ack } => {
                assert!(topic.starts_with("up/"), "{topic}");
                let known = ack
                    .as_ref()
                    .is_some_and(|ack| ack.qos == QoS::ExactlyOnce && !self.incoming.open(ack.packet_id));
                if !known {
                    let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
                    self.received.push((publish.qos, publish.dup, number));
                }
                if let Some(ack) = ack {
                    let exactly = ack.qos == QoS::ExactlyOnce;
                    let kind = if exactly { PacketType::PubRec } else { PacketType::PubAck };
                    AckPacket::new(ack.packet_id, ReasonCode::Success).encode(kind, version, out);
                    if !exactly || known {
                        return Answer::Acknowledged;
                    }
                }
            }
            Event::PubAck(id, _) => {
                let _ = self.outgoing.acknowledged(id);
                self.resend(out);
            }
            Event::PubRec(id, _) => {
                self.outgoing.received(id).expect("the client acknowledges what was sent");
                AckPacket::new(id, ReasonCode::Success).encode(PacketType::PubRel, version, out);
            }
            Event::PubRel(id, _) => {
                let release = self.incoming.release(id);
                AckPacket::new(id, ReasonCode::Success).encode(PacketType::PubComp, version, out);
                if release == Release::Present {
                    return Answer::Acknowledged;
                }
            }
            Event::PubComp(id, _) => {
                let _ = self.outgoing.completed(id);
                self.resend(out);
            }
            Event::Subscribe(subscribe) => put_suback(&subscribe, version, out),
            Event::Unsubscribe(unsubscribe) => {
                let reasons = vec![ReasonCode::Success; unsubscribe.filters.count()];
                Packet::UnsubAck(UnsubAck {
                    packet_id: unsubscribe.packet_id,
                    reason_string: None,
                    user_properties: UserProperties::default(),
                    reasons: Reasons::from_slice(&reasons),
                })
                .encode(version, out);
            }
            Event::Ping => Packet::PingResp.encode(version, out),
            Event::Disconnect(_) => {
                self.said_goodbye = true;
                return Answer::Over;
            }
            Event::Connect(_) => panic!("a second CONNECT"),
            Event::Auth => panic!("AUTH without a method in CONNECT"),
        }
        Answer::Other
    }

    fn resend(&mut self, out: &mut Vec<u8>) {
        while let Some(sent) = self.outgoing.resend(self.receive_maximum) {
            let packet_id = sent.packet_id();
            match (sent.stage(), sent.message()) {
                (Stage::Published(qos), Some(number)) => {
                    put_publish(self.version, true, qos, Some(packet_id), *number, out);
                }
                _ => AckPacket::new(packet_id, ReasonCode::Success).encode(
                    PacketType::PubRel,
                    self.version,
                    out,
                ),
            }
        }
    }
}

/// Everything is granted but the filter `refused`.
fn put_suback(subscribe: &Subscribe<'_>, version: Version, out: &mut Vec<u8>) {
    let reason = |(filter, options): (&str, SubscribeOptions)| match filter {
        "refused" => ReasonCode::NotAuthorized,
        _ => ReasonCode::granted(options.qos),
    };
    let reasons: Vec<_> = subscribe.filters.iter().map(reason).collect();
    let reasons = Reasons::from_slice(&reasons);
    let (packet_id, user_properties) = (subscribe.packet_id, UserProperties::default());
    SubAck { packet_id, reason_string: None, user_properties, reasons }.encode(version, out);
}

fn put_publish(
    version: Version,
    dup: bool,
    qos: QoS,
    packet_id: Option<PacketId>,
    number: u32,
    out: &mut Vec<u8>,
) {
    let payload = number.to_be_bytes();
    let head = PublishHead { dup, qos, topic: "down/t", packet_id, ..PublishHead::default() };
    head.encode(version, payload.len(), out);
    out.extend_from_slice(&payload);
}
