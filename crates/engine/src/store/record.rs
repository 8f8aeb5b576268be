//! The records, and their bytes. Numbers are little-endian; texts and byte strings have their length before them.
//!
//! Every record begins with its kind and the shard that it belongs to. One machine has one shard, number 0.

mod read;

use whimbrel_proto::codec::{PacketId, QoS};

/// A will as it is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StoredWill<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Forwarded properties in wire form.
    pub forwarded: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
    /// QoS.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Will delay interval in seconds.
    pub delay_secs: u32,
    /// Message expiry in seconds, counted from its publication.
    pub expiry_secs: Option<u32>,
}

/// A session as it stands, without subscriptions and messages.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StoredSession<'a> {
    /// Its name for as long as the store lives.
    pub key: u64,
    /// The client's identifier.
    pub client_id: &'a str,
    /// How long it outlives its connection, in seconds.
    pub expiry_secs: u32,
    /// What the client takes at once.
    pub receive_maximum: u16,
    /// Since when it is absent, in seconds since 1970; 0 while it is connected.
    pub absent_since: u64,
    /// Deliveries from this number on have never been sent; `u64::MAX` while it is connected.
    pub unsent_from: u64,
    /// The next number of a delivery.
    pub next_number: u64,
    /// Its will.
    pub will: Option<StoredWill<'a>>,
}

/// A message in the queue of a shared group.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Parked<'a> {
    /// Share name.
    pub share: &'a str,
    /// Topic filter.
    pub filter: &'a str,
    /// Its number in the group: the order of the queue.
    pub number: u64,
}

/// What else happens when a publish is closed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nothing.
    #[default]
    Nobody,
    /// The publisher's packet identifier is open from now on (QoS 2).
    Publisher(u64, PacketId),
    /// It was the will of this session, which has none any more.
    Will(u64),
}

