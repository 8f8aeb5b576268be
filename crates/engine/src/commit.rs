//! The only place from which a promise leaves: CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
//!
//! A promise leaves in the order in which its line of packets was handled, and not before what it promises is durable: it
//! is held with the position of the journal that it waits for, and [`Engine::release`] lets it go when the journal has
//! come so far. A promise that is held dies with its connection.

use std::{collections::VecDeque, sync::Arc};

use whimbrel_proto::{
    codec::{Ack as AckPacket, Auth, PacketId, PacketType, ReasonCode, Reasons, SubAck, UnsubAck, Version},
    server::{Limits, Negotiated, connect::connack},
};

use crate::{
    Engine, Level, Turn,
    link::Link,
    session::{Locked, Session},
};

/// A packet that tells a client that the server has taken responsibility.
pub(crate) enum Promise<'a> {
    ConnAck {
        negotiated: &'a Negotiated,
        session_present: bool,
        assigned: Option<&'a str>,
    },
    PubAck(PacketId, ReasonCode),
    PubRec(PacketId, ReasonCode),
    /// PUBACK or PUBREC of a message that is denied, with the reason in words.
    Denied(PacketType, PacketId, &'a str),
    PubRel(PacketId, ReasonCode),
    PubComp(PacketId, ReasonCode),
    /// With the reason of the first denial in words.
    SubAck(PacketId, &'a [ReasonCode], Option<&'a str>),
    UnsubAck(PacketId, &'a [ReasonCode]),
    /// It promises nothing.
    Auth(&'a Auth<'a>),
    /// It promises nothing.
    PingResp,
}

/// Promises of one connection that wait for the disk, in order.
#[derive(Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// What each waits for, and how many bytes it has.
    marks: VecDeque<(u64, u32)>,
}

impl Held {
    /// Promises.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    fn push(&mut self, position: u64, encode: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        encode(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - before).unwrap_or(u32::MAX);
        self.marks.push_back((position, length));
    }

    /// Takes the bytes of all that wait for no more than `reached`.
    fn take(&mut self, reached: u64, into: &mut Vec<u8>) -> usize {
        let (mut bytes, mut count) = (0, 0);
        while let Some((position, length)) = self.marks.front()
            && *position <= reached
        {
            bytes += *length as usize;
            count += 1;
            self.marks.pop_front();
        }
        into.extend(self.bytes.drain(..bytes));
        count
    }
}

/// Lets a promise leave on the session's link, if it still has one, once the journal has come to `position` (0: at once).
pub(crate) fn leave(to: &mut Locked<'_>, turn: &mut Turn, promise: Promise<'_>, position: u64) {
    if position == u64::MAX {
        // The journal has refused a record that this depends on: it is never true.
        let engine = to.engine;
        engine.close_link(to, turn, ReasonCode::ImplementationSpecific, None);
        return;
    }
    let limits = &to.engine.limits.connection;
    let opens = matches!(promise, Promise::ConnAck { .. });
    let Some(link) = to.state.open_link() else { return };
    let promise = explained(promise, link);
    let waits = !to.engine.store.has_reached(turn, position, link.level);
    // Nothing overtakes CONNACK; PINGRESP and AUTH, which promise nothing, overtake what else waits for the disk.
    let passes = matches!(promise, Promise::PingResp | Promise::Auth(_)) && !link.opening;
    if passes || (!waits && link.held.is_none()) {
        link.append(turn, |version, out| encode(&promise, version, limits, out));
        to.engine.follow(&mut to.state);
        to.mark_dirty(turn);
        return;
    }
    link.opening |= opens;
    if !link.fits(|version, out| encode(&promise, version, limits, out)) {
        link.close_for_size(turn);
        to.mark_dirty(turn);
        return;
    }
    let version = link.version;
    let first = link.held.is_none();
    // What waits for less than the one before it waits with it.
    link.held
        .get_or_insert_default()
        .push(if waits { position } else { 0 }, |out| encode(&promise, version, limits, out));
    if first {
        turn.park(position, link.level, to.session.clone());
    }
}

/// Leaves the words out where the client wants none, or takes no packet that has room for them [MQTT-3.4.2-2].
fn explained<'a>(promise: Promise<'a>, link: &Link) -> Promise<'a> {
    match promise {
        Promise::SubAck(id, reasons, Some(why)) if !link.takes_words(why.len() + reasons.len()) => {
            Promise::SubAck(id, reasons, None)
        }
        Promise::Denied(kind, id, why) if !link.takes_words(why.len()) => match kind {
            PacketType::PubRec => Promise::PubRec(id, ReasonCode::NotAuthorized),
            _ => Promise::PubAck(id, ReasonCode::NotAuthorized),
        },
        other => other,
    }
}

