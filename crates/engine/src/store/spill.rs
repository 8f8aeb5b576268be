//! Long queues on disk: of a delivery that the journal has, and that nobody takes soon, memory keeps only where it is
//! recorded. It is read back when its turn comes near, and recorded anew by cleaning like everything else.
//!
//! Reading waits for the disk. Workers never do it: they ask, and the owner of the engine calls [`Engine::read_back`] on a
//! thread that may wait.

use std::sync::Arc;

use whimbrel_proto::{Millis, codec::QoS};

use super::{Journal, Level, NO_PLACE, ReadFailed, Record, Store, staging::wall_of};
use crate::{
    Count, Engine, Notice, Turn,
    message::{Body, Message},
    queue::{Away, Delivery, NO_NUMBER},
    session::{Locked, Session},
};

/// Deliveries that go to the disk alone with one message that enters.
const LEAVE_AT_ONCE: usize = 16;
/// A queue with fewer deliveries in memory has more of them read back.
const FEW: usize = 32;
/// Deliveries and bytes that are read back at once.
const BACK_AT_ONCE: usize = 256;
const BACK_BYTES: usize = 256 << 10;
/// The same while memory is short.
const BACK_IN_NEED: usize = 16;
/// Entries that cleaning looks at while a session is locked, and how many of them it records anew.
const LOOK_AT_ONCE: usize = 4_096;
const MOVE_AT_ONCE: usize = 256;
/// Messages that a cleaning remembers to have recorded anew already.
const REMEMBERED_MAX: usize = 200_000;

/// What came of [`Engine::read_back`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// Nobody wants anything read.
    Idle,
    /// Some deliveries are in memory again. There may be more to do.
    Done,
    /// What comes next cannot be read yet. Try again a little later.
    Later,
}

/// What a cleaning remembers of what is on disk alone.
#[derive(Default)]
pub(super) struct Moved {
    /// The number of the session's delivery that is looked at next.
    from: u64,
    /// Where messages were recorded anew, by where they were.
    messages: super::fold::Numbered<u64>,
}

impl Store {
    /// Where the journal has a delivery of a queue, if it can be read back from there. Its message counts as needed then.
    fn away(&self, delivery: &Delivery) -> Option<Away> {
        let journal = self.journal()?;
        let is_own = delivery.group.is_none() && delivery.parked == NO_NUMBER;
        if !is_own || !delivery.is_recorded() || delivery.qos == QoS::AtMostOnce {
            return None;
        }
        let message = &delivery.message;
        let _gate = message.stored.gate();
        let (committed, level) = message.stored.committed();
        let (place, bytes) = message.stored.place();
        if committed > journal.reached(level) || place.max(delivery.place) >= journal.reached(Level::Process)
        {
            return None;
        }
        let size = u32::try_from(message.size()).ok()?;
        let (number, expires) = (delivery.number, message.expires());
        let away = Away { number, place: delivery.place, message: place, bytes, size, expires };
        self.needs_bytes(away.message, i64::from(bytes));
        Some(away)
    }

    /// What a delivery needed on disk alone is needed no more.
    pub(crate) fn forget(&self, away: &Away) {
        self.needs_not(away.place);
        self.needs_bytes(away.message, -i64::from(away.bytes));
    }
}

