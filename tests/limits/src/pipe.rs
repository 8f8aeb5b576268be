//! A wire whose other end a test holds: it takes everything, or nothing, and calls its worker when it is woken.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use parking_lot::Mutex;
use whimbrel_engine::{Wire, Written};

/// The clients that a worker has to look at.
pub(crate) type Ready = Arc<Mutex<Vec<usize>>>;

/// What the client does with the bytes that come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Takes {
    /// It reads and keeps them.
    All,
    /// It reads them and keeps only their number.
    Unseen,
    Nothing,
    /// The connection is gone.
    Gone,
}

/// One client's end of a connection.
pub struct Pipe {
    who: usize,
    ready: Ready,
    state: Mutex<State>,
    woken: AtomicBool,
}

struct State {
    takes: Takes,
    bytes: Vec<u8>,
    unseen: usize,
}

impl Pipe {
    pub(crate) fn new(who: usize, ready: Ready) -> Arc<Self> {
        let state = State { takes: Takes::All, bytes: Vec::new(), unseen: 0 };
        Arc::new(Pipe { who, ready, state: Mutex::new(state), woken: AtomicBool::new(false) })
    }

    /// The client stops reading.
    pub fn block(&self) {
        self.state.lock().takes = Takes::Nothing;
    }

    /// The client reads on.
    pub fn open(&self) {
        self.state.lock().takes = Takes::All;
        self.ready.lock().push(self.who);
    }

    /// The client reads, and only the number of bytes is kept.
    pub fn open_unseen(&self) {
        self.state.lock().takes = Takes::Unseen;
        self.ready.lock().push(self.who);
    }

    /// Bytes that were read without being kept.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.state.lock().unseen
    }

    pub(crate) fn close(&self) {
        self.state.lock().takes = Takes::Gone;
    }

    pub(crate) fn has_room(&self) -> bool {
        matches!(self.state.lock().takes, Takes::All | Takes::Unseen)
    }

    pub(crate) fn drain(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().bytes)
    }

    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }
}

impl Wire for Pipe {
    fn write(&self, parts: &[&[u8]]) -> Written {
        let mut state = self.state.lock();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        match state.takes {
            Takes::All => parts.iter().for_each(|part| state.bytes.extend_from_slice(part)),
            Takes::Unseen => state.unseen += length,
            Takes::Nothing => return Written::Blocked,
            Takes::Gone => return Written::Gone,
        }
        Written::Bytes(length)
    }

    fn wake(&self) {
        if !self.woken.swap(true, SeqCst) {
            self.ready.lock().push(self.who);
        }
    }
}
