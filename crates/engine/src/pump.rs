//! What waits for a client goes out as far as it may: what must be sent again, the queue, its groups' messages, retained
//! messages. Not what is offered anew: that is `session.rs`.

use std::sync::Arc;

use whimbrel_proto::{
    Stage,
    codec::{Ack as AckPacket, PacketId, PacketType, QoS},
};

use crate::{
    Count, Turn,
    link::Sending,
    queue::Delivery,
    session::{Locked, State},
    share::Group,
};

/// Messages sent to one client, and the like, before others of its worker go on.
const WORK_PER_PUMP: u64 = 500;

impl Locked<'_> {
    /// Sends what waits and may go: first what must be sent again, then the queue, then the groups' messages, then
    /// retained messages that a SUBSCRIBE asked for. It stops when about the soft limit of bytes waits; the flush sees
    /// that there is more.
    pub(crate) fn pump(&mut self, turn: &mut Turn) {
        let enough = turn.work + WORK_PER_PUMP;
        loop {
            let full = self.is_soft_full();
            let Some(link) = self.state.open_link() else { return };
            if link.blocked || full || link.opening {
                return; // It is looked at again when the client has taken bytes.
            }
            if turn.work >= enough {
                link.wire.wake(); // Nothing may have been found to be flushed.
                return;
            }
            turn.work += 1;
            let sent = self.pump_resend(turn) || self.pump_queue(turn) || self.pump_groups(turn);
            if !sent && !self.pump_fetch(turn) {
                return;
            }
        }
    }

    /// Whether [`Self::pump`] would find something to send.
    pub(crate) fn has_work(&mut self) -> bool {
        if self.state.open_link().is_none_or(|link| link.blocked) {
            return false;
        }
        let room = self.has_room();
        let next = self.state.queue.as_ref().and_then(|queue| queue.front());
        if self.is_opening() {
            return false;
        }
        self.can_resend()
            || self.state.queue.as_ref().is_some_and(|queue| queue.has_to_ask())
            || next.is_some_and(|front| self.may_go(front) && self.awaits(front).is_none())
            || (room
                && self.state.rare.as_ref().is_some_and(|rare| !rare.fetches.is_empty())
                && self.awaited_by_fetch().is_none())
            || (room
                && self.state.shared > 0
                && self
                    .state
                    .subscriptions
                    .iter()
                    .any(|one| one.group.as_ref().is_some_and(|g| g.has_waiting())))
    }

    /// Whether the head of the queue may go: Receive Maximum lets it, and nothing has to be sent again before.
    fn may_go(&self, front: &Delivery) -> bool {
        match front.qos {
            QoS::AtMostOnce => !self.state.outgoing.must_resend(),
            _ => self.has_room() && self.state.outgoing.is_free(front.number),
        }
    }

    fn can_resend(&self) -> bool {
        let State { link: Some(link), outgoing, .. } = &*self.state else { return false };
        outgoing.must_resend() && outgoing.resent() < usize::from(link.receive_maximum)
    }

    /// Sends one delivery again, with DUP and its packet identifier [MQTT-4.4.0-1].
    fn pump_resend(&mut self, turn: &mut Turn) -> bool {
        let State { link: Some(link), outgoing, .. } = &mut *self.state else { return false };
        let Some(sent) = outgoing.resend(link.receive_maximum) else { return false };
        let packet_id = sent.packet_id();
        match (sent.stage(), sent.message().cloned()) {
            (Stage::Published(qos), Some(delivery)) => self.send_again(turn, qos, packet_id, &delivery),
            _ => link.append(turn, |version, out| {
                AckPacket::new(packet_id, whimbrel_proto::codec::ReasonCode::Success).encode(
                    PacketType::PubRel,
                    version,
                    out,
                );
            }),
        }
        self.after_append(turn, false);
        true
    }

    fn send_again(&mut self, turn: &mut Turn, qos: QoS, packet_id: PacketId, delivery: &Delivery) {
        let is_denied = !self.may_read(0, delivery.message.topic());
        let State { link: Some(link), .. } = &mut *self.state else { return };
        let sending = Sending {
            qos,
            retain: delivery.retain,
            dup: true, // [MQTT-3.3.1-1]
            subscription_ids: delivery.ids(),
            dropped_untold: 0,
        };
        if !is_denied && link.takes(&delivery.message.body(), &sending, turn.now.mono) {
            let _ = link.append_kept(turn, &delivery.message, &sending, Some(packet_id));
            return;
        }
        // The client takes less, or may read less, than on the connection before: as if it had been sent and acknowledged.
        let cause = if is_denied { Count::DeniedReceive } else { Count::DroppedTooLarge };
        self.lose(turn, cause, 1);
        for gone in self.extract(|sent| sent.packet_id() == packet_id) {
            self.strike(turn, &gone);
        }
    }

    fn pump_queue(&mut self, turn: &mut Turn) -> bool {
        self.ask_back();
        let Some(front) = self.state.queue.as_ref().and_then(|queue| queue.front()) else { return false };
        if !self.may_go(front) {
            return false;
        }
        if let Some((position, level)) = self.awaits(front) {
            self.park_head(turn, position, level);
            return false;
        }
        let Some(queue) = &mut self.state.queue else { return false };
        let Some(delivery) = queue.pop() else { return false };
        if queue.is_empty() {
            self.state.queue = None;
            if let Some(rare) = &mut self.state.rare {
                rare.drops_noticed = false;
            }
        }
        self.engine.budget.dequeued(1, delivery.message.size());
        self.send_entered(turn, delivery);
        true
    }

    /// Takes one message from a shared group that has some without a member who had room.
    fn pump_groups(&mut self, turn: &mut Turn) -> bool {
        if self.state.shared == 0 || !self.may_take_more() {
            return false;
        }
        let groups = self.state.subscriptions.iter().filter_map(|subscription| subscription.group.as_ref());
        let waiting: Vec<Arc<Group>> = groups.filter(|group| group.has_waiting()).cloned().collect();
        // Where another member takes the last message of a group meanwhile, the next group is asked.
        let engine = self.engine;
        let taken = waiting.iter().find_map(|group| group.take_for(engine, turn, self));
        let Some(delivery) = taken else { return false };
        self.send_kept(turn, delivery);
        true
    }

    fn pump_fetch(&mut self, turn: &mut Turn) -> bool {
        let has_fetch = self.state.rare.as_ref().is_some_and(|rare| !rare.fetches.is_empty());
        if !has_fetch || !self.may_take_more() {
            return false;
        }
        if let Some((position, level)) = self.awaited_by_fetch() {
            self.park_head(turn, position, level);
            return false;
        }
        let mut fetches = std::mem::take(&mut self.state.rare().fetches);
        let progress = match fetches.first_mut() {
            Some(fetch) => fetch.slice(self, turn),
            None => crate::retained::Slice::Done,
        };
        let done =
            (progress == crate::retained::Slice::Done && !fetches.is_empty()).then(|| fetches.remove(0));
        self.state.rare().fetches = fetches;
        if let Some(fetch) = done {
            self.note_fetched(turn, &fetch);
        }
        progress != crate::retained::Slice::Full
    }
}
