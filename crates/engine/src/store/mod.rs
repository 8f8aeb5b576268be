//! What the engine keeps on stable storage: the records that it hands to a [`Journal`], and how they become sessions,
//! queues and retained messages again. `docs/records.md` describes each record.
//!
//! State is the fold of all records in the order of the journal. A record about a session is staged while the session is
//! locked, one about a retained topic while the retained tree is: so their order is the order of what happened.

mod account;
mod fold;
mod journal;
mod ledger;

mod reclaim;
mod record;
mod restore;

mod staging;
mod summary;

pub use fold::{BadRecord, Fold};
pub use journal::{Figures, Journal, Level, StageRefused, Staged, Trouble};
pub use reclaim::{Reclaim, Reclaimed};
pub use record::{Owner, Parked, Record, StoredSession, StoredWill, describe};
pub use restore::Restored;
pub use summary::{Missing, Summary};

pub(crate) use ledger::Ledger;
pub(crate) use staging::{NO_PLACE, Store};
