//! What has been read from a client and not yet handled: an incomplete packet, or packets that have to wait; and what that is
//! counted for. Not what is done when it is too much.
//!
//! Nearly all connections have nothing of it nearly all the time: then it is one pointer.

use whimbrel_engine::proto::Millis;

#[derive(Default)]
pub(super) struct Tail(Option<Box<Kept>>);

struct Kept {
    bytes: Vec<u8>,
    /// Whether there may be a whole packet.
    is_whole: bool,
    /// What all connections together are counted for: these bytes, and the topics behind the client's aliases.
    accounted: usize,
    /// Since when that is more than one read, [`Millis::NEVER`] while it is not.
    large_since: Millis,
}

impl Tail {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |kept| &kept.bytes)
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.bytes.capacity())
    }

    /// Whether it may hold a whole packet.
    pub(super) fn is_whole(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.is_whole)
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let kept = self.kept();
        if kept.bytes.is_empty() {
            kept.bytes = bytes.to_vec(); // No more memory than they need.
        } else {
            kept.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn set_whole(&mut self, is_whole: bool) {
        if let Some(kept) = &mut self.0 {
            kept.is_whole = is_whole;
        }
    }

    /// So many bytes have been handled.
    pub(super) fn handled(&mut self, bytes: usize) {
        if let Some(kept) = &mut self.0 {
            if bytes < kept.bytes.len() {
                kept.bytes.drain(..bytes);
            } else {
                self.clear();
            }
        }
    }

    /// Forgets the bytes; what they are counted for stays until it is set.
    pub(super) fn clear(&mut self) {
        if let Some(kept) = &mut self.0 {
            (kept.bytes, kept.is_whole) = (Vec::new(), false);
        }
        self.give_back();
    }

    /// What all connections together are counted for because of this one.
    pub(super) fn accounted(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.accounted)
    }

    /// Gives what it was before.
    pub(super) fn set_accounted(&mut self, bytes: usize) -> usize {
        let before = self.accounted();
        if bytes != before {
            self.kept().accounted = bytes;
            self.give_back();
        }
        before
    }

    /// Since when it has been more than one read, [`Millis::NEVER`] while it is not.
    pub(super) fn large_since(&self) -> Millis {
        self.0.as_ref().map_or(Millis::NEVER, |kept| kept.large_since)
    }

    pub(super) fn note_size(&mut self, is_large: bool, now: Millis) {
        if is_large && self.large_since() == Millis::NEVER {
            self.kept().large_since = now;
        } else if !is_large && let Some(kept) = &mut self.0 {
            kept.large_since = Millis::NEVER;
            self.give_back();
        }
    }

    fn kept(&mut self) -> &mut Kept {
        self.0.get_or_insert_with(|| {
            Box::new(Kept { bytes: Vec::new(), is_whole: false, accounted: 0, large_since: Millis::NEVER })
        })
    }

    fn give_back(&mut self) {
        self.0.take_if(|kept| {
            kept.bytes.is_empty() && kept.accounted == 0 && kept.large_since == Millis::NEVER
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handled_goes_and_what_was_not_stays_in_order() {
        let mut tail = Tail::default();
        assert_eq!((tail.bytes(), tail.is_whole(), tail.capacity()), (&b""[..], false, 0));
        tail.push(b"abc");
        tail.push(b"def");
        tail.set_whole(true);
        tail.handled(2);
        assert_eq!((tail.bytes(), tail.is_whole()), (&b"cdef"[..], true));
        tail.handled(4);
        assert_eq!((tail.bytes(), tail.is_whole()), (&b""[..], false));
        assert!(tail.0.is_none(), "nothing is left of it");
    }

    #[test]
    fn what_is_counted_outlasts_the_bytes_and_is_given_back_at_last() {
        let mut tail = Tail::default();
        tail.push(&[0; 100]);
        assert_eq!(tail.set_accounted(100), 0);
        tail.note_size(true, Millis(5));
        tail.note_size(true, Millis(9));
        tail.clear();
        assert_eq!((tail.accounted(), tail.large_since()), (100, Millis(5)));
        tail.note_size(false, Millis(10));
        assert_eq!((tail.set_accounted(0), tail.large_since()), (100, Millis::NEVER));
        assert!(tail.0.is_none());
        tail.note_size(false, Millis(11));
        assert!(tail.0.is_none());
    }
}
