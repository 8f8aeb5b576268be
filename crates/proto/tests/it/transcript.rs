//! A client machine whose every step is told in lines: what it wrote (`>`), and what the application was told (`=`).

use whimbrel_proto::{
    Millis, Violation,
    client::{Ack, Connection, Event, Message, Misuse, Session, Settings, Token, Unfinished},
    codec::{
        Ack as AckPacket, ConnAck, Connect, Disconnect, Packet, PacketId, PacketType, Peer, Publish, QoS,
        ReasonCode, Split, SubscribeOptions, UserProperties, Version, split,
    },
};

/// A packet identifier.
pub(crate) fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("packet identifiers are not zero")
}

/// The CONNECT that most tests start with.
pub(crate) fn connect(version: Version) -> Connect<'static> {
    Connect { version, clean_start: true, keep_alive_secs: 60, client_id: "c", ..Connect::default() }
}

/// A CONNECT for a session that outlives its connections.
pub(crate) fn persistent(version: Version) -> Connect<'static> {
    let mut connect = Connect { clean_start: false, ..connect(version) };
    if version == Version::V5 {
        connect.properties.session_expiry_secs = Some(1_000);
    }
    connect
}

/// A CONNACK that accepts.
pub(crate) fn accepted(session_present: bool) -> ConnAck<'static> {
    ConnAck { session_present, ..ConnAck::default() }
}

/// PUBLISH from the server.
pub(crate) fn publish(qos: QoS, packet_id: u16, topic: &'static str) -> Publish<'static> {
    Publish { qos, packet_id: PacketId::new(packet_id), topic, payload: b"x", ..Publish::default() }
}

/// A message of the application.
pub(crate) fn message(topic: &str, qos: QoS) -> Message {
    Message::new(topic, b"m".to_vec(), qos, false).expect("a topic name")
}

/// The machine with its clock and the acknowledgements that the application has not given back yet.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) now: Millis,
    pub(crate) acks: Vec<Ack>,
}

impl Client {
    /// A connection that has sent CONNECT.
    pub(crate) fn start(connect: &Connect<'_>, session: Session) -> Client {
        Client::start_with(connect, Settings::default(), session, Millis(0))
    }

    pub(crate) fn start_with(
        connect: &Connect<'_>,
        settings: Settings,
        session: Session,
        now: Millis,
    ) -> Client {
        let mut out = Vec::new();
        let connection = Connection::new(connect, settings, session, now, &mut out).expect("a good CONNECT");
        assert!(told(&out, connect.version, Peer::Client)[0].starts_with("CONNECT"), "{out:?}");
        Client { connection, now, acks: Vec::new() }
    }

    /// A connection that is open.
    pub(crate) fn open(version: Version) -> Client {
        let mut client = Client::start(&connect(version), Session::default());
        client.receive(Packet::ConnAck(accepted(false)));
        client
    }

    /// A connection of 5.0 that is open under these limits of the server.
    pub(crate) fn open_under(connack: ConnAck<'_>) -> Client {
        let mut client = Client::start(&connect(Version::V5), Session::default());
        client.receive(Packet::ConnAck(connack));
        client
    }

    /// A connection that is open in a session that goes on; with the lines that the resumption brought.
    pub(crate) fn resume(version: Version, session: Session) -> (Client, Vec<String>) {
        let mut client = Client::start(&persistent(version), session);
        let lines = client.receive(Packet::ConnAck(accepted(true)));
        (client, lines)
    }

    /// The server sends a packet.
    pub(crate) fn receive(&mut self, packet: Packet<'_>) -> Vec<String> {
        self.try_receive(packet).unwrap_or_else(|violation| panic!("{violation}"))
    }

    pub(crate) fn try_receive(&mut self, packet: Packet<'_>) -> Result<Vec<String>, Violation> {
        let version = self.connection.version();
        let mut bytes = Vec::new();
        packet.encode(version, &mut bytes);
        self.receive_bytes(&bytes)
    }

