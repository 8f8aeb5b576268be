//! A server made of the server's machine and a socket. It answers nothing by itself: the test does.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use whimbrel_client::{Address, Event, Events, Options, QoS, ReasonCode, Version};
use whimbrel_proto::{
    Millis,
    codec::{
        Ack, ConnAck, Disconnect, Packet, PacketId, PacketType, Publish, Reasons, Split, SubAck, UnsubAck,
        UserProperties, split,
    },
    server::{self, Connection, Limits, Negotiated, negotiate},
};

/// How long anything may take that is expected: long enough for a slow machine, and a failure where nothing comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that has to come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("this has to come")
}

/// The next event, which has to come.
pub(crate) async fn next(events: &mut Events) -> Event {
    soon(events.next()).await.expect("the client has not ended")
}

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: Address,
}

impl Server {
    pub(crate) async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        Server { listener, address }
    }

    /// Options that end quickly when something is wrong.
    pub(crate) fn options(&self) -> Options {
        Options::new(self.address.clone())
    }

    /// The next network connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let limits = Limits::default();
        Peer {
            stream,
            connection: Connection::new(&limits, Millis(0)),
            limits,
            version: Version::V5,
            input: Vec::new(),
            negotiated: None,
            first: None,
        }
    }

    /// The next network connection, CONNECT accepted.
    pub(crate) async fn accept_client(&self, session_present: bool) -> Peer {
        let mut peer = self.accept().await;
        let Seen::Connect { .. } = peer.next().await else { panic!("no CONNECT") };
        peer.accept(session_present).await;
        peer
    }
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Connect { version: Version, client_id: String, clean_start: bool, session_expiry_secs: Option<u32> },
    Publish { qos: QoS, packet_id: Option<u16>, dup: bool, topic: String, payload: Vec<u8> },
    PubAck(u16, ReasonCode),
    PubRec(u16, ReasonCode),
    PubRel(u16),
    PubComp(u16),
    Subscribe(PacketId, Vec<String>),
    Unsubscribe(PacketId, Vec<String>),
    Ping,
    Auth(Vec<u8>),
    Disconnect { reason: ReasonCode, session_expiry_secs: Option<u32> },
    Closed,
}

/// One network connection at the server.
pub(crate) struct Peer {
    stream: TcpStream,
    connection: Connection,
    limits: Limits,
    version: Version,
    input: Vec<u8>,
    /// Of a CONNECT with an authentication method, until it is accepted; and the method's first data.
    negotiated: Option<Negotiated>,
    pub(crate) first: Option<Vec<u8>>,
}

