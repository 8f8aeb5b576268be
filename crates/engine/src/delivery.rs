//! What a session is owed: entered under a number, and in the journal where the session outlives a crash; struck off when
//! it is over.

use whimbrel_proto::codec::{PacketId, QoS};

use crate::{
    Engine, Level, Turn,
    queue::{Delivery, NO_NUMBER},
    session::Locked,
    store::{Ledger, NO_PLACE, Parked, Record},
};

impl Delivery {
    /// What says that the session `key` is owed it. `from`: it leaves the queue of its group.
    pub(crate) fn record<'a>(&'a self, key: u64, closed: bool, from: Option<Parked<'a>>) -> Record<'a> {
        Record::Enqueue {
            key,
            number: self.number,
            message: self.message.stored.id(),
            qos: self.qos,
            retain: self.retain,
            closed,
            ids: self.ids().to_vec(),
            from,
            group: self.group.as_ref().map(|group| group.names()),
        }
    }
}

impl Locked<'_> {
    /// Whether what this session is owed is recorded.
    pub(crate) fn is_durable(&self) -> bool {
        self.state.recorded && self.state.expiry_secs > 0
    }

    /// Gives a delivery its number and records it. `ledger`: of the publish under way that it belongs to.
    pub(crate) fn enter(&mut self, turn: &mut Turn, delivery: &mut Delivery, ledger: Option<&mut Ledger>) {
        if delivery.qos == QoS::AtMostOnce && delivery.parked != NO_NUMBER {
            // Its group was owed it; this member wants it at QoS 0, and is never asked whether it has it.
            self.engine.strike(turn, 0, delivery);
            (delivery.place, delivery.parked) = (NO_PLACE, NO_NUMBER);
        }
        if delivery.qos == QoS::AtMostOnce || delivery.number != NO_NUMBER {
            return;
        }
        delivery.number = self.state.outgoing.reserve();
        if !self.is_durable() {
            if delivery.parked != NO_NUMBER && delivery.qos == QoS::ExactlyOnce {
                // It leaves its group for good: it ends with this session [MQTT-4.8.2-5].
                self.engine.strike(turn, 0, delivery);
                (delivery.place, delivery.parked) = (NO_PLACE, NO_NUMBER);
            }
            return;
        }
        let store = &self.engine.store;
        let shared = delivery.message.clone();
        let _gate = shared.stored.gate();
        let closed = ledger.is_none() && shared.is_closed();
        if let Some(ledger) = ledger {
            ledger.open();
        }
        let is_new = !delivery.is_recorded();
        if is_new && store.need(turn, &shared).is_none() {
            self.state.last = u64::MAX; // It stays in memory alone, and nobody is promised it.
            return;
        }
        let from = delivery.group.as_ref().filter(|_| delivery.parked != NO_NUMBER);
        let from = from.map(|group| group.parked(delivery.parked));
        let staged = store.stage(turn, &delivery.record(self.session.key, closed, from));
        self.state.last = staged.end;
        if staged.is_refused() {
            if is_new {
                store.release(&shared);
            }
            return;
        }
        store.needs_not(delivery.place);
        store.needs(staged.position);
        (delivery.place, delivery.parked) = (staged.position, NO_NUMBER);
    }

    /// A delivery is over: the client has it, or nobody will.
    pub(crate) fn strike(&mut self, turn: &mut Turn, delivery: &Delivery) {
        if delivery.is_recorded() {
            self.state.last = self.engine.strike(turn, self.session.key, delivery).max(self.state.last);
        }
    }

    /// Deliveries were dropped by policy: what follows them waits until that is durable, or they would rise again behind it.
    pub(crate) fn strike_dropped(&mut self, turn: &mut Turn, dropped: &[Delivery]) {
        for delivery in dropped {
            self.strike(turn, delivery);
            if self.state.last != u64::MAX {
                self.state.not_before = self.state.last;
            }
        }
    }

    /// The client has a QoS 2 message. Gives what its PUBREL waits for.
    pub(crate) fn note_received(&mut self, turn: &mut Turn, delivery: &Delivery) {
        if delivery.parked != NO_NUMBER {
            self.strike(turn, delivery); // Its group was owed it: this session does not outlive a crash.
        } else if delivery.is_recorded() {
            let store = &self.engine.store;
            let record = Record::Received { key: self.session.key, number: delivery.number };
            let staged = store.stage(turn, &record);
            self.state.last = staged.end;
            self.state.handshakes = self.state.handshakes.min(staged.position);
            store.needs_not(delivery.place);
            store.release(&delivery.message);
        }
    }

    /// The client has completed a QoS 2 delivery.
    pub(crate) fn note_completed(&mut self, turn: &mut Turn, number: u64) {
        if self.is_durable() {
            let record = Record::Done { key: self.session.key, number };
            self.state.last = self.engine.store.stage(turn, &record).end;
        }
    }

    /// The publisher will not send this message again.
    pub(crate) fn note_released(&mut self, turn: &mut Turn, packet_id: PacketId) {
        if self.is_durable() {
            let record = Record::Released { key: self.session.key, packet_id };
            self.state.last = self.engine.store.stage(turn, &record).end;
        }
    }

    /// What a delivery of the queue waits for before it may be sent, if it has not come yet.
    pub(crate) fn awaits(&self, delivery: &Delivery) -> Option<(u64, Level)> {
        let store = &self.engine.store;
        let journal = store.journal()?;
        if delivery.message.stored.is_given_up() {
            return None; // Nobody gets it: it makes room for what follows.
        }
        let level = self.state.link.as_ref().map_or(Level::Power, |link| link.level);
        let is_missing = |position: u64, level: Level| {
            (position > 0 && level != Level::Memory && journal.reached(level) < position)
                .then_some((position, level))
        };
        let (committed, publisher_level) = delivery.message.stored.committed();
        // A record has been reached as a whole once anything behind its first byte has.
        let entered = delivery.qos == QoS::ExactlyOnce && delivery.is_recorded();
        is_missing(committed, publisher_level)
            .or_else(|| is_missing(self.state.not_before, level))
            .or_else(|| is_missing(if entered { delivery.place + 1 } else { 0 }, level))
    }

    /// Whether a delivery is durable before it is sent, however little its publisher is promised: a crash would give its
    /// packet identifier to another message, and the client, which completes the first one, would never take that.
    pub(crate) fn enters_first(&self, qos: QoS) -> bool {
        qos == QoS::ExactlyOnce
            && self.is_durable()
            && self.state.link.as_ref().is_some_and(|link| link.level != Level::Memory)
    }

    /// What the next fetch of retained messages waits for, if it has not come yet.
    pub(crate) fn awaited_by_fetch(&self) -> Option<(u64, Level)> {
        let journal = self.engine.store.journal()?;
        let level = self.state.link.as_ref().map_or(Level::Power, |link| link.level);
        let after = self.state.rare.as_ref()?.fetches.first()?.after;
        // Where its record was refused, SUBACK closed the connection; a later one waits for nothing.
        let is_missing = after != u64::MAX && journal.reached(level) < after;
        (level != Level::Memory && is_missing).then_some((after, level))
    }

    /// The head of the queue waits for the disk: whoever releases looks at it again.
    pub(crate) fn park_head(&mut self, turn: &mut Turn, position: u64, level: Level) {
        if position == u64::MAX {
            self.await_close(turn);
            return;
        }
        turn.want(position, level);
        if self.state.parked_for != position {
            self.state.parked_for = position;
            turn.park(position, level, self.session.clone());
        }
    }
}

