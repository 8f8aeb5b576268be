//! The one writer: takes what is staged, writes it, syncs it where somebody asked, and says what has been reached.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use crate::{
    disk::Disk,
    error::{Corruption, Damage, Fault, ReopenError},
    folder::{BadHeader, Folder, fault, open_segment, place, segment_file},
    log::{Inner, Leaving},
    position::Position,
    scan::Scan,
    staging::Chunk,
    state::{Outcome, Reached, State, Stopped},
    unsynced::Unsynced,
    writer::{Note, Outlast, Trouble, Writer},
};

/// How long [`Committer::run`] waits before it tries a full disk again by itself.
const FULL_PATIENCE: Duration = Duration::from_secs(1);

/// Writes a log. There is one, and it belongs to one thread: its owner's.
pub struct Committer {
    inner: Arc<Inner>,
    disk: Arc<dyn Disk>,
    writer: Writer,
    /// Taken from the staging buffer and not written yet.
    taken: VecDeque<Chunk>,
    unsynced: Unsynced,
    /// Segments that go with the next sync.
    leaving: Vec<Leaving>,
    oldest: u64,
    /// What is in the file, and what is on stable storage: published together with the outcome.
    written: u64,
    synced: u64,
    /// Frames have been written since the last sync, be it notes alone.
    is_dirty: bool,
    /// The first frame of this opening is durable: what a former life left behind it cannot be taken for ours.
    is_announced: bool,
    hook: Box<dyn FnMut(Reached) + Send>,
}

impl Committer {
    pub(crate) fn new(inner: Arc<Inner>, disk: Arc<dyn Disk>, writer: Writer, oldest: u64, end: u64) -> Self {
        Self {
            inner,
            disk,
            writer,
            taken: VecDeque::new(),
            unsynced: Unsynced::default(),
            leaving: Vec::new(),
            oldest,
            written: end,
            synced: end,
            is_dirty: false,
            is_announced: false,
            hook: Box::new(|_| {}),
        }
    }

    /// Has `hook` called whenever a watermark has moved or the state has changed, on the committer's thread: once when what
    /// was taken is written, once more when it is synced.
    pub fn on_reached(&mut self, hook: impl FnMut(Reached) + Send + 'static) {
        self.hook = Box::new(hook);
    }

    /// Writes all that is staged, as one frame where it fits, and syncs if somebody asked for it, if too much has been
    /// written without, or if a segment goes.
    ///
    /// On a full disk everything stays as it was at the end of the last whole frame, and the next call tries again: what
    /// came of the frame that did not fit lies beyond that end, where nothing has been reported, and the next attempt
    /// writes the same records over it. A write that fails otherwise, or any sync that fails, poisons the log.
    pub fn commit_once(&mut self) -> Outcome {
        if self.inner.is_poisoned() {
            return Outcome::Poisoned;
        }
        self.inner.take(&mut self.taken);
        let before = self.inner.reached();
        match self.commit() {
            Ok(has_retired) => {
                let is_new = self.inner.set_state(State::Running);
                let reached = self.publish(is_new);
                let is_idle = reached == before && !has_retired;
                if is_idle { Outcome::Idle } else { Outcome::Committed(reached) }
            }
            Err(Trouble::Full(fault)) => {
                let since = Position(self.written);
                let is_new = self.inner.set_state(State::Full { since, fault: Arc::new(fault) });
                Outcome::Full(self.publish(is_new))
            }
            Err(Trouble::Broken(fault)) => {
                self.poison(fault);
                Outcome::Poisoned
            }
        }
    }

    /// Commits whenever somebody wants it, until [`Log::stop`](crate::Log::stop) or poison. A full disk is tried again
    /// every second.
    pub fn run(&mut self) -> Stopped {
        let mut patience = None;
        loop {
            let is_stopping = self.inner.wait(patience);
            if is_stopping {
                return self.close();
            }
            match self.commit_once() {
                Outcome::Poisoned => return Stopped::Poisoned,
                Outcome::Full(_) => patience = Some(FULL_PATIENCE),
                Outcome::Idle | Outcome::Committed(_) => patience = None,
            }
        }
    }

