//! How encoded bytes leave: the only place that calls a wire. No lock is held while it writes.
//!
//! The first thread that flushes a link is its only writer (`writing`); others append and leave, and the writer looks
//! again before it goes.

use std::sync::Arc;

use whimbrel_proto::Millis;

use crate::{
    Count, Engine, Turn, Wire, Written,
    outbox::Outbox,
    session::{Locked, Session},
};

/// Writes of one link in a row: others may append as fast as this thread writes.
const WRITES_IN_A_ROW: usize = 4;

/// What was taken from a link to be written.
struct Output {
    wire: Arc<dyn Wire>,
    out: Outbox,
    epoch: u32,
}

impl Engine {
    /// Writes what this turn has appended, link by link. A link to which others append all the time may be left for
    /// the next flush ([`Turn::has_output`]).
    pub fn flush(&self, turn: &mut Turn) {
        turn.urgent = false;
        self.commit(turn);
        let mut unfinished = Vec::new();
        while let Some(session) = turn.dirty.pop() {
            if !self.flush_session(turn, &session) {
                unfinished.push(session);
            }
        }
        turn.dirty.append(&mut unfinished);
    }

    /// False when this turn has to look at the link again.
    fn flush_session(&self, turn: &mut Turn, session: &Arc<Session>) -> bool {
        for _ in 0..WRITES_IN_A_ROW {
            let Some(mut output) = self.take_output(session) else { return true };
            let before = output.out.len();
            let stopped = output.out.write(|parts| output.wire.write(parts));
            turn.count(Count::BytesSent, (before - output.out.len()) as u64);
            if !self.give_back(turn, session, output, stopped, before) {
                return true;
            }
        }
        // Whoever has it on the list of another turn flushes it there.
        session.lock().link.as_mut().is_none_or(|link| std::mem::replace(&mut link.dirty, true))
    }

    fn take_output(&self, session: &Arc<Session>) -> Option<Output> {
        let mut state = session.lock();
        let link = state.link.as_mut()?;
        link.dirty = false;
        if link.writing || link.blocked || link.out.is_empty() {
            return None; // The writer looks again; a blocked link is flushed by its owner.
        }
        link.writing = true;
        link.writing_bytes = link.out.len();
        Some(Output { wire: link.wire.clone(), out: std::mem::take(&mut link.out), epoch: link.epoch })
    }

    /// Ends a write. True when more was appended meanwhile.
    fn give_back(
        &self,
        turn: &mut Turn,
        session: &Arc<Session>,
        output: Output,
        stopped: Option<Written>,
        before: usize,
    ) -> bool {
        let Output { wire, mut out, epoch } = output;
        let mut locked = Locked::new(self, session);
        let Some(link) = locked.state.link.as_mut().filter(|link| link.epoch == epoch) else {
            return false; // The connection ended meanwhile.
        };
        link.writing = false;
        link.writing_bytes = 0;
        match stopped {
            None => {
                link.stuck_since = Millis::NEVER;
                if link.out.is_empty() && locked.has_work() {
                    // One slice per turn of the owner: a long queue does not keep others waiting.
                    wire.wake();
                }
                out.finish(turn);
                locked.state.link.as_ref().is_some_and(|link| !link.out.is_empty())
            }
            Some(Written::Gone) => {
                // What was appended meanwhile goes nowhere either: its owner must not wait for it.
                std::mem::take(&mut link.out).finish(turn);
                out.finish(turn);
                wire.wake();
                false
            }
            Some(_) => {
                let later = std::mem::take(&mut link.out);
                let progress = out.len() < before;
                out.append(later, turn);
                link.out = out;
                link.blocked = true;
                if progress || link.stuck_since == Millis::NEVER {
                    link.stuck_since = turn.now.mono;
                }
                self.budget.follow(link);
                wire.wake();
                false
            }
        }
    }
}
