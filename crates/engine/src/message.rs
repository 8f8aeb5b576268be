//! An application message: borrowed while it passes through, owned (and shared) when it must outlive the turn.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use whimbrel_proto::{
    Millis,
    codec::{PacketId, PublishHead, QoS, Version},
};

use crate::{
    store::{Ledger, Level, Staged},
    sync::{Mutex, MutexGuard},
};

/// Payloads up to this many bytes are copied into each subscriber's outbox; larger ones are shared by reference.
/// Measured: copying and one write is cheaper below, writing from two places above.
pub(crate) const COPY_MAX: usize = 4 << 10;

/// Stands for a packet identifier where only its place or its length matters.
pub(crate) const ANY_PACKET_ID: PacketId = match PacketId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

/// A message as it passes through: everything that does not depend on the receiver.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Body<'a> {
    pub topic: &'a str,
    /// Properties that are forwarded unaltered, in wire form.
    pub forwarded: &'a [u8],
    pub payload: &'a [u8],
    pub qos: QoS,
    pub retain: bool,
    /// When the message expires, `Millis::NEVER` if it does not.
    pub expires: Millis,
    /// Key of the session that published it, 0 for the server itself.
    pub publisher: u64,
    /// The number that the retained store gave it, 0 when it was not retained.
    pub number: u64,
}

/// A message that outlives the turn: queued, in flight, retained, a will, or too large to be copied.
#[derive(Debug)]
pub struct Message {
    /// Topic name, forwarded properties, payload.
    bytes: Vec<u8>,
    forwarded_len: u32,
    topic_len: u16,
    qos: QoS,
    retain: bool,
    expires: Millis,
    publisher: u64,
    number: u64,
    /// What the journal has of it.
    pub(crate) stored: Stored,
}

/// What [`Stored::needed`] counts above those who need the record.
const MOVED: u64 = 1 << 32;

/// The end of a publish that has none.
const GIVEN_UP: u64 = u64::MAX - 1;

/// Where a message is in the journal, and until when it has to be.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The end of its first record: its name. 0: it has none.
    id: AtomicU64,
    place: AtomicU64,
    bytes: AtomicU32,
    /// How many deliveries and retained topics need the record, and above that how often it has moved: see
    /// [`Self::release`].
    needed: AtomicU64,
    /// The end of the publish that brought it, for a message that nobody gets before: 0 if nobody waits, `u64::MAX` while
    /// the end is not known.
    committed: AtomicU64,
    /// The publisher's level waits for the sync.
    is_power: bool,
    gate: Mutex<()>,
}

