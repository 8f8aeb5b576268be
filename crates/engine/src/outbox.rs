//! Encoded bytes on their way to one client: small packets in one buffer, large payloads by reference between.

use std::sync::Arc;

use crate::{Turn, message::Message};

/// Bytes that the wire has taken before their memory is given up.
const COMPACT_BYTES: usize = 16 << 10;

/// A payload that is not copied: it follows after `at` bytes of the buffer.
#[derive(Debug)]
struct Large {
    at: usize,
    message: Arc<Message>,
}

#[derive(Debug, Default)]
struct LargeParts {
    parts: Vec<Large>,
    /// Bytes of their payloads.
    bytes: usize,
}

/// Bytes that wait for a client, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    /// Absent while there is none.
    large: Option<Box<LargeParts>>,
    /// Bytes from the front that the wire has taken already.
    taken: usize,
}

impl Outbox {
    /// Bytes that the wire has not taken.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() + self.large.as_ref().map_or(0, |large| large.bytes) - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append a packet to; the first use takes one from the pool of the turn.
    pub(crate) fn buffer(&mut self, turn: &mut Turn) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = turn.buffer();
        }
        &mut self.buffer
    }

    /// Appends the payload of a message: copied when small, by reference when large.
    pub(crate) fn append_payload(&mut self, message: &Arc<Message>) {
        let payload = message.payload();
        if payload.len() <= crate::message::COPY_MAX {
            self.buffer.extend_from_slice(payload);
            return;
        }
        let at = self.buffer.len();
        let large = self.large.get_or_insert_default();
        large.bytes += payload.len();
        large.parts.push(Large { at, message: message.clone() });
    }

    /// Moves what `later` holds behind what waits here.
    pub(crate) fn append(&mut self, later: Outbox, turn: &mut Turn) {
        debug_assert_eq!(later.taken, 0);
        if self.taken >= COMPACT_BYTES {
            self.compact();
        }
        let shift = self.buffer.len();
        if self.buffer.capacity() == 0 {
            self.buffer = later.buffer;
        } else {
            self.buffer.extend_from_slice(&later.buffer);
            turn.recycle(later.buffer);
        }
        if let Some(later) = later.large {
            let large = self.large.get_or_insert_default();
            large.bytes += later.bytes;
            large.parts.extend(later.parts.into_iter().map(|part| Large { at: part.at + shift, ..part }));
        }
    }

    /// Lets go of what the wire has taken: a client that reads slowly and steadily never empties its outbox.
    fn compact(&mut self) {
        let mut cut = 0;
        let mut gone = 0;
        let mut parts = 0;
        for part in self.large() {
            let length = part.message.payload().len();
            if part.at + gone + length > self.taken {
                break;
            }
            (parts, cut, gone) = (parts + 1, part.at, gone + length);
        }
        if let Some(large) = &mut self.large {
            large.parts.drain(..parts);
            large.bytes -= gone;
        }
        let next_large = self.large().first().map_or(self.buffer.len(), |part| part.at);
        let rest = self.taken - gone - cut;
        let more = rest.min(next_large - cut);
        cut += more;
        self.taken = rest - more;
        self.buffer.drain(..cut);
        for part in self.large.iter_mut().flat_map(|large| &mut large.parts) {
            part.at -= cut;
        }
    }

    fn large(&self) -> &[Large] {
        self.large.as_ref().map_or(&[], |large| &large.parts)
    }

    /// Calls `write` with the parts that wait until it takes all or no more. Gives what it said last.
    pub(crate) fn write(
        &mut self,
        mut write: impl FnMut(&[&[u8]]) -> crate::Written,
    ) -> Option<crate::Written> {
        while !self.is_empty() {
            let written = if self.large.is_none() {
                write(&[self.buffer.get(self.taken..).unwrap_or_default()])
            } else {
                write(&self.parts())
            };
            match written {
                crate::Written::Bytes(bytes) => self.taken += bytes,
                stopped => return Some(stopped),
            }
        }
        None
    }

    /// The slices that wait, in order; at most 16 at once.
    fn parts(&self) -> Vec<&[u8]> {
        const PARTS_MAX: usize = 16;
        let mut parts: Vec<&[u8]> = Vec::with_capacity(PARTS_MAX);
        let mut skip = self.taken;
        let mut add = |part| {
            let part: &[u8] = part;
            let skipped = skip.min(part.len());
            skip -= skipped;
            if let Some(rest) = part.get(skipped..)
                && !rest.is_empty()
                && parts.len() < PARTS_MAX
            {
                parts.push(rest);
            }
        };
        let mut from = 0;
        for large in self.large() {
            add(self.buffer.get(from..large.at).unwrap_or_default());
            add(large.message.payload());
            from = large.at;
        }
        add(self.buffer.get(from..).unwrap_or_default());
        parts
    }

    /// Empties an outbox that the wire has taken whole and gives its buffer back to the pool.
    pub(crate) fn finish(self, turn: &mut Turn) {
        turn.recycle(self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, Written, message::Body};
    use whimbrel_proto::{Millis, codec::QoS};

    fn large(byte: u8) -> Arc<Message> {
        Arc::new(Message::new(&Body {
            topic: "t",
            forwarded: &[],
            payload: &vec![byte; 5_000],
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Millis::NEVER,
            publisher: 0,
            number: 0,
        }))
    }

    #[test]
    fn parts_come_out_in_order_whatever_the_wire_takes() {
        for step in [1, 7, 4_999, 5_003, 100_000] {
            let mut turn = Turn::new(Default::default(), Counters::for_test());
            let mut outbox = Outbox::default();
            let mut later = Outbox::default();
            outbox.buffer(&mut turn).extend_from_slice(b"one");
            outbox.append_payload(&large(1));
            later.buffer(&mut turn).extend_from_slice(b"two");
            later.append_payload(&large(2));
            later.buffer(&mut turn).extend_from_slice(b"end");
            outbox.append(later, &mut turn);
            let mut expected = b"one".to_vec();
            expected.extend([1; 5_000]);
            expected.extend(b"two");
            expected.extend([2; 5_000]);
            expected.extend(b"end");
            assert_eq!(outbox.len(), expected.len());

            let mut got = Vec::new();
            let stopped = outbox.write(|parts| {
                let flat: Vec<u8> = parts.concat();
                let taken = flat.len().min(step);
                got.extend_from_slice(&flat[..taken]);
                Written::Bytes(taken)
            });
            assert_eq!((stopped, outbox.len()), (None, 0));
            assert!(got == expected, "step {step}");
        }
    }
}
