//! The locks of this crate, by name. A build with `cfg(interleaved)`, which only the repository's own tests make, has
//! others in their place, before and behind which another thread may go on.

#[cfg(not(interleaved))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(interleaved)]
pub(crate) use whimbrel_locks::{Mutex, MutexGuard, RwLock};