impl Stored {
    /// Held while a record that names the message is staged: so what it says of the message (that it is there, that its
    /// publish is whole) is true at its place in the journal. Behind it there is the journal's staging alone.
    pub(crate) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id.load(SeqCst)
    }

    /// Notes the first record. Gives the name.
    pub(crate) fn note(&self, staged: Staged) -> u64 {
        self.id.store(staged.end, SeqCst);
        self.move_to(staged);
        staged.end
    }

    /// The record is here now. Gives where it was, and its bytes. The caller holds the gate, and needs the record.
    pub(crate) fn move_to(&self, staged: Staged) -> (u64, u32) {
        let bytes = u32::try_from(staged.end.saturating_sub(staged.position)).unwrap_or(0);
        self.bytes.store(bytes, SeqCst);
        let from = self.place.swap(staged.position, SeqCst);
        self.needed.fetch_add(MOVED, SeqCst);
        (from, bytes)
    }

    /// A message of an earlier life of the server: its name, where its record is, and how many need it.
    pub(crate) fn restore(&self, id: u64, position: u64, bytes: u32) {
        self.id.store(id, SeqCst);
        self.place.store(position, SeqCst);
        self.bytes.store(bytes, SeqCst);
    }

    pub(crate) fn place(&self) -> (u64, u32) {
        (self.place.load(SeqCst), self.bytes.load(SeqCst))
    }

    /// True for the first that needs it.
    pub(crate) fn hold(&self) -> bool {
        self.needed.fetch_add(1, SeqCst).is_multiple_of(MOVED)
    }

    /// For the last that needed it: where the record is that nobody needs now, and its bytes.
    ///
    /// Its bytes must be taken off the segment onto which they were counted, or that one stays for ever, and another one,
    /// whose count has become too low, is given back with something in it that is needed. So the place has to be that of
    /// the very moment at which the last one lets go: it is read before, and if the record has moved meanwhile, once more.
    /// Whoever moves it needs it while he does, and says so in the same number before he lets go: where the number is the
    /// same at the end, and nobody else needs the record, nobody has moved it and nobody is about to.
    pub(crate) fn release(&self) -> Option<(u64, u32)> {
        self.release_at(|| self.place())
    }

    fn release_at(&self, mut place: impl FnMut() -> (u64, u32)) -> Option<(u64, u32)> {
        let mut before = self.needed.load(SeqCst);
        loop {
            let place = place();
            match self.needed.compare_exchange_weak(before, before - 1, SeqCst, SeqCst) {
                Ok(_) => return (before % MOVED == 1).then_some(place),
                Err(now) => before = now,
            }
        }
    }

    pub(crate) fn commit(&self, end: u64) {
        self.committed.store(end, SeqCst);
    }

    /// Its publish could not be recorded whole: its publisher has been told so, or was closed, and whoever is to get it
    /// only when it is on the disk gets it never.
    pub(crate) fn give_up(&self) {
        self.commit(GIVEN_UP);
    }

    /// Whether that has happened.
    pub(crate) fn is_given_up(&self) -> bool {
        self.committed.load(SeqCst) == GIVEN_UP
    }

    /// What has to be reached, at which level, before anybody gets the message.
    pub(crate) fn committed(&self) -> (u64, Level) {
        let level = if self.is_power { Level::Power } else { Level::Process };
        (self.committed.load(SeqCst), level)
    }
}

impl Message {
    /// A message that nobody gets before it is on the disk.
    pub(crate) fn waiting(body: &Body<'_>, level: Level) -> Message {
        let mut message = Message::new(body);
        message.stored.is_power = level == Level::Power;
        message.stored.commit(u64::MAX);
        message
    }

    pub(crate) fn new(body: &Body<'_>) -> Message {
        Message::filled(Vec::with_capacity(body.size()), body)
    }

    /// With memory that may have been another message's.
    fn filled(mut bytes: Vec<u8>, body: &Body<'_>) -> Message {
        bytes.clear();
        bytes.extend_from_slice(body.topic.as_bytes());
        bytes.extend_from_slice(body.forwarded);
        bytes.extend_from_slice(body.payload);
        Message {
            bytes,
            forwarded_len: u32::try_from(body.forwarded.len()).unwrap_or(u32::MAX),
            topic_len: u16::try_from(body.topic.len()).unwrap_or(u16::MAX), // [MQTT-4.7.3-3]
            qos: body.qos,
            retain: body.retain,
            expires: body.expires,
            publisher: body.publisher,
            number: body.number,
            stored: Stored::default(),
        }
    }

    fn become_another(&mut self, body: &Body<'_>) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if !(body.size()..=body.size() + SLACK_BYTES_MAX).contains(&bytes.capacity()) {
            bytes = Vec::with_capacity(body.size());
        }
        *self = Message::filled(bytes, body);
    }

    pub(crate) fn body(&self) -> Body<'_> {
        let rest = self.bytes.get(usize::from(self.topic_len)..).unwrap_or_default();
        let (forwarded, payload) = rest.split_at_checked(self.forwarded_len as usize).unwrap_or((&[], rest));
        Body {
            topic: self.topic(),
            forwarded,
            payload,
            qos: self.qos,
            retain: self.retain,
            expires: self.expires,
            publisher: self.publisher,
            number: self.number,
        }
    }

    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        let topic = self.bytes.get(..usize::from(self.topic_len)).unwrap_or_default();
        str::from_utf8(topic).unwrap_or_default()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(usize::from(self.topic_len) + self.forwarded_len as usize..).unwrap_or_default()
    }

    /// Bytes that count towards the limits of queues and retained messages.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn expires(&self) -> Millis {
        self.expires
    }

    /// Whether the publish that brought it is whole, as far as anybody waits for that.
    pub(crate) fn is_closed(&self) -> bool {
        self.stored.committed().0 < GIVEN_UP
    }
}

