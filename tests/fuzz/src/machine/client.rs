//! A client machine that hears a stream, with an application that does what a script says: everything that it writes
//! must read. Connections follow each other on one session. Not the choice of the stream.

use whimbrel_codec::{
    Connect, Disconnect, Frame, Packet, Peer, PublishProperties, QoS, ReasonCode, Split, SubscribeOptions,
    UserProperties, Version, check_topic_name, split,
};
use whimbrel_proto::{
    Millis,
    client::{Ack, Connection, Event, Message, Misuse, Session, Settings, Token},
};

/// Messages of the server that may be unacknowledged.
const ROOM: u16 = 3;

/// A client over any number of connections.
pub(crate) struct Talk<'a> {
    choice: u8,
    version: Version,
    /// Always there; an `Option` so that a session can be taken out of it.
    connection: Option<Connection>,
    now: Millis,
    /// What happens at each frame, from the front again when it ends.
    script: &'a [u8],
    frames: usize,
    acks: Vec<Ack>,
    said: Vec<String>,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(choice: u8, script: &'a [u8]) -> Self {
        let version = [Version::V5, Version::V5, Version::V311, Version::V31][usize::from(choice & 3)];
        let (now, acks, said) = (Millis(1_000), Vec::new(), Vec::new());
        let mut talk = Talk { choice, version, connection: None, now, script, frames: 0, acks, said };
        talk.connect(Session::default());
        talk
    }

    fn connect(&mut self, session: Session) {
        let (choice, version) = (self.choice, self.version);
        let mut connect = Connect { version, client_id: "c", keep_alive_secs: 10, ..Connect::default() };
        connect.clean_start = choice & 4 != 0;
        if version == Version::V5 {
            let properties = &mut connect.properties;
            properties.receive_maximum = Some(ROOM);
            properties.topic_alias_max = Some(2);
            properties.session_expiry_secs = (choice & 8 != 0).then_some(100);
            properties.authentication_method = (choice & 16 != 0).then_some("m");
            properties.packet_size_max = (choice & 32 != 0).then_some(60);
        }
        let settings = Settings { topic_aliases_out_max: u16::from(choice >> 6), ..Settings::default() };
        let mut out = Vec::new();
        self.connection = Some(Connection::new(&connect, settings, session, self.now, &mut out).unwrap());
        self.wrote(&out);
    }

    /// Hears all pieces; gives what came of each frame, and what was written.
    pub(crate) fn hear<'p>(mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let mut input = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            let mut used = 0;
            loop {
                match split(&input[used..], self.connection.as_ref().unwrap().packet_bytes_max()) {
                    Ok(Split::More { .. }) => break,
                    Ok(Split::Whole { frame, len }) => {
                        used += len;
                        self.frame(frame);
                    }
                    Err(malformed) => {
                        self.said.push(format!("{malformed:?}"));
                        return self.said;
                    }
                }
            }
            input.drain(..used);
        }
        self.said
    }

    fn frame(&mut self, frame: Frame<'_>) {
        let step = self.script.get(self.frames % self.script.len().max(1)).copied().unwrap_or(0);
        self.frames += 1;
        let mut out = Vec::new();
        self.ask(step, &mut out);
        self.wrote(&out);
        out.clear();
        let connection = self.connection.as_mut().unwrap();
        let due = connection.deadline();
        self.now = self.now + u64::from(step & 7) * 900;
        let mut heard = connection.handle_timeout(self.now, &mut out);
        assert!(due <= self.now || (heard.is_ok() && out.is_empty()), "nothing before the deadline");
        if heard.is_ok() {
            let event = connection.handle(frame, self.now, &mut out);
            self.said.push(format!("{event:?}"));
            match event {
                Ok(Some(Event::Message { publish, topic, ack })) => {
                    assert!(check_topic_name(topic).is_ok(), "{topic:?}");
                    assert_eq!(ack.is_some(), publish.qos > QoS::AtMostOnce);
                    self.acks.extend(ack);
                }
                Ok(_) => {}
                Err(violation) => heard = Err(violation),
            }
        }
        if let Err(violation) = heard {
            assert!(!violation.statement(self.version).is_empty() && violation.reason().is_error());
            self.connection.as_mut().unwrap().farewell(violation.reason(), &mut out);
        }
        self.wrote(&out);
        if self.connection.as_ref().unwrap().is_closed() {
            let session = self.connection.take().unwrap().into_session();
            self.connect(session);
        }
    }

    /// What the application does before the next frame.
    fn ask(&mut self, step: u8, out: &mut Vec<u8>) {
        let (now, number) = (self.now, self.frames);
        let connection = self.connection.as_mut().unwrap();
        let none = UserProperties::default();
        let options = SubscribeOptions::with_qos(QoS::ExactlyOnce);
        let filter = ["a", "a/+", "$share/g/a", "#/wrong"][number % 4];
        let asked: Result<(), Misuse> = match step >> 3 {
            0..=7 => Ok(()),
            8..=15 => self.acks.pop().map_or(Ok(()), |ack| {
                connection.acknowledge(
                    ack,
                    [ReasonCode::Success, ReasonCode::QuotaExceeded][number & 1],
                    now,
                    out,
                )
            }),
            16..=23 => {
                let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
                let expiry =
                    PublishProperties { message_expiry_secs: Some(9), ..PublishProperties::default() };
                let message = Message::new(filter, vec![step; number % 40], qos, step & 1 == 1);
                let message = message.and_then(|message| match number % 5 {
                    0 => message.with_properties(&expiry),
                    _ => Ok(message),
                });
                let token = Token(number as u64);
                message.and_then(|message| connection.publish(message, token, now, now, out).map(|_| ()))
            }
            24 | 25 => connection.subscribe(&[(filter, options)], Some(3), none, now, out).map(|_| ()),
            26 => connection.unsubscribe(&[filter], none, now, out).map(|_| ()),
            27 => connection.ping(now, out),
            28 => connection.authenticate(Some(b"data"), now, out),
            29 => connection.reauthenticate(None, now, out),
            30 => {
                connection.set_reading(step & 1 == 1, now);
                Ok(())
            }
            _ => connection.disconnect(&Disconnect::default(), now, out),
        };
        assert!(asked.is_ok() || out.is_empty(), "{asked:?}: nothing is written");
    }

    /// Whatever the client writes are whole packets that a server of this version takes.
    fn wrote(&mut self, mut out: &[u8]) {
        // Below that a server forbids the packets that the protocol cannot do without.
        let size_max = self.connection.as_ref().unwrap().server().packet_bytes_max.max(5);
        while !out.is_empty() {
            let Ok(Split::Whole { frame, len }) = split(out, size_max) else { panic!("{out:02x?}") };
            let packet = Packet::decode(frame, self.version, Peer::Client);
            assert!(packet.is_ok(), "{out:02x?}: {packet:?}");
            self.said.push(format!("→ {packet:?}"));
            out = &out[len..];
        }
    }
}
