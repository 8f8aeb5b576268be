//! One publisher at a time for a retained topic: set and deliver belong together, or subscribers could end with
//! another value than the retained one. A stripe is taken for as long as the delivery lasts, also over several slices;
//! no lock is held meanwhile, and who comes second waits for the stripe without blocking a worker.

use std::sync::Arc;

use crate::Wire;
use crate::sync::Mutex;

const STRIPES: usize = 1_024;

#[derive(Default)]
struct State {
    taken: bool,
    waiting: Vec<Arc<dyn Wire>>,
}

/// All stripes; a topic belongs to one by its hash.
pub(crate) struct Stripes {
    stripes: Box<[Mutex<State>]>,
}

/// A stripe that is taken; dropping it lets the next one in.
pub(crate) struct Stripe {
    stripes: Arc<Stripes>,
    at: usize,
}

impl Stripes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Stripes { stripes: (0..STRIPES).map(|_| Mutex::default()).collect() })
    }

    /// Takes the stripe of a topic, or has `waiter` woken when it becomes free.
    pub(crate) fn take(self: &Arc<Self>, hash: u64, waiter: &Arc<dyn Wire>) -> Option<Stripe> {
        let at = hash as usize % STRIPES;
        let mut state = self.stripes.get(at)?.lock();
        if state.taken {
            if !state.waiting.iter().any(|known| Arc::ptr_eq(known, waiter)) {
                state.waiting.push(waiter.clone());
            }
            return None;
        }
        state.taken = true;
        Some(Stripe { stripes: self.clone(), at })
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        if let Some(stripe) = self.stripes.stripes.get(self.at) {
            let waiting = {
                let mut state = stripe.lock();
                state.taken = false;
                std::mem::take(&mut state.waiting)
            };
            for waiter in waiting {
                waiter.wake();
            }
        }
    }
}
