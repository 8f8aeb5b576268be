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

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use whimbrel_proto::Millis;

pub(crate) use fetch::{Fetch, Slice};
pub(crate) use stripe::{Stripe, Stripes};
use tree::Tree;

use crate::{
    Limits,
    message::{Body, Message},
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
        body: &mut Body<'_>,
        limits: &Limits,
        timers: &Timers,
    ) -> Result<Option<Arc<Message>>, Full> {
        if body.payload.is_empty() {
            self.clear(body, timers);
            return Ok(None);
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
        let message = Arc::new(Message::new(body));
        let timer = (body.expires != Millis::NEVER).then(|| {
            timers.add(body.expires, Timer::Retained { topic: body.topic.into(), number: body.number })
        });
        let replaced = tree.insert(body.topic, Kept { message: message.clone(), timer });
        self.account(&tree, before.unwrap_or(0), size);
        drop(tree);
        forget(replaced, timers);
        Ok(Some(message))
    }

    /// Removes the message of a topic. Gives the message that made it go its number.
    pub(crate) fn clear(&self, body: &mut Body<'_>, timers: &Timers) {
        let mut tree = self.tree.write();
        body.number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let removed = tree.remove(body.topic);
        if let Some(kept) = &removed {
            self.account(&tree, kept.message.size(), 0);
        }
        drop(tree);
        forget(removed, timers);
    }

    /// Removes the message of a topic if it is still the one with this number: it has expired.
    pub(crate) fn expire(&self, topic: &str, number: u64) -> bool {
        let mut tree = self.tree.write();
        if tree.get(topic).is_none_or(|kept| kept.message.body().number != number) {
            return false;
        }
        let size = tree.remove(topic).map_or(0, |kept| kept.message.size());
        self.account(&tree, size, 0);
        true
    }

    fn account(&self, tree: &Tree<Kept>, before: usize, after: usize) {
        let bytes = self.bytes.load(Ordering::Relaxed) - before + after;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.count.store(tree.len(), Ordering::Relaxed);
    }
}

/// Lets go of what was replaced, without the lock, and of the reminder of its expiry.
fn forget(kept: Option<Kept>, timers: &Timers) {
    if let Some(timer) = kept.and_then(|kept| kept.timer) {
        timers.cancel(timer);
    }
}
