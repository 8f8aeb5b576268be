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

/// A delivery of which the journal alone has the message: what is left of it in memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    /// Its number in its session.
    pub number: u64,
    /// Where the journal says that it is owed.
    pub place: u64,
    /// Where the journal has the message, and the bytes of that record.
    pub message: u64,
    pub bytes: u32,
    /// What the message counts towards limits.
    pub size: u32,
    /// When it expires: the record says it by a clock that may have jumped since.
    pub expires: Millis,
}

/// What was taken out of a queue.
pub(crate) enum Taken {
    Here(Delivery),
    Away(Away),
}

/// What a queue held when it ended.
#[derive(Default)]
pub(crate) struct Cleared {
    /// In memory: messages and bytes, and those of them that the journal has.
    pub messages: usize,
    pub bytes: usize,
    pub recorded: Vec<Delivery>,
    /// On disk alone.
    pub away: VecDeque<Away>,
}

/// The part of a long queue that is behind its head: first what is on disk alone, then what came after that.
#[derive(Default)]
struct Rest {
    away: VecDeque<Away>,
    away_bytes: usize,
    tail: VecDeque<Delivery>,
    /// Somebody has been asked to read the first of it back.
    asked: bool,
}

/// A queue in order of arrival. Its limits are its owner's.
pub(crate) struct Queue {
    head: VecDeque<Delivery>,
    /// Absent in almost every queue; never there without anything on disk.
    rest: Option<Box<Rest>>,
    /// Bytes in memory.
    bytes: usize,
    /// Nothing in memory expires before: a full queue is not searched in vain at every message.
    earliest_expiry: Millis,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { head: VecDeque::new(), rest: None, bytes: 0, earliest_expiry: Millis::NEVER }
    }
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.rest.as_ref().map_or(0, |rest| rest.away.len() + rest.tail.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.rest.is_none()
    }

    /// Bytes of all its messages, wherever they are.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.rest.as_ref().map_or(0, |rest| rest.away_bytes)
    }

    /// Messages and bytes that are in memory.
    pub(crate) fn here(&self) -> (usize, usize) {
        (self.len() - self.away().0, self.bytes)
    }

    /// Messages and bytes that are on disk alone.
    pub(crate) fn away(&self) -> (usize, usize) {
        self.rest.as_ref().map_or((0, 0), |rest| (rest.away.len(), rest.away_bytes))
    }

    /// The next delivery; none also while it has to be read back first.
    pub(crate) fn front(&self) -> Option<&Delivery> {
        self.head.front()
    }

    /// Whether the next delivery has to be read back first.
    pub(crate) fn is_front_away(&self) -> bool {
        self.head.is_empty() && self.rest.is_some()
    }

    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.note(&delivery);
        match &mut self.rest {
            Some(rest) => rest.tail.push_back(delivery),
            None => self.head.push_back(delivery),
        }
    }

    fn note(&mut self, delivery: &Delivery) {
        self.bytes += delivery.message.size();
        self.earliest_expiry = self.earliest_expiry.min(delivery.message.expires());
    }

    /// Puts deliveries back at the head, keeping their order: they were sent to somebody who left.
    pub(crate) fn push_front(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries.into_iter().rev() {
            self.note(&delivery);
            self.head.push_front(delivery);
        }
    }

    /// Takes the next delivery, if it is in memory.
    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.head.pop_front()?;
        self.bytes -= delivery.message.size();
        Some(delivery)
    }

    /// Takes the oldest message, wherever it is.
    pub(crate) fn pop_anywhere(&mut self) -> Option<Taken> {
        if let Some(delivery) = self.pop() {
            return Some(Taken::Here(delivery));
        }
        let rest = self.rest.as_mut()?;
        let away = rest.away.pop_front()?;
        rest.away_bytes -= away.size as usize;
        self.join_ends();
        Some(Taken::Away(away))
    }

    /// When nothing is on disk alone any more, what came after it follows the head.
    fn join_ends(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.away.is_empty())
            && let Some(mut rest) = self.rest.take()
        {
            self.head.append(&mut rest.tail);
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.head.iter_mut().chain(self.rest.iter_mut().flat_map(|rest| rest.tail.iter_mut()))
    }

    /// Everything that is in memory.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.head.iter().chain(self.rest.iter().flat_map(|rest| rest.tail.iter()))
    }

    /// The number of the first that is on disk alone.
    pub(crate) fn first_number_away(&self) -> Option<u64> {
        self.rest.as_ref().and_then(|rest| rest.away.front()).map(|away| away.number)
    }

    /// Removes what `gone` says of what is in memory and tells how many messages and bytes that were; those that the
    /// journal has are added to `recorded`.
    pub(crate) fn remove(
        &mut self,
        recorded: &mut Vec<Delivery>,
        mut gone: impl FnMut(&Delivery) -> bool,
    ) -> (usize, usize) {
        let (messages, bytes) = self.here();
        let (mut left, mut earliest) = (0, Millis::NEVER);
        let mut keep = |delivery: &Delivery| {
            let keep = !gone(delivery);
            if !keep && delivery.is_recorded() {
                recorded.push(delivery.clone());
            }
            if keep {
                left += delivery.message.size();
                earliest = earliest.min(delivery.message.expires());
            }
            keep
        };
        self.head.retain(&mut keep);
        if let Some(rest) = &mut self.rest {
            rest.tail.retain(&mut keep);
        }
        (self.bytes, self.earliest_expiry) = (left, earliest);
        (messages - self.here().0, bytes - left)
    }

    /// Removes what has expired [MQTT-3.3.2-5]. What is on disk alone is looked at when it is read back.
    pub(crate) fn remove_expired(&mut self, recorded: &mut Vec<Delivery>, now: Millis) -> (usize, usize) {
        if now < self.earliest_expiry {
            return (0, 0);
        }
        self.remove(recorded, |delivery| delivery.message.expires() <= now)
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) -> Cleared {
        let mut cleared = Cleared::default();
        (cleared.messages, cleared.bytes) = self.remove(&mut cleared.recorded, |_| true);
        cleared.away = self.rest.take().map(|rest| rest.away).unwrap_or_default();
        cleared
    }
}