impl Locked<'_> {
    /// The end of a publish under way is not known. It is asked for, then looked for once more: it may have come meanwhile.
    fn await_close(&mut self, turn: &mut Turn) {
        self.engine.store.await_close(self.session);
        self.await_entry(turn);
    }

    /// The queue is looked at when what its head waits for has come.
    pub(crate) fn await_entry(&mut self, turn: &mut Turn) {
        let front = self.state.queue.as_ref().and_then(|queue| queue.front());
        match front.map(|front| self.awaits(front)) {
            Some(Some((u64::MAX, _))) | None => {}
            Some(Some((position, level))) => self.park_head(turn, position, level),
            Some(None) => self.state.link.iter().for_each(|link| link.wire.wake()),
        }
    }
}

impl Engine {
    /// Strikes off what the journal says that a session, or a group, is owed. Gives where that is recorded.
    pub(crate) fn strike(&self, turn: &mut Turn, key: u64, delivery: &Delivery) -> u64 {
        let parked = delivery.group.as_ref().filter(|_| delivery.parked != NO_NUMBER);
        let record = match parked {
            Some(group) => Record::Unpark { parked: group.parked(delivery.parked) },
            None => Record::Done { key, number: delivery.number },
        };
        let end = self.store.stage(turn, &record).end;
        self.store.needs_not(delivery.place);
        self.store.release(&delivery.message);
        end
    }
}
