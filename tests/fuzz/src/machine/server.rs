//! A server machine that hears a stream and keeps a record: what a target compares. Not the choice of the stream.

use whimbrel_codec::{Frame, Packet, Peer, QoS, Split, Version, check_topic_name, split};
use whimbrel_proto::{
    Millis, Violation,
    server::{Connection, Event, Limits, farewell, negotiate},
};

/// One connection from accept to close.
pub(crate) struct Talk<'a> {
    limits: Limits,
    connection: Connection,
    now: Millis,
    /// What happens at each frame, from the front again when it ends: seconds that pass, and whether to acknowledge.
    script: &'a [u8],
    frames: usize,
    unacknowledged: u32,
    /// What came of each frame; the end is the last.
    said: Vec<String>,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(choice: u8, script: &'a [u8]) -> Self {
        let mut limits = Limits { receive_maximum: 3, connect_bytes_max: 2_000, ..Limits::default() };
        if choice & 1 == 1 {
            limits = Limits { topic_bytes_max: 9, topic_levels_max: 2, user_properties_max: 1, ..limits };
        }
        if choice & 2 == 2 {
            limits = Limits { qos_max: QoS::AtLeastOnce, retain_available: false, ..limits };
        }
        if choice & 4 == 4 {
            limits = Limits { wildcard_available: false, shared_available: false, ..limits };
        }
        let now = Millis(1_000);
        let connection = Connection::new(&limits, now);
        Talk { limits, connection, now, script, frames: 0, unacknowledged: 0, said: Vec::new() }
    }

    /// Hears all pieces; gives what came of each frame, and the end.
    pub(crate) fn hear<'p>(mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let mut input = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            let mut used = 0;
            loop {
                let max = self.connection.packet_bytes_max(&self.limits);
                let heard = match split(&input[used..], max) {
                    Ok(Split::More { .. }) => break,
                    Ok(Split::Whole { frame, len }) => {
                        used += len;
                        self.frame(frame)
                    }
                    Err(malformed) => Err(malformed.into()),
                };
                if let Err(violation) = heard {
                    self.end(violation);
                    return self.said;
                }
            }
            input.drain(..used);
        }
        self.said
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        let Talk { limits, connection, now, script, frames, unacknowledged, said } = self;
        let step = script.get(*frames % script.len().max(1)).copied().unwrap_or(0x80);
        *frames += 1;
        let due = connection.deadline();
        *now = *now + u64::from(step & 0x1f) * 700;
        let timed = connection.handle_timeout(*now);
        assert_eq!(timed.is_err(), due <= *now, "it is late when the deadline has come");
        timed?;
        if step & 0x80 != 0 && *unacknowledged > 0 {
            connection.acknowledged();
            *unacknowledged -= 1;
        }
        let event = connection.handle(frame, limits, *now)?;
        said.push(format!("{event:?}"));
        let negotiated = match event {
            Event::Publish { publish, topic, ack } => {
                assert!(
                    check_topic_name(topic).is_ok() && topic.len() <= limits.topic_bytes_max,
                    "{topic:?}"
                );
                assert_eq!(ack.map(|ack| ack.qos).unwrap_or_default(), publish.qos);
                *unacknowledged += u32::from(publish.qos > QoS::AtMostOnce);
                None
            }
            Event::Connect(connect) => Some(negotiate(&connect, limits)),
            _ => None,
        };
        if let Some(Ok(negotiated)) = negotiated {
            connection.accept(&negotiated, *now);
        }
        assert!(connection.version() != Version::V5 || *unacknowledged <= 3, "[MQTT-3.3.4-9]");
        Ok(())
    }

    fn end(&mut self, violation: Violation) {
        let version = self.connection.version();
        assert!(!violation.statement(version).is_empty() && violation.reason().is_error(), "{violation:?}");
        let mut words = Vec::new();
        farewell(&self.connection, violation.reason(), Some(&violation.to_string()), &mut words);
        if let Ok(Split::Whole { frame, len }) = split(&words, u32::MAX) {
            let packet = Packet::decode(frame, version, Peer::Server);
            assert!(packet.is_ok() && len == words.len(), "{words:02x?}: {packet:?}");
        } else {
            assert!(words.is_empty(), "{words:02x?}");
        }
        self.said.push(format!("{violation:?} {words:02x?}"));
    }
}