    pub(crate) fn receive_bytes(&mut self, bytes: &[u8]) -> Result<Vec<String>, Violation> {
        let version = self.connection.version();
        let Ok(Split::Whole { frame, len }) = split(bytes, u32::MAX) else { panic!("no frame") };
        assert_eq!(len, bytes.len(), "one packet at a time");
        let mut out = Vec::new();
        let event = self.connection.handle(frame, self.now, &mut out)?;
        let mut lines = Vec::new();
        if let Some(event) = event {
            let (line, ack) = tell(event);
            lines.push(format!("= {line}"));
            self.acks.extend(ack);
        }
        lines.extend(sent(&out, version));
        Ok(lines)
    }

    /// The server acknowledges.
    pub(crate) fn receive_ack(
        &mut self,
        kind: PacketType,
        packet_id: u16,
        reason: ReasonCode,
    ) -> Vec<String> {
        let ack = AckPacket::new(id(packet_id), reason);
        self.receive(match kind {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        })
    }

    /// The application publishes; the token is the payload's place in the test.
    pub(crate) fn publish(&mut self, message: Message, token: u64) -> Result<Vec<String>, Misuse> {
        let now = self.now;
        self.act(|connection, out| connection.publish(message, Token(token), now, now, out).map(drop))
    }

    pub(crate) fn subscribe(
        &mut self,
        filters: &[(&str, SubscribeOptions)],
        subscription_id: Option<u32>,
    ) -> Result<Vec<String>, Misuse> {
        let now = self.now;
        self.act(|connection, out| {
            connection.subscribe(filters, subscription_id, UserProperties::default(), now, out).map(drop)
        })
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Result<Vec<String>, Misuse> {
        let now = self.now;
        self.act(|connection, out| {
            connection.unsubscribe(filters, UserProperties::default(), now, out).map(drop)
        })
    }

    /// The application takes the message whose acknowledgement is the `at`th of those it holds.
    pub(crate) fn acknowledge(&mut self, at: usize, reason: ReasonCode) -> Vec<String> {
        let (ack, now) = (self.acks.remove(at), self.now);
        self.act(|connection, out| connection.acknowledge(ack, reason, now, out)).expect("a good reason code")
    }

    pub(crate) fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<Vec<String>, Misuse> {
        let now = self.now;
        self.act(|connection, out| connection.disconnect(disconnect, now, out))
    }

    /// Time passes, and the machine is called where it asked for it.
    pub(crate) fn pass(&mut self, millis: u64) -> Result<Vec<String>, Violation> {
        let end = self.now + millis;
        let version = self.connection.version();
        let mut out = Vec::new();
        while self.connection.deadline() <= end {
            let before = (self.connection.deadline(), out.len());
            self.now = self.connection.deadline();
            self.connection.handle_timeout(self.now, &mut out)?;
            assert_ne!(before, (self.connection.deadline(), out.len()), "what is due is done");
        }
        self.now = end;
        Ok(sent(&out, version))
    }

    /// The network connection is gone.
    pub(crate) fn lose(self) -> Session {
        self.connection.into_session()
    }

    pub(crate) fn act(
        &mut self,
        act: impl FnOnce(&mut Connection, &mut Vec<u8>) -> Result<(), Misuse>,
    ) -> Result<Vec<String>, Misuse> {
        let mut out = Vec::new();
        let version = self.connection.version();
        let done = act(&mut self.connection, &mut out);
        assert!(done.is_ok() || out.is_empty(), "what cannot be sent writes nothing");
        done.map(|()| sent(&out, version))
    }
}

fn sent(bytes: &[u8], version: Version) -> Vec<String> {
    told(bytes, version, Peer::Client).into_iter().map(|line| format!("> {line}")).collect()
}

/// The packets in these bytes, a line each.
pub(crate) fn told(mut bytes: &[u8], version: Version, from: Peer) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let Ok(Split::Whole { frame, len }) = split(bytes, u32::MAX) else { panic!("half a packet") };
        let packet = Packet::decode(frame, version, from).unwrap_or_else(|fault| panic!("{fault}"));
        lines.push(line(&packet, version));
        bytes = &bytes[len..];
    }
    lines
}

