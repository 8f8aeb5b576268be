//! Locks of `parking_lot` by whose side somebody stands: before one is taken and after it is given back a test may let
//! others go on. They never block: who would have to wait says so, and tries again.

use std::{
    cell::Cell,
    fmt,
    ops::{Deref, DerefMut},
};

/// Where a thread stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is about to take a lock, or has given one back, and holds so many others.
    Between {
        /// Locks that this thread of the system holds.
        held: u32,
    },
    /// It cannot go on before somebody gives a lock back.
    Waiting,
}

thread_local! {
    static BYSTANDER: Cell<Option<fn(Moment)>> = const { Cell::new(None) };
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// Whom this thread of the system tells from now on.
pub fn tell(bystander: Option<fn(Moment)>) {
    BYSTANDER.set(bystander);
}

fn between() {
    if let Some(bystander) = BYSTANDER.get()
        && !std::thread::panicking()
    {
        bystander(Moment::Between { held: HELD.get() });
    }
}

fn take<Guard>(attempt: impl Fn() -> Option<Guard>, wait: impl FnOnce() -> Guard) -> Held<Guard> {
    between();
    let guard = loop {
        match (attempt(), BYSTANDER.get()) {
            (Some(guard), _) => break guard,
            (None, Some(bystander)) => bystander(Moment::Waiting),
            (None, None) => break wait(),
        }
    };
    HELD.set(HELD.get() + 1);
    Held(Some(guard))
}

/// A lock that is held.
pub struct Held<Guard>(Option<Guard>);

/// A mutex that is held.
pub type MutexGuard<'a, T> = Held<parking_lot::MutexGuard<'a, T>>;

impl<Guard: Deref> Deref for Held<Guard> {
    type Target = Guard::Target;

    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref(&self) -> &Guard::Target {
        self.0.as_deref().expect("a lock that is held has its guard")
    }
}

impl<Guard: DerefMut> DerefMut for Held<Guard> {
    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref_mut(&mut self) -> &mut Guard::Target {
        self.0.as_deref_mut().expect("a lock that is held has its guard")
    }
}

impl<Guard> Drop for Held<Guard> {
    fn drop(&mut self) {
        drop(self.0.take());
        HELD.set(HELD.get() - 1);
        between();
    }
}

/// [`parking_lot::Mutex`].
#[derive(Default)]
pub struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex around this.
    pub const fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    /// Takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        take(|| self.0.try_lock(), || self.0.lock())
    }

    /// Takes it, if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        between();
        let guard = self.0.try_lock()?;
        HELD.set(HELD.get() + 1);
        Some(Held(Some(guard)))
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Mutex")
    }
}

/// [`parking_lot::RwLock`].
#[derive(Default)]
pub struct RwLock<T>(parking_lot::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock around this.
    pub const fn new(value: T) -> Self {
        RwLock(parking_lot::RwLock::new(value))
    }

    /// Takes it beside other readers.
    pub fn read(&self) -> Held<parking_lot::RwLockReadGuard<'_, T>> {
        take(|| self.0.try_read(), || self.0.read())
    }

    /// Takes it alone.
    pub fn write(&self) -> Held<parking_lot::RwLockWriteGuard<'_, T>> {
        take(|| self.0.try_write(), || self.0.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static SEEN: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }

    #[test]
    fn somebody_hears_of_every_lock_before_and_after() {
        tell(Some(|moment| {
            let (outside, inside) = SEEN.get();
            match moment {
                Moment::Between { held: 0 } => SEEN.set((outside + 1, inside)),
                _ => SEEN.set((outside, inside + 1)),
            }
        }));
        let (mutex, lock) = (Mutex::new(1), RwLock::new(2));
        let mut held = mutex.lock();
        assert_eq!(SEEN.get(), (1, 0));
        *held += *lock.read();
        assert_eq!(SEEN.get(), (1, 2));
        drop(held);
        assert_eq!(SEEN.get(), (2, 2));
        tell(None);
        assert_eq!(*mutex.lock(), 3);
        assert_eq!(SEEN.get(), (2, 2));
    }
}