impl Locked<'_> {
    /// Where memory is short, what the journal has of this queue is left to it, but for the first messages.
    pub(crate) fn spill(&mut self, turn: &Turn) {
        let Engine { store, budget, limits, .. } = self.engine;
        let Some(queue) = self.state.queue.as_mut().filter(|_| store.is_on()) else { return };
        let Some(keep) = budget.keeps_here(limits) else { return };
        for _ in 0..LEAVE_AT_ONCE {
            let Some(next) = queue.next_to_leave(keep) else { return };
            let size = next.message.size();
            if !budget.may_leave(limits, size) {
                turn.count(Count::QueuesDiskLimit, 1);
                return;
            }
            let Some(away) = store.away(next) else { return };
            let Some(gone) = queue.leave(keep, away) else { return };
            store.release(&gone.message);
            budget.dequeued(1, size);
            budget.away(size);
            turn.count(Count::QueuedOnDisk, 1);
        }
    }

    /// Whether the next delivery of an earlier life of the server stays on disk alone.
    pub(super) fn leaves_restored(&self) -> bool {
        let Engine { budget, limits, .. } = self.engine;
        let queue = self.state.queue.as_ref();
        let here = queue.map_or(0, |queue| queue.here().0);
        queue.is_none_or(|queue| !queue.has_tail())
            && budget.keeps_here(limits).is_some_and(|keep| here >= keep)
    }

    /// A delivery of an earlier life of the server that stays on disk alone.
    pub(super) fn restore_away(&mut self, away: Away) {
        self.engine.store.needs(away.place);
        self.engine.store.needs_bytes(away.message, i64::from(away.bytes));
        self.engine.budget.away(away.size as usize);
        self.state.queue.get_or_insert_default().push_away(away);
    }

    /// Has the next deliveries read back when few are left in memory.
    pub(crate) fn ask_back(&mut self) {
        if let Some(queue) = &mut self.state.queue
            && queue.ask_back(FEW)
        {
            self.engine.store.want_back(self.session);
        }
    }

    /// Deliveries went by policy that were on disk alone: what follows them waits until that is durable.
    pub(crate) fn strike_away(&mut self, turn: &mut Turn, dropped: &[Away]) {
        for away in dropped {
            let record = Record::Done { key: self.session.key, number: away.number };
            self.state.last = self.engine.store.stage(turn, &record).end;
            self.engine.store.forget(away);
            self.state.not_before = self.state.last;
        }
    }

    /// What is to be read back now: nothing for a client that is not there.
    fn wanted_back(&mut self) -> Vec<Away> {
        let Engine { budget, limits, .. } = self.engine;
        let is_there = self.state.open_link().is_some();
        let Some(queue) = &mut self.state.queue else { return Vec::new() };
        let most = if budget.is_memory_full(limits, 0) { BACK_IN_NEED } else { BACK_AT_ONCE };
        let wanted = if is_there { queue.first_away(most, BACK_BYTES) } else { Vec::new() };
        if wanted.is_empty() {
            queue.asked_in_vain();
        }
        wanted
    }

    /// Deliveries are in memory again, as far as they still come next. Gives how many.
    fn take_back(&mut self, read: Vec<(Away, Delivery)>) -> usize {
        let Engine { store, budget, .. } = self.engine;
        let Some(queue) = &mut self.state.queue else { return 0 };
        let mut came = 0;
        for (away, delivery) in read {
            let (size, message) = (delivery.message.size(), delivery.message.clone());
            if !queue.come_back(&away, delivery) {
                break; // It was dropped or recorded elsewhere meanwhile.
            }
            store.hold(&message);
            store.needs_bytes(away.message, -i64::from(away.bytes));
            budget.not_away(1, away.size as usize);
            budget.queued(size);
            came += 1;
        }
        came
    }
}