/// One record. `key` names a session for as long as the store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields are the specification's words; docs/records.md has each with its unit"
)]
pub enum Record<'a> {
    /// A server begins to write, at this time (seconds since 1970).
    Start { wall_secs: u64 },
    /// A session; replaces what was said of it before.
    Session(StoredSession<'a>),
    /// The connection of a session has ended.
    Absent { key: u64, since: u64, expiry_secs: u32, unsent_from: u64, has_will: bool },
    /// A session is over, with all that it had but its will, if that is due.
    SessionEnd { key: u64, has_will: bool },
    /// A subscription, or its new options. `fetch`: retained messages are owed to it, at most at this QoS.
    Subscribe {
        key: u64,
        filter: &'a str,
        qos: QoS,
        no_local: bool,
        retain_as_published: bool,
        id: u32,
        fetch: Option<QoS>,
    },
    /// A subscription is gone.
    Unsubscribe { key: u64, filter: &'a str },
    /// The retained messages that a subscription was owed have all been taken over.
    Fetched { key: u64, filter: &'a str },
    /// An application message. `id` 0: it is the end of this very record.
    Message {
        id: u64,
        topic: &'a str,
        forwarded: &'a [u8],
        payload: &'a [u8],
        qos: QoS,
        retain: bool,
        /// Seconds since 1970; `u64::MAX` if it never expires.
        expires: u64,
        publisher: u64,
    },
    /// A message is owed to a session. `closed`: whatever becomes of the publish that it came from.
    Enqueue {
        key: u64,
        number: u64,
        message: u64,
        qos: QoS,
        retain: bool,
        closed: bool,
        ids: Vec<u32>,
        /// The message came from the queue of this group and leaves it.
        from: Option<Parked<'a>>,
        /// The shared group to which it belongs until it is acknowledged: share name and filter.
        group: Option<(&'a str, &'a str)>,
    },
    /// A message is owed to a shared group.
    Park { parked: Parked<'a>, message: u64, closed: bool },
    /// A message has left the queue of a shared group for good.
    Unpark { parked: Parked<'a> },
    /// A shared group has lost its last member, and with it its queue.
    GroupEnd { share: &'a str, filter: &'a str },
    /// A message is the retained one of its topic.
    Retain { message: u64, topic: &'a str, closed: bool },
    /// A topic has no retained message any more.
    Clear { topic: &'a str },
    /// Everything that was staged for this message belongs together and is whole now. `message` 0: nobody was owed it.
    Close { message: u64, owner: Owner },
    /// The client has a QoS 2 message: PUBREL is next.
    Received { key: u64, number: u64 },
    /// A delivery is over.
    Done { key: u64, number: u64 },
    /// These packet identifiers of the session's own messages are open.
    Open { key: u64, packet_ids: Vec<PacketId> },
    /// A packet identifier is free again.
    Released { key: u64, packet_id: PacketId },
    /// A session has no will any more.
    WillGone { key: u64 },
    /// What the program around the engine keeps by this name; replaces what it said before.
    Note { name: &'a str, value: &'a [u8] },
    /// There is no note of this name any more.
    NoteGone { name: &'a str },
    /// The user who has a session, if one has been proved; replaces what was said before.
    User { key: u64, user: Option<&'a str> },
}

/// What a record is called, for dumps.
#[must_use]
pub fn describe(record: &Record<'_>) -> String {
    match record {
        Record::Message { id, topic, payload, qos, retain, .. } => {
            format!(
                "Message {{ id: {id}, topic: {topic:?}, payload: {} bytes, qos: {qos:?}, retain: {retain} }}",
                payload.len()
            )
        }
        other => format!("{other:?}"),
    }
}

/// The number of the only shard of one machine.
const SHARD: u16 = 0;

struct Writer<'b>(&'b mut Vec<u8>);

impl Writer<'_> {
    fn kind(&mut self, kind: u8) -> &mut Self {
        self.0.push(kind);
        self.u16(SHARD)
    }
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }
    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    fn flag(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }
    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
        self
    }
    fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }
    fn parked(&mut self, parked: &Parked<'_>) -> &mut Self {
        self.text(parked.share).text(parked.filter).u64(parked.number)
    }
}

impl StoredSession<'_> {
    fn encode(&self, to: &mut Writer<'_>) {
        to.kind(2).u64(self.key).text(self.client_id).u32(self.expiry_secs).u16(self.receive_maximum);
        to.u64(self.absent_since).u64(self.unsent_from).u64(self.next_number).flag(self.will.is_some());
        if let Some(will) = &self.will {
            let options =
                will.qos.bits() | u8::from(will.retain) << 2 | u8::from(will.expiry_secs.is_some()) << 3;
            to.u8(options).u32(will.delay_secs).u32(will.expiry_secs.unwrap_or(0));
            to.text(will.topic).bytes(will.forwarded).bytes(will.payload);
        }
    }
}

/// How many steps of QoS it is from the one to the other, round the three.
fn steps(from: QoS, to: QoS) -> u8 {
    (to.bits() + 3 - from.bits()) % 3
}

impl Record<'_> {
    /// Appends the bytes of the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Writer(out);
        match self {
            Record::Start { wall_secs } => {
                to.kind(1).u64(*wall_secs);
            }
            Record::Session(session) => session.encode(&mut to),
            Record::Absent { key, since, expiry_secs, unsent_from, has_will } => {
                to.kind(3).u64(*key).u64(*since).u32(*expiry_secs).u64(*unsent_from).flag(*has_will);
            }
            Record::SessionEnd { key, has_will } => {
                to.kind(4).u64(*key).flag(*has_will);
            }
            Record::Subscribe { key, filter, qos, no_local, retain_as_published, id, fetch } => {
                let options = qos.bits()
                    | u8::from(*no_local) << 2
                    | u8::from(*retain_as_published) << 3
                    | fetch.map_or(0, |owed| 1 << 4 | steps(*qos, owed) << 5);
                to.kind(5).u64(*key).text(filter).u8(options).u32(*id);
            }
            Record::Unsubscribe { key, filter } => {
                to.kind(6).u64(*key).text(filter);
            }
            Record::Fetched { key, filter } => {
                to.kind(7).u64(*key).text(filter);
            }
            Record::Message { .. } | Record::Enqueue { .. } => self.encode_message(&mut to),
            Record::Park { parked, message, closed } => {
                to.kind(10).parked(parked).u64(*message).flag(*closed);
            }
            Record::Unpark { parked } => {
                to.kind(11).parked(parked);
            }
            Record::GroupEnd { share, filter } => {
                to.kind(12).text(share).text(filter);
            }
            Record::Retain { message, topic, closed } => {
                to.kind(13).u64(*message).text(topic).flag(*closed);
            }
            Record::Clear { topic } => {
                to.kind(14).text(topic);
            }
            Record::Close { message, owner } => {
                to.kind(15).u64(*message);
                match owner {
                    Owner::Nobody => to.u8(0),
                    Owner::Publisher(key, id) => to.u8(1).u64(*key).u16(id.value()),
                    Owner::Will(key) => to.u8(2).u64(*key),
                };
            }
            Record::Received { key, number } => {
                to.kind(16).u64(*key).u64(*number);
            }
            Record::Done { key, number } => {
                to.kind(17).u64(*key).u64(*number);
            }
            Record::Open { key, packet_ids } => {
                to.kind(18).u64(*key).u32(u32::try_from(packet_ids.len()).unwrap_or(0));
                for id in packet_ids {
                    to.u16(id.value());
                }
            }
            Record::Released { key, packet_id } => {
                to.kind(19).u64(*key).u16(packet_id.value());
            }
            Record::WillGone { key } => {
                to.kind(20).u64(*key);
            }
            Record::Note { .. } | Record::NoteGone { .. } | Record::User { .. } => self.encode_note(&mut to),
        }
    }

    fn encode_note(&self, to: &mut Writer<'_>) {
        match self {
            Record::Note { name, value } => to.kind(21).text(name).bytes(value),
            Record::NoteGone { name } => to.kind(22).text(name),
            Record::User { key, user } => {
                to.kind(23).u64(*key).flag(user.is_some()).text(user.unwrap_or_default())
            }
            _ => to,
        };
    }

    fn encode_message(&self, to: &mut Writer<'_>) {
        match self {
            Record::Message { id, topic, forwarded, payload, qos, retain, expires, publisher } => {
                to.kind(8).u64(*id).u8(qos.bits() | u8::from(*retain) << 2).u64(*expires).u64(*publisher);
                to.text(topic).bytes(forwarded).bytes(payload);
            }
            Record::Enqueue { key, number, message, qos, retain, closed, ids, from, group } => {
                let options = qos.bits()
                    | u8::from(*retain) << 2
                    | u8::from(*closed) << 3
                    | u8::from(from.is_some()) << 4
                    | u8::from(group.is_some()) << 5
                    | u8::from(!ids.is_empty()) << 6;
                to.kind(9).u64(*key).u64(*number).u64(*message).u8(options);
                if !ids.is_empty() {
                    to.u32(u32::try_from(ids.len()).unwrap_or(0));
                    for id in ids {
                        to.u32(*id);
                    }
                }
                if let Some(from) = from {
                    to.parked(from);
                }
                if let Some((share, filter)) = group {
                    to.text(share).text(filter);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u16) -> PacketId {
        PacketId::new(value).unwrap()
    }

    #[expect(clippy::too_many_lines, reason = "one of each kind")]
    fn all() -> Vec<Record<'static>> {
        let will = StoredWill {
            topic: "w",
            forwarded: b"p",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            delay_secs: 5,
            expiry_secs: Some(0),
        };
        let parked = Parked { share: "s", filter: "a/+", number: 1 << 40 };
        let session = Record::Session(StoredSession {
            key: 1,
            client_id: "é",
            expiry_secs: u32::MAX,
            receive_maximum: 10,
            absent_since: 0,
            unsent_from: u64::MAX,
            next_number: 70_000,
            will: Some(will),
        });
        let subscribe = |qos, fetch| Record::Subscribe {
            key: 1,
            filter: "a/#",
            qos,
            no_local: true,
            retain_as_published: false,
            id: 7,
            fetch,
        };
        let enqueue = Record::Enqueue {
            key: 1,
            number: 2,
            message: 3,
            qos: QoS::ExactlyOnce,
            retain: true,
            closed: false,
            ids: vec![1, 268_435_455],
            from: Some(parked),
            group: Some(("s", "a/+")),
        };
        vec![
            Record::Start { wall_secs: 1_700_000_000 },
            session,
            Record::Absent { key: 1, since: 9, expiry_secs: 60, unsent_from: 3, has_will: true },
            Record::SessionEnd { key: 1, has_will: true },
            subscribe(QoS::AtLeastOnce, Some(QoS::AtLeastOnce)),
            Record::Unsubscribe { key: 1, filter: "a/#" },
            Record::Fetched { key: 1, filter: "a/#" },
            Record::Message {
                id: 0,
                topic: "a/b",
                forwarded: b"",
                payload: &[0, 255],
                qos: QoS::ExactlyOnce,
                retain: true,
                expires: u64::MAX,
                publisher: 4,
            },
            enqueue,
            Record::Park { parked, message: 3, closed: true },
            Record::Unpark { parked },
            Record::GroupEnd { share: "s", filter: "a/+" },
            Record::Retain { message: 3, topic: "a/b", closed: false },
            Record::Clear { topic: "a/b" },
            Record::Close { message: 3, owner: Owner::Publisher(4, id(65_535)) },
            Record::Close { message: 3, owner: Owner::Will(4) },
            Record::Close { message: 0, owner: Owner::Nobody },
            Record::Received { key: 1, number: 2 },
            Record::Done { key: 1, number: 2 },
            Record::Open { key: 1, packet_ids: vec![id(1), id(2)] },
            Record::Released { key: 1, packet_id: id(2) },
            Record::WillGone { key: 1 },
            subscribe(QoS::AtMostOnce, Some(QoS::ExactlyOnce)),
            subscribe(QoS::ExactlyOnce, Some(QoS::AtMostOnce)),
            subscribe(QoS::ExactlyOnce, None),
            Record::Note { name: "ban/client/é", value: b"{}" },
            Record::NoteGone { name: "ban/client/é" },
            Record::User { key: 1, user: Some("anna") },
            Record::User { key: 1, user: None },
        ]
    }

    #[test]
    fn a_record_comes_back_as_it_was_and_never_from_fewer_or_more_bytes() {
        for record in all() {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).as_ref(), Some(&record));
            for cut in 0..bytes.len() {
                assert_eq!(Record::decode(&bytes[..cut]), None, "{record:?} cut at {cut}");
            }
            bytes.push(0);
            assert_eq!(Record::decode(&bytes), None, "{record:?} with a byte more");
        }
    }

    #[test]
    fn a_number_behind_which_no_other_has_room_makes_no_record() {
        for (number, is_one) in [(u64::MAX >> 1, true), ((u64::MAX >> 1) + 1, false), (u64::MAX, false)] {
            for record in [Record::Done { key: 1, number }, Record::WillGone { key: number }] {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                assert_eq!(Record::decode(&bytes).is_some(), is_one, "{record:?}");
            }
        }
    }

    /// Written once: what a store of version 1 holds is read for ever. A change of a record is a new kind.
    #[test]
    #[cfg(not(interleaved))] // That build has the sources elsewhere.
    fn the_bytes_of_every_record_of_version_1_are_these() {
        let fixture: Vec<&str> = include_str!("../../tests/fixtures/records-v1.hex").lines().collect();
        let today: Vec<String> = all()
            .iter()
            .map(|record| {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            })
            .collect();
        assert_eq!(fixture, today, "{}", today.join("\n"));
    }
}