/// What is on disk alone.
impl Queue {
    /// The delivery that would be the next to go to the disk alone while the first `keep` stay in memory.
    pub(crate) fn next_to_leave(&self, keep: usize) -> Option<&Delivery> {
        match &self.rest {
            Some(rest) => rest.tail.front(),
            None => self.head.get(keep),
        }
    }

    /// The next one to leave is on disk alone from now on.
    pub(crate) fn leave(&mut self, keep: usize, away: Away) -> Option<Delivery> {
        let head = &mut self.head;
        let rest = self.rest.get_or_insert_with(|| {
            Box::new(Rest { tail: head.split_off(keep.min(head.len())), ..Rest::default() })
        });
        let Some(gone) = rest.tail.pop_front() else {
            self.join_ends();
            return None;
        };
        rest.away_bytes += away.size as usize;
        rest.away.push_back(away);
        self.bytes -= gone.message.size();
        Some(gone)
    }

    /// Whether something in memory stands behind what is on disk alone.
    pub(crate) fn has_tail(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| !rest.tail.is_empty())
    }

    /// Adds a delivery that is on disk alone at the end. Nothing in memory stands there ([`Self::has_tail`]).
    pub(crate) fn push_away(&mut self, away: Away) {
        let rest = self.rest.get_or_insert_default();
        rest.away_bytes += away.size as usize;
        rest.away.push_back(away);
    }

    /// Whether somebody has to be asked to read the first of what is on disk alone: few are left in memory, and nobody
    /// has been asked. He has been then.
    pub(crate) fn ask_back(&mut self, few: usize) -> bool {
        let left = self.head.len();
        self.rest.as_mut().is_some_and(|rest| left < few && !std::mem::replace(&mut rest.asked, true))
    }

    /// Whether the next delivery has to be read back and nobody has been asked to.
    pub(crate) fn has_to_ask(&self) -> bool {
        self.head.is_empty() && self.rest.as_ref().is_some_and(|rest| !rest.asked)
    }

    /// Nobody reads back any more.
    pub(crate) fn asked_in_vain(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.asked = false;
        }
    }

    /// The first of what is on disk alone: as many as come to about `bytes`, at least one.
    pub(crate) fn first_away(&self, most: usize, mut bytes: usize) -> Vec<Away> {
        let away = self.rest.iter().flat_map(|rest| rest.away.iter()).take(most);
        let fits = |away: &&Away| {
            let fits = bytes > 0;
            bytes = bytes.saturating_sub(away.size as usize);
            fits
        };
        away.take_while(fits).copied().collect()
    }

    /// A delivery is back in memory: false if it is not what is to come next.
    pub(crate) fn come_back(&mut self, away: &Away, delivery: Delivery) -> bool {
        let Some(rest) = self.rest.as_mut().filter(|rest| rest.away.front() == Some(away)) else {
            return false;
        };
        rest.away.pop_front();
        rest.away_bytes -= away.size as usize;
        self.note(&delivery);
        self.head.push_back(delivery);
        self.join_ends();
        true
    }

    /// Some of what is on disk alone, from this number on, that `wants` says; and from which number on to look next.
    pub(crate) fn find_away(
        &self,
        from: u64,
        most: usize,
        wants: impl Fn(&Away) -> bool,
    ) -> (Vec<Away>, Option<u64>) {
        let Some(rest) = &self.rest else { return (Vec::new(), None) };
        let first = rest.away.partition_point(|away| away.number < from);
        let looked_at = rest.away.iter().skip(first).take(most);
        let found = looked_at.filter(|away| wants(away)).copied().collect();
        (found, rest.away.get(first + most).map(|next| next.number))
    }

    /// The entry on disk alone with this number.
    pub(crate) fn away_mut(&mut self, number: u64) -> Option<&mut Away> {
        let away = &mut self.rest.as_mut()?.away;
        let at = away.binary_search_by_key(&number, |away| away.number).ok()?;
        away.get_mut(at)
    }
}
