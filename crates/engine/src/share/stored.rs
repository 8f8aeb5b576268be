//! What the journal knows of shared groups: messages that a group is owed, while any of its members outlives a crash.

use std::sync::{Arc, atomic::Ordering};

use super::{Group, GroupState, Groups};
use crate::{
    Engine, Turn,
    queue::{Delivery, NO_NUMBER},
    session::Locked,
    store::{Ledger, Parked, Record},
};

impl Group {
    /// Share name and topic filter.
    pub(crate) fn names(&self) -> (&str, &str) {
        (&self.name, &self.filter)
    }

    /// How the journal calls a message of the queue.
    pub(crate) fn parked(&self, number: u64) -> Parked<'_> {
        Parked { share: &self.name, filter: &self.filter, number }
    }

    /// Whether what the group is owed is recorded.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Relaxed) > 0
    }

    /// A number for a message that comes back to the head of the queue.
    fn number_at_head(&self, groups: &Groups) -> u64 {
        self.state.lock().recorded = true;
        groups.first_number.fetch_sub(1, Ordering::Relaxed) - 1
    }

    /// A number for a message at the end of the queue.
    fn number_at_end(&self, groups: &Groups) -> u64 {
        self.state.lock().recorded = true;
        groups.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_durable(&self, state: &GroupState) {
        let durable = state.members.iter().filter(|member| member.durable).count();
        self.durable.store(durable, Ordering::Relaxed);
    }
}

impl Locked<'_> {
    /// Messages leave this session for their groups: recorded there first, struck off here after. After a crash in between
    /// a start does the second ([`Engine::end_given_back`]).
    pub(crate) fn give_back(&mut self, turn: &mut Turn, abandoned: &mut [Delivery]) {
        let store = &self.engine.store;
        // The last one first: each goes before the one that is at the head.
        for delivery in abandoned.iter_mut().rev() {
            let Some(group) = delivery.group.clone().filter(|_| delivery.is_recorded()) else { continue };
            if delivery.parked != NO_NUMBER {
                continue; // The journal has it with the group.
            }
            let parked = group.parked(group.number_at_head(&self.engine.groups));
            let message = delivery.message.stored.id();
            let staged = store.stage(turn, &Record::Park { parked, message, closed: true });
            let record = Record::Done { key: self.session.key, number: delivery.number };
            self.state.last = store.stage(turn, &record).end;
            store.needs_not(delivery.place);
            store.needs(staged.position);
            (delivery.place, delivery.parked) = (staged.position, parked.number);
        }
    }
}

impl Engine {
    /// Strikes off what the journal says that a group is owed.
    pub(super) fn strike_parked(&self, turn: &mut Turn, delivery: &Delivery) {
        if delivery.parked != NO_NUMBER {
            self.strike(turn, 0, delivery);
        }
    }

    /// Records that the group is owed a message, if any of its members outlives a crash.
    pub(super) fn record_parked(
        &self,
        turn: &mut Turn,
        group: &Group,
        delivery: &mut Delivery,
        ledger: &mut Ledger,
    ) {
        if !self.store.is_on() || !group.is_durable() {
            return;
        }
        ledger.open();
        let shared = delivery.message.clone();
        let _gate = shared.stored.gate();
        let Some(message) = self.store.need(turn, &shared) else { return };
        let parked = group.parked(group.number_at_end(&self.groups));
        let staged = self.store.stage(turn, &Record::Park { parked, message, closed: false });
        if staged.is_refused() {
            self.store.release(&shared);
            return;
        }
        (delivery.place, delivery.parked) = (staged.position, parked.number);
        self.store.needs(delivery.place);
    }

    /// The group of this share name and topic filter, if there is one.
    pub(crate) fn find_group(&self, name: &str, filter: &str) -> Option<Arc<Group>> {
        let hash = self.groups.hash(name, filter);
        let groups = self.groups.groups.lock();
        groups.find(hash, |group| *group.name == *name && *group.filter == *filter).cloned()
    }

    /// Every group at the moment; for rare tasks.
    pub(crate) fn all_groups(&self) -> Vec<Arc<Group>> {
        self.groups.groups.lock().iter().cloned().collect()
    }

    /// Records what waits in the group's queue anew as far as it lies before `below`. Gives the number of records.
    pub(crate) fn reclaim_group(&self, turn: &mut Turn, group: &Arc<Group>, below: u64) -> u64 {
        let mut state = group.state.lock();
        let mut moved = 0;
        for delivery in state.queue.iter_mut() {
            // In the queue a delivery does not name its group: it is the queue's.
            delivery.group = Some(group.clone());
            moved += self.move_delivery(turn, 0, delivery, below);
            delivery.group = None;
        }
        moved
    }

    /// Sessions of an earlier life of the server had given these messages back to their groups, which was half recorded.
    pub(crate) fn end_given_back(&self, given_back: &[(u64, u64)]) {
        if given_back.is_empty() {
            return;
        }
        let mut turn = self.turn_to_record();
        for (key, number) in given_back.iter().copied() {
            self.store.stage(&mut turn, &Record::Done { key, number });
        }
    }

    /// A group of an earlier life of the server has no member any more: the last one's session had ended, but the end of
    /// the group was not recorded yet. Without it what the group was owed would rise again with the next one of its name.
    pub(crate) fn end_restored_group(&self, share: &str, filter: &str) {
        self.store.stage(&mut self.turn_to_record(), &Record::GroupEnd { share, filter });
    }

    /// Puts a message of an earlier life of the server at the end of the group's queue.
    pub(crate) fn restore_parked(&self, group: &Group, delivery: Delivery) {
        let mut state = group.state.lock();
        state.recorded = true;
        self.groups.first_number.fetch_min(delivery.parked, Ordering::Relaxed);
        self.groups.next_number.fetch_max(delivery.parked + 1, Ordering::Relaxed);
        self.budget.queued(delivery.message.size());
        state.queue.push(delivery);
        group.waiting.store(state.queue.len(), Ordering::SeqCst);
    }
}
