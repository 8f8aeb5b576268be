//! The task of one connection: reads into the worker's buffer, hands whole packets to the conversation, waits when the
//! conversation has to wait. Between packets it holds no buffer.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;
use tracing::field::display;
use whimbrel_engine::{
    Conversation, Count, Standing, Wire,
    proto::{Millis, codec::ReasonCode},
};

use whimbrel_net::Peer;

use super::{
    Bench, Place, READ_BYTES, Shared,
    admission::{Known, Visitor},
    exchange::Authenticating,
    keeper::Peg,
    link::SocketWire,
    login::{Claim, Login},
    tail::Tail,
    telling::{Kind, Words},
    with_bench,
    wrapped::Socket,
};
use crate::auth::{Credentials, Denial, Secret, Verdict};

/// Reads of one turn; then others go on.
pub(super) const READS_PER_TURN: usize = 4;
/// While much of the memory for unfinished packets is in use, one of more than [`READ_BYTES`] may take so long.
const PACKET_MILLIS: u64 = 10_000;
/// Slices of a message under way that are still brought to its receivers when a task is torn down.
const SLICES_AT_DROP: usize = 1_000;

/// What a client hears that speaks another version than its listener.
const VERSION_HINT: &str = "this listener speaks other versions of MQTT";

/// What a client hears that has no session while everything is late here.
const BUSY_HINT: &str =
    "the server is overloaded and takes up sessions that it has; try again in some seconds";

/// Where the connection is on its way out.
pub(super) enum Phase {
    Talking,
    /// The last packet has been written; until when the client may take it, and how much it may still send.
    Lingering {
        until: Millis,
        bytes: u32,
    },
    /// The socket is done with; what the conversation owes others is finished.
    Ending,
}

/// One connection.
pub(super) struct Task {
    pub(super) conversation: Conversation,
    pub(super) socket: Socket,
    pub(super) wire: Arc<SocketWire>,
    /// Bytes that were read and not yet handled.
    tail: Tail,
    /// Whether it is counted with the clients whose CONNECT was accepted.
    accounted_as_known: bool,
    /// Present from CONNECT on.
    pub(super) visitor: Option<Box<Visitor>>,
    /// Present where CONNECT named a method of enhanced authentication that is offered.
    pub(super) authenticating: Option<Box<Authenticating>>,
    pub(super) phase: Phase,
    /// It was woken and has let others run first.
    stood_back: bool,
    pub(super) address: Peer,
    /// Where the keeper finds the wire; from the first poll on.
    pub(super) peg: Option<Peg>,
    pub(super) place: Place,
}

impl Task {
    pub(super) fn new(
        shared: &Shared,
        socket: Socket,
        wire: Arc<SocketWire>,
        address: Peer,
        place: Place,
    ) -> Self {
        Task {
            conversation: Conversation::new(&shared.engine, shared.mono()).at_level(place.door.level),
            socket,
            wire,
            tail: Tail::default(),
            accounted_as_known: false,
            visitor: None,
            authenticating: None,
            phase: Phase::Talking,
            stood_back: false,
            address,
            peg: None,
            place,
        }
    }

    fn turn(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        bench.begin();
        if self.peg.is_none() {
            // A task keeps its waker for life, so it is named once.
            self.wire.register(context);
            self.peg = Some(bench.wires.add(self.wire.clone()));
            let anew = matches!(&self.socket, Socket::Wrapped(wrapped) if wrapped.is_to_be_judged());
            if self.place.door.closed.load(Relaxed) || anew {
                self.wire.wake(); // Whoever was there when it was closed, or changed, was told before us.
            }
        }
        if let Phase::Talking = self.phase {
            self.talk(bench, context);
        }
        if let Socket::Wrapped(wrapped) = &mut self.socket {
            let _ = wrapped.poll_send(&self.wire, context); // It has us woken when it can go on.
        }
        if let Phase::Lingering { .. } = self.phase {
            self.linger(bench, context);
        }
        if let Phase::Ending = self.phase {
            return self.leave(bench, context);
        }
        Poll::Pending
    }

