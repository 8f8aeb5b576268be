//! What a client says about deliveries, and PUBREL for its own messages. Flow control follows from it.

use whimbrel_proto::{
    Release,
    codec::{PacketId, ReasonCode},
};

use crate::{
    Attached, Engine, Turn,
    commit::{self, Promise},
    queue::Delivery,
};

impl Engine {
    /// PUBACK: the delivery is over, whatever its reason code [MQTT-4.4.0-2]. An unknown identifier is left alone.
    pub fn puback(&self, turn: &mut Turn, from: &Attached, id: PacketId) {
        let Some(mut own) = self.lock_attached(from) else { return };
        let done = own.state.outgoing.acknowledged(id);
        if let Ok(delivery) = &done {
            own.landed(delivery);
            own.strike(turn, delivery); // Nobody waits for it: lost in a crash, it is a duplicate.
        }
        own.note_backlog();
        own.pump(turn);
        drop(own);
        spare(turn, done.ok()); // The last reference to a large payload is freed without the lock.
    }

    /// PUBREC: the client has the message, or refuses it.
    pub fn pubrec(&self, turn: &mut Turn, from: &Attached, id: PacketId, reason: ReasonCode) {
        let Some(mut own) = self.lock_attached(from) else { return };
        if reason.is_error() {
            let refused = own.state.outgoing.refused(id);
            if let Ok(delivery) = &refused {
                own.landed(delivery);
                own.strike(turn, delivery);
            }
            own.note_backlog();
            own.pump(turn);
            drop(own);
            spare(turn, refused.ok());
            return;
        }
        let received = own.state.outgoing.received(id);
        if let Ok(Some(delivery)) = &received {
            own.landed(delivery);
            own.note_received(turn, delivery);
        }
        let reason = if received.is_ok() { ReasonCode::Success } else { ReasonCode::PacketIdNotFound };
        let last = own.state.last;
        commit::leave(&mut own, turn, Promise::PubRel(id, reason), last); // [MQTT-4.3.3-4]
        drop(own);
        spare(turn, received.ok().flatten());
    }

    /// PUBCOMP: the delivery is over and its packet identifier free.
    pub fn pubcomp(&self, turn: &mut Turn, from: &Attached, id: PacketId) {
        let Some(mut own) = self.lock_attached(from) else { return };
        if let Ok(number) = own.state.outgoing.completed(id) {
            own.note_completed(turn, number);
            own.note_backlog();
            own.pump(turn);
        }
    }

    /// PUBREL: the client will not send this message again [MQTT-4.3.3-11]. Whether it gives the client its quota back:
    /// not for an identifier that is not open, nor for one of an earlier connection, which has taken none of it.
    pub fn pubrel(&self, turn: &mut Turn, from: &Attached, id: PacketId) -> bool {
        let Some(mut own) = self.lock_attached(from) else { return false };
        let release = own.state.incoming.release(id);
        let reason = match release {
            Release::Unknown => ReasonCode::PacketIdNotFound,
            Release::Earlier | Release::Present => ReasonCode::Success,
        };
        if release != Release::Unknown {
            own.note_released(turn, id);
        }
        let last = own.state.last;
        commit::leave(&mut own, turn, Promise::PubComp(id, reason), last);
        release == Release::Present
    }

    /// PINGREQ: PINGRESP [MQTT-3.12.4-1].
    pub fn ping(&self, turn: &mut Turn, from: &Attached) {
        let Some(mut own) = self.lock_attached(from) else { return };
        commit::leave(&mut own, turn, Promise::PingResp, 0);
    }
}

/// The message may be used again, if this delivery was the last that needed it.
fn spare(turn: &mut Turn, delivery: Option<Delivery>) {
    if let Some(delivery) = delivery {
        turn.spares.give(delivery.message);
    }
}
