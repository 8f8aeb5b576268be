//! Wills: the message that a client leaves with the server for the case that its connection ends without DISCONNECT.
//!
//! A will is published when its delay has passed or its session ends, whichever comes first [MQTT-3.1.2-8]; it is
//! gone when the client says DISCONNECT with reason 0x00 [MQTT-3.14.4-3] or comes back before [MQTT-3.1.3-9]. When a
//! connection ends is decided in `attach.rs`; this file keeps the will and publishes it.

use std::sync::Arc;

use whimbrel_access::Who;
use whimbrel_proto::{
    Millis,
    codec::{self, QoS},
};

use crate::{
    Count, Engine, Progress, Publishing, Turn, WillView, Wire,
    budget::Charge,
    ends::Departure,
    message::{Body, Message},
    publish::Origin,
    store::StoredWill,
    sys::is_reserved,
};

/// A will as its session keeps it.
#[derive(Debug)]
pub struct Will {
    message: Message,
    /// Seconds after the end of the connection.
    pub(crate) delay_secs: u32,
    /// Message expiry, counted from the publication [section 3.1.3.2.4].
    expiry_secs: Option<u32>,
    /// What it costs once a session has it.
    pub(crate) charge: Option<Charge>,
    /// Who left it, for the rules; absent where there are none, and after a restart.
    pub(crate) who: Option<Arc<Who>>,
    /// It has left its session.
    pub(crate) departure: Option<Arc<Departure>>,
}

impl Will {
    /// Keeps the will of a CONNECT.
    #[must_use]
    pub fn new(will: &codec::Will<'_>) -> Self {
        let mut forwarded = Vec::new();
        will.properties.forwarded(&mut forwarded);
        let body = Body {
            topic: will.topic,
            forwarded: &forwarded,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            expires: Millis::NEVER,
            publisher: 0,
            number: 0,
        };
        Will {
            message: Message::new(&body),
            delay_secs: will.delay_secs,
            expiry_secs: will.properties.message_expiry_secs,
            charge: None,
            who: None,
            departure: None,
        }
    }
}

impl Will {
    /// What of it is kept on disk.
    pub(crate) fn stored(&self) -> StoredWill<'_> {
        let body = self.message.body();
        StoredWill {
            topic: body.topic,
            forwarded: body.forwarded,
            payload: body.payload,
            qos: body.qos,
            retain: body.retain,
            delay_secs: self.delay_secs,
            expiry_secs: self.expiry_secs,
        }
    }

    /// A will that was kept on disk.
    pub(crate) fn restore(stored: &StoredWill<'_>) -> Self {
        let body = Body {
            topic: stored.topic,
            forwarded: stored.forwarded,
            payload: stored.payload,
            qos: stored.qos,
            retain: stored.retain,
            expires: Millis::NEVER,
            publisher: 0,
            number: 0,
        };
        let (delay_secs, expiry_secs) = (stored.delay_secs, stored.expiry_secs);
        Will {
            message: Message::new(&body),
            delay_secs,
            expiry_secs,
            charge: None,
            who: None,
            departure: None,
        }
    }

    /// What the rules ask about.
    pub(crate) fn question(&self) -> (&str, QoS, bool) {
        let body = self.message.body();
        (body.topic, body.qos, body.retain)
    }

    /// Bytes that it costs its session.
    pub(crate) fn size(&self) -> usize {
        self.message.size()
    }

    /// What an administrator sees of it.
    pub(crate) fn view(&self) -> WillView {
        let body = self.message.body();
        let (topic, qos, retain) = (body.topic.into(), body.qos, body.retain);
        WillView { topic, qos, retain, delay_secs: self.delay_secs }
    }
}

impl Engine {
    /// Publishes a will that has left its session. What is left to do comes back for the caller to go on with.
    pub(crate) fn publish_will(
        &self,
        turn: &mut Turn,
        will: &Will,
        waiter: &Arc<dyn Wire>,
    ) -> Option<Box<Publishing>> {
        let departure = will.departure.as_ref()?;
        let mut body = will.message.body();
        body.publisher = departure.session.key;
        if is_reserved(body.topic) {
            turn.count(Count::RefusedReservedTopic, 1);
            self.forget_will(turn, &departure.session);
            return None;
        }
        if let Some(who) = &will.who
            && self.denies_will(turn, who, will.question()).is_some()
        {
            self.forget_will(turn, &departure.session);
            return None;
        }
        turn.count(Count::WillsPublished, 1);
        body.expires =
            will.expiry_secs.map_or(Millis::NEVER, |secs| turn.now.mono.plus_secs(u64::from(secs)));
        let from = Origin::Will(departure);
        match self.publish_body(turn, body, from, None, waiter) {
            Progress::More(rest) => Some(rest),
            Progress::Done { .. } => None,
        }
    }
}
