//! What lies between the program and the task that owns the socket: events one way, acknowledgements and the wish to end
//! the other. Not the queue of messages to send, which is a channel.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use whimbrel_proto::{client::Ack, codec::ReasonCode};

use crate::{Event, Limits, Received, message::Acknowledgement, request::Ending};

/// Changes of the connection that wait at most, beside the messages.
const CHANGES_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    limits: Limits,
    manual_ack: bool,
}

#[derive(Debug)]
enum Entry {
    Message(Received, Option<Ack>),
    Change(Event),
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    messages: usize,
    /// Topics and payloads of the messages.
    bytes: usize,
    skipped: u64,
    acks: Vec<(Ack, ReasonCode)>,
    ending: Option<Ending>,
    events_gone: bool,
    clients_gone: bool,
    /// The task has ended: no more events.
    ended: bool,
    reader: Option<Waker>,
    task: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new(limits: Limits, manual_ack: bool) -> Inbox {
        Inbox { state: Mutex::default(), limits, manual_ack }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half-way, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the task does.

    /// The task wants to be woken when the program has done something.
    pub(crate) fn register_task(&self, waker: &Waker) {
        let mut state = self.lock();
        if !state.task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.task = Some(waker.clone());
        }
    }

    /// Whether messages have to wait outside.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().is_full(&self.limits)
    }

    pub(crate) fn push_message(&self, received: Received, ack: Option<Ack>) {
        let mut state = self.lock();
        if state.events_gone {
            return;
        }
        state.messages += 1;
        state.bytes += cost(&received);
        state.entries.push_back(Entry::Message(received, ack));
        wake(&mut state.reader);
    }

    pub(crate) fn push_change(&self, change: Event) {
        let mut state = self.lock();
        if state.events_gone {
            return;
        }
        let is_change = |entry: &Entry| matches!(entry, Entry::Change(_));
        if state.entries.iter().filter(|entry| is_change(entry)).count() >= CHANGES_MAX
            && let Some(oldest) = state.entries.iter().position(is_change)
        {
            state.entries.remove(oldest);
            state.skipped += 1;
        }
        state.entries.push_back(Entry::Change(change));
        wake(&mut state.reader);
    }

    pub(crate) fn take_acks(&self) -> Vec<(Ack, ReasonCode)> {
        std::mem::take(&mut self.lock().acks)
    }

    pub(crate) fn take_ending(&self) -> Option<Ending> {
        self.lock().ending.take()
    }

    /// Whether the program wants to end, or has dropped everything.
    pub(crate) fn wants_end(&self) -> bool {
        let state = self.lock();
        state.ending.is_some() || (state.events_gone && state.clients_gone)
    }

    /// The task has ended.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.ending = None;
        wake(&mut state.reader);
    }

    // What the program does.

    pub(crate) fn poll_next(inbox: &Arc<Inbox>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = inbox.lock();
        if state.skipped > 0 {
            return Poll::Ready(Some(Event::Skipped(std::mem::take(&mut state.skipped))));
        }
        let was_full = state.is_full(&inbox.limits);
        let Some(entry) = state.entries.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let event = match entry {
            Entry::Change(event) => event,
            Entry::Message(mut received, ack) => {
                state.messages -= 1;
                state.bytes -= cost(&received);
                match ack {
                    Some(ack) if inbox.manual_ack => {
                        received.ack = Some(Acknowledgement { ack, inbox: Arc::clone(inbox) });
                    }
                    Some(ack) => state.acknowledge(ack, ReasonCode::Success),
                    None => {}
                }
                Event::Message(received)
            }
        };
        if was_full && !state.is_full(&inbox.limits) {
            wake(&mut state.task);
        }
        Poll::Ready(Some(event))
    }

    pub(crate) fn acknowledge(&self, ack: Ack, reason: ReasonCode) {
        self.lock().acknowledge(ack, reason);
    }

    /// Asks for the end. Only the first wish counts; a second one is given back.
    pub(crate) fn ask_end(&self, ending: Ending) -> Option<Ending> {
        let mut state = self.lock();
        if state.ended || state.ending.is_some() {
            return Some(ending);
        }
        state.ending = Some(ending);
        wake(&mut state.task);
        None
    }

    pub(crate) fn events_dropped(&self) {
        let mut state = self.lock();
        state.events_gone = true;
        (state.messages, state.bytes) = (0, 0);
        state.entries.clear();
        wake(&mut state.task);
    }

    pub(crate) fn clients_dropped(&self) {
        let mut state = self.lock();
        state.clients_gone = true;
        wake(&mut state.task);
    }
}

impl State {
    fn is_full(&self, limits: &Limits) -> bool {
        self.messages >= limits.messages_waiting_max || self.bytes >= limits.messages_waiting_bytes_max
    }

    fn acknowledge(&mut self, ack: Ack, reason: ReasonCode) {
        if !self.ended {
            self.acks.push((ack, reason));
            wake(&mut self.task);
        }
    }
}

fn cost(received: &Received) -> usize {
    received.message.topic.len() + received.message.payload.len()
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