    /// Writes and syncs all that is staged, and notes that all is synced, so that later damage is never taken for a torn
    /// end.
    pub fn close(&mut self) -> Stopped {
        self.inner.ask_for_all();
        match self.commit_once() {
            Outcome::Idle | Outcome::Committed(_) => {}
            Outcome::Full(_) => return Stopped::Unfinished,
            Outcome::Poisoned => return Stopped::Poisoned,
        }
        let noted = self.writer.append_note(self.written, self.note()).and_then(|()| self.writer.sync());
        match noted {
            Ok(()) => Stopped::Clean,
            Err(Trouble::Full(_)) => Stopped::Clean,
            Err(Trouble::Broken(fault)) => {
                self.poison(fault);
                Stopped::Poisoned
            }
        }
    }

    /// Brings a poisoned log back: what was reported synced is read and checked; what was written beyond it, which the
    /// disk may have lost, is written anew from memory into a fresh file that takes the old one's place; then the log
    /// runs. Positions stay as they are and nothing needs to be staged again: who waits goes on waiting, and is told.
    ///
    /// # Errors
    /// The disk still fails: call it again later. Or what was synced is not there: the log stays poisoned for good.
    pub fn reopen(&mut self) -> Result<Reached, ReopenError> {
        if !self.inner.is_poisoned() {
            return Ok(self.inner.reached());
        }
        let whole_bytes = self.verify()?;
        let note = self.note();
        self.writer.rewrite(whole_bytes, self.unsynced.frames(), note)?;
        self.writer.set_spares(Folder::read(&*self.disk)?.spares);
        self.inner.reader.forget(self.writer.number());
        self.written = self.unsynced.end().unwrap_or(self.synced);
        self.settle();
        self.inner.set_state(State::Running);
        Ok(self.publish(true))
    }

    /// Writes the first frame of this opening. Until it is durable no other may be written: if it were lost and a later
    /// one kept, the opening after a crash would not know that this one has been.
    pub(crate) fn announce(&mut self) -> Result<(), Trouble> {
        if !self.is_announced {
            self.writer.append_note(self.written, self.note())?;
            self.writer.sync()?;
            self.is_announced = true;
        }
        Ok(())
    }

    /// The state in which a log begins whose disk is full.
    pub(crate) fn begin_full(&mut self, fault: Fault) {
        let since = Position(self.written);
        self.inner.set_state(State::Full { since, fault: Arc::new(fault) });
    }

    /// Tells whether a segment has gone. What was done before trouble came is kept in the fields.
    fn commit(&mut self) -> Result<bool, Trouble> {
        self.announce()?;
        let mut full = self.write_taken().unless_broken()?;
        // On a full disk more than ever.
        full = self.note_leaving().unless_broken()?.or(full);
        let mut has_retired = false;
        if self.wants_sync() {
            // Who waits for less than a sync need not wait for it.
            self.publish(false);
            self.sync()?;
            has_retired = self.retire()?;
        }
        full.map_or(Ok(has_retired), Err)
    }

    fn write_taken(&mut self) -> Result<(), Trouble> {
        while let Some(mut chunk) = self.taken.pop_front() {
            if let Err(trouble) = self.write(&mut chunk) {
                self.taken.push_front(chunk);
                return Err(trouble);
            }
            self.written = chunk.end();
            let buffer = self.unsynced.push(chunk);
            self.inner.reuse(buffer.into_iter());
        }
        Ok(())
    }

    fn write(&mut self, chunk: &mut Chunk) -> Result<(), Trouble> {
        if chunk.segment != self.writer.number() {
            // Recovery takes a bad frame for a torn end in the last segment alone.
            if self.is_dirty {
                self.sync()?;
            }
            if let Some(segment) = self.inner.live.numbered(chunk.segment) {
                self.writer.roll(segment, self.oldest)?;
            }
        }
        let note = self.note();
        self.writer.append(&mut chunk.bytes, chunk.first, note)?;
        self.is_dirty = true;
        Ok(())
    }

