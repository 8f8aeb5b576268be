//! The other end of a link: what carries bytes to a client. A socket in the broker, a queue in tests.

/// How a write went.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many bytes were taken, at least one.
    Bytes(usize),
    /// Nothing can be taken now; the owner of the connection is to wait until it can.
    Blocked,
    /// The connection is gone.
    Gone,
}

/// Carries bytes to one client. Called by [`crate::Engine::flush`] only, never while a lock is held, never by two
/// threads at once for one link.
pub trait Wire: Send + Sync {
    /// Writes as much of `parts`, in order, as can be taken without waiting.
    fn write(&self, parts: &[&[u8]]) -> Written;

    /// Lets the task that owns the connection look at its link ([`crate::Engine::attend`]). May be called at any time,
    /// from any thread, also while locks are held; it must not call back.
    fn wake(&self);

    /// The address of the other end, where there is one that somebody could use. Asked by whoever looks at a session, and
    /// never with a lock held.
    fn peer(&self) -> Option<String> {
        None
    }
}
