//! What a session has sent at QoS 1 and 2 and what the peer has not yet acknowledged. It outlives the connection;
//! the message itself is the caller's (`M`), here it is only kept until the peer has it.

use alloc::collections::VecDeque;

use crate::codec::{PacketId, QoS};

/// Packet identifiers that exist: 1 to 65,535.
const PACKET_IDS: u64 = 65_535;

/// How far the delivery of one message has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// PUBLISH sent; at QoS 1 its PUBACK is awaited, at QoS 2 its PUBREC.
    Published(QoS),
    /// PUBREC received, PUBREL sent; its PUBCOMP is awaited.
    Released,
}

/// One delivery that the peer has not completed.
#[derive(Clone, Debug)]
pub struct Sent<M> {
    number: u64,
    stage: Stage,
    message: Option<M>,
}

impl<M> Sent<M> {
    /// The packet identifier; it follows from the delivery's number in the session.
    #[must_use]
    pub fn packet_id(&self) -> PacketId {
        packet_id(self.number)
    }

    /// The delivery's number in the session.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How far the delivery has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The message, absent once the peer has received it (`Stage::Released`).
    #[must_use]
    pub fn message(&self) -> Option<&M> {
        self.message.as_ref()
    }
}

/// The peer acknowledged a packet identifier that is not in that stage.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UnknownPacketId;

/// Deliveries in flight to the peer, in the order in which they were sent [MQTT-4.6.0-1].
///
/// Calling order: [`send`](Self::send) while [`has_room`](Self::has_room); acknowledgements by
/// [`acknowledged`](Self::acknowledged), [`received`](Self::received), [`completed`](Self::completed); on a new
/// network connection [`link_lost`](Self::link_lost), then [`resend`](Self::resend) until it gives nothing more.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    sent: VecDeque<Sent<M>>,
    /// Number of the next delivery.
    next: u64,
    /// Entries from here on have not been sent on this network connection.
    unsent: usize,
}

impl<M> Default for Outgoing<M> {
    fn default() -> Self {
        Outgoing { sent: VecDeque::new(), next: 0, unsent: 0 }
    }
}

impl<M> Outgoing<M> {
    /// Deliveries that the peer has not completed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether a new message may be sent under the peer's Receive Maximum [MQTT-3.3.4-9]. What has to be sent again
    /// comes first.
    #[must_use]
    pub fn has_room(&self, receive_maximum: u16) -> bool {
        self.unsent == self.sent.len() && self.sent.len() < usize::from(receive_maximum)
    }

    /// Whether something waits to be sent again on this connection.
    #[must_use]
    pub fn must_resend(&self) -> bool {
        self.unsent < self.sent.len()
    }

    /// Deliveries that have been sent on this connection and are not completed.
    #[must_use]
    pub fn resent(&self) -> usize {
        self.unsent
    }

    /// Takes a message into flight and gives it an unused packet identifier [MQTT-2.2.1-4]. The caller has asked
    /// [`has_room`](Self::has_room); `taken` names identifiers that are in use for something else (a client's
    /// SUBSCRIBE).
    pub fn send(&mut self, qos: QoS, message: M, taken: impl Fn(PacketId) -> bool) -> PacketId {
        let number = self.reserve_but(taken);
        self.send_numbered(number, qos, message)
    }

    /// Gives out the number of a delivery that will be sent later, and with it a packet identifier that is not in flight
    /// now. Numbers are to be sent in ascending order; some may never be.
    pub fn reserve(&mut self) -> u64 {
        self.reserve_but(|_| false)
    }

    fn reserve_but(&mut self, taken: impl Fn(PacketId) -> bool) -> u64 {
        for _ in 0..PACKET_IDS {
            if self.is_free(self.next) && !taken(packet_id(self.next)) {
                break;
            }
            self.next += 1;
        }
        let number = self.next;
        self.next += 1;
        number
    }

