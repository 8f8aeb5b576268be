//! The account of one publish while it is under way: what of it is recorded, and who waits for its end.

use std::sync::Arc;

use super::{Level, Owner, Record, Store};
use crate::{Turn, message::Message, session::Session};

/// Travels with the message from its first receiver to its last.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Of whoever publishes it.
    pub level: Level,
    /// Nobody gets the message before it is on the disk: it is of QoS 2, and a crash would bring it once more.
    pub waits: bool,
    /// Something has been recorded that counts only with the end.
    is_open: bool,
    /// What the message replaces as the retained one of its topic.
    replaced: Option<(Arc<Message>, u64)>,
    /// In whose queues it waits for the disk.
    owed: Vec<Arc<Session>>,
    /// What was here already, and is promised with this message, is durable from there on.
    after: u64,
}

impl Ledger {
    pub(crate) fn new(level: Level) -> Self {
        Ledger { level, ..Ledger::default() }
    }

    /// Something is recorded that counts only once the publish is closed.
    pub(crate) fn open(&mut self) {
        self.is_open = true;
    }

    /// The message waits in this session's queue until it is on the disk.
    pub(crate) fn owe(&mut self, session: &Arc<Session>) {
        self.owed.push(session.clone());
    }

    /// The acknowledgement waits for this position besides.
    pub(crate) fn wait_for(&mut self, position: u64) {
        self.after = self.after.max(position);
    }

    /// This retained message is needed until the publish is closed.
    pub(crate) fn replaces(&mut self, message: Arc<Message>, place: u64) {
        self.replaced = Some((message, place));
    }

    /// Everything of the publish has been recorded. Gives the position that its acknowledgement waits for, 0 for none.
    pub(crate) fn close(
        &mut self,
        store: &Store,
        turn: &mut Turn,
        message: Option<&Message>,
        owner: Owner,
    ) -> u64 {
        if !store.is_on() {
            return 0;
        }
        let mut end = self.after;
        // Who records the message besides knows by the same gate whether it is whole.
        let gate = message.filter(|_| self.waits).map(|message| message.stored.gate());
        if self.is_open || owner != Owner::Nobody {
            let id = message.filter(|_| self.is_open).map_or(0, |message| message.stored.id());
            end = end.max(store.stage(turn, &Record::Close { message: id, owner }).end);
        }
        if let Some(message) = message.filter(|_| self.waits) {
            message.stored.commit(end);
        }
        drop(gate);
        if let Some((message, place)) = self.replaced.take() {
            store.needs_not(place);
            store.release(&message);
        }
        if self.waits {
            for session in self.owed.drain(..).chain(store.take_unclosed()) {
                turn.park(end, self.level, session);
            }
            turn.want(end, self.level);
            // Where it turns out that nothing was recorded, nobody will report.
            turn.is_releasable |= end == 0;
        }
        end
    }
}