impl Engine {
    /// Reads the next deliveries of one client back that are on disk alone, and wakes its connection. It blocks on the disk.
    pub fn read_back(&self, turn: &mut Turn) -> ReadBack {
        let Some(journal) = self.store.journal() else { return ReadBack::Idle };
        let Some(session) = self.store.next_back() else { return ReadBack::Idle };
        let wanted = Locked::new(self, &session).wanted_back();
        if wanted.is_empty() {
            return ReadBack::Done;
        }
        let mut read = Vec::with_capacity(wanted.len());
        let mut failed = None;
        for away in wanted {
            match read_away(&**journal, &away) {
                Ok(delivery) => read.push((away, delivery)),
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        let mut locked = Locked::new(self, &session);
        let came = locked.take_back(read);
        turn.count(Count::QueuedReadBack, came as u64);
        if came == 0
            && let Some(why) = failed
        {
            drop(locked);
            return self.read_later(turn, session, why);
        }
        if let Some(queue) = &mut locked.state.queue {
            queue.asked_in_vain();
        }
        if let Some(link) = &locked.state.link {
            link.wire.wake();
        }
        ReadBack::Done
    }

    fn read_later(&self, turn: &mut Turn, session: Arc<Session>, why: ReadFailed) -> ReadBack {
        if let ReadFailed::Broken(what) = why {
            turn.count(Count::ReadBackFailed, 1);
            turn.notice(Notice::Unreadable { client_id: session.client_id.clone(), what });
        } else if let Some(journal) = self.store.journal() {
            journal.nudge(); // It may have been recorded anew, and not be written yet.
        }
        self.store.want_back_again(session);
        ReadBack::Later
    }

    /// Messages of queues of which the disk alone has the bytes, and those bytes.
    #[must_use]
    pub fn queued_on_disk(&self) -> (usize, usize) {
        self.budget.on_disk()
    }

    /// Records what a session has on disk alone anew as far as it lies before `below`: a piece of it, true when that was the
    /// last. It is read without the session's lock.
    pub(super) fn reclaim_away(
        &self,
        turn: &mut Turn,
        session: &Arc<Session>,
        below: u64,
        moved: &mut Moved,
    ) -> (u64, bool) {
        let Some(journal) = self.store.journal() else { return (0, true) };
        let is_old = |away: &Away| away.place.min(away.message) < below;
        let (mut old, mut next) = {
            let locked = Locked::new(self, session);
            let Some(queue) = &locked.state.queue else { return (0, true) };
            queue.find_away(moved.from, LOOK_AT_ONCE, is_old)
        };
        if let Some(further) = old.get(MOVE_AT_ONCE) {
            next = Some(further.number);
            old.truncate(MOVE_AT_ONCE);
        }
        let mut count = 0;
        for away in old {
            // What cannot be read keeps its segment.
            let Ok(enqueue) = journal.read(away.place) else { continue };
            let known = moved.messages.get(&away.message).copied();
            let message = match known {
                None if away.message < below => journal.read(away.message).ok(),
                _ => None,
            };
            if message.is_none() && known.is_none() && away.message < below {
                continue;
            }
            count += self.move_away(turn, session, (&away, below), &enqueue, message.as_deref(), moved);
        }
        moved.from = next.unwrap_or(0);
        (count, next.is_none())
    }

    /// Records one delivery anew, and its message where that was read too. Gives the number of records.
    fn move_away(
        &self,
        turn: &mut Turn,
        session: &Arc<Session>,
        (away, below): (&Away, u64),
        enqueue: &[u8],
        message: Option<&[u8]>,
        moved: &mut Moved,
    ) -> u64 {
        let Some(Record::Enqueue { key, number, message: id, qos, retain, ids, .. }) =
            Record::decode(enqueue)
        else {
            return 0;
        };
        let mut locked = Locked::new(self, session);
        let Some(known) = locked.state.queue.as_mut().and_then(|queue| queue.away_mut(away.number)) else {
            return 0;
        };
        if known != away {
            return 0;
        }
        let (store, mut count) = (&self.store, 0);
        if let Some(Record::Message { topic, forwarded, payload, qos, retain, publisher, .. }) =
            message.and_then(Record::decode)
        {
            let expires = wall_of(turn.now, away.expires);
            let record = Record::Message { id, topic, forwarded, payload, qos, retain, expires, publisher };
            let staged = store.stage(turn, &record);
            if staged.position == NO_PLACE {
                return 0;
            }
            if moved.messages.len() >= REMEMBERED_MAX {
                moved.messages.clear();
            }
            moved.messages.insert(away.message, staged.position);
            count += 1;
        }
        if let Some(place) = moved.messages.get(&away.message).filter(|_| away.message < below) {
            store.needs_bytes(away.message, -i64::from(away.bytes));
            store.needs_bytes(*place, i64::from(away.bytes));
            known.message = *place;
        }
        if away.place < below {
            let (closed, from, group) = (true, None, None);
            let record = Record::Enqueue { key, number, message: id, qos, retain, closed, ids, from, group };
            let staged = store.stage(turn, &record);
            if staged.position == NO_PLACE {
                return count;
            }
            store.needs_not(away.place);
            store.needs(staged.position);
            known.place = staged.position;
            locked.state.last = staged.end;
            count += 1;
        }
        count
    }
}

/// Reads one delivery and its message.
fn read_away(journal: &dyn Journal, away: &Away) -> Result<Delivery, ReadFailed> {
    let enqueue = journal.read(away.place)?;
    let Some(Record::Enqueue { number, message: id, qos, retain, ids, .. }) = Record::decode(&enqueue) else {
        return Err(ReadFailed::Broken(format!("the record at {} is no Enqueue", away.place)));
    };
    if number != away.number {
        return Err(ReadFailed::Broken(format!("the record at {} is of another delivery", away.place)));
    }
    let message = journal.read(away.message)?;
    let message = message_of(&message, away.expires, 0)
        .ok_or_else(|| ReadFailed::Broken(format!("the record at {} is no Message", away.message)))?;
    message.stored.restore(id, away.message, away.bytes);
    let ids = (!ids.is_empty()).then(|| Arc::from(ids));
    let mut delivery = Delivery::new(Arc::new(message), ids, qos, retain);
    (delivery.number, delivery.place) = (number, away.place);
    Ok(delivery)
}

/// The message that a record holds, but for its expiry: the record says that by the clock of its day.
pub(super) fn message_of(record: &[u8], expires: Millis, number: u64) -> Option<Message> {
    let Some(Record::Message { topic, forwarded, payload, qos, retain, publisher, .. }) =
        Record::decode(record)
    else {
        return None;
    };
    Some(Message::new(&Body { topic, forwarded, payload, qos, retain, expires, publisher, number }))
}