/// Messages that nobody needs any more, of which the next ones are made: in the steady state none is allocated.
#[derive(Default)]
pub(crate) struct Spares(Vec<Arc<Message>>);

/// So many spare messages at most does a worker keep, each of at most so many bytes.
const SPARES_MAX: usize = 256;
const SPARE_BYTES_MAX: usize = 512;
/// By so many bytes may a message have more memory than it needs: it may be kept for long.
const SLACK_BYTES_MAX: usize = 64;

impl Spares {
    /// Keeps a message that nobody else has.
    pub(crate) fn give(&mut self, mut message: Arc<Message>) {
        if self.0.len() < SPARES_MAX
            && Arc::get_mut(&mut message).is_some_and(|own| own.bytes.capacity() <= SPARE_BYTES_MAX)
        {
            self.0.push(message);
        }
    }

    fn take(&mut self, body: &Body<'_>) -> Arc<Message> {
        let mut spare = self.0.pop();
        match spare.as_mut().and_then(Arc::get_mut) {
            Some(message) => message.become_another(body),
            None => spare = None,
        }
        spare.unwrap_or_else(|| Arc::new(Message::new(body)))
    }
}

impl Body<'_> {
    fn size(&self) -> usize {
        self.topic.len() + self.forwarded.len() + self.payload.len()
    }

    /// Seconds left of the message expiry, `None` when it never expires [MQTT-3.3.2-6].
    pub(crate) fn expiry_left(&self, now: Millis) -> Option<u32> {
        (self.expires != Millis::NEVER)
            .then(|| u32::try_from(self.expires.since(now).div_ceil(1_000)).unwrap_or(u32::MAX))
    }

    pub(crate) fn head<'h>(&'h self, qos: QoS, retain: bool, now: Millis) -> PublishHead<'h> {
        PublishHead {
            dup: false,
            qos,
            retain,
            topic: self.topic,
            packet_id: None,
            topic_alias: None,
            message_expiry_secs: self.expiry_left(now),
            subscription_ids: &[],
            forwarded: self.forwarded,
        }
    }
}

/// A frame that many subscribers get alike but for the packet identifier.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Variant {
    start: usize,
    end: usize,
    packet_id_at: Option<usize>,
}

/// A message on its way to its receivers: borrowed until somebody has to keep it, encoded once per variant.
pub(crate) struct Fresh<'a> {
    pub body: Body<'a>,
    pub ledger: Ledger,
    /// Whether it has several receivers, so that a frame encoded once is used again.
    fan_out: bool,
    shared: Option<Arc<Message>>,
    frames: Frames,
}

/// Versions, QoS and retain flags make so many, some of which do not exist.
const VARIANTS: usize = 16;

/// Scratch memory for the frames of one message.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// By version (5.0 or not), QoS and retain flag; those of an earlier message among them.
    variants: Vec<Variant>,
    /// Which of them are of this message: a bit for each.
    known: u16,
}

impl<'a> Fresh<'a> {
    /// `frames` is scratch memory that [`Self::into_parts`] gives back.
    pub(crate) fn new(
        body: Body<'a>,
        shared: Option<Arc<Message>>,
        ledger: Ledger,
        fan_out: bool,
        mut frames: Frames,
    ) -> Self {
        frames.bytes.clear();
        frames.known = 0;
        Fresh { body, ledger, fan_out, shared, frames }
    }

    /// The scratch memory, the account, and the owned form if there is one.
    pub(crate) fn into_parts(self) -> (Frames, Ledger, Option<Arc<Message>>) {
        (self.frames, self.ledger, self.shared)
    }

    /// The owned form, made the first time that somebody needs it.
    pub(crate) fn share(&mut self, spares: &mut Spares) -> &Arc<Message> {
        let (body, ledger) = (&self.body, &self.ledger);
        self.shared.get_or_insert_with(|| match ledger.waits {
            true => Arc::new(Message::waiting(body, ledger.level)),
            false => spares.take(body),
        })
    }

