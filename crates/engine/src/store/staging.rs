//! Hands records to the journal, and knows what of them is needed still.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use whimbrel_proto::Millis;

use super::{Journal, Level, Record, Staged, Trouble};
use crate::{Count, Turn, Wire, message::Message, session::Session, sync::Mutex, turn::Now};

/// What a record without a message counts as needed bytes: near enough for deciding when to clean.
const RECORD_BYTES: i64 = 40;

/// Stands for a record that is not there.
pub(crate) const NO_PLACE: u64 = u64::MAX;

/// The engine's side of the journal.
#[derive(Default)]
pub(crate) struct Store {
    journal: Option<Arc<dyn Journal>>,
    /// Publishers that wait until the journal takes more.
    waiting: Mutex<Vec<Arc<dyn Wire>>>,
    /// Whether there are any; changed under their lock.
    is_awaited: AtomicBool,
    /// Sessions with messages of publishes under way, whose end is not known.
    unclosed: Mutex<Vec<Arc<Session>>>,
    /// Sessions whose next deliveries have to be read back.
    back: Mutex<VecDeque<Arc<Session>>>,
}

impl Store {
    pub(crate) fn new(journal: Option<Arc<dyn Journal>>) -> Self {
        Store { journal, ..Store::default() }
    }

    /// Whether anything is recorded at all.
    pub(crate) fn is_on(&self) -> bool {
        self.journal.is_some()
    }

    pub(crate) fn journal(&self) -> Option<&Arc<dyn Journal>> {
        self.journal.as_ref()
    }

    /// Hands over a record. Where it is refused nothing of it is promised: [`Turn::refused`] counts it.
    pub(crate) fn stage(&self, turn: &mut Turn, record: &Record<'_>) -> Staged {
        let Some(journal) = &self.journal else { return Staged { position: NO_PLACE, end: 0 } };
        turn.record.clear();
        record.encode(&mut turn.record);
        turn.staged = true;
        match journal.stage(&turn.record) {
            Ok(staged) => {
                turn.staged_bytes += staged.end - staged.position;
                staged
            }
            Err(super::StageRefused) => {
                turn.count(Count::RecordsRefused, 1);
                turn.refused += 1;
                Staged::REFUSED
            }
        }
    }

    /// Somebody more is owed the message: it is recorded, unless it is and somebody needs the record already. Gives the name
    /// by which others refer to it, `None` where the journal refuses it. The caller holds the message's gate.
    pub(crate) fn need(&self, turn: &mut Turn, message: &Message) -> Option<u64> {
        let is_first = message.stored.hold();
        let id = message.stored.id();
        if id == 0 || is_first {
            // Where nobody needed the record for a while it may be gone.
            let staged = self.stage_message(turn, message, id);
            if staged.is_refused() {
                message.stored.release();
                return None;
            }
            if id == 0 {
                message.stored.note(staged);
            } else {
                message.stored.move_to(staged);
            }
        }
        if is_first {
            let (place, bytes) = message.stored.place();
            self.count(place, i64::from(bytes));
        }
        Some(message.stored.id())
    }

    fn stage_message(&self, turn: &mut Turn, message: &Message, id: u64) -> Staged {
        let body = message.body();
        let record = Record::Message {
            id,
            topic: body.topic,
            forwarded: body.forwarded,
            payload: body.payload,
            qos: body.qos,
            retain: body.retain,
            expires: wall_of(turn.now, body.expires),
            publisher: body.publisher,
        };
        self.stage(turn, &record)
    }

    /// Records a message anew if it lies before `below`. Gives the number of records. The caller holds the message's gate.
    pub(crate) fn move_before(&self, turn: &mut Turn, message: &Message, below: u64) -> u64 {
        if message.stored.id() == 0 || message.stored.place().0 >= below {
            return 0;
        }
        let staged = self.stage_message(turn, message, message.stored.id());
        if staged.is_refused() {
            return 0;
        }
        let (from, bytes) = message.stored.move_to(staged);
        self.count(from, -i64::from(bytes));
        self.count(staged.position, i64::from(bytes));
        1
    }

    /// Somebody more is owed a message that is recorded.
    pub(crate) fn hold(&self, message: &Message) {
        if message.stored.hold() {
            let (place, bytes) = message.stored.place();
            self.count(place, i64::from(bytes));
        }
    }

    /// Somebody less is owed it; with the last one its record is needed no more.
    pub(crate) fn release(&self, message: &Message) {
        if let Some((place, bytes)) = message.stored.release() {
            self.count(place, -i64::from(bytes));
        }
    }