    /// Says in a frame that segments are not needed any more, when what made them dead is written: the sync that follows
    /// makes both durable, and then they go.
    fn note_leaving(&mut self) -> Result<(), Trouble> {
        let mut drops = self.inner.drops.lock();
        while drops.front().is_some_and(|drop| drop.dead_at <= self.written) {
            self.leaving.extend(drops.pop_front());
        }
        drop(drops);
        if let Some(last) = self.leaving.last() {
            let oldest = self.oldest.max(last.number + 1);
            self.writer.append_note(self.written, Note { synced: self.synced, oldest })?;
            self.oldest = oldest;
            self.is_dirty = true;
        }
        Ok(())
    }

    fn wants_sync(&self) -> bool {
        let is_asked = self.inner.asked() > self.synced;
        let is_much = self.unsynced.bytes() > self.inner.options.unsynced_bytes();
        self.is_dirty && (is_asked || is_much || !self.leaving.is_empty())
    }

    fn sync(&mut self) -> Result<(), Trouble> {
        self.writer.sync()?;
        self.settle();
        Ok(())
    }

    /// Everything that is written is synced.
    fn settle(&mut self) {
        self.synced = self.written;
        self.is_dirty = false;
        self.inner.reuse(self.unsynced.clear());
    }

    fn retire(&mut self) -> Result<bool, Trouble> {
        let mut has_retired = false;
        while let Some(leaving) = self.leaving.first().copied().filter(|leaving| leaving.number < self.oldest)
        {
            self.writer.retire(leaving.number)?;
            self.inner.reader.forget(leaving.number);
            self.inner.live.remove(leaving.number);
            self.leaving.remove(0);
            has_retired = true;
        }
        Ok(has_retired)
    }

    fn note(&self) -> Note {
        Note { synced: self.synced, oldest: self.oldest }
    }

    /// Publishes the watermarks and tells the hook, where one has moved or `anyway`.
    fn publish(&mut self, anyway: bool) -> Reached {
        let before = self.inner.reached();
        self.inner.publish(self.written, self.synced);
        let reached = self.inner.reached();
        if anyway || reached != before {
            (self.hook)(reached);
        }
        reached
    }

    fn poison(&mut self, fault: Fault) {
        // What a sync has covered stays true; what was written without is published no more.
        let before = self.inner.reached();
        let synced = self.synced.max(before.synced.0);
        self.inner.publish(before.written.0.max(synced), synced);
        let since = Position(self.synced);
        self.inner.set_state(State::Poisoned { since, fault: Arc::new(fault) });
        (self.hook)(self.inner.reached());
    }

    /// Reads the active segment from the disk up to what was synced. Returns how many bytes of the file hold it.
    fn verify(&self) -> Result<u64, ReopenError> {
        let number = self.writer.number();
        let name = segment_file(number);
        let lost = |offset, position, damage| {
            let file = place(&*self.disk, &name);
            ReopenError::Lost(Corruption { file, offset, position: Position(position), damage })
        };
        let failed = fault(&*self.disk, "read", &name);
        let (file, header) = match open_segment(&*self.disk, number, None) {
            Ok(opened) => opened,
            Err(BadHeader::Stop(crate::OpenError::Io(fault))) => return Err(fault.into()),
            Err(_) => return Err(lost(0, 0, Damage::SegmentHeader)),
        };
        let mut scan = Scan::new(&*file, &header).map_err(&failed)?;
        loop {
            let (offset, position) = (scan.offset, scan.position);
            match scan.next_frame().map_err(&failed)? {
                Ok((frame, _)) if frame.end() > self.synced => return Ok(offset),
                Ok(_) => {}
                Err(_) if position == self.synced => return Ok(offset),
                Err(damage) => return Err(lost(offset, position, damage)),
            }
        }
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = formatter.debug_struct("Committer");
        out.field("segment", &self.writer.number()).field("offset", &self.writer.offset());
        out.field("reached", &self.inner.reached()).finish_non_exhaustive()
    }
}
