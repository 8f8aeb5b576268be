//! Notes: what the program around the engine has it keep by name, beside everything that is MQTT's. Not what they say.
//!
//! They are in memory whole, and where there is a journal they outlive a restart. Whoever writes them bounds their number.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use crate::{
    Engine, Turn,
    store::{Level, NO_PLACE, Record, StageRefused},
    sync::Mutex,
};

/// Notes that are recorded anew while nobody can change one.
const AT_ONCE: usize = 256;

/// All notes by name.
#[derive(Default)]
pub(crate) struct Notes(Mutex<BTreeMap<Box<str>, Note>>);

struct Note {
    value: Arc<[u8]>,
    place: u64,
}

impl Engine {
    /// Keeps a note, in place of what its name said before. Gives where the journal has to be for it to be kept
    /// ([`Self::has_note`]).
    ///
    /// # Errors
    /// The journal takes nothing that is so long: nothing has changed.
    pub fn keep_note(&self, turn: &mut Turn, name: &str, value: &[u8]) -> Result<u64, StageRefused> {
        let mut notes = self.notes.0.lock();
        let staged = self.store.stage(turn, &Record::Note { name, value });
        if staged.is_refused() {
            return Err(StageRefused);
        }
        self.store.needs(staged.position);
        let note = Note { value: value.into(), place: staged.position };
        if let Some(before) = notes.insert(name.into(), note) {
            self.store.needs_not(before.place);
        }
        Ok(staged.end)
    }

    /// Forgets a note; nothing where there is none, else the same as [`Self::keep_note`].
    pub fn forget_note(&self, turn: &mut Turn, name: &str) -> Option<u64> {
        let mut notes = self.notes.0.lock();
        let gone = notes.remove(name)?;
        let staged = self.store.stage(turn, &Record::NoteGone { name });
        self.store.needs_not(gone.place);
        Some(staged.end)
    }

    /// All notes whose names begin like this, in the order of their names.
    #[must_use]
    pub fn notes(&self, prefix: &str) -> Vec<(Box<str>, Arc<[u8]>)> {
        let notes = self.notes.0.lock();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let met = notes.range::<str, _>(from).take_while(|(name, _)| name.starts_with(prefix));
        met.map(|(name, note)| (name.clone(), note.value.clone())).collect()
    }

    /// Whether what ends here outlives a loss of power; it is asked for. True where there is no journal: it never does.
    #[must_use]
    pub fn has_note(&self, end: u64) -> bool {
        self.store.journal().is_none_or(|journal| journal.ask(end, Level::Power))
    }

    /// Whether there is a journal.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.store.is_on()
    }

    pub(crate) fn restore_note(&self, name: Box<str>, value: Box<[u8]>, place: u64) {
        self.store.needs(place);
        self.notes.0.lock().insert(name, Note { value: value.into(), place });
    }

    /// Records some notes that lie before anew; gives how many, and whether none is left there.
    pub(crate) fn reclaim_notes(&self, turn: &mut Turn, below: u64) -> (u64, bool) {
        let mut notes = self.notes.0.lock();
        let mut moved = 0;
        let old = notes.iter_mut().filter(|(_, note)| note.place < below && note.place != NO_PLACE);
        for (name, note) in old {
            if moved as usize == AT_ONCE {
                return (moved, false);
            }
            let staged = self.store.stage(turn, &Record::Note { name, value: &note.value });
            if staged.is_refused() {
                continue; // It was taken once, so it is taken again; if not, the old one stays needed.
            }
            self.store.needs_not(note.place);
            self.store.needs(staged.position);
            note.place = staged.position;
            moved += 1;
        }
        (moved, true)
    }
}