    fn talk(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        if self.wire.is_woken() && !std::mem::replace(&mut self.stood_back, true) {
            // What a wake asks for may be long and come again and again: a look at the sockets goes first.
            let_others_run(context);
            return;
        }
        self.stood_back = false;
        if self.wire.take_woken() {
            let shared = bench.shared.clone();
            let wire = self.dyn_wire();
            if shared.stopping.load(Relaxed) {
                self.conversation.close(&shared.engine, &mut bench.turn, ReasonCode::ServerShuttingDown);
            }
            self.judge(bench);
            self.conversation.handle_timeout(&shared.engine, &mut bench.turn, &wire);
            self.look_for_ban(bench);
        } else if self.conversation.standing() == Standing::Working {
            let (engine, wire) = (bench.shared.engine.clone(), self.dyn_wire());
            self.conversation.proceed(&engine, &mut bench.turn, &wire);
        }
        let (mut reads, mut read_bytes) = (0, 0);
        let (mut open, mut broken) = (true, false);
        while open {
            match self.conversation.standing() {
                Standing::Closing => break,
                Standing::Waiting => break,
                Standing::Working => {
                    let_others_run(context); // The next slice in the next turn.
                    break;
                }
                Standing::Asking => match self.ask(bench, context) {
                    Poll::Ready(stays) => open = stays,
                    Poll::Pending => break,
                },
                Standing::Reading if self.rests_until(bench.turn.now.mono) != Millis::NEVER => break,
                Standing::Reading if reads == READS_PER_TURN || read_bytes >= READ_BYTES => {
                    let_others_run(context);
                    break;
                }
                Standing::Reading => match self.read_and_charge(bench, context) {
                    Poll::Ready(Ok(bytes)) => {
                        self.account_tail(bench);
                        reads += 1;
                        read_bytes += bytes;
                        open = bytes > 0;
                    }
                    Poll::Ready(Err(_)) => (open, broken) = (false, true),
                    Poll::Pending => break,
                },
            }
        }
        if self.authenticating.is_some() {
            // Who authenticates again goes on with everything else meanwhile; a later answer has us polled.
            let _ = self.advance_exchange(bench, context);
        }
        self.shed_slow_packet(bench);
        let held = self.conversation.standing() == Standing::Waiting;
        self.wait_writable(bench, context);
        if held && self.conversation.standing() == Standing::Reading {
            let_others_run(context); // The hold has ended, and nobody else would have us read again.
        }
        let due = self.slow_packet_due(bench.turn.now.mono).min(self.conversation.deadline());
        let due = due.min(self.rests_until(bench.turn.now.mono));
        self.set_deadline(bench, due);
        if !open {
            self.hear_the_end(bench, context, broken);
        } else if self.conversation.standing() == Standing::Closing {
            self.say_goodbye(bench, context);
        }
    }

    /// Ends the connection of a client whose listener was closed, or whose certificate is no longer good.
    fn judge(&mut self, bench: &mut Bench) {
        let why = match &mut self.socket {
            _ if self.place.door.closed.load(Relaxed) => "its listener is closed".to_owned(),
            Socket::Wrapped(wrapped) => match wrapped.judge() {
                Err(why) => why,
                Ok(()) => return,
            },
            Socket::Tcp(_) => return,
        };
        let (address, listener) = (self.address, &self.place.door.name);
        bench.telling.tell(Kind::Handshake, bench.turn.now.mono, || {
            tracing::info!(%address, %listener, "disconnected: {why}");
        });
        let engine = bench.shared.engine.clone();
        self.conversation.close(&engine, &mut bench.turn, ReasonCode::AdministrativeAction);
    }

    /// Keeps the count of what all connections hold of packets that have not arrived whole and of topic aliases; beyond
    /// the limit this one ends if it holds much, or if nobody knows yet who it is.
    fn account_tail(&mut self, bench: &mut Bench) {
        let shared = bench.shared.clone();
        let known = self.conversation.attached().is_some();
        if known != self.accounted_as_known {
            self.forget_account(&shared);
            self.accounted_as_known = known;
        }
        let aliases = self.conversation.alias_bytes();
        // A packet may have been handled meanwhile, whatever room it has left.
        self.tail.note_size(self.tail.bytes().len() + aliases > READ_BYTES, bench.turn.now.mono);
        let held = self.tail.capacity() + aliases;
        let before = self.tail.set_accounted(held);
        if held == before {
            return;
        }
        let grown = held > before;
        let count = self.account(&shared);
        count.fetch_add(held, Relaxed);
        let used = count.fetch_sub(before, Relaxed) - before;
        let (share, much) = if known { (1, READ_BYTES) } else { (4, 0) };
        if grown && held > much && used > shared.input_bytes_max / share {
            self.close_for_input(bench);
        }
    }

