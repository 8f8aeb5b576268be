//! The last message of every topic that was published with the RETAIN flag.
//!
//! Between what SUBSCRIBE fetches and the live stream nothing is lost, comes twice (but to a subscription that was there
//! before, see `subscription.rs`) or goes back in time, because every
//! retained message has a number: SUBSCRIBE notes the last number at the moment when its filter becomes visible, the
//! fetch brings what has a number up to it, the live stream what has a later one.

mod fetch;
mod stripe;
pub mod tree;
mod walk;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use whimbrel_proto::Millis;

pub(crate) use fetch::{Fetch, Slice};
pub(crate) use stripe::{Stripe, Stripes};
use tree::Tree;
pub(crate) use walk::Cursor;
use walk::Walk;

use crate::{
    Engine, Turn,
    message::{Body, Message},
    store::{Ledger, NO_PLACE, Record, Store},
    sync::RwLock,
    timers::{Timer, TimerKey, Timers},
};

/// What the tree of topics may cost for each message that there may be, on the average, and besides: topics of many
/// levels that nothing shares cost more.
const TREE_BYTES: usize = 250;
const TREE_BYTES_FREE: usize = 1 << 20;

/// The retained store would exceed a limit.
pub(crate) struct Full;

/// A retained message and the reminder of its expiry.
pub(crate) struct Kept {
    pub message: Arc<Message>,
    timer: Option<TimerKey>,
    /// Where the journal says that it is retained.
    pub place: AtomicU64,
}

/// What became of a topic.
#[derive(Default)]
pub(crate) struct Changed {
    /// The message that is retained now, in its shared form.
    pub message: Option<Arc<Message>>,
    /// The message that was, and where the journal says so.
    pub replaced: Option<(Arc<Message>, u64)>,
    /// The end of what was recorded, 0 if nothing was.
    pub end: u64,
}

pub(crate) struct Retained {
    tree: RwLock<Tree<Kept>>,
    last: AtomicU64,
    bytes: AtomicUsize,
    count: AtomicUsize,
}

