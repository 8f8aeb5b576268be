//! A session's present network connection as everybody else sees it: where to append what is for the client.
//!
//! It dies with the connection. Publishers, the owner and the server itself append under the session's lock; bytes
//! leave by [`crate::Engine::flush`].

use std::sync::Arc;

use whimbrel_proto::{
    Millis,
    codec::{Disconnect, PacketId, QoS, ReasonCode, Version},
    flow::{Alias, AliasesOut},
    server::Negotiated,
};

use crate::{
    Count, Level, Turn, Wire,
    commit::Held,
    message::{ANY_PACKET_ID, Body, COPY_MAX, Fresh, Message},
    outbox::Outbox,
};

/// One delivery as it is written: what depends on the receiver.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sending<'a> {
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    pub subscription_ids: &'a [u32],
    /// Messages dropped for this session that the client has not been told about.
    pub dropped_untold: u64,
}

pub(crate) struct Link {
    /// Tells this connection of the session from those before it.
    pub epoch: u32,
    pub wire: Arc<dyn Wire>,
    pub out: Outbox,
    pub version: Version,
    pub receive_maximum: u16,
    /// In force, in seconds; 0 for none.
    pub keep_alive_secs: u16,
    /// When CONNECT was accepted.
    pub since: Millis,
    packet_bytes_max: u32,
    /// It may be told in words why something is not done.
    problem_information: bool,
    /// Absent where the client allows no alias.
    aliases: Option<Box<AliasesOut>>,
    /// In the dirty list of a turn.
    pub dirty: bool,
    /// A thread is writing; others append and leave.
    pub writing: bool,
    /// Bytes that this thread has taken out of `out`.
    pub writing_bytes: usize,
    /// The wire took less than all, and nobody has said since that it can take more.
    pub blocked: bool,
    /// Since when it has taken nothing, `Millis::NEVER` unless it was blocked; a false alarm that it can take more does
    /// not change it.
    pub stuck_since: Millis,
    /// What of `out` the budget of all blocked links counts.
    pub accounted: usize,
    /// Set when the connection is to end: nothing is appended any more [MQTT-3.14.4-1].
    pub closing: Option<ReasonCode>,
    /// How sure what is promised on this link has to be.
    pub level: Level,
    /// Its CONNACK waits for the disk: nothing else goes before it.
    pub opening: bool,
    /// The owner is woken when nothing is held any more.
    pub is_awaited: bool,
    /// Promises that wait for the disk.
    pub held: Option<Box<Held>>,
}

impl Link {
    pub(crate) fn new(
        epoch: u32,
        wire: Arc<dyn Wire>,
        negotiated: &Negotiated,
        level: Level,
        now: Millis,
    ) -> Self {
        let aliases = (negotiated.topic_aliases_max > 0 && negotiated.version == Version::V5)
            .then(|| Box::new(AliasesOut::new(negotiated.topic_aliases_max)));
        Link {
            epoch,
            wire,
            out: Outbox::default(),
            version: negotiated.version,
            receive_maximum: negotiated.receive_maximum,
            keep_alive_secs: negotiated.keep_alive_secs,
            since: now,
            packet_bytes_max: negotiated.packet_bytes_max,
            problem_information: negotiated.problem_information,
            aliases,
            dirty: false,
            writing: false,
            writing_bytes: 0,
            blocked: false,
            stuck_since: Millis::NEVER,
            accounted: 0,
            closing: None,
            level,
            opening: false,
            is_awaited: false,
            held: None,
        }
    }

    /// Whether an acknowledgement may have a reason string, where it has so many bytes with it [MQTT-3.1.2-29].
    pub(crate) fn takes_words(&self, bytes: usize) -> bool {
        const REST: usize = 24; // More than the header, the identifier and the lengths have.
        self.problem_information && bytes + REST <= self.packet_bytes_max as usize
    }

