//! What all clients together may cost in memory: bytes that wait for blocked clients; bytes in queues, in flight, in
//! wills and in long client identifiers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use whimbrel_proto::{Millis, codec::QoS};

use crate::{
    Count, Limits, QueueFull,
    link::Link,
    queue::{Delivery, Queue},
};

/// The soft limit of a link never shrinks below this share of itself.
const SOFT_SHARE_MIN: usize = 16;

/// What a message in a queue or in flight costs besides its bytes: its place there, and itself if nobody shares it.
const MESSAGE_BYTES: usize = 160;

/// What is in flight to a client is counted for all of them in steps of this, so that ordinary traffic touches no
/// shared count; a client may always have one step.
const INFLIGHT_STEP: usize = 4 << 10;

/// Bytes that are held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Charge {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Relaxed);
    }
}

/// How room was made in a queue for a new message.
#[derive(Default)]
pub(crate) struct Made {
    /// Whether the new message may enter.
    pub room: bool,
    /// Messages that went because they had expired.
    pub expired: u64,
    /// Older messages that went for the new one.
    pub pushed_out: u64,
    /// All queues together were full, not this one.
    pub memory_full: bool,
    /// What of the messages that went the journal has.
    pub recorded: Vec<Delivery>,
}

impl Made {
    /// Messages that were lost, the new one among them where there is no room.
    pub(crate) fn lost(&self) -> u64 {
        self.pushed_out + u64::from(!self.room)
    }

    /// Why they were lost.
    pub(crate) fn cause(&self) -> Count {
        match (self.memory_full, self.room) {
            (true, _) => Count::DroppedQueuesMemory,
            (false, true) => Count::DroppedQueueOldest,
            (false, false) => Count::DroppedQueueNewest,
        }
    }
}

/// Shared counts. The way of a small message to a client that takes and acknowledges touches none of them.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    outboxes: AtomicUsize,
    queues: AtomicUsize,
    queued_messages: AtomicUsize,
    /// In flight to clients, in wills, in long client identifiers.
    held: Arc<AtomicUsize>,
}

impl Budget {
    /// Counts bytes until the charge is dropped.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.held.fetch_add(bytes, Relaxed);
        Charge { held: self.held.clone(), bytes }
    }

    /// What a message in flight counts.
    pub(crate) fn inflight_cost(message_bytes: usize) -> usize {
        message_bytes + MESSAGE_BYTES
    }

    /// What is in flight to one client has changed.
    pub(crate) fn inflight_changed(&self, before: usize, after: usize) {
        let (before, after) = (before / INFLIGHT_STEP, after / INFLIGHT_STEP);
        if after > before {
            self.held.fetch_add((after - before) * INFLIGHT_STEP, Relaxed);
        } else if after < before {
            self.held.fetch_sub((before - after) * INFLIGHT_STEP, Relaxed);
        }
    }

    /// Whether a client that has `inflight` bytes in flight may be sent more.
    pub(crate) fn may_fly(&self, limits: &Limits, inflight: usize) -> bool {
        inflight < INFLIGHT_STEP || (inflight < limits.queue_bytes_max && !self.is_memory_full(limits, 0))
    }

    /// Bytes in flight, in wills and the like.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Everything that queues and messages in flight cost.
    pub(crate) fn used(&self) -> usize {
        self.queue_bytes() + self.queued_messages() * MESSAGE_BYTES + self.held_bytes()
    }

    /// Bytes that may wait for one blocked client: less the more wait for all of them.
    pub(crate) fn soft_limit(&self, limits: &Limits) -> usize {
        let used = self.outboxes.load(Relaxed).min(limits.outbox_bytes_max);
        let free = limits.outbox_bytes_max - used;
        let share = limits.link_soft_bytes as u128 * free as u128 / limits.outbox_bytes_max.max(1) as u128;
        usize::try_from(share).unwrap_or(usize::MAX).max(limits.link_soft_bytes / SOFT_SHARE_MIN)
    }

    /// Brings the count up to date with a link: what waits counts while it is blocked.
    pub(crate) fn follow(&self, link: &mut Link) {
        let counts = if link.blocked { link.out.len() } else { 0 };
        if counts > link.accounted {
            self.outboxes.fetch_add(counts - link.accounted, Relaxed);
        } else if counts < link.accounted {
            self.outboxes.fetch_sub(link.accounted - counts, Relaxed);
        }
        link.accounted = counts;
    }

    /// The link is gone with all that waited.
    pub(crate) fn forget(&self, link: &mut Link) {
        self.outboxes.fetch_sub(link.accounted, Relaxed);
        link.accounted = 0;
    }

    pub(crate) fn queued(&self, bytes: usize) {
        self.queues.fetch_add(bytes, Relaxed);
        self.queued_messages.fetch_add(1, Relaxed);
    }

    pub(crate) fn dequeued(&self, messages: usize, bytes: usize) {
        self.queues.fetch_sub(bytes, Relaxed);
        self.queued_messages.fetch_sub(messages, Relaxed);
    }

    pub(crate) fn queued_messages(&self) -> usize {
        self.queued_messages.load(Relaxed)
    }

    pub(crate) fn queue_bytes(&self) -> usize {
        self.queues.load(Relaxed)
    }

    pub(crate) fn outbox_bytes(&self) -> usize {
        self.outboxes.load(Relaxed)
    }

    /// Whether all queues together cannot take `size` bytes more.
    pub(crate) fn is_memory_full(&self, limits: &Limits, size: usize) -> bool {
        self.used().saturating_add(size) > limits.queues_bytes_max
    }

    /// Makes room for a message by the policy. Nothing is pushed out for a message that would not fit even then, nor for
    /// one of QoS 0.
    pub(crate) fn make_room(
        &self,
        limits: &Limits,
        queue: &mut Queue,
        size: usize,
        qos: QoS,
        now: Millis,
    ) -> Made {
        let full = |queue: &Queue| self.is_queue_full(limits, queue.len(), queue.bytes(), size);
        let mut made = Made::default();
        if full(queue) {
            let (messages, bytes) = queue.remove_expired(&mut made.recorded, now);
            self.dequeued(messages, bytes);
            made.expired = messages as u64;
        }
        made.memory_full = self.is_memory_full(limits, size + MESSAGE_BYTES);
        let others = self.used().saturating_sub(queue.bytes() + queue.len() * MESSAGE_BYTES);
        let needed = others.saturating_add(size + MESSAGE_BYTES);
        let fits = size <= limits.queue_bytes_max && needed <= limits.queues_bytes_max;
        if fits && qos > QoS::AtMostOnce && limits.queue_full == QueueFull::DropOldest {
            while full(queue)
                && let Some(oldest) = queue.pop()
            {
                self.dequeued(1, oldest.message.size());
                made.pushed_out += 1;
                if oldest.is_recorded() {
                    made.recorded.push(oldest);
                }
            }
        }
        made.room = !full(queue);
        made
    }

    /// Whether a queue of `messages` and `bytes` cannot take `size` bytes more.
    pub(crate) fn is_queue_full(&self, limits: &Limits, messages: usize, bytes: usize, size: usize) -> bool {
        messages >= limits.queue_messages_max
            || bytes.saturating_add(size) > limits.queue_bytes_max
            || self.is_memory_full(limits, size.saturating_add(MESSAGE_BYTES))
    }
}
