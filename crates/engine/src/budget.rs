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
    queue::{Away, Delivery, Queue, Taken},
};

/// The soft limit of a link never shrinks below this share of itself.
const SOFT_SHARE_MIN: usize = 16;

/// What a message in a queue or in flight costs besides its bytes: its place there, and itself if nobody shares it.
const MESSAGE_BYTES: usize = 224;

/// What a queued message costs of which the disk alone has the bytes: 40, and what its list has in reserve.
const AWAY_BYTES: usize = 64;

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
    /// And those that it alone had.
    pub away: Vec<Away>,
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
    /// Queued messages of which the disk alone has the bytes, and those bytes.
    away_messages: AtomicUsize,
    away_bytes: AtomicUsize,
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
        let away = self.away_messages.load(Relaxed) * AWAY_BYTES;
        self.queues.load(Relaxed)
            + self.queued_messages.load(Relaxed) * MESSAGE_BYTES
            + away
            + self.held_bytes()
    }

    /// How many messages of a queue stay in memory; `None` while there is room for all.
    pub(crate) fn keeps_here(&self, limits: &Limits) -> Option<usize> {
        let (used, from, full) = (self.used(), limits.queues_spill_bytes, limits.queues_bytes_max);
        if used < from {
            return None;
        }
        let kept = limits.queue_kept_messages;
        let room =
            full.saturating_sub(used) as u128 * kept as u128 / full.saturating_sub(from).max(1) as u128;
        Some(usize::try_from(room).unwrap_or(kept).min(kept))
    }

    /// A queued message is on disk alone from now on. False where the disk may not have more.
    pub(crate) fn may_leave(&self, limits: &Limits, size: usize) -> bool {
        self.away_bytes.load(Relaxed).saturating_add(size) <= limits.queues_disk_bytes_max
    }

    /// Messages entered queues on disk alone.
    pub(crate) fn away(&self, size: usize) {
        self.away_messages.fetch_add(1, Relaxed);
        self.away_bytes.fetch_add(size, Relaxed);
    }

    /// They have left it.
    pub(crate) fn not_away(&self, messages: usize, bytes: usize) {
        self.away_messages.fetch_sub(messages, Relaxed);
        self.away_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Queued messages of which the disk alone has the bytes, and those bytes.
    pub(crate) fn on_disk(&self) -> (usize, usize) {
        (self.away_messages.load(Relaxed), self.away_bytes.load(Relaxed))
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

    /// Messages in all queues, in memory and on disk.
    pub(crate) fn queued_messages(&self) -> usize {
        self.queued_messages.load(Relaxed) + self.away_messages.load(Relaxed)
    }

    /// Their bytes of topic, properties and payload.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.queues.load(Relaxed) + self.away_bytes.load(Relaxed)
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
        let (here, away) = (queue.here(), queue.away());
        let own = here.1 + here.0 * MESSAGE_BYTES + away.0 * AWAY_BYTES;
        let others = self.used().saturating_sub(own);
        let needed = others.saturating_add(size + MESSAGE_BYTES);
        let fits = size <= limits.queue_bytes_max && needed <= limits.queues_bytes_max;
        if fits && qos > QoS::AtMostOnce && limits.queue_full == QueueFull::DropOldest {
            while full(queue)
                && let Some(oldest) = queue.pop_anywhere()
            {
                made.pushed_out += 1;
                match oldest {
                    Taken::Here(oldest) => {
                        self.dequeued(1, oldest.message.size());
                        made.recorded.extend(Some(oldest).filter(Delivery::is_recorded));
                    }
                    Taken::Away(oldest) => {
                        self.not_away(1, oldest.size as usize);
                        made.away.push(oldest);
                    }
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