    /// The record at this place is needed.
    pub(crate) fn needs(&self, place: u64) {
        self.count(place, RECORD_BYTES);
    }

    /// The record at this place is needed no more.
    pub(crate) fn needs_not(&self, place: u64) {
        self.count(place, -RECORD_BYTES);
    }

    /// So many bytes of the record at this place are needed, or no more.
    pub(super) fn needs_bytes(&self, place: u64, bytes: i64) {
        self.count(place, bytes);
    }

    /// The session's next deliveries are to be read back.
    pub(super) fn want_back(&self, session: &Arc<Session>) {
        self.back.lock().push_back(session.clone());
        if let Some(journal) = &self.journal {
            journal.call_reader();
        }
    }

    /// The same, for one whose deliveries could not be read now.
    pub(super) fn want_back_again(&self, session: Arc<Session>) {
        self.back.lock().push_back(session);
    }

    pub(super) fn next_back(&self) -> Option<Arc<Session>> {
        self.back.lock().pop_front()
    }

    fn count(&self, place: u64, bytes: i64) {
        if place != NO_PLACE
            && let Some(journal) = &self.journal
        {
            journal.count_live(place, bytes);
        }
    }

    /// Whether everything before `position` has this level. Asks for it where it has not.
    pub(crate) fn has_reached(&self, turn: &mut Turn, position: u64, level: Level) -> bool {
        let Some(journal) = &self.journal else { return true };
        if position == 0 || level == Level::Memory || journal.reached(level) >= position {
            return true;
        }
        turn.want(position, level);
        false
    }

    /// Where the journal ends: what waits for it waits for everything.
    pub(crate) fn end(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.staged())
    }

    /// Whether who brings messages that have to be kept should wait.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is_over_budget())
    }

    /// Why the disk takes nothing, if it takes nothing.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.journal.as_ref()?.trouble()
    }

    /// Has the wire woken when the journal takes more.
    pub(crate) fn wait(&self, waiter: &Arc<dyn Wire>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            waiting.push(waiter.clone());
        }
        self.is_awaited.store(true, Relaxed);
        drop(waiting);
        self.let_in(); // The second look: the journal may have got room meanwhile.
    }

    /// Whether anybody waits until the journal takes more.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    /// Whether [`Self::let_in`] would wake anybody.
    pub(crate) fn may_let_in(&self) -> bool {
        self.is_awaited() && !self.is_over_budget()
    }

    /// The session is looked at again when the next publish is closed that anybody waits for.
    pub(crate) fn await_close(&self, session: &Arc<Session>) {
        let mut unclosed = self.unclosed.lock();
        if !unclosed.iter().any(|known| Arc::ptr_eq(known, session)) {
            unclosed.push(session.clone());
        }
    }

    /// Takes the sessions that wait for the end of a publish.
    pub(crate) fn take_unclosed(&self) -> Vec<Arc<Session>> {
        std::mem::take(&mut *self.unclosed.lock())
    }

    /// Wakes whoever waits for the journal, if it takes more; if not, asks that it does: what fills it may be of somebody who
    /// asks for nothing, as cleaning does.
    pub(crate) fn let_in(&self) {
        if self.is_over_budget() && !self.asks_for_room() {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting.lock();
            self.is_awaited.store(false, Relaxed);
            std::mem::take(&mut *waiting)
        };
        for waiter in waiting {
            waiter.wake();
        }
    }

    /// For whoever waits, if anybody does. Whether there is room already: nobody reports that once more.
    fn asks_for_room(&self) -> bool {
        let Some(journal) = self.journal.as_ref().filter(|_| !self.waiting.lock().is_empty()) else {
            return false;
        };
        journal.ask(journal.staged(), Level::Power);
        !journal.is_over_budget()
    }
}

/// Seconds since 1970 at a monotonic moment; `u64::MAX` is never.
pub(crate) fn wall_of(now: Now, at: Millis) -> u64 {
    if at == Millis::NEVER { u64::MAX } else { now.wall_secs + at.since(now.mono).div_ceil(1_000) }
}

/// The monotonic moment of a time by the wall clock; what has passed already is now.
pub(crate) fn mono_of(now: Now, wall_secs: u64) -> Millis {
    if wall_secs == u64::MAX {
        Millis::NEVER
    } else {
        now.mono.plus_secs(wall_secs.saturating_sub(now.wall_secs))
    }
}
