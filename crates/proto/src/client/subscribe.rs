//! SUBSCRIBE and UNSUBSCRIBE, and the server's answers. Which subscriptions exist is not kept here.

use alloc::vec::Vec;

use super::{Connection, Event, Misuse};
use crate::{
    Millis, Violation,
    codec::{
        Filter, Filters, Packet, PacketId, PacketType, SubAck, Subscribe, SubscribeOptions, UnsubAck,
        Unsubscribe, UnsubscribeFilters, UserProperties, Version,
    },
};

/// Packet identifiers that exist.
const PACKET_IDS: usize = 65_535;

/// A request that waits for its answer.
#[derive(Copy, Clone, Debug)]
struct Request {
    packet_id: PacketId,
    answer: PacketType,
    filters: usize,
}

/// The requests that wait for their answers. They end with the connection; there are few at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    waiting: Vec<Request>,
    /// Identifiers are tried from the top down, where those of messages come late.
    last: u16,
}

impl Requests {
    pub(super) fn contains(&self, id: PacketId) -> bool {
        self.waiting.iter().any(|request| request.packet_id == id)
    }

    /// The next identifier that nothing uses [MQTT-2.2.1-3].
    fn unused(&mut self, taken: impl Fn(PacketId) -> bool) -> Option<PacketId> {
        for _ in 0..u16::MAX {
            self.last = if self.last <= 1 { u16::MAX } else { self.last - 1 };
            let id = PacketId::new(self.last)?;
            if !self.contains(id) && !taken(id) {
                return Some(id);
            }
        }
        None
    }

    fn take(&mut self, packet_id: PacketId, answer: PacketType) -> Option<Request> {
        let matches = |request: &Request| request.packet_id == packet_id && request.answer == answer;
        let at = self.waiting.iter().position(matches)?;
        Some(self.waiting.remove(at))
    }
}

impl Connection {
    /// Subscribes; [`Event::Subscribed`] with this identifier follows.
    ///
    /// # Errors
    /// A filter is wrong, or the server has no such subscriptions.
    pub fn subscribe(
        &mut self,
        filters: &[(&str, SubscribeOptions)],
        subscription_id: Option<u32>,
        user_properties: UserProperties<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<PacketId, Misuse> {
        self.check_open()?;
        for (filter, _) in filters {
            self.check_filter(filter)?;
        }
        if subscription_id.is_some() && self.version == Version::V5 && !self.server.subscription_ids_available
        {
            return Err(Misuse::SubscriptionIdsNotAvailable);
        }
        let packet_id = self.request_id()?;
        let filters = Filters::from_slice(filters);
        let count = filters.count();
        let packet = Subscribe { packet_id, subscription_id, user_properties, filters };
        self.put_checked(&Packet::Subscribe(packet), now, out)?;
        self.requests.waiting.push(Request { packet_id, answer: PacketType::SubAck, filters: count });
        Ok(packet_id)
    }

    /// Ends subscriptions; [`Event::Unsubscribed`] with this identifier follows.
    ///
    /// # Errors
    /// A filter is wrong.
    pub fn unsubscribe(
        &mut self,
        filters: &[&str],
        user_properties: UserProperties<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<PacketId, Misuse> {
        self.check_open()?;
        let packet_id = self.request_id()?;
        let count = filters.len();
        let filters = UnsubscribeFilters::from_slice(filters);
        let packet = Unsubscribe { packet_id, user_properties, filters };
        self.put_checked(&Packet::Unsubscribe(packet), now, out)?;
        self.requests.waiting.push(Request { packet_id, answer: PacketType::UnsubAck, filters: count });
        Ok(packet_id)
    }

    pub(super) fn handle_suback<'a>(&mut self, suback: SubAck<'a>) -> Result<Event<'a>, Violation> {
        let SubAck { packet_id, .. } = suback;
        let Some(request) = self.requests.take(packet_id, PacketType::SubAck) else {
            return Ok(Event::Stray { kind: PacketType::SubAck, packet_id });
        };
        if suback.reasons.count() != request.filters {
            return Err(Violation::ReasonCount(PacketType::SubAck));
        }
        Ok(Event::Subscribed(suback))
    }

    pub(super) fn handle_unsuback<'a>(&mut self, unsuback: UnsubAck<'a>) -> Result<Event<'a>, Violation> {
        let UnsubAck { packet_id, .. } = unsuback;
        let Some(request) = self.requests.take(packet_id, PacketType::UnsubAck) else {
            return Ok(Event::Stray { kind: PacketType::UnsubAck, packet_id });
        };
        if self.version == Version::V5 && unsuback.reasons.count() != request.filters {
            return Err(Violation::ReasonCount(PacketType::UnsubAck));
        }
        Ok(Event::Unsubscribed(unsuback))
    }

    /// Whether a packet that needs an identifier can have one.
    pub(super) fn has_packet_id(&self) -> bool {
        self.session.outgoing.len() + self.requests.waiting.len() < PACKET_IDS
    }

    fn request_id(&mut self) -> Result<PacketId, Misuse> {
        if !self.has_packet_id() {
            return Err(Misuse::NoRoom);
        }
        let outgoing = &self.session.outgoing;
        self.requests.unused(|id| outgoing.contains(id)).ok_or(Misuse::NoRoom)
    }

    fn check_filter(&self, filter: &str) -> Result<(), Misuse> {
        let parsed = Filter::parse(filter)?;
        if parsed.has_wildcard() && !self.server.wildcard_available {
            return Err(Misuse::WildcardsNotAvailable);
        }
        if parsed.share.is_some() && !self.server.shared_available {
            return Err(Misuse::SharedNotAvailable);
        }
        Ok(())
    }
}
