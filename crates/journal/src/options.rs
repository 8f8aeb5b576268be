//! What the owner of a log chooses, with units, defaults and what they cost.

/// The choices of one log. Each may differ from one opening to the next; sizes hold for what is written from then on.
#[derive(Clone, Debug)]
pub struct Options {
    /// After how many bytes a new file is begun. 64 MiB; 1 GiB at most. Space comes back by whole segments: small ones come back sooner and
    /// cost more files. A record that is longer gets a segment of its own.
    pub segment_bytes: u64,
    /// How long a frame gets at most, unless a single record is longer. 256 KiB: what is staged is still in the processor's
    /// cache when it is written. Recovery holds no more than one frame in memory.
    pub frame_bytes_max: usize,
    /// How many bytes of zeros are written ahead at most where a file grows: 64 KiB where frames are small, more where they
    /// are large, never more than this. 1 MiB. A sync of what lies in a file already costs half of one that makes it grow,
    /// and one that makes it grow by 1 MiB twenty times as much, which all wait for who wait for that sync.
    pub fill_bytes: u64,
    /// From how many bytes in memory on [`Log::is_over_budget`](crate::Log::is_over_budget) says yes. 64 MiB. Nothing
    /// is refused: whoever begins something asks, and waits.
    pub staged_bytes_max: usize,
    /// How many written bytes may wait for a sync that nobody asked for; they stay in memory meanwhile, so that a failed
    /// sync can be mended. 8 MiB, and never more than half of `staged_bytes_max`.
    pub unsynced_bytes_max: usize,
    /// How many files that came free are kept for later segments. 2.
    pub spares_max: usize,
    /// What a new store is called in its files; any other store's files are refused beside it. A store that is there keeps
    /// its name, see [`Recovery::store_id`](crate::Recovery::store_id).
    pub store_id: [u8; 16],
    /// Opens a damaged store up to the damage, and sets what cannot be read aside under names that begin with `damaged-`.
    /// What was acknowledged after it is lost. Off.
    pub salvage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            frame_bytes_max: 256 * 1024,
            fill_bytes: 1024 * 1024,
            staged_bytes_max: 64 * 1024 * 1024,
            unsynced_bytes_max: 8 * 1024 * 1024,
            spares_max: 2,
            store_id: [0; 16],
            salvage: false,
        }
    }
}

impl Options {
    /// Offsets in a segment are held in four bytes; the longest record comes on top.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.min(1024 * 1024 * 1024)
    }

    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes_max.min(self.staged_bytes_max / 2) as u64
    }
}
