//! A wire whose other end a test holds: how much it takes can be set, used up, and set anew; what it took can be read.
//! It checks what the engine promises about its use.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use whimbrel_engine::{Wire, Written};

use super::dice::Dice;

/// One client's end of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    woken: AtomicBool,
    /// Times that somebody has called.
    pub(super) wakes: AtomicUsize,
    /// Writes that took or refused something.
    pub(super) writes: AtomicUsize,
    writing: AtomicBool,
    /// Where not zero, writes and wakes give other threads a chance at random.
    jitter: AtomicU64,
    /// What happens elsewhere while the next write is under way.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct State {
    taken: Vec<u8>,
    /// Bytes that it still takes.
    room: usize,
    /// Bytes that one write takes at most.
    step: usize,
    gone: bool,
}

impl Default for State {
    fn default() -> Self {
        State { taken: Vec::new(), room: usize::MAX, step: usize::MAX, gone: false }
    }
}

impl Pipe {
    /// From here on so many bytes are taken, and not one more.
    pub(super) fn allow(&self, bytes: usize) {
        self.state.lock().unwrap().room = bytes;
    }

    /// Nothing more is taken.
    pub(super) fn block(&self) {
        self.allow(0);
    }

    /// Everything is taken.
    pub(super) fn open(&self) {
        self.allow(usize::MAX);
    }

    /// One write takes at most so many bytes.
    pub(super) fn step(&self, bytes: usize) {
        self.state.lock().unwrap().step = bytes;
    }

    /// The connection is gone.
    pub(super) fn close(&self) {
        self.state.lock().unwrap().gone = true;
    }

    pub(super) fn jitter(&self, seed: u64) {
        self.jitter.store(seed, SeqCst);
    }

    /// While the next write is under way, before it takes anything, this happens elsewhere.
    pub(super) fn meanwhile(&self, act: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(act));
    }

    pub(super) fn has_room(&self) -> bool {
        self.state.lock().unwrap().room > 0
    }

    /// What was taken since the last time.
    pub(super) fn drain(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().unwrap().taken)
    }

    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    fn give_way(&self) {
        let seed = self.jitter.load(SeqCst);
        if seed == 0 {
            return;
        }
        let mut dice = Dice::new(seed);
        let yields = dice.below(4);
        self.jitter.store(dice.next() | 1, SeqCst);
        (0..yields).for_each(|_| std::thread::yield_now());
    }
}

impl Wire for Pipe {
    fn write(&self, parts: &[&[u8]]) -> Written {
        assert!(!self.writing.swap(true, SeqCst), "two threads write to one link");
        assert!(parts.iter().all(|part| !part.is_empty()), "a write of nothing");
        self.give_way();
        if let Some(act) = self.meanwhile.lock().unwrap().take() {
            act();
        }
        let written = {
            let mut state = self.state.lock().unwrap();
            let mut left = state.room.min(state.step);
            if state.gone {
                Written::Gone
            } else if left == 0 {
                Written::Blocked
            } else {
                let mut bytes = 0;
                for part in parts {
                    let some = &part[..part.len().min(left)];
                    state.taken.extend_from_slice(some);
                    left -= some.len();
                    bytes += some.len();
                }
                if state.room != usize::MAX {
                    state.room -= bytes;
                }
                Written::Bytes(bytes)
            }
        };
        self.give_way();
        self.writes.fetch_add(1, SeqCst);
        self.writing.store(false, SeqCst);
        written
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, SeqCst);
        self.woken.store(true, SeqCst);
        self.give_way();
    }
}