fn line(packet: &Packet<'_>, version: Version) -> String {
    match packet {
        Packet::Publish(publish) => publish_line(publish),
        Packet::PubAck(ack) => ack_line("PUBACK", ack),
        Packet::PubRec(ack) => ack_line("PUBREC", ack),
        Packet::PubRel(ack) => ack_line("PUBREL", ack),
        Packet::PubComp(ack) => ack_line("PUBCOMP", ack),
        Packet::Subscribe(subscribe) => {
            let filters =
                subscribe.filters.iter().map(|(filter, options)| format!(" {filter}:{}", options.qos));
            format!("SUBSCRIBE #{}{}", subscribe.packet_id, filters.collect::<String>())
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.filters.iter().map(|filter| format!(" {filter}"));
            format!("UNSUBSCRIBE #{}{}", unsubscribe.packet_id, filters.collect::<String>())
        }
        Packet::PingReq => "PINGREQ".to_owned(),
        Packet::Disconnect(disconnect) if version == Version::V5 => {
            format!("DISCONNECT {:?}", disconnect.reason)
        }
        Packet::Disconnect(_) => "DISCONNECT".to_owned(),
        Packet::Auth(auth) => format!("AUTH {:?} {:?}", auth.reason, auth.authentication_method),
        other => format!("{:?}", other.kind()).to_uppercase(),
    }
}

fn publish_line(publish: &Publish<'_>) -> String {
    let mut line = format!("PUBLISH q{}", publish.qos);
    if let Some(packet_id) = publish.packet_id {
        line += &format!(" #{packet_id}");
    }
    if publish.dup {
        line += " dup";
    }
    if publish.retain {
        line += " retain";
    }
    line += &format!(" `{}`", publish.topic);
    if let Some(alias) = publish.properties.topic_alias {
        line += &format!(" alias={alias}");
    }
    if let Some(secs) = publish.properties.message_expiry_secs {
        line += &format!(" expiry={secs}");
    }
    line
}

fn ack_line(name: &str, ack: &AckPacket<'_>) -> String {
    match ack.reason {
        ReasonCode::Success => format!("{name} #{}", ack.packet_id),
        reason => format!("{name} #{} {reason:?}", ack.packet_id),
    }
}

fn tell(event: Event<'_>) -> (String, Option<Ack>) {
    let line = match event {
        Event::Connected(connected) => {
            let unfinished: String = connected.unfinished.iter().map(unfinished_word).collect();
            format!("connected present={}{unfinished}", connected.session_present)
        }
        Event::Refused(connack) => format!("refused {:?}", connack.reason),
        Event::Message { publish, topic, ack } => {
            let dup = if publish.dup { " dup" } else { "" };
            return (format!("message q{}{dup} `{topic}`", publish.qos), ack);
        }
        Event::Delivery { token: Token(token), reason, .. } => format!("delivery {token} {reason:?}"),
        Event::Subscribed(suback) => {
            format!("subscribed #{} {:?}", suback.packet_id, suback.reasons)
        }
        Event::Unsubscribed(unsuback) => {
            format!("unsubscribed #{} {:?}", unsuback.packet_id, unsuback.reasons)
        }
        Event::Pong => "pong".to_owned(),
        Event::Auth(auth) => format!("auth {:?}", auth.reason),
        Event::Disconnected(disconnect) => format!("disconnected {:?}", disconnect.reason),
        Event::Stray { kind, packet_id } => format!("stray {kind:?} #{packet_id}"),
    };
    (line, None)
}

fn unfinished_word(unfinished: &Unfinished) -> String {
    let Token(token) = unfinished.token;
    if unfinished.message.is_some() { format!(" unknown {token}") } else { format!(" received {token}") }
}