    /// Where this connection is counted: strangers have a count of their own, so that clients do not keep them out.
    fn account<'a>(&self, shared: &'a Shared) -> &'a AtomicUsize {
        if self.accounted_as_known { &shared.input_bytes } else { &shared.stranger_bytes }
    }

    fn forget_account(&mut self, shared: &Shared) {
        let before = self.tail.set_accounted(0);
        self.account(shared).fetch_sub(before, Relaxed);
    }

    /// When an unfinished packet has taken so long that it may have to make room.
    fn slow_packet_due(&self, now: Millis) -> Millis {
        match self.tail.large_since() {
            Millis::NEVER => Millis::NEVER,
            since => (since + PACKET_MILLIS).max(now + 1_000),
        }
    }

    /// Where others find no room for their packets, one that has been under way for long makes room: who sends slowly
    /// does not keep others out for ever.
    fn shed_slow_packet(&mut self, bench: &mut Bench) {
        let late = self.conversation.standing() == Standing::Reading
            && self.tail.large_since() != Millis::NEVER
            && self.tail.large_since() + PACKET_MILLIS <= bench.turn.now.mono;
        let max = bench.shared.input_bytes_max;
        if late && bench.shared.input_bytes.load(Relaxed) > max - max / 4 {
            self.close_for_input(bench);
        }
    }

    fn close_for_input(&mut self, bench: &mut Bench) {
        bench.turn.count(Count::InputLimit, 1);
        let address = self.address;
        bench.telling.tell(Kind::Refused, bench.turn.now.mono, || {
            tracing::info!(%address, "closed: packets that have not arrived whole hold too much memory");
        });
        let engine = bench.shared.engine.clone();
        self.conversation.close(&engine, &mut bench.turn, ReasonCode::ServerBusy);
    }

    pub(super) fn forget_tail(&mut self, bench: &mut Bench) {
        self.tail.clear();
        let shared = bench.shared.clone();
        self.forget_account(&shared);
    }

    /// The same as [`Self::read`], and what was sent counts for the quotas, where there are any.
    fn read_and_charge(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = Task::sent_so_far(bench);
        let read = self.read(bench, context);
        self.charge(bench, before);
        read
    }

    /// Reads once, or handles what was read before, and gives a measure of bytes: 0 at the end of the stream.
    fn read(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Bench { shared, turn, read, .. } = bench;
        let engine = &shared.engine;
        if !self.tail.is_whole() {
            let mut buffer = ReadBuf::new(read);
            ready!(self.socket.poll_read(context, &mut buffer))?;
            let fresh = buffer.filled();
            if fresh.is_empty() {
                return Poll::Ready(Ok(0));
            }
            turn.count(Count::BytesReceived, fresh.len() as u64);
            if self.tail.bytes().is_empty() {
                let used = self.conversation.receive(engine, turn, fresh);
                let rest = fresh.get(used..).unwrap_or_default();
                if !rest.is_empty() {
                    self.tail.push(rest);
                    self.tail.set_whole(self.conversation.standing() != Standing::Reading);
                }
                return Poll::Ready(Ok(fresh.len()));
            }
            self.tail.push(fresh);
        }
        let used = self.conversation.receive(engine, turn, self.tail.bytes());
        self.tail.set_whole(self.conversation.standing() != Standing::Reading);
        self.tail.handled(used);
        Poll::Ready(Ok(used.max(1)))
    }

    /// Has the question of a CONNECT answered; the worker goes on with others until it is. False when the client has
    /// gone meanwhile.
    fn ask(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<bool> {
        if let Some(question) = self.conversation.question() {
            if !self.place.door.speaks(self.conversation.version()) {
                let reason = ReasonCode::UnsupportedProtocolVersion;
                self.holds_nobody_up();
                self.conversation.turn_away(&bench.turn, reason, VERSION_HINT);
                return Poll::Ready(true);
            }
            if bench.gate.is_busy() && bench.shared.engine.session(&question.client_id).is_none() {
                bench.turn.count(Count::TurnedAway, 1);
                self.holds_nobody_up();
                self.conversation.turn_away(&bench.turn, ReasonCode::ServerBusy, BUSY_HINT);
                return Poll::Ready(true);
            }
            let claim = Claim { client_id: question.client_id, user_name: question.user_name.clone() };
            if let Some(kept_out) = self.is_address_banned(bench) {
                self.holds_nobody_up();
                self.keep_out(bench, &claim, &kept_out);
                return Poll::Ready(true);
            }
            if let Some(method) = question.method {
                self.begin_exchange(bench, claim, *method);
                return Poll::Ready(true);
            }
            let (user_name, password) = (question.user_name, question.password);
            let password = password.map(|password| Secret::new(password.into_vec()));
            let now = bench.turn.now.mono;
            let login = match self.vouched(&claim) {
                Err(denial) => Login::judged(claim, Verdict::Deny(denial)),
                Ok(certificate) => {
                    let client_id = claim.client_id.clone();
                    Login::new(claim, Credentials { user_name, password, client_id, certificate }, now)
                }
            };
            self.visitor = Some(Box::new(Visitor::Coming(Box::new(login))));
        }
        if self.authenticating.is_some() {
            if self.advance_exchange(bench, context).is_ready() {
                return Poll::Ready(true);
            }
            let stays = self.listen(bench, context);
            self.account_tail(bench);
            return stays;
        }
        let Some(Visitor::Coming(login)) = self.visitor.as_deref_mut() else { return Poll::Pending };
        let Poll::Ready(verdict) = login.poll(bench, &self.place.door, self.address, context) else {
            if login.is_put_off() {
                self.holds_nobody_up();
            }
            let stays = self.listen(bench, context);
            self.account_tail(bench);
            return stays;
        };
        if let Some(Visitor::Coming(login)) = self.visitor.take().map(|visitor| *visitor) {
            self.hear(bench, &login.claim, verdict);
        }
        Poll::Ready(true)
    }

    /// The user name that the client's certificate has, where the listener looks at it; an error where the certificate is
    /// another client's.
    pub(super) fn vouched(&self, claim: &Claim) -> Result<Option<Arc<str>>, Denial> {
        match (&self.socket, self.place.door.identity) {
            (Socket::Wrapped(wrapped), Some((_, is_client_id))) => {
                wrapped.vouches(is_client_id, &claim.client_id)
            }
            _ => Ok(None),
        }
    }

    /// While a verdict is awaited: who has gone needs none and takes nobody's place in the queue. What the client says
    /// meanwhile is kept for later, up to the size of one read; then it is not listened to.
    fn listen(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<bool> {
        let Bench { turn, read, .. } = bench;
        loop {
            let room = READ_BYTES.saturating_sub(self.tail.bytes().len());
            let Some(free) = read.get_mut(..room).filter(|free| !free.is_empty()) else {
                return Poll::Pending;
            };
            let mut buffer = ReadBuf::new(free);
            match ready!(self.socket.poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    turn.count(Count::BytesReceived, buffer.filled().len() as u64);
                    self.tail.push(buffer.filled());
                    self.tail.set_whole(true);
                }
                // It has said all that it had to say, and is heard if the verdict is good [MQTT-3.1.4-6].
                Ok(()) if !self.tail.bytes().is_empty() => return Poll::Pending,
                Ok(()) | Err(_) => {
                    // The authenticator sees by this that nobody waits.
                    (self.visitor, self.authenticating) = (None, None);
                    return Poll::Ready(false);
                }
            }
        }
    }

    pub(super) fn hear(&mut self, bench: &mut Bench, claim: &Claim, verdict: Verdict) {
        let verdict = self.note(bench, claim, verdict);
        let engine = bench.shared.engine.clone();
        let wire = self.dyn_wire();
        self.conversation.answer(&engine, &mut bench.turn, verdict, &wire);
    }

    /// Somebody else may begin: this one is answered, or is let wait on purpose.
    pub(super) fn holds_nobody_up(&mut self) {
        if let Socket::Wrapped(wrapped) = &mut self.socket {
            wrapped.is_answered();
        }
    }

    /// Tells the log and, of whoever is let in, the conversation who it is.
    pub(super) fn note(
        &mut self,
        bench: &mut Bench,
        claim: &Claim,
        verdict: Verdict,
    ) -> Result<(), ReasonCode> {
        self.holds_nobody_up();
        let (client, address, listener) = (Words(&claim.client_id), self.address, &self.place.door.name);
        match verdict {
            Verdict::Allow(identity) => {
                let user = identity.user_name.as_deref().map(Words).map(display);
                tracing::debug!(%client, user, %address, %listener, "a client may connect");
                if let Some(kept_out) = self.is_kept_out(bench, claim, identity.user_name.as_deref()) {
                    self.keep_out(bench, claim, &kept_out);
                    return Err(kept_out.reason);
                }
                let (user, judged) = (identity.user_name.clone(), bench.shared.trust_changes.load(Relaxed));
                let share = match self.enter_quotas(bench, claim, user.as_ref()) {
                    Ok(share) => share,
                    Err(kept_out) => {
                        self.keep_out(bench, claim, &kept_out);
                        return Err(kept_out.reason);
                    }
                };
                let known = Known { user, judged, share, rests_until: Millis(0) };
                self.visitor = Some(Box::new(Visitor::Known(known)));
                // A new proof says anew when it ends; one that does not end leaves no end of the one before.
                let ends_at = identity.ends_at.map_or(Millis::NEVER, |at| bench.turn.now.mono_at(at));
                self.conversation.ends_at(ends_at);
                let who = identity.who(&claim.client_id, address.ip(), &self.place.door.name);
                self.conversation.identify(&bench.shared.engine, who);
                Ok(())
            }
            Verdict::Deny(denial) => {
                bench.telling.tell(Kind::Refused, bench.turn.now.mono, || {
                    let user = claim.user_name.as_deref().map(Words).map(display);
                    tracing::info!(%client, user, %address, %listener, ?denial, "a client was refused");
                });
                Err(denial.reason())
            }
        }
    }

    /// When the keeper wakes this task.
    pub(super) fn set_deadline(&self, bench: &mut Bench, deadline: Millis) {
        if let Some(peg) = self.peg {
            bench.wires.set_deadline(peg, deadline);
        }
    }

    pub(super) fn dyn_wire(&self) -> Arc<dyn Wire> {
        self.wire.clone()
    }

    /// While the socket takes no more, the owner waits until it does.
    fn wait_writable(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        if !self.conversation.is_blocked() {
            return;
        }
        let engine = bench.shared.engine.clone();
        while self.conversation.is_blocked() && self.poll_writable(context).is_ready() {
            self.conversation.writable(&engine, &mut bench.turn);
            engine.flush(&mut bench.turn);
            // It may be blocked again; the flush has woken us then.
        }
    }

    /// Ready when the link has somewhere to write to.
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.socket {
            Socket::Tcp(_) => self.wire.poll_writable(context).map(drop),
            Socket::Wrapped(wrapped) => wrapped.poll_send(&self.wire, context),
        }
    }
}

/// Has the task polled again after the others that are ready and after a look at the sockets. A task that woke itself
/// would be polled dozens of times before the runtime looks at a socket.
pub(super) fn let_others_run(context: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(context);
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        with_bench(|bench| {
            let progress = self.turn(bench, context);
            bench.finish();
            progress
        })
        .unwrap_or(Poll::Ready(()))
    }
}

impl Drop for Task {
    /// A task that is torn down before its end (it panicked) lets go of its session all the same: the client can come
    /// back.
    fn drop(&mut self) {
        if self.peg.is_none() {
            return;
        }
        with_bench(|bench| {
            let engine = bench.shared.engine.clone();
            self.forget_tail(bench);
            // What waits for another publisher is given up with the connection.
            for _ in 0..SLICES_AT_DROP {
                if self.conversation.end(&engine, &mut bench.turn) {
                    break;
                }
                self.conversation.give_up_waiting();
            }
            if let Some(peg) = self.peg.take() {
                bench.wires.remove(peg);
            }
            bench.finish();
        });
    }
}
