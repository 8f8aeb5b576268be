//! Messages that wait: for a session that is absent or busy, or for a shared group without a free member.

use std::{collections::VecDeque, sync::Arc};

use whimbrel_proto::{Millis, codec::QoS};

use crate::{message::Message, share::Group, store::NO_PLACE};

/// A delivery that has none: of QoS 0, or not with a session yet.
pub(crate) const NO_NUMBER: u64 = u64::MAX;

/// Identifiers of the subscriptions that a message matched; shared by all messages of a match result.
pub(crate) type SubscriptionIds = Option<Arc<[u32]>>;

/// A message × a receiver.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub message: Arc<Message>,
    pub ids: SubscriptionIds,
    /// The shared group to which it belongs until it is acknowledged.
    pub group: Option<Arc<Group>>,
    pub qos: QoS,
    pub retain: bool,
    /// Its number in its session, from which its packet identifier follows.
    pub number: u64,
    /// Where the journal says that it is owed, [`NO_PLACE`] if it does not.
    pub place: u64,
    /// Its number in its group, where the journal has it there.
    pub parked: u64,
}

impl Delivery {
    /// A delivery that is with nobody yet.
    pub(crate) fn new(message: Arc<Message>, ids: SubscriptionIds, qos: QoS, retain: bool) -> Self {
        let (group, number, place, parked) = (None, NO_NUMBER, NO_PLACE, NO_NUMBER);
        Delivery { message, ids, group, qos, retain, number, place, parked }
    }

    /// Whether the journal has it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.place != NO_PLACE
    }

    pub(crate) fn ids(&self) -> &[u32] {
        self.ids.as_deref().unwrap_or_default()
    }
}

/// A queue in order of arrival. Its limits are its owner's.
pub(crate) struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    /// Nothing expires before: a full queue is not searched in vain at every message.
    earliest_expiry: Millis,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { deliveries: VecDeque::new(), bytes: 0, earliest_expiry: Millis::NEVER }
    }
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn front(&self) -> Option<&Delivery> {
        self.deliveries.front()
    }

    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        self.earliest_expiry = self.earliest_expiry.min(delivery.message.expires());
        self.deliveries.push_back(delivery);
    }

    /// Puts deliveries back at the head, keeping their order: they were sent to somebody who left.
    pub(crate) fn push_front(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries.into_iter().rev() {
            self.bytes += delivery.message.size();
            self.earliest_expiry = self.earliest_expiry.min(delivery.message.expires());
            self.deliveries.push_front(delivery);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.bytes -= delivery.message.size();
        Some(delivery)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.deliveries.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// Removes what `gone` says and tells how many messages and bytes that were; those that the journal has are added to
    /// `recorded`.
    pub(crate) fn remove(
        &mut self,
        recorded: &mut Vec<Delivery>,
        mut gone: impl FnMut(&Delivery) -> bool,
    ) -> (usize, usize) {
        let (messages, bytes) = (self.deliveries.len(), self.bytes);
        let (mut left, mut earliest) = (0, Millis::NEVER);
        self.deliveries.retain(|delivery| {
            let keep = !gone(delivery);
            if !keep && delivery.is_recorded() {
                recorded.push(delivery.clone());
            }
            if keep {
                left += delivery.message.size();
                earliest = earliest.min(delivery.message.expires());
            }
            keep
        });
        (self.bytes, self.earliest_expiry) = (left, earliest);
        (messages - self.deliveries.len(), bytes - left)
    }

    /// Removes what has expired [MQTT-3.3.2-5].
    pub(crate) fn remove_expired(&mut self, recorded: &mut Vec<Delivery>, now: Millis) -> (usize, usize) {
        if now < self.earliest_expiry {
            return (0, 0);
        }
        self.remove(recorded, |delivery| delivery.message.expires() <= now)
    }
}