impl Retained {
    pub(crate) fn new(seed: u64) -> Self {
        Retained {
            tree: RwLock::new(Tree::new(seed)),
            last: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    /// The number of the message that was retained (or cleared) last.
    pub(crate) fn last_number(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Whether there is nothing to fetch. Asks the tree itself: a message that has its number already and is about to
    /// enter the tree must not be overlooked.
    pub(crate) fn is_empty(&self) -> bool {
        self.tree.read().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Replaces the message of a topic [MQTT-3.3.1-5], or removes it when the payload is empty [MQTT-3.3.1-6]. Gives
    /// the message its number. Where there is no room, nothing has changed.
    pub(crate) fn set(
        &self,
        turn: &mut Turn,
        body: &mut Body<'_>,
        engine: &Engine,
        ledger: &mut Ledger,
    ) -> Result<Changed, Full> {
        let Engine { limits, timers, store, .. } = engine;
        if body.payload.is_empty() {
            return Ok(self.clear(turn, body, engine));
        }
        let mut tree = self.tree.write();
        let before = tree.get(body.topic).map(|kept| kept.message.size());
        let size = body.topic.len() + body.forwarded.len() + body.payload.len();
        let bytes = self.bytes.load(Ordering::Relaxed) - before.unwrap_or(0) + size;
        if (before.is_none() && tree.len() >= limits.retained_messages_max)
            || bytes > limits.retained_bytes_max
            || (before.is_none()
                && tree.bytes()
                    > limits.retained_messages_max.saturating_mul(TREE_BYTES).saturating_add(TREE_BYTES_FREE))
        {
            return Err(Full);
        }
        body.number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let message = if ledger.waits { Message::waiting(body, ledger.level) } else { Message::new(body) };
        let message = Arc::new(message);
        let mut place = NO_PLACE;
        let mut end = 0;
        if store.is_on() {
            // While nobody else can change the topic: the order of the records is that of the values.
            ledger.open();
            let _gate = message.stored.gate();
            if let Some(id) = store.need(turn, &message) {
                let record = Record::Retain { message: id, topic: body.topic, closed: false };
                let staged = store.stage(turn, &record);
                if staged.is_refused() {
                    store.release(&message);
                }
                store.needs(staged.position);
                (place, end) = (staged.position, staged.end);
            }
        }
        let timer = (body.expires != Millis::NEVER).then(|| {
            timers.add(body.expires, Timer::Retained { topic: body.topic.into(), number: body.number })
        });
        let replaced = tree.insert(body.topic, Kept { message: message.clone(), timer, place: place.into() });
        self.account(&tree, before.unwrap_or(0), size);
        drop(tree);
        Ok(Changed { message: Some(message), replaced: forget(replaced, timers), end })
    }

    /// Enters a message that was retained in an earlier life of the server.
    pub(crate) fn restore(&self, message: &Arc<Message>, place: u64, timers: &Timers) {
        let mut tree = self.tree.write();
        let (topic, number) = (message.topic(), message.body().number);
        let timer = (message.expires() != Millis::NEVER)
            .then(|| timers.add(message.expires(), Timer::Retained { topic: topic.into(), number }));
        let kept = Kept { message: message.clone(), timer, place: place.into() };
        let before = tree.insert(topic, kept);
        self.account(&tree, before.map_or(0, |kept| kept.message.size()), message.size());
    }

    /// The number of the next message that is restored.
    pub(crate) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Looks at the messages behind a cursor, some at a time, while nobody can change them; true when all have been seen.
    pub(crate) fn visit(&self, cursor: &mut Cursor, steps: usize, mut visitor: impl FnMut(&Kept)) -> bool {
        let tree = self.tree.read();
        let walk = tree.walk_all(cursor, steps, |kept| {
            visitor(kept);
            ControlFlow::Continue(())
        });
        walk == Walk::Done
    }

    /// Removes the message of a topic. Gives the message that made it go its number.
    pub(crate) fn clear(&self, turn: &mut Turn, body: &mut Body<'_>, engine: &Engine) -> Changed {
        let Engine { timers, store, .. } = engine;
        let mut tree = self.tree.write();
        body.number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let removed = tree.remove(body.topic);
        let mut end = 0;
        if let Some(kept) = &removed {
            self.account(&tree, kept.message.size(), 0);
            end = store.stage(turn, &Record::Clear { topic: body.topic }).end;
        } else if store.is_on() {
            end = store.end(); // Whatever made it so is here or before.
        }
        drop(tree);
        Changed { message: None, replaced: forget(removed, timers), end }
    }

    /// Removes the message of a topic if it is still the one with this number: it has expired.
    pub(crate) fn expire(&self, topic: &str, number: u64, store: &Store) -> bool {
        let mut tree = self.tree.write();
        if tree.get(topic).is_none_or(|kept| kept.message.body().number != number) {
            return false;
        }
        // Nothing is recorded: whoever reads the message back sees that it has expired.
        let removed = tree.remove(topic);
        self.account(&tree, removed.as_ref().map_or(0, |kept| kept.message.size()), 0);
        if let Some(kept) = removed
            && let place = kept.place.into_inner()
            && place != NO_PLACE
        {
            store.needs_not(place);
            store.release(&kept.message);
        }
        true
    }

    fn account(&self, tree: &Tree<Kept>, before: usize, after: usize) {
        let bytes = self.bytes.load(Ordering::Relaxed) - before + after;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.count.store(tree.len(), Ordering::Relaxed);
    }
}

/// Forgets the reminder of what was replaced.
fn forget(kept: Option<Kept>, timers: &Timers) -> Option<(Arc<Message>, u64)> {
    let Kept { message, timer, place } = kept?;
    if let Some(timer) = timer {
        timers.cancel(timer);
    }
    Some((message, place.into_inner()))
}
