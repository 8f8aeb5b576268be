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
    /// How many records the journal had refused when this slice began, and whether it has refused one of this publish.
    refused_before: u64,
    is_refused: bool,
}

impl Ledger {
    pub(crate) fn new(level: Level) -> Self {
        Ledger { level, ..Ledger::default() }
    }

    /// A slice of the publish begins: what is refused from now on is its own.
    pub(crate) fn begin_slice(&mut self, turn: &Turn) {
        self.refused_before = turn.refused;
    }

    /// A slice has ended.
    pub(crate) fn end_slice(&mut self, turn: &Turn) {
        self.is_refused |= turn.refused != self.refused_before;
    }

    /// Whether something has been recorded that counts only with the end.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
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

    /// Everything of the publish has been recorded. Gives the position that its acknowledgement waits for, 0 for none;
    /// `None` where the journal has refused something of it. Then nobody is promised it: it stays without its end, so that
    /// a recovery leaves it out, and who waits for its end goes on without it.
    pub(crate) fn close(
        &mut self,
        store: &Store,
        turn: &mut Turn,
        message: Option<&Message>,
        owner: Owner,
    ) -> Option<u64> {
        if !store.is_on() {
            return Some(0);
        }
        let mut end = self.after;
        // Who records the message besides knows by the same gate whether it is whole.
        let gate = message.filter(|_| self.waits).map(|message| message.stored.gate());
        if !self.is_refused && (self.is_open || owner != Owner::Nobody) {
            let id = message.filter(|_| self.is_open).map_or(0, |message| message.stored.id());
            let staged = store.stage(turn, &Record::Close { message: id, owner });
            self.is_refused = staged.is_refused();
            end = end.max(staged.end);
        }
        if self.is_refused {
            end = 0;
        }
        match message.filter(|_| self.waits) {
            Some(message) if self.is_refused => message.stored.give_up(),
            Some(message) => message.stored.commit(end),
            None => {}
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
        (!self.is_refused).then_some(end)
    }
}
