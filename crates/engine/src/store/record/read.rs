//! The bytes of a record become a record again, or nothing where they are none.

use whimbrel_proto::codec::{PacketId, QoS};

use super::{Owner, Parked, Record, SHARD, StoredSession, StoredWill};

/// The highest key of a session, and the highest number of a delivery.
const COUNT_MAX: u64 = u64::MAX >> 1;

/// Reads a record; every step fails where bytes are missing or wrong.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
    /// What the server counts from 1 on, one by one: none that it could have come to leaves no room behind it.
    fn count(&mut self) -> Option<u64> {
        self.u64().filter(|number| *number <= COUNT_MAX)
    }
    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }
    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
    fn packet_id(&mut self) -> Option<PacketId> {
        PacketId::new(self.u16()?)
    }
    fn parked(&mut self) -> Option<Parked<'a>> {
        Some(Parked { share: self.text()?, filter: self.text()?, number: self.count()? })
    }
    /// The bits of QoS and options, none beyond `known`.
    fn options(&mut self, known: u8) -> Option<(QoS, u8)> {
        let options = self.u8()?;
        let qos = QoS::from_bits(options & 3)?;
        (options & !known == 0).then_some((qos, options))
    }
}

impl<'a> Record<'a> {
    /// Reads the bytes of one record. `None`: they are none.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let kind = from.u8()?;
        if from.u16()? != SHARD {
            return None;
        }
        let record = match kind {
            1 => Record::Start { wall_secs: from.u64()? },
            2 => decode_session(&mut from)?,
            3 => Record::Absent {
                key: from.count()?,
                since: from.u64()?,
                expiry_secs: from.u32()?,
                unsent_from: from.u64()?,
                has_will: from.flag()?,
            },
            4 => Record::SessionEnd { key: from.count()?, has_will: from.flag()? },
            5 => decode_subscribe(&mut from)?,
            6 => Record::Unsubscribe { key: from.count()?, filter: from.text()? },
            7 => Record::Fetched { key: from.count()?, filter: from.text()? },
            8 => decode_message(&mut from)?,
            9 => decode_enqueue(&mut from)?,
            10 => Record::Park { parked: from.parked()?, message: from.u64()?, closed: from.flag()? },
            11 => Record::Unpark { parked: from.parked()? },
            12 => Record::GroupEnd { share: from.text()?, filter: from.text()? },
            13 => Record::Retain { message: from.u64()?, topic: from.text()?, closed: from.flag()? },
            14 => Record::Clear { topic: from.text()? },
            15 => Record::Close { message: from.u64()?, owner: decode_owner(&mut from)? },
            16 => Record::Received { key: from.count()?, number: from.count()? },
            17 => Record::Done { key: from.count()?, number: from.count()? },
            18 => {
                let (key, count) = (from.count()?, from.u32()?);
                let packet_ids = (0..count.min(65_535)).map(|_| from.packet_id()).collect::<Option<_>>()?;
                Record::Open { key, packet_ids }
            }
            19 => Record::Released { key: from.count()?, packet_id: from.packet_id()? },
            20 => Record::WillGone { key: from.count()? },
            21 => Record::Note { name: from.text()?, value: from.bytes()? },
            22 => Record::NoteGone { name: from.text()? },
            23 => {
                let (key, has_user, user) = (from.count()?, from.flag()?, from.text()?);
                if !has_user && !user.is_empty() {
                    return None;
                }
                Record::User { key, user: has_user.then_some(user) }
            }
            _ => return None,
        };
        from.0.is_empty().then_some(record)
    }
}

fn decode_owner(from: &mut Reader<'_>) -> Option<Owner> {
    match from.u8()? {
        0 => Some(Owner::Nobody),
        1 => Some(Owner::Publisher(from.count()?, from.packet_id()?)),
        2 => Some(Owner::Will(from.count()?)),
        _ => None,
    }
}

fn decode_session<'a>(from: &mut Reader<'a>) -> Option<Record<'a>> {
    Some(Record::Session(StoredSession {
        key: from.count()?,
        client_id: from.text()?,
        expiry_secs: from.u32()?,
        receive_maximum: from.u16()?,
        absent_since: from.u64()?,
        unsent_from: from.u64()?,
        next_number: from.count()?,
        will: if from.flag()? { Some(decode_will(from)?) } else { None },
    }))
}

fn decode_will<'a>(from: &mut Reader<'a>) -> Option<StoredWill<'a>> {
    let (qos, options) = from.options(0b1111)?;
    let (delay_secs, expiry_secs) = (from.u32()?, from.u32()?);
    Some(StoredWill {
        topic: from.text()?,
        forwarded: from.bytes()?,
        payload: from.bytes()?,
        qos,
        retain: options & 4 != 0,
        delay_secs,
        expiry_secs: (options & 8 != 0).then_some(expiry_secs),
    })
}

fn decode_subscribe<'a>(from: &mut Reader<'a>) -> Option<Record<'a>> {
    let (key, filter) = (from.count()?, from.text()?);
    let (qos, options) = from.options(0b111_1111)?;
    let steps = options >> 5;
    let fetch = match options & 16 {
        0 if steps == 0 => None,
        16 if steps < 3 => Some(QoS::from_bits((qos.bits() + steps) % 3)?),
        _ => return None,
    };
    Some(Record::Subscribe {
        key,
        filter,
        qos,
        no_local: options & 4 != 0,
        retain_as_published: options & 8 != 0,
        id: from.u32()?,
        fetch,
    })
}

fn decode_message<'a>(from: &mut Reader<'a>) -> Option<Record<'a>> {
    let id = from.u64()?;
    let (qos, options) = from.options(0b111)?;
    Some(Record::Message {
        id,
        qos,
        retain: options & 4 != 0,
        expires: from.u64()?,
        publisher: from.count()?,
        topic: from.text()?,
        forwarded: from.bytes()?,
        payload: from.bytes()?,
    })
}

fn decode_enqueue<'a>(from: &mut Reader<'a>) -> Option<Record<'a>> {
    let (key, number, message) = (from.count()?, from.count()?, from.u64()?);
    let (qos, options) = from.options(0b111_1111)?;
    let has = |bit: u8| options & bit != 0;
    let mut ids = Vec::new();
    if has(64) {
        for _ in 0..from.u32()? {
            ids.push(from.u32()?);
        }
    }
    Some(Record::Enqueue {
        key,
        number,
        message,
        qos,
        retain: has(4),
        closed: has(8),
        ids,
        from: if has(16) { Some(from.parked()?) } else { None },
        group: if has(32) { Some((from.text()?, from.text()?)) } else { None },
    })
}