    /// The whole frame for a receiver that needs neither alias nor subscription identifiers, or `None` where the frame
    /// is worth encoding for this receiver alone.
    pub(crate) fn frame(
        &mut self,
        version: Version,
        qos: QoS,
        retain: bool,
        now: Millis,
    ) -> Option<(&[u8], Option<usize>)> {
        if !self.fan_out || self.body.payload.len() > COPY_MAX {
            return None;
        }
        let kind =
            usize::from(version == Version::V5) * 8 + usize::from(qos.bits()) * 2 + usize::from(retain);
        if self.frames.known & 1 << kind == 0 {
            self.encode_variant(kind, version, qos, retain, now);
        }
        let variant = self.frames.variants.get(kind)?;
        Some((self.frames.bytes.get(variant.start..variant.end)?, variant.packet_id_at))
    }

    fn encode_variant(&mut self, kind: usize, version: Version, qos: QoS, retain: bool, now: Millis) {
        let mut head = self.body.head(qos, retain, now);
        if qos > QoS::AtMostOnce {
            head.packet_id = Some(ANY_PACKET_ID);
        }
        let Frames { bytes, variants, known } = &mut self.frames;
        let start = bytes.len();
        let layout = head.encode(version, self.body.payload.len(), bytes);
        bytes.extend_from_slice(self.body.payload);
        if variants.len() <= kind {
            variants.resize(VARIANTS, Variant::default());
        }
        if let Some(variant) = variants.get_mut(kind) {
            *variant = Variant { start, end: bytes.len(), packet_id_at: layout.packet_id_at };
            *known |= 1 << kind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body<'a>(topic: &'a str, payload: &'a [u8]) -> Body<'a> {
        Body {
            topic,
            forwarded: &[1, 2],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Millis::NEVER,
            publisher: 7,
            number: 0,
        }
    }

    #[test]
    fn a_message_that_nobody_needs_becomes_the_next_one() {
        let mut spares = Spares::default();
        let first = spares.take(&body("a/first", &[3; 40]));
        first.stored.restore(9, 9, 9);
        first.stored.hold();
        let memory = Arc::as_ptr(&first);
        spares.give(first);
        let second = spares.take(&body("b", &[4; 39]));
        assert_eq!(Arc::as_ptr(&second), memory);
        let seen = second.body();
        assert_eq!((seen.topic, seen.forwarded, seen.payload), ("b", &[1, 2][..], &[4; 39][..]));
        assert_eq!((second.payload(), second.size()), (&[4; 39][..], 42));
        assert_eq!((second.stored.id(), second.stored.place()), (0, (0, 0)));
        assert!(second.stored.hold(), "nobody needs it yet");
    }

    #[test]
    fn a_message_that_somebody_has_is_left_alone() {
        let mut spares = Spares::default();
        let kept = spares.take(&body("kept", b"by a queue"));
        spares.give(kept.clone());
        let other = spares.take(&body("other", b""));
        assert_eq!((kept.topic(), other.topic()), ("kept", "other"));
    }

    #[test]
    fn no_message_has_much_more_memory_than_it_needs() {
        let mut spares = Spares::default();
        let long = spares.take(&body("t", &[0; SPARE_BYTES_MAX - 3]));
        spares.give(long);
        let short = spares.take(&body("t", &[]));
        assert!(short.bytes.capacity() <= short.size() + SLACK_BYTES_MAX);
        let larger = spares.take(&body("t", &[0; SPARE_BYTES_MAX + 1]));
        spares.give(larger);
        assert_eq!(spares.0.len(), 0);
    }

    #[test]
    fn the_last_to_let_go_of_a_record_knows_where_it_is_also_if_it_has_just_moved() {
        let stored = Stored::default();
        assert!(stored.hold());
        stored.note(Staged { position: 100, end: 130 });
        let mut looks = 0;
        let last = stored.release_at(|| {
            looks += 1;
            let seen = stored.place();
            if looks == 1 {
                // Cleaning comes in between, for somebody else who needs the record, and is gone at once.
                assert!(!stored.hold());
                assert_eq!(stored.move_to(Staged { position: 500, end: 530 }), (100, 30));
                assert_eq!(stored.release(), None);
            }
            seen
        });
        assert_eq!((last, looks), (Some((500, 30)), 2));
        assert!(stored.hold(), "nobody needs it any more");
    }
}
