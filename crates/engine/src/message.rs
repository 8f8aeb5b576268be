//! An application message: borrowed while it passes through, owned (and shared) when it must outlive the turn.

use std::sync::Arc;

use whimbrel_proto::{
    Millis,
    codec::{HeadLayout, PacketId, PublishHead, QoS, Version},
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
    topic: Box<str>,
    /// Forwarded properties, then payload.
    rest: Box<[u8]>,
    forwarded_len: u32,
    qos: QoS,
    retain: bool,
    expires: Millis,
    publisher: u64,
    number: u64,
}

impl Message {
    pub(crate) fn new(body: &Body<'_>) -> Message {
        let mut rest = Vec::with_capacity(body.forwarded.len() + body.payload.len());
        rest.extend_from_slice(body.forwarded);
        rest.extend_from_slice(body.payload);
        Message {
            topic: body.topic.into(),
            rest: rest.into_boxed_slice(),
            forwarded_len: u32::try_from(body.forwarded.len()).unwrap_or(u32::MAX),
            qos: body.qos,
            retain: body.retain,
            expires: body.expires,
            publisher: body.publisher,
            number: body.number,
        }
    }

    pub(crate) fn body(&self) -> Body<'_> {
        let (forwarded, payload) =
            self.rest.split_at_checked(self.forwarded_len as usize).unwrap_or((&[], &self.rest));
        Body {
            topic: &self.topic,
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
        &self.topic
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body().payload
    }

    /// Bytes that count towards the limits of queues and retained messages.
    #[must_use]
    pub fn size(&self) -> usize {
        self.topic.len() + self.rest.len()
    }

    pub(crate) fn expires(&self) -> Millis {
        self.expires
    }
}

impl Body<'_> {
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
#[derive(Copy, Clone, Debug)]
pub(crate) struct Variant {
    start: usize,
    end: usize,
    layout: HeadLayout,
}

/// A message on its way to its receivers: borrowed until somebody has to keep it, encoded once per variant.
pub(crate) struct Fresh<'a> {
    pub body: Body<'a>,
    /// Whether it has several receivers, so that a frame encoded once is used again.
    fan_out: bool,
    shared: Option<Arc<Message>>,
    frames: Vec<u8>,
    /// By version (5.0 or not), QoS and retain flag.
    variants: [Option<Variant>; 12],
}

impl<'a> Fresh<'a> {
    /// `frames` is scratch memory that [`Self::into_scratch`] gives back.
    pub(crate) fn new(
        body: Body<'a>,
        shared: Option<Arc<Message>>,
        fan_out: bool,
        mut frames: Vec<u8>,
    ) -> Self {
        frames.clear();
        Fresh { body, fan_out, shared, frames, variants: [None; 12] }
    }

    pub(crate) fn into_scratch(self) -> Vec<u8> {
        self.frames
    }

    /// The owned form, made the first time that somebody needs it.
    pub(crate) fn share(&mut self) -> &Arc<Message> {
        let body = &self.body;
        self.shared.get_or_insert_with(|| Arc::new(Message::new(body)))
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
        let slot =
            usize::from(version == Version::V5) * 6 + usize::from(qos.bits()) * 2 + usize::from(retain);
        let variant = match *self.variants.get(slot)? {
            Some(variant) => variant,
            None => self.encode_variant(version, qos, retain, now, slot),
        };
        Some((self.frames.get(variant.start..variant.end)?, variant.layout.packet_id_at))
    }

    fn encode_variant(
        &mut self,
        version: Version,
        qos: QoS,
        retain: bool,
        now: Millis,
        slot: usize,
    ) -> Variant {
        let mut head = self.body.head(qos, retain, now);
        if qos > QoS::AtMostOnce {
            head.packet_id = Some(ANY_PACKET_ID);
        }
        let start = self.frames.len();
        let layout = head.encode(version, self.body.payload.len(), &mut self.frames);
        self.frames.extend_from_slice(self.body.payload);
        let variant = Variant { start, end: self.frames.len(), layout };
        if let Some(known) = self.variants.get_mut(slot) {
            *known = Some(variant);
        }
        variant
    }
}