fn encode(promise: &Promise<'_>, version: Version, limits: &Limits, out: &mut Vec<u8>) {
    let ack = |kind, id, reason, out: &mut Vec<u8>| AckPacket::new(id, reason).encode(kind, version, out);
    match *promise {
        Promise::ConnAck { negotiated, session_present, assigned } => {
            connack(negotiated, session_present, assigned, limits, out);
        }
        Promise::PubAck(id, reason) => ack(PacketType::PubAck, id, reason, out),
        Promise::PubRec(id, reason) => ack(PacketType::PubRec, id, reason, out),
        Promise::Denied(kind, id, why) => {
            let reason_string = Some(why);
            AckPacket { reason_string, ..AckPacket::new(id, ReasonCode::NotAuthorized) }
                .encode(kind, version, out);
        }
        Promise::PubRel(id, reason) => ack(PacketType::PubRel, id, reason, out),
        Promise::PubComp(id, reason) => ack(PacketType::PubComp, id, reason, out),
        Promise::Auth(auth) => auth.encode(version, out),
        Promise::PingResp => whimbrel_proto::codec::Packet::PingResp.encode(version, out),
        Promise::SubAck(packet_id, reasons, reason_string) => {
            let spoken: Vec<ReasonCode>;
            let mut reasons = reasons;
            if version == Version::V31 {
                // 3.1 has no failure code: a refused filter gets a granted QoS, and nothing is delivered.
                spoken = reasons
                    .iter()
                    .map(|reason| if reason.is_error() { ReasonCode::Success } else { *reason })
                    .collect();
                reasons = &spoken;
            }
            let reasons = Reasons::from_slice(reasons);
            SubAck { packet_id, reason_string, user_properties: Default::default(), reasons }
                .encode(version, out);
        }
        Promise::UnsubAck(packet_id, reasons) => {
            let reasons = Reasons::from_slice(reasons);
            UnsubAck { packet_id, reason_string: None, user_properties: Default::default(), reasons }
                .encode(version, out);
        }
    }
}

impl Engine {
    /// Asks the journal for what this turn waits for.
    pub(crate) fn commit(&self, turn: &mut Turn) {
        let was_staged = std::mem::take(&mut turn.staged);
        let [written, synced] = std::mem::take(&mut turn.wanted);
        let Some(journal) = self.store.journal() else { return };
        let is_releasable = std::mem::take(&mut turn.is_releasable);
        let is_reached = (written > 0 && journal.ask(written, Level::Process))
            | (synced > 0 && journal.ask(synced, Level::Power));
        if was_staged && (written, synced) == (0, 0) {
            journal.nudge(); // Nobody waits for it; it shall not wait for the next who does either.
        }
        if is_reached || is_releasable {
            self.release(turn); // The report has come before the question.
        }
    }

    /// Whether [`Self::release`] would let something go.
    #[must_use]
    pub fn may_release(&self, turn: &Turn) -> bool {
        let Some(journal) = self.store.journal() else { return false };
        if self.store.may_let_in() {
            return true;
        }
        let fronts = turn.parked.iter().zip([Level::Process, Level::Power]);
        fronts
            .filter_map(|(parked, level)| Some((parked.front()?.0, level)))
            .any(|(position, level)| journal.reached(level) >= position)
    }

    /// How far the journal has been staged, and how far it has come at this level; twice 0 where nothing waits for a disk.
    #[must_use]
    pub fn commits_under_way(&self, level: Level) -> (u64, u64) {
        match self.store.journal() {
            Some(journal) if level != Level::Memory => (journal.staged(), journal.reached(level)),
            _ => (0, 0),
        }
    }

    /// Whether anybody waits for room in the journal, which comes with a sync: [`Self::release`] lets them in, for whichever
    /// turn.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.store.is_awaited()
    }

    /// The journal has come further: promises and messages that waited for it leave. For each turn that
    /// [`Turn::has_parked`], and for one at least if [`Self::has_waiting`], after the journal has reported; then
    /// [`Self::flush`].
    pub fn release(&self, turn: &mut Turn) {
        self.store.let_in();
        let Some(journal) = self.store.journal() else { return };
        for (at, level) in [Level::Process, Level::Power].into_iter().enumerate() {
            let reached = journal.reached(level);
            let Some(parked) = turn.parked.get_mut(at) else { break };
            let waits = |(position, _): &(u64, Arc<Session>)| *position > reached;
            let due = parked.iter().position(waits).unwrap_or(parked.len());
            let mut due: Vec<Arc<Session>> = parked.drain(..due).map(|(_, session)| session).collect();
            // Each once, however often it was parked: it is parked anew for all that it still waits for.
            due.sort_unstable_by_key(|session| session.key);
            due.dedup_by_key(|session| session.key);
            for session in due {
                self.release_session(turn, &session);
            }
        }
    }

    fn release_session(&self, turn: &mut Turn, session: &Arc<Session>) {
        let mut own = Locked::new(self, session);
        own.state.parked_for = 0;
        if let Some((next, level)) = own.let_go(turn) {
            turn.park(next, level, session.clone());
        }
        own.pump(turn);
    }
}

impl Locked<'_> {
    /// Lets go what the journal has reached; gives what the next promise waits for.
    fn let_go(&mut self, turn: &mut Turn) -> Option<(u64, Level)> {
        let store = &self.engine.store;
        let receive_maximum = usize::from(self.engine.limits.connection.receive_maximum);
        let link = self.state.open_link()?;
        let held = link.held.as_mut()?;
        let reached = store.journal().map_or(u64::MAX, |journal| journal.reached(link.level));
        let was_full = held.len() >= receive_maximum;
        let mut bytes = std::mem::take(&mut turn.record);
        bytes.clear();
        let left = held.take(reached, &mut bytes);
        let next = held.marks.front().map(|(position, _)| *position);
        let is_full = held.len() >= receive_maximum;
        if next.is_none() {
            link.held = None;
        }
        if left > 0 {
            link.opening = false;
            link.append_held(turn, &bytes, left);
            if (was_full && !is_full) || (next.is_none() && std::mem::take(&mut link.is_awaited)) {
                link.wire.wake(); // Its owner reads again.
            }
        }
        let level = link.level;
        turn.record = bytes;
        if left > 0 {
            self.engine.follow(&mut self.state);
            self.mark_dirty(turn);
        }
        if let Some(position) = next {
            store.has_reached(turn, position, level); // Asks for it, should nobody have.
        }
        next.map(|position| (position, level))
    }
}
