//! The interner of topic levels: text ↔ number, counted. Does not know what a wildcard means.

use hashbrown::HashTable;

use super::arena::{Arena, GONE};
use super::seed::Seed;

/// The number of a topic level. Stable while somebody holds the level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LevelId(pub(crate) u32);

/// Stands for the single-level wildcard `+`; never the number of a text.
pub(crate) const PLUS: LevelId = LevelId(0);
/// Stands for the multi-level wildcard `#`; never the number of a text.
pub(crate) const HASH: LevelId = LevelId(1);
/// The numbers from here on belong to texts.
const TEXTS_FROM: u32 = 2;

/// The longest text that needs no memory of its own: what keeps a level at 24 bytes.
const SHORT_BYTES_MAX: usize = 18;

/// The texts of levels, each once, with the number of edges that carry it.
pub(crate) struct Levels {
    seed: Seed,
    ids: HashTable<LevelId>,
    texts: Arena<Level>,
    /// Bytes of heap behind long texts.
    long_bytes: usize,
}

impl Levels {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { seed, ids: HashTable::new(), texts: Arena::new(), long_bytes: 0 }
    }

    pub(crate) fn find(&self, text: &str) -> Option<LevelId> {
        let text = text.as_bytes();
        self.ids.find(self.seed.text(text), |&id| self.bytes_of(id) == text).copied()
    }

    /// Counts one holder more and interns the text if it is new.
    pub(crate) fn hold(&mut self, text: &str) -> LevelId {
        if let Some(id) = self.find(text) {
            *self.level_mut(id).holders_mut() += 1;
            return id;
        }
        let level = Level::new(text.as_bytes());
        self.long_bytes += level.heap_bytes();
        if self.ids.len() == self.ids.capacity() {
            self.grow();
        }
        let id = LevelId(self.texts.insert(level) + TEXTS_FROM);
        let Self { seed, ids, texts, .. } = self;
        let rehash = |&id: &LevelId| seed.text(texts.at(id.0 - TEXTS_FROM).text());
        ids.insert_unique(rehash(&id), id, rehash);
        id
    }

    /// Counts one holder less and frees the text with the last one.
    pub(crate) fn release(&mut self, id: LevelId) {
        let holders = self.level_mut(id).holders_mut();
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        let hash = self.seed.text(self.bytes_of(id));
        if let Ok(entry) = self.ids.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        let level = self.texts.take(id.0 - TEXTS_FROM);
        self.long_bytes -= level.heap_bytes();
    }

    /// The text of a level that somebody holds.
    pub(crate) fn bytes_of(&self, id: LevelId) -> &[u8] {
        self.texts.at(id.0 - TEXTS_FROM).text()
    }

    /// Returns the memory of the table that finds texts; the numbers stay as they are.
    pub(crate) fn shrink(&mut self) {
        let Self { seed, ids, texts, .. } = self;
        ids.shrink_to_fit(|&id| seed.text(texts.at(id.0 - TEXTS_FROM).text()));
    }

    /// Returns all memory that is not needed. The answer translates the numbers of before.
    pub(crate) fn compact(&mut self) -> Renumbered {
        let renumbered = Renumbered(self.texts.compact());
        for id in &mut self.ids {
            *id = renumbered.translate(*id);
        }
        self.shrink();
        renumbered
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.allocation_size() + self.texts.bytes() + self.long_bytes
    }

    /// Makes room in the table that finds texts.
    ///
    /// Left to itself the table would read the texts in its own order, that is from all over memory. In the
    /// order of the arena it takes a third of the time, and others wait meanwhile.
    fn grow(&mut self) {
        let Self { seed, ids, texts, .. } = self;
        *ids = HashTable::with_capacity(ids.len() + ids.len() / 2 + 1);
        for (place, level) in texts.iter().filter(|(_, level)| level.holders() > 0) {
            let rehash = |&id: &LevelId| seed.text(texts.at(id.0 - TEXTS_FROM).text());
            ids.insert_unique(seed.text(level.text()), LevelId(place + TEXTS_FROM), rehash);
        }
    }

    fn level_mut(&mut self, id: LevelId) -> &mut Level {
        self.texts.at_mut(id.0 - TEXTS_FROM)
    }
}

/// How [`Levels::compact`] changed the numbers.
pub(crate) struct Renumbered(Vec<u32>);

impl Renumbered {
    pub(crate) fn translate(&self, old: LevelId) -> LevelId {
        let place = old.0.checked_sub(TEXTS_FROM).and_then(|text| self.0.get(text as usize));
        match place {
            Some(&new) if new != GONE => LevelId(new + TEXTS_FROM),
            // A wildcard keeps its number; a level that nobody holds is on no edge.
            _ => old,
        }
    }
}

/// One text and how many hold it.
enum Level {
    Short { holders: u32, length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Long { holders: u32, text: Box<[u8]> },
}

const _: () = assert!(size_of::<Level>() <= 24);

impl Level {
    /// A text with its first holder.
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text);
                Self::Short { holders: 1, length, bytes }
            }
            _ => Self::Long { holders: 1, text: text.into() },
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes, .. } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long { text, .. } => text,
        }
    }

    const fn holders(&self) -> u32 {
        match self {
            Self::Short { holders, .. } | Self::Long { holders, .. } => *holders,
        }
    }

    fn holders_mut(&mut self) -> &mut u32 {
        match self {
            Self::Short { holders, .. } | Self::Long { holders, .. } => holders,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long { text, .. } => text.len(),
        }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::Short { holders: 0, length: 0, bytes: [0; SHORT_BYTES_MAX] }
    }
}