    /// The number that [`reserve`](Self::reserve) gives next.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Numbers below are not given out any more: they were in an earlier life of the session.
    pub fn skip_to(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    /// Whether the packet identifier of this number is free [MQTT-2.2.1-4].
    #[must_use]
    pub fn is_free(&self, number: u64) -> bool {
        // Numbers ascend along the queue, so a collision needs the oldest to be a whole lap behind.
        let is_lapped = self.sent.front().is_some_and(|oldest| number >= oldest.number + PACKET_IDS);
        !is_lapped || !self.contains(packet_id(number))
    }

    /// Takes a message with a reserved number into flight. The caller has asked [`has_room`](Self::has_room) and
    /// [`is_free`](Self::is_free).
    pub fn send_numbered(&mut self, number: u64, qos: QoS, message: M) -> PacketId {
        self.sent.push_back(Sent { number, stage: Stage::Published(qos), message: Some(message) });
        self.unsent = self.sent.len();
        packet_id(number)
    }

    /// Puts a delivery of an earlier life of the session back into flight: it may have been sent, so it goes out again
    /// [MQTT-4.4.0-1]. `None`: the peer has it, and PUBREL is due. In ascending order of numbers, before anything is sent.
    pub fn restore(&mut self, number: u64, message: Option<(QoS, M)>) {
        let (stage, message) = match message {
            Some((qos, message)) => (Stage::Published(qos), Some(message)),
            None => (Stage::Released, None),
        };
        self.sent.push_back(Sent { number, stage, message });
        self.skip_to(number + 1);
    }

    /// The message that was taken into flight last.
    #[must_use]
    pub fn newest(&self) -> Option<&M> {
        self.sent.back()?.message()
    }

    /// Whether this packet identifier is in flight.
    #[must_use]
    pub fn contains(&self, id: PacketId) -> bool {
        self.position(id).is_some()
    }

    /// A PUBACK came (any reason code): the delivery is over [MQTT-4.4.0-2].
    ///
    /// # Errors
    /// No QoS 1 delivery waits for this identifier.
    pub fn acknowledged(&mut self, id: PacketId) -> Result<M, UnknownPacketId> {
        self.finish(id, Stage::Published(QoS::AtLeastOnce))?.message.ok_or(UnknownPacketId)
    }

    /// A PUBREC without error came: the peer has the message, PUBREL follows. Gives the message back the first time,
    /// `None` when PUBREL was sent already and must be sent once more.
    ///
    /// # Errors
    /// No QoS 2 delivery waits for this identifier.
    pub fn received(&mut self, id: PacketId) -> Result<Option<M>, UnknownPacketId> {
        let sent = self.position(id).and_then(|at| self.sent.get_mut(at)).ok_or(UnknownPacketId)?;
        match sent.stage {
            Stage::Published(QoS::ExactlyOnce) => {
                sent.stage = Stage::Released;
                Ok(sent.message.take())
            }
            Stage::Released => Ok(None),
            Stage::Published(_) => Err(UnknownPacketId),
        }
    }

    /// A PUBREC with an error came: the delivery is over [MQTT-4.4.0-2].
    ///
    /// # Errors
    /// No QoS 2 delivery waits for this identifier.
    pub fn refused(&mut self, id: PacketId) -> Result<M, UnknownPacketId> {
        self.finish(id, Stage::Published(QoS::ExactlyOnce))?.message.ok_or(UnknownPacketId)
    }

    /// A PUBCOMP came: the delivery is over and its identifier free again. Gives the delivery's number.
    ///
    /// # Errors
    /// No PUBREL waits for this identifier.
    pub fn completed(&mut self, id: PacketId) -> Result<u64, UnknownPacketId> {
        self.finish(id, Stage::Released).map(|sent| sent.number)
    }

    /// The network connection is gone: everything in flight has to be sent again on the next one [MQTT-4.4.0-1].
    pub fn link_lost(&mut self) {
        self.unsent = 0;
    }

    /// The next delivery to send again, in the order of the first sending, or `None` when all has been or when the
    /// peer's Receive Maximum is used up.
    pub fn resend(&mut self, receive_maximum: u16) -> Option<&Sent<M>> {
        if self.unsent >= self.sent.len() || self.unsent >= usize::from(receive_maximum) {
            return None;
        }
        self.unsent += 1;
        self.sent.get(self.unsent - 1)
    }

    /// Removes the deliveries that `give_up` names, in order, and hands them over: those of a shared subscription
    /// that another member shall have.
    pub fn extract(&mut self, mut give_up: impl FnMut(&Sent<M>) -> bool) -> alloc::vec::Vec<M> {
        let mut given = alloc::vec::Vec::new();
        let mut kept = VecDeque::new();
        let mut unsent = self.unsent;
        for (at, mut sent) in self.sent.drain(..).enumerate() {
            if give_up(&sent) {
                given.extend(sent.message.take());
                if at < self.unsent {
                    unsent -= 1;
                }
            } else {
                kept.push_back(sent);
            }
        }
        self.sent = kept;
        self.unsent = unsent;
        given
    }

    /// The messages in flight that the peer has not received, oldest first.
    pub fn messages_mut(&mut self) -> impl Iterator<Item = &mut M> {
        self.sent.iter_mut().filter_map(|sent| sent.message.as_mut())
    }

    /// Everything in flight, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sent<M>> {
        self.sent.iter()
    }

    fn position(&self, id: PacketId) -> Option<usize> {
        // Most peers answer in order, then it is the first.
        if self.sent.front().is_some_and(|oldest| packet_id(oldest.number) == id) {
            return Some(0);
        }
        self.sent.iter().position(|sent| packet_id(sent.number) == id)
    }

    fn finish(&mut self, id: PacketId, stage: Stage) -> Result<Sent<M>, UnknownPacketId> {
        let at = self.position(id).ok_or(UnknownPacketId)?;
        if self.sent.get(at).is_none_or(|sent| sent.stage != stage) {
            return Err(UnknownPacketId);
        }
        if at < self.unsent {
            self.unsent -= 1;
        }
        let done = if at == 0 { self.sent.pop_front() } else { self.sent.remove(at) };
        if self.sent.is_empty() && self.sent.capacity() > 64 {
            // An idle session keeps no memory of its busiest moment.
            self.sent = VecDeque::new();
        }
        done.ok_or(UnknownPacketId)
    }
}

fn packet_id(number: u64) -> PacketId {
    const FIRST: PacketId = PacketId::new(1).unwrap();
    u16::try_from(number % PACKET_IDS + 1).ok().and_then(PacketId::new).unwrap_or(FIRST)
}
