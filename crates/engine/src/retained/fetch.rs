//! The retained messages that a SUBSCRIBE asks for, sent in slices under the session's lock as the client takes them.

use std::{ops::ControlFlow, sync::Arc};

use whimbrel_proto::codec::QoS;

use super::walk::{Cursor, Walk};
use crate::{
    Count, Turn,
    message::Message,
    queue::{Delivery, SubscriptionIds},
    routing::Interest,
    session::Locked,
    subscription::delivered_qos,
};

/// Nodes of the tree that one slice looks at, at most.
const SLICE_STEPS: usize = 256;
/// What a slice counts of a turn's work, besides its messages.
const SLICE_WORK: u64 = 32;

/// How far a slice came.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// All has been sent.
    Done,
    /// There is more, and room for it.
    More,
    /// There may be more, but no room now.
    Full,
}

/// One fetch under way.
pub(crate) struct Fetch {
    filter: Box<str>,
    interest: Interest,
    /// The number of the last message that it brings.
    until: u64,
    ids: SubscriptionIds,
    cursor: Cursor,
    /// Values of the server's own topics, computed when SUBSCRIBE came; sent first.
    current: Vec<Arc<Message>>,
    /// Where the subscription is recorded: nothing is brought before its SUBACK may leave.
    pub after: u64,
}

impl Fetch {
    pub(crate) fn new(
        filter: &str,
        interest: Interest,
        until: u64,
        ids: SubscriptionIds,
        current: Vec<Arc<Message>>,
    ) -> Self {
        Fetch { filter: filter.into(), interest, until, ids, cursor: Cursor::default(), current, after: 0 }
    }

    /// The topic filter.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// The highest QoS at which it brings messages.
    pub(crate) fn qos(&self) -> QoS {
        self.interest.qos
    }

    /// Whether this fetch belongs to the subscription of `filter`.
    pub(crate) fn is_for(&self, filter: &str) -> bool {
        *self.filter == *filter
    }

    /// Sends the next messages; the caller has seen that there is room for one.
    pub(crate) fn slice(&mut self, to: &mut Locked<'_>, turn: &mut Turn) -> Slice {
        if let Some(message) = self.current.pop() {
            self.send(to, turn, &message);
            return Slice::More;
        }
        let Fetch { filter, interest, until, ids, cursor, .. } = self;
        let mut full = false;
        let engine = to.engine;
        turn.work += SLICE_WORK;
        let tree = engine.retained.tree.read();
        let walk = tree.walk(filter, cursor, SLICE_STEPS, |kept| {
            let message = &kept.message;
            if message.body().number <= *until {
                turn.work += 1;
                send(to, turn, message, interest, ids);
                full = !to.may_take_more();
            }
            if full || to.is_soft_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match walk {
            Walk::Done => Slice::Done,
            Walk::More if full => Slice::Full,
            Walk::More => Slice::More,
        }
    }

    fn send(&self, to: &mut Locked<'_>, turn: &mut Turn, message: &Arc<Message>) {
        send(to, turn, message, &self.interest, &self.ids);
    }
}

fn send(
    to: &mut Locked<'_>,
    turn: &mut Turn,
    message: &Arc<Message>,
    interest: &Interest,
    ids: &SubscriptionIds,
) {
    let qos = delivered_qos(message.body().qos, interest.qos);
    if !to.may_read(interest.free, message.topic()) {
        to.lose(turn, Count::DeniedReceive, 1);
        return;
    }
    // RETAIN is set: the message comes because of a new subscription [MQTT-3.3.1-8] of 3.1.1.
    to.send_kept(turn, Delivery::new(message.clone(), ids.clone(), qos, true));
}