impl Peer {
    /// AUTH that asks for more.
    pub(crate) async fn challenge(&mut self, data: &str) {
        let mut bytes = Vec::new();
        let auth = self.connection.challenge(Some(data.as_bytes())).expect("it is the server's turn");
        auth.encode(Version::V5, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    /// CONNACK of a method that has succeeded, or has not even been asked for.
    pub(crate) async fn accept_proved(&mut self, data: Option<&str>) {
        let mut negotiated = self.negotiated.take().expect("CONNECT with a method");
        let method = negotiated.authentication.take().expect("CONNECT with a method").method;
        self.connection.accept(&negotiated, Millis(0));
        let mut connack = ConnAck::default();
        connack.properties.authentication_method = Some(&method);
        connack.properties.authentication_data = data.map(str::as_bytes);
        self.send(Packet::ConnAck(connack)).await;
    }

    /// AUTH that says that a re-authentication has succeeded.
    pub(crate) async fn succeed(&mut self, data: &str) {
        let mut bytes = Vec::new();
        let auth = self.connection.reauthenticated(Some(data.as_bytes())).expect("it is the server's turn");
        auth.encode(Version::V5, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    /// The next packet of the client, which has to come.
    pub(crate) async fn next(&mut self) -> Seen {
        soon(self.next_unhurried()).await
    }

    /// The next packet of the client, whenever it comes: for tests whose clock jumps.
    pub(crate) async fn next_unhurried(&mut self) -> Seen {
        loop {
            if let Ok(Split::Whole { len, .. }) = split(&self.input, u32::MAX) {
                let bytes: Vec<u8> = self.input.drain(..len).collect();
                return self.see(&bytes);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return Seen::Closed,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// The bytes of the next packet.
    pub(crate) async fn next_bytes(&mut self) -> Vec<u8> {
        loop {
            if let Ok(Split::Whole { len, .. }) = split(&self.input, u32::MAX) {
                return self.input.drain(..len).collect();
            }
            let mut chunk = [0; 4096];
            let count = soon(self.stream.read(&mut chunk)).await.unwrap();
            assert_ne!(count, 0, "the client has closed");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    pub(crate) fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    fn see(&mut self, bytes: &[u8]) -> Seen {
        let Ok(Split::Whole { frame, .. }) = split(bytes, u32::MAX) else { panic!("no frame") };
        let event =
            self.connection.handle(frame, &self.limits, Millis(0)).expect("the client keeps the rules");
        let filters = |filters: Vec<&str>| filters.into_iter().map(str::to_owned).collect();
        let mut negotiated = None;
        let seen = match event {
            server::Event::Connect(connect) => {
                negotiated = Some(negotiate(&connect, &self.limits).expect("nothing is refused here"));
                self.first = connect.properties.authentication_data.map(<[u8]>::to_vec);
                assert!(self.first.is_none() || (connect.user_name, connect.password) == (None, None));
                Seen::Connect {
                    version: connect.version,
                    client_id: connect.client_id.to_owned(),
                    clean_start: connect.clean_start,
                    session_expiry_secs: connect.properties.session_expiry_secs,
                }
            }
            server::Event::Publish { publish, topic, .. } => Seen::Publish {
                qos: publish.qos,
                packet_id: publish.packet_id.map(PacketId::value),
                dup: publish.dup,
                topic: topic.to_owned(),
                payload: publish.payload.to_vec(),
            },
            server::Event::PubAck(id, reason) => Seen::PubAck(id.value(), reason),
            server::Event::PubRec(id, reason) => Seen::PubRec(id.value(), reason),
            server::Event::PubRel(id, _) => Seen::PubRel(id.value()),
            server::Event::PubComp(id, _) => Seen::PubComp(id.value()),
            server::Event::Subscribe(subscribe) => Seen::Subscribe(
                subscribe.packet_id,
                filters(subscribe.filters.iter().map(|(filter, _)| filter).collect()),
            ),
            server::Event::Unsubscribe(unsubscribe) => {
                Seen::Unsubscribe(unsubscribe.packet_id, filters(unsubscribe.filters.iter().collect()))
            }
            server::Event::Ping => Seen::Ping,
            server::Event::Auth => Seen::Auth(Vec::new()),
            server::Event::Disconnect(disconnect) => Seen::Disconnect {
                reason: disconnect.reason,
                session_expiry_secs: disconnect.session_expiry_secs,
            },
        };
        if let Some(negotiated) = negotiated {
            self.version = negotiated.version;
            if negotiated.authentication.is_some() {
                self.negotiated = Some(negotiated);
            } else {
                self.connection.accept(&negotiated, Millis(0));
            }
        }
        match self.connection.said() {
            Some(said) => Seen::Auth(said.data.unwrap_or_default().into()),
            None => seen,
        }
    }

    pub(crate) async fn send(&mut self, packet: Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn accept(&mut self, session_present: bool) {
        self.send(Packet::ConnAck(ConnAck { session_present, ..ConnAck::default() })).await;
    }

    pub(crate) async fn refuse(&mut self, reason: ReasonCode) {
        self.send(Packet::ConnAck(ConnAck { reason, ..ConnAck::default() })).await;
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub(crate) async fn acknowledge(&mut self, kind: PacketType, packet_id: u16, reason: ReasonCode) {
        let ack = Ack::new(PacketId::new(packet_id).unwrap(), reason);
        if matches!(kind, PacketType::PubAck | PacketType::PubComp) {
            self.connection.acknowledged();
        }
        let packet = match kind {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        };
        self.send(packet).await;
    }

    /// A message for the client.
    pub(crate) async fn publish(&mut self, qos: QoS, packet_id: u16, topic: &str, payload: &[u8]) {
        let packet_id = PacketId::new(packet_id);
        self.send(Packet::Publish(Publish { qos, packet_id, topic, payload, ..Publish::default() })).await;
    }

    pub(crate) async fn grant(&mut self, packet_id: PacketId, reasons: &[ReasonCode]) {
        let (reasons, user_properties) = (Reasons::from_slice(reasons), UserProperties::default());
        self.send(Packet::SubAck(SubAck { packet_id, reason_string: None, user_properties, reasons })).await;
    }

    pub(crate) async fn release(&mut self, packet_id: PacketId, reasons: &[ReasonCode]) {
        let (reasons, user_properties) = (Reasons::from_slice(reasons), UserProperties::default());
        self.send(Packet::UnsubAck(UnsubAck { packet_id, reason_string: None, user_properties, reasons }))
            .await;
    }

    pub(crate) async fn disconnect(&mut self, reason: ReasonCode) {
        self.send(Packet::Disconnect(Disconnect { reason, ..Disconnect::default() })).await;
    }

    /// How many bytes can be sent before the client's side takes no more, up to `most`. Takes no longer than the system
    /// needs to fill its buffers.
    pub(crate) async fn flood(&mut self, bytes: &[u8], most: usize) -> usize {
        let mut sent = 0;
        while sent < most {
            // The test's clock stands still while anything moves, so this passes only when nothing does.
            match timeout(Duration::from_secs(5), self.stream.write(bytes)).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
        }
        sent
    }
}

/// A PUBLISH that the test looks at in part.
pub(crate) fn published(seen: Seen) -> (QoS, Option<u16>, bool, String) {
    match seen {
        Seen::Publish { qos, packet_id, dup, topic, .. } => (qos, packet_id, dup, topic),
        other => panic!("{other:?}"),
    }
}
