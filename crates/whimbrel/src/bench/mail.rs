//! What threads of a run tell each other: orders, and which messages have arrived. Not what follows from it.

use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;

use super::clock::Nanos;
use super::connection::Job;
use super::worker::Worker;

/// Where other threads leave what has arrived of this thread's publishers' messages: sender and deliveries.
pub(super) struct Mailbox {
    pub(super) credits: Mutex<Vec<(u32, u32)>>,
    pub(super) waker: Waker,
}

impl Worker {
    pub(super) fn take_mail(&mut self, now: Nanos) {
        let mailboxes = Arc::clone(&self.mailboxes);
        if let Some(mailbox) = mailboxes.get(self.index) {
            let credits =
                std::mem::take(&mut *mailbox.credits.lock().unwrap_or_else(PoisonError::into_inner));
            for (sender, deliveries) in credits {
                self.credit(sender, deliveries, now);
            }
        }
        while let Ok(order) = self.inbox.try_recv() {
            self.obey(order, now);
        }
    }

    /// Tells publishers, here and on other threads, that their messages have arrived.
    pub(super) fn hand_out_credits(&mut self, now: Nanos) {
        if self.desk.credits.is_empty() {
            return;
        }
        let mut credits = std::mem::take(&mut self.desk.credits);
        let mut others = vec![Vec::new(); if self.mailboxes.len() > 1 { self.mailboxes.len() } else { 0 }];
        for (sender, deliveries) in credits.drain(..) {
            let thread = self.places.get(sender as usize).map_or(self.index, |place| place.thread);
            match others.get_mut(thread) {
                Some(other) if thread != self.index => other.push((sender, deliveries)),
                _ => self.credit(sender, deliveries, now),
            }
        }
        self.desk.credits = credits;
        for (mailbox, mut mail) in self.mailboxes.iter().zip(others) {
            if !mail.is_empty() {
                let mut waiting = mailbox.credits.lock().unwrap_or_else(PoisonError::into_inner);
                let asleep = waiting.is_empty();
                waiting.append(&mut mail);
                drop(waiting);
                if asleep {
                    // A thread that cannot be woken looks by itself at its next tick.
                    let _ = mailbox.waker.wake();
                }
            }
        }
    }

    fn credit(&mut self, sender: u32, deliveries: u32, now: Nanos) {
        let Some(place) = self.places.get(sender as usize).copied() else { return };
        if let Some(connection) = self.connections.get_mut(place.connection)
            && let Job::Publish(publisher) = &mut connection.job
        {
            publisher.credit(u64::from(deliveries), now);
            self.enqueue(place.connection);
        }
    }
}
