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

use tokio::{io::ReadBuf, sync::oneshot};
use tracing::field::display;
use whimbrel_engine::{
    Conversation, Count, Standing, Wire,
    proto::{Millis, codec::ReasonCode},
};

use whimbrel_net::Peer;

use super::{
    Bench, Place, READ_BYTES, Shared,
    link::SocketWire,
    tail::Tail,
    telling::{Kind, Words},
    with_bench,
    wrapped::Socket,
};
use crate::auth::{Answer, Credentials, Denial, Secret, Verdict};

/// Reads of one turn; then others go on.
const READS_PER_TURN: usize = 4;
/// After the last packet the client is given this long to read it and close; what it still sends is thrown away.
const LINGER_MILLIS: u64 = 1_000;
const LINGER_BYTES: u32 = 4 << 20;
/// While much of the memory for unfinished packets is in use, one of more than [`READ_BYTES`] may take so long.
const PACKET_MILLIS: u64 = 10_000;
/// Slices of a message under way that are still brought to its receivers when a task is torn down.
const SLICES_AT_DROP: usize = 1_000;

/// Where the connection is on its way out.
enum Phase {
    Talking,
    /// The last packet has been written; until when the client may take it, and how much it may still send.
    Lingering {
        until: Millis,
        bytes: u32,
    },
    /// The socket is done with; what the conversation owes others is finished.
    Ending,
}

/// Who wants to connect, in the client's own words.
struct Claim {
    /// Empty when the server shall assign one.
    client_id: Box<str>,
    user_name: Option<Box<str>>,
}

/// A question that the authenticator answers later.
struct PendingVerdict {
    verdict: oneshot::Receiver<Verdict>,
    claim: Claim,
}