    /// Whether a packet is not larger than the client takes.
    pub(crate) fn fits(&self, encode: impl FnOnce(Version, &mut Vec<u8>)) -> bool {
        if self.packet_bytes_max >= (256 << 20) {
            return true;
        }
        let mut bytes = Vec::new();
        encode(self.version, &mut bytes);
        bytes.len() <= self.packet_bytes_max as usize
    }

    /// Appends packets that were encoded before.
    pub(crate) fn append_held(&mut self, turn: &mut Turn, bytes: &[u8], packets: usize) {
        turn.count(Count::PacketsSent, packets as u64);
        self.out.buffer(turn).extend_from_slice(bytes);
    }

    /// Bytes that the wire has not taken, wherever they are.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len() + self.writing_bytes
    }

    /// Appends a packet other than PUBLISH. Where it is larger than the client takes the connection ends: the client
    /// would wait for it for ever [MQTT-3.1.2-24].
    pub(crate) fn append(&mut self, turn: &mut Turn, encode: impl FnOnce(Version, &mut Vec<u8>)) {
        if self.closing.is_none() && !self.append_fitting(turn, encode) {
            self.close_for_size(turn);
        }
    }

    /// The client would wait for ever for an answer that is larger than it takes.
    pub(crate) fn close_for_size(&mut self, turn: &mut Turn) {
        turn.count(Count::AnswerTooLarge, 1);
        let reason = ReasonCode::PacketTooLarge;
        self.append_disconnect(turn, reason, Some("an answer is larger than the client takes"));
        self.closing = Some(reason);
        self.wire.wake();
    }

    /// Appends a packet, or nothing where it is larger than the client takes: then false.
    fn append_fitting(&mut self, turn: &mut Turn, encode: impl FnOnce(Version, &mut Vec<u8>)) -> bool {
        let version = self.version;
        let buffer = self.out.buffer(turn);
        let before = buffer.len();
        encode(version, buffer);
        let length = buffer.len() - before;
        let fits = length <= self.packet_bytes_max as usize;
        if fits {
            turn.count(Count::PacketsSent, 1);
        } else {
            buffer.truncate(before);
        }
        fits
    }

    /// Appends the last packet of a 5.0 connection; the text is left out where the packet would be too large for the
    /// client [MQTT-3.14.2-3], and so is the packet where it is too large even then.
    pub(crate) fn append_disconnect(&mut self, turn: &mut Turn, reason: ReasonCode, why: Option<&str>) {
        if self.version != Version::V5 || self.opening {
            return; // 3.x has no DISCONNECT from the server, and no version before CONNACK.
        }
        let mut disconnect = Disconnect { reason, reason_string: why, ..Disconnect::default() };
        if disconnect.encoded_len(Version::V5) > self.packet_bytes_max as usize {
            disconnect.reason_string = None;
        }
        self.append_fitting(turn, |version, out| disconnect.encode(version, out));
    }

    /// Whether a PUBLISH of this message fits the client's maximum packet size [MQTT-3.1.2-25].
    pub(crate) fn takes(&self, body: &Body<'_>, sending: &Sending<'_>, now: Millis) -> bool {
        // Almost every client takes anything: nothing to add up then.
        self.packet_bytes_max >= (256 << 20)
            || self.head(body, sending, None, now).frame_len(self.version, body.payload.len())
                <= self.packet_bytes_max as usize
    }

    /// Appends a PUBLISH that [`Self::takes`] said fits; `packet_id` at QoS 1 and 2. Whether it tells of dropped messages.
    pub(crate) fn append_publish(
        &mut self,
        turn: &mut Turn,
        fresh: &mut Fresh<'_>,
        sending: &Sending<'_>,
        packet_id: Option<PacketId>,
    ) -> bool {
        turn.count(Count::PacketsSent, 1);
        turn.count(Count::PublishSent, 1);
        turn.count(Count::PayloadSent, fresh.body.payload.len() as u64);
        let plain =
            self.aliases.is_none() && sending.subscription_ids.is_empty() && sending.dropped_untold == 0;
        let now = turn.now.mono;
        if plain
            && !sending.dup
            && let Some((frame, packet_id_at)) = fresh.frame(self.version, sending.qos, sending.retain, now)
        {
            let buffer = self.out.buffer(turn);
            let start = buffer.len();
            buffer.extend_from_slice(frame);
            if let (Some(at), Some(id)) = (packet_id_at, packet_id)
                && let Some(place) = buffer.get_mut(start + at..start + at + 2)
            {
                place.copy_from_slice(&id.value().to_be_bytes());
            }
            return false;
        }
        let told = self.append_encoded(turn, &fresh.body, sending, packet_id);
        if fresh.body.payload.len() <= COPY_MAX {
            let payload = fresh.body.payload;
            self.out.buffer(turn).extend_from_slice(payload);
        } else {
            self.out.append_payload(fresh.share(&mut turn.spares));
        }
        told
    }

    /// Appends a message that was kept: from the queue, from flight, retained. Whether it tells of dropped messages.
    pub(crate) fn append_kept(
        &mut self,
        turn: &mut Turn,
        message: &Arc<Message>,
        sending: &Sending<'_>,
        packet_id: Option<PacketId>,
    ) -> bool {
        let body = message.body();
        turn.count(Count::PacketsSent, 1);
        turn.count(Count::PublishSent, 1);
        turn.count(Count::PayloadSent, body.payload.len() as u64);
        let told = self.append_encoded(turn, &body, sending, packet_id);
        self.out.append_payload(message);
        told
    }

    fn head<'a>(
        &self,
        body: &'a Body<'_>,
        sending: &Sending<'a>,
        packet_id: Option<PacketId>,
        now: Millis,
    ) -> whimbrel_proto::codec::PublishHead<'a> {
        let mut head = body.head(sending.qos, sending.retain, now);
        head.dup = sending.dup;
        head.subscription_ids = sending.subscription_ids;
        head.packet_id = packet_id.or((sending.qos > QoS::AtMostOnce).then_some(ANY_PACKET_ID));
        head
    }

    fn append_encoded(
        &mut self,
        turn: &mut Turn,
        body: &Body<'_>,
        sending: &Sending<'_>,
        packet_id: Option<PacketId>,
    ) -> bool {
        let now = turn.now.mono;
        let mut head = self.head(body, sending, packet_id, now);
        let (mut told, properties) = (false, with_drops_told(self.version, body, sending));
        if let Some(properties) = &properties {
            let plain = head.forwarded;
            head.forwarded = properties;
            told = head.frame_len(self.version, body.payload.len()) <= self.packet_bytes_max as usize;
            if !told {
                head.forwarded = plain;
            }
        }
        if let Some(aliases) = &mut self.aliases {
            // An alias that the client learns makes the packet larger by 3 bytes, and by one for the property length.
            let room = head.frame_len(self.version, body.payload.len()) + 8 <= self.packet_bytes_max as usize;
            match if room { aliases.assign(body.topic) } else { Alias::None } {
                Alias::Known(alias) => (head.topic, head.topic_alias) = ("", Some(alias)),
                Alias::New(alias) => head.topic_alias = Some(alias),
                Alias::None => {}
            }
        }
        head.encode(self.version, body.payload.len(), self.out.buffer(turn));
        told
    }
}

/// The name of the user property that tells a client how many messages its full queue has cost it.
const DROPPED_PROPERTY: &str = "whimbrel-dropped";

/// The forwarded properties of a message and one more that tells of dropped messages, if there is something to tell.
fn with_drops_told(version: Version, body: &Body<'_>, sending: &Sending<'_>) -> Option<Vec<u8>> {
    use whimbrel_proto::codec::{PublishProperties, UserProperties};
    if sending.dropped_untold == 0 || version != Version::V5 {
        return None;
    }
    let mut told = body.forwarded.to_vec();
    let value = sending.dropped_untold.to_string();
    let pairs = [(DROPPED_PROPERTY, value.as_str())];
    let properties = PublishProperties {
        user_properties: UserProperties::from_pairs(&pairs),
        ..PublishProperties::default()
    };
    properties.forwarded(&mut told);
    Some(told)
}