/// One connection.
pub(super) struct Task {
    conversation: Conversation,
    socket: Socket,
    wire: Arc<SocketWire>,
    /// Bytes that were read and not yet handled.
    tail: Tail,
    /// Whether it is counted with the clients whose CONNECT was accepted.
    accounted_as_known: bool,
    /// Present while CONNECT waits for it.
    verdict: Option<Box<PendingVerdict>>,
    phase: Phase,
    /// It was woken and has let others run first.
    stood_back: bool,
    address: Peer,
    /// Where the keeper finds the wire; from the first poll on.
    keeper_place: Option<u32>,
    place: Place,
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
            verdict: None,
            phase: Phase::Talking,
            stood_back: false,
            address,
            keeper_place: None,
            place,
        }
    }

    fn turn(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        bench.begin();
        if self.keeper_place.is_none() {
            // A task keeps its waker for life, so it is named once.
            self.wire.register(context);
            self.keeper_place = Some(bench.wires.add(self.wire.clone()));
            if self.place.door.closed.load(Relaxed) {
                self.wire.wake(); // Whoever was there when it was closed was told before us.
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
                Standing::Reading if reads == READS_PER_TURN || read_bytes >= READ_BYTES => {
                    let_others_run(context);
                    break;
                }
                Standing::Reading => match self.read(bench, context) {
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
        self.shed_slow_packet(bench);
        let held = self.conversation.standing() == Standing::Waiting;
        self.wait_writable(bench, context);
        if held && self.conversation.standing() == Standing::Reading {
            let_others_run(context); // The hold has ended, and nobody else would have us read again.
        }
        let due = self.slow_packet_due(bench.turn.now.mono).min(self.conversation.deadline());
        self.set_deadline(bench, due);
        if !open {
            self.hear_the_end(bench, context, broken);
        } else if self.conversation.standing() == Standing::Closing {
            self.say_goodbye(bench, context);
        }
    }

    /// The client sends no more.
    fn hear_the_end(&mut self, bench: &mut Bench, context: &mut Context<'_>, broken: bool) {
        // Who has only closed its sending half still reads what it was answered.
        let engine = bench.shared.engine.clone();
        engine.flush(&mut bench.turn);
        if self.conversation.has_output(&engine) {
            let_others_run(context); // Another worker is writing; the next read finds the end again.
            return;
        }
        if !broken && self.conversation.owes(&engine) {
            return; // What it is promised is on its way to the disk; we are woken when it has left.
        }
        self.phase = Phase::Ending;
        if let Socket::Wrapped(wrapped) = &mut self.socket
            && !broken
        {
            // What was handed over is still to be sent.
            wrapped.shut_down();
            self.begin_linger(bench);
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

    fn forget_tail(&mut self, bench: &mut Bench) {
        self.tail.clear();
        let shared = bench.shared.clone();
        self.forget_account(&shared);
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
            let claim = Claim { client_id: question.client_id, user_name: question.user_name.clone() };
            let (user_name, password) = (question.user_name, question.password);
            let password = password.map(|password| Secret::new(password.into_vec()));
            let answer = match self.vouched(&claim) {
                Err(denial) => Answer::Now(Verdict::Deny(denial)),
                Ok(certificate) => {
                    let client_id = claim.client_id.clone();
                    let credentials = Credentials { user_name, password, client_id, certificate };
                    self.place.door.authenticator.authenticate(credentials)
                }
            };
            match answer {
                Answer::Now(verdict) => {
                    self.hear(bench, &claim, verdict);
                    return Poll::Ready(true);
                }
                Answer::Later(verdict) => self.verdict = Some(Box::new(PendingVerdict { verdict, claim })),
            }
        }
        let Some(pending) = &mut self.verdict else { return Poll::Pending };
        let Poll::Ready(verdict) = Pin::new(&mut pending.verdict).poll(context) else {
            let stays = self.listen(bench, context);
            self.account_tail(bench);
            return stays;
        };
        if let Some(pending) = self.verdict.take() {
            self.hear(bench, &pending.claim, verdict.unwrap_or(Verdict::Deny(Denial::ServerBusy)));
        }
        Poll::Ready(true)
    }

    /// The user name that the client's certificate has, where the listener looks at it; an error where the certificate is
    /// another client's.
    fn vouched(&self, claim: &Claim) -> Result<Option<Arc<str>>, Denial> {
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
                    self.verdict = None; // The authenticator sees by this that nobody waits.
                    return Poll::Ready(false);
                }
            }
        }
    }

    fn hear(&mut self, bench: &mut Bench, claim: &Claim, verdict: Verdict) {
        let (client, address, listener) = (Words(&claim.client_id), self.address, &self.place.door.name);
        let verdict = match verdict {
            Verdict::Allow(identity) => {
                let user = identity.user_name.as_deref().map(Words).map(display);
                tracing::debug!(%client, user, %address, %listener, "a client may connect");
                if let Some(at) = identity.ends_at {
                    self.conversation.ends_at(bench.turn.now.mono_at(at));
                }
                let who = identity.who(&claim.client_id, address.ip(), listener);
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
        };
        let engine = bench.shared.engine.clone();
        let wire = self.dyn_wire();
        self.conversation.answer(&engine, &mut bench.turn, verdict, &wire);
    }

    /// When the keeper wakes this task.
    fn set_deadline(&self, bench: &mut Bench, deadline: Millis) {
        if let Some(place) = self.keeper_place {
            bench.wires.set_deadline(place, deadline);
        }
    }

    fn dyn_wire(&self) -> Arc<dyn Wire> {
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

    /// Writes what waits, then what only the closing connection says.
    fn say_goodbye(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        let engine = bench.shared.engine.clone();
        engine.flush(&mut bench.turn);
        if self.conversation.has_output(&engine) {
            let_others_run(context); // Another worker is writing; it is a matter of microseconds.
            return;
        }
        if !self.conversation.last_words().is_empty() {
            // A client that takes not even this is not owed more.
            let _ = self.wire.write(&[self.conversation.last_words()]);
        }
        if let Some(violation) = self.conversation.violation() {
            let client = self.conversation.attached().map(|attached| attached.session().client_id());
            tracing::debug!(address = %self.address, client, "closed: {violation}");
        }
        // The session is let go of first: a client that sees the close finds nothing of this connection any more, and
        // who takes the session over does not wait until the client has read its last packet.
        if !self.conversation.end(&engine, &mut bench.turn) {
            let_others_run(context);
        }
        self.forget_tail(bench);
        match &mut self.socket {
            Socket::Tcp(_) => self.wire.shut_down(),
            Socket::Wrapped(wrapped) => wrapped.bid_farewell(&self.conversation, &bench.shared),
        }
        self.begin_linger(bench);
    }

    fn begin_linger(&mut self, bench: &mut Bench) {
        let until = bench.turn.now.mono + LINGER_MILLIS;
        self.set_deadline(bench, until);
        self.phase = Phase::Lingering { until, bytes: LINGER_BYTES };
    }

    /// Throws away what still comes: closing a socket with unread bytes would take the last packet back.
    fn linger(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        let Phase::Lingering { until, bytes } = &mut self.phase else { return };
        let engine = bench.shared.engine.clone();
        if !self.conversation.end(&engine, &mut bench.turn) && !self.conversation.waits_for_topic() {
            let_others_run(context); // A will that is due goes on meanwhile.
        }
        for _ in 0..READS_PER_TURN {
            let mut buffer = ReadBuf::new(&mut bench.read);
            let over = match self.socket.poll_read(context, &mut buffer) {
                Poll::Pending if bench.turn.now.mono < *until => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *bytes = bytes.saturating_sub(u32::try_from(buffer.filled().len()).unwrap_or(u32::MAX));
                    *bytes == 0
                }
                Poll::Pending | Poll::Ready(_) => true,
            };
            if over {
                if let Socket::Wrapped(wrapped) = &self.socket
                    && !wrapped.is_shut_down()
                    && bench.turn.now.mono < *until
                {
                    return; // The last bytes are on their way.
                }
                self.phase = Phase::Ending;
                return;
            }
        }
        let_others_run(context);
    }

    fn leave(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        let engine = bench.shared.engine.clone();
        if !self.conversation.end(&engine, &mut bench.turn) {
            if !self.conversation.waits_for_topic() {
                let_others_run(context);
            }
            return Poll::Pending;
        }
        self.forget_tail(bench);
        if let Some(place) = self.keeper_place.take() {
            bench.wires.remove(place);
        }
        self.wire.set_gone();
        Poll::Ready(())
    }
}

/// Has the task polled again after the others that are ready and after a look at the sockets. A task that woke itself
/// would be polled dozens of times before the runtime looks at a socket.
fn let_others_run(context: &mut Context<'_>) {
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
        if self.keeper_place.is_none() {
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
            if let Some(place) = self.keeper_place.take() {
                bench.wires.remove(place);
            }
            bench.finish();
        });
    }
}
