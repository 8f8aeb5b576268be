//! One client's conversation with the server, from the first byte to the end: bytes in, calls to the engine, and what
//! the owner of the socket has to do next.
//!
//! It is what a connection's task runs, without the socket. The order of calls:
//! 1. [`Conversation::receive`] with what was read, while [`Standing::Reading`];
//! 2. at [`Standing::Asking`] take the [`Question`], and [`Conversation::answer`] it, at once or later; where it names an
//!    authentication method, and for whatever is [`Conversation::said`] then, [`Conversation::reply`];
//! 3. [`Conversation::proceed`] whenever the wire was woken, and in each turn at [`Standing::Working`];
//! 4. [`Conversation::handle_timeout`] at [`Conversation::deadline`];
//! 5. after the socket is gone, or at [`Standing::Closing`] once all is flushed: [`Conversation::end`] until it is done.

mod exchange;
mod parting;
mod proof;

use std::sync::Arc;

use whimbrel_access::Who;
use whimbrel_proto::{
    Millis, Violation,
    codec::{Connect, PacketType, ReasonCode, Split, Version, split},
    server::{Connection, Event, Negotiated, farewell, negotiate},
};

use crate::{
    Attach, Attached, Attention, Coming, Count, DeniedWill, End, Engine, Level, Notice, Progress, Publishing,
    Turn, Wire, access::Denied, will::Will,
};

/// Receivers served and filters entered for one client before others have their turn, whatever its bytes ask for.
const WORK_PER_TURN: u64 = 1_000;

/// When the server has not read from a client for a while, what the client has said waits in its socket: so long is left
/// to read it before its silence counts.
const HEARING_MILLIS: u64 = 1_000;

/// Who wants to connect: for an authenticator.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The client identifier; empty when the server shall assign one.
    pub client_id: Box<str>,
    /// User name of CONNECT.
    pub user_name: Option<Box<str>>,
    /// Password of CONNECT.
    pub password: Option<Box<[u8]>>,
    /// The authentication method of CONNECT: it decides who the client is, and not the password.
    pub method: Option<Box<Method>>,
}

impl Question {
    /// Who that is if its word is taken for it: where nobody has to prove anything.
    #[must_use]
    pub fn believed(self) -> Who {
        let Question { client_id, user_name, .. } = self;
        Who {
            client_id,
            user_name: user_name.map(Arc::from),
            address: None,
            listener: "".into(),
            claims: None,
        }
    }
}

pub use exchange::{Method, Reply};

/// What the owner of the connection does next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Read, and hand over what comes.
    Reading,
    /// Take the question and have it answered; read nothing.
    Asking,
    /// Read nothing until the wire is woken.
    Waiting,
    /// Read nothing; proceed in the next turn.
    Working,
    /// Flush what waits, then close.
    Closing,
}

/// CONNECT on its way to a session.
struct Arrival {
    question: Option<Question>,
    negotiated: Negotiated,
    coming: Coming,
    allowed: bool,
}

/// One client's conversation.
pub struct Conversation {
    connection: Connection,
    /// Present between CONNECT and the session.
    arrival: Option<Box<Arrival>>,
    attached: Option<Attached>,
    /// The client's message that is not yet with everybody, or a will that came due.
    publishing: Option<Box<Publishing>>,
    /// Whether the message under way is the client's, so that its end gives the quota back.
    publishing_own: bool,
    /// What a client without a session is told before the connection closes.
    #[expect(clippy::box_collection, reason = "16 bytes less in every connection")]
    last_words: Option<Box<Vec<u8>>>,
    end: End,
    violation: Option<Violation>,
    closing: bool,
    /// This turn has done enough for one client; the rest of its packets wait for the next.
    pausing: bool,
    /// A SUBSCRIBE waits to be read until the disk has room; the wire is woken then.
    waits_for_disk: bool,
    /// Up to here the server did not read from the client although it might have spoken.
    deaf_until: Millis,
    attention: Attention,
    /// How sure what the client is promised has to be.
    level: Level,
    /// When what the client has proved of itself ends, in whole seconds; `u32::MAX` for never. Small, as every connection
    /// has it.
    proof_ends_secs: u32,
}

impl Conversation {
    /// A connection that was accepted now.
    #[must_use]
    pub fn new(engine: &Engine, now: Millis) -> Self {
        Conversation {
            connection: Connection::new(&engine.limits().connection, now),
            arrival: None,
            attached: None,
            publishing: None,
            publishing_own: false,
            last_words: None,
            end: End::Lost,
            violation: None,
            closing: false,
            pausing: false,
            waits_for_disk: false,
            deaf_until: Millis(0),
            attention: Attention { stalled_at: Millis::NEVER, ..Attention::default() },
            level: Level::default(),
            proof_ends_secs: u32::MAX,
        }
    }

    /// What this client is promised has this level; [`Level::Power`] unless told otherwise, where there is a journal.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// What to do next.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.closing {
            return Standing::Closing;
        }
        match (&self.arrival, &self.publishing) {
            (Some(arrival), _) if !arrival.allowed && self.connection.awaits_auth() => Standing::Reading,
            (Some(arrival), _) if !arrival.allowed => Standing::Asking,
            (Some(_), _) => Standing::Waiting,
            (None, Some(publishing)) if publishing.is_waiting() => Standing::Waiting,
            (None, Some(_)) => Standing::Working,
            (None, None) if self.attention.hold_reading || self.waits_for_disk => Standing::Waiting,
            (None, None) if self.pausing => Standing::Working,
            (None, None) => Standing::Reading,
        }
    }

    /// Whether its message waits for another publisher of the same retained topic: the wire is woken then.
    #[must_use]
    pub fn waits_for_topic(&self) -> bool {
        self.publishing.as_ref().is_some_and(|publishing| publishing.is_waiting())
    }

    /// The session, once CONNECT was accepted.
    #[must_use]
    pub fn attached(&self) -> Option<&Attached> {
        self.attached.as_ref()
    }

    /// Whether the wire takes no more and the owner has to wait until it does ([`Self::writable`]).
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.attention.blocked
    }

    /// How the client broke the protocol, if that ended the connection.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Takes whole packets from the front of `input` and tells how many bytes they had. What is left is to be handed in
    /// again, with more behind it, once [`Self::standing`] is [`Standing::Reading`].
    pub fn receive(&mut self, engine: &Engine, turn: &mut Turn, input: &[u8]) -> usize {
        let limits = &engine.limits().connection;
        let mut consumed = 0;
        let enough = turn.work + WORK_PER_TURN;
        while self.standing() == Standing::Reading {
            if turn.work >= enough {
                self.pausing = true;
                break;
            }
            let rest = input.get(consumed..).unwrap_or_default();
            match split(rest, self.connection.packet_bytes_max(limits)) {
                Ok(Split::Whole { .. }) if self.must_wait(engine, turn, rest) => break,
                Ok(Split::Whole { frame, len }) => {
                    consumed += len;
                    turn.count(Count::PacketsReceived, 1);
                    let heard = match self.connection.handle(frame, limits, turn.now.mono) {
                        Ok(event) => hear(engine, turn, self.attached.as_ref(), event),
                        Err(violation) => Err(violation),
                    };
                    self.act(engine, turn, heard);
                }
                Ok(Split::More { .. }) => break,
                Err(malformed) => self.break_off(engine, turn, malformed.into()),
            }
        }
        if (self.attention.blocked || self.owes_much(engine)) && !self.closing {
            // Nothing is written to a blocked client, so nothing else tells how much has come to wait for it.
            self.attend(engine, turn);
        }
        consumed
    }

    /// Whether the packet in front begins something that has to be recorded while too much waits for the disk. PUBLISH waits
    /// when it is known who is owed it.
    fn must_wait(&mut self, engine: &Engine, turn: &Turn, packet: &[u8]) -> bool {
        let begins = packet.first().is_some_and(|first| first >> 4 == PacketType::Subscribe as u8);
        let attached = self.attached.as_ref().filter(|_| begins);
        if attached.is_some_and(|attached| engine.must_wait_for_disk(attached)) {
            turn.count(Count::WaitedForDisk, 1);
            self.waits_for_disk = true;
        }
        self.waits_for_disk
    }

    /// Whether so many acknowledgements wait for the disk that the client is not listened to.
    fn owes_much(&self, engine: &Engine) -> bool {
        self.attached.as_ref().is_some_and(|attached| engine.owes_much(attached))
    }

    /// Whether promises wait for the disk: they leave when it has them, and the wire is woken then.
    #[must_use]
    pub fn owes(&self, engine: &Engine) -> bool {
        self.attached.as_ref().is_some_and(|attached| engine.owes(attached))
    }

    fn attend(&mut self, engine: &Engine, turn: &mut Turn) {
        if let Some(attached) = &self.attached {
            self.attention = engine.attend(turn, attached);
            self.closing = self.attention.closing.is_some();
        }
    }

    fn act(&mut self, engine: &Engine, turn: &mut Turn, heard: Result<Heard, Violation>) {
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Arrival(arrival)) => self.arrival = Some(arrival),
            Ok(Heard::Refused(reason)) => self.refuse(turn, reason, None),
            Ok(Heard::Published(progress)) => {
                self.publishing_own = true;
                self.note_progress(progress);
            }
            Ok(Heard::Released) => self.connection.acknowledged(),
            Ok(Heard::Disconnect(end)) => {
                self.end = end;
                self.arrival = None; // It has gone in the middle of its authentication.
                self.closing = true;
            }
            Err(violation) => self.break_off(engine, turn, violation),
        }
    }

    fn note_progress(&mut self, progress: Progress) {
        match progress {
            Progress::Done { acknowledged } => {
                self.publishing = None;
                if acknowledged && self.publishing_own {
                    self.connection.acknowledged();
                }
            }
            Progress::More(publishing) => self.publishing = Some(publishing),
        }
    }

    /// The question of a CONNECT, once.
    pub fn question(&mut self) -> Option<Question> {
        self.arrival.as_mut()?.question.take()
    }

    /// Who the client turned out to be: for the rules, and to be told before [`Self::answer`]. The identifier is that of
    /// CONNECT; an empty one is replaced.
    pub fn identify(&mut self, engine: &Engine, mut who: Who) {
        let Some(arrival) = self.arrival.as_mut().filter(|_| engine.has_rules()) else { return };
        if who.client_id.is_empty() {
            who.client_id = engine.assign_client_id().into();
        }
        arrival.coming.who = Some(Arc::new(who));
    }

    /// The authenticator has decided. A client that names an authentication method is let in by [`Self::reply`] alone: to
    /// whoever does not know the method it is unknown.
    pub fn answer(
        &mut self,
        engine: &Engine,
        turn: &mut Turn,
        verdict: Result<(), ReasonCode>,
        wire: &Arc<dyn Wire>,
    ) {
        let verdict = match self.connection.authentication_method() {
            Some(_) => verdict.and(Err(ReasonCode::BadAuthenticationMethod)), // [MQTT-4.12.0-1]
            None => verdict,
        };
        self.decide(engine, turn, verdict, wire);
    }

    fn decide(
        &mut self,
        engine: &Engine,
        turn: &mut Turn,
        verdict: Result<(), ReasonCode>,
        wire: &Arc<dyn Wire>,
    ) {
        let denied = match verdict {
            Ok(()) => self.ask_rules(engine, turn),
            Err(_) => None,
        };
        let Some(arrival) = &mut self.arrival else { return };
        match verdict {
            Ok(()) if denied.is_some() => {
                let why = denied.as_ref().map(|Denied(why)| &**why);
                self.refuse(turn, ReasonCode::NotAuthorized, why);
            }
            Ok(()) => {
                arrival.allowed = true;
                arrival.negotiated.durability = engine.told_durability(self.level);
                self.arrive(engine, turn, wire);
            }
            Err(reason) => self.refuse(turn, reason, None),
        }
    }

    /// What the rules mean for the client, if there are any; why its will keeps it out.
    fn ask_rules(&mut self, engine: &Engine, turn: &mut Turn) -> Option<Denied> {
        let options = engine.access_options()?;
        if self.arrival.as_ref()?.coming.who.is_none() {
            // Nobody has said who it is: it is nobody in particular.
            let client_id = self.arrival.as_ref()?.negotiated.client_id.clone();
            let (user_name, address, listener, claims) = (None, None, "".into(), None);
            self.identify(engine, Who { client_id, user_name, address, listener, claims });
        }
        let coming = &mut self.arrival.as_mut()?.coming;
        let who = coming.who.as_ref()?;
        let denied = engine.denies_will(turn, Ok(who), coming.will.as_ref()?.question())?;
        if options.will == DeniedWill::Drop {
            coming.will = None;
            return None;
        }
        Some(denied)
    }

    fn arrive(&mut self, engine: &Engine, turn: &mut Turn, wire: &Arc<dyn Wire>) {
        let Some(mut arrival) = self.arrival.take() else { return };
        match engine.attach(turn, &arrival.negotiated, &mut arrival.coming, self.level, wire) {
            Attach::Ready(attached) => {
                self.connection.accept(&arrival.negotiated, turn.now.mono);
                self.attached = Some(attached);
            }
            Attach::Wait => self.arrival = Some(arrival),
            Attach::Refused(reason) => {
                let client_id = (*arrival.negotiated.client_id).into();
                turn.notice(Notice::ConnectRefused { client_id, reason });
                self.refuse(turn, reason, None);
            }
        }
    }

    /// The version that the client's CONNECT has named.
    #[must_use]
    pub fn version(&self) -> Version {
        self.connection.version()
    }

    /// The client is refused whoever it is: CONNACK says so, and what it may do. In place of [`Self::answer`].
    pub fn turn_away(&mut self, turn: &Turn, reason: ReasonCode, hint: &str) {
        if self.arrival.is_some() {
            self.refuse(turn, reason, Some(hint));
        }
    }

    /// CONNECT is refused: CONNACK with the reason, then the end [MQTT-3.2.2-7].
    fn refuse(&mut self, turn: &Turn, reason: ReasonCode, why: Option<&str>) {
        turn.count(Count::ConnectRefused, 1);
        farewell(&self.connection, reason, why, self.last_words.get_or_insert_default());
        self.arrival = None;
        self.closing = true;
    }

    /// The client broke the protocol: it is told what its version has words for, then the connection ends.
    fn break_off(&mut self, engine: &Engine, turn: &mut Turn, violation: Violation) {
        turn.count(Count::of(violation), 1);
        self.violation = Some(violation);
        self.closing = true;
        let why = format!("{violation} [{}]", violation.statement(self.connection.version()));
        match &self.attached {
            Some(attached) => engine.close(turn, attached, violation.reason(), Some(&why)),
            None => farewell(
                &self.connection,
                violation.reason(),
                Some(&why),
                self.last_words.get_or_insert_default(),
            ),
        }
    }

    /// Looks at everything that may have changed since the last turn.
    pub fn proceed(&mut self, engine: &Engine, turn: &mut Turn, wire: &Arc<dyn Wire>) {
        if self.closing {
            return;
        }
        self.note_deafness(turn.now.mono);
        (self.pausing, self.waits_for_disk) = (false, false);
        if self.arrival.as_ref().is_some_and(|arrival| arrival.allowed) {
            self.arrive(engine, turn, wire);
        }
        if let Some(publishing) = self.publishing.take() {
            let progress = engine.resume(turn, publishing);
            self.note_progress(progress);
        }
        self.attend(engine, turn);
    }

    /// The wire can take bytes again.
    pub fn writable(&mut self, engine: &Engine, turn: &mut Turn) {
        self.note_deafness(turn.now.mono);
        if let Some(attached) = &self.attached {
            engine.writable(turn, attached);
            self.attention.blocked = false;
            self.attention.hold_reading = false;
        }
    }

    /// Bytes of the topic names that the client has given an alias.
    #[must_use]
    pub fn alias_bytes(&self) -> usize {
        self.connection.alias_bytes()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        self.silence_ends().min(self.attention.stalled_at).min(self.proof_ends())
    }

    /// When the client has been silent for too long. While the server itself does not read, silence says nothing.
    fn silence_ends(&self) -> Millis {
        match self.standing() {
            Standing::Reading => self.connection.deadline().max(self.deaf_until + HEARING_MILLIS),
            _ => Millis::NEVER,
        }
    }

    fn note_deafness(&mut self, now: Millis) {
        if self.standing() != Standing::Reading {
            self.deaf_until = now;
        }
    }

    /// Time has passed: keep-alive, CONNECT time-out, a client that takes nothing.
    pub fn handle_timeout(&mut self, engine: &Engine, turn: &mut Turn, wire: &Arc<dyn Wire>) {
        if self.closing {
            return;
        }
        if self.end_with_proof(engine, turn) {
            return;
        }
        if self.silence_ends() <= turn.now.mono
            && let Err(violation) = self.connection.handle_timeout(turn.now.mono)
        {
            self.break_off(engine, turn, violation);
            return;
        }
        self.proceed(engine, turn, wire);
    }

    /// Whether bytes are on their way to a client that still takes them: another thread is writing, or they wait for
    /// the flush. The socket is not to be closed before.
    #[must_use]
    pub fn has_output(&self, engine: &Engine) -> bool {
        self.attached.as_ref().is_some_and(|attached| engine.has_output(attached))
    }

    /// What a client without a session is told at the end; to be written before the socket closes.
    #[must_use]
    pub fn last_words(&self) -> &[u8] {
        self.last_words.as_deref().map_or(&[], |words| words)
    }

    /// Gives up what waits for another publisher: only for a connection that is torn down and cannot wait.
    pub fn give_up_waiting(&mut self) {
        if self.waits_for_topic() {
            self.publishing = None;
        }
    }

    /// The connection is over. False while there is work left that has to be finished first: call again in a later
    /// turn (after a wake when [`Self::standing`] was waiting).
    pub fn end(&mut self, engine: &Engine, turn: &mut Turn) -> bool {
        if self.publishing_own && self.publishing.as_ref().is_some_and(|own| own.waits_for_disk()) {
            self.publishing = None; // Nobody has it, nobody was promised it, and its publisher has gone.
        }
        // A message that has reached some of its receivers reaches all of them.
        if let Some(publishing) = self.publishing.take() {
            let progress = engine.resume(turn, publishing);
            self.note_progress(progress);
            if self.publishing.is_some() {
                return false;
            }
        }
        if let Some(attached) = self.attached.take() {
            self.publishing_own = false;
            self.publishing = engine.detach(turn, attached, self.end);
        }
        self.publishing.is_none()
    }
}

/// What an event asks the conversation to do.
enum Heard {
    Nothing,
    Arrival(Box<Arrival>),
    Refused(ReasonCode),
    Published(Progress),
    Released,
    Disconnect(End),
}

/// Hands an event to the engine.
fn hear(
    engine: &Engine,
    turn: &mut Turn,
    attached: Option<&Attached>,
    event: Event<'_>,
) -> Result<Heard, Violation> {
    if let Event::Connect(connect) = event {
        return Ok(match negotiate(&connect, &engine.limits().connection) {
            Ok(negotiated) => Heard::Arrival(Box::new(arrival(&connect, negotiated))),
            Err(refused) => Heard::Refused(refused.0),
        });
    }
    let Some(from) = attached else { return Ok(hear_early(&event)) };
    match event {
        Event::Publish { publish, topic, ack } => {
            return engine.publish(turn, from, &publish, topic, ack).map(Heard::Published);
        }
        Event::PubAck(id, _) => engine.puback(turn, from, id),
        Event::PubRec(id, reason) => engine.pubrec(turn, from, id, reason),
        Event::PubComp(id, _) => engine.pubcomp(turn, from, id),
        Event::PubRel(id, _) => {
            if engine.pubrel(turn, from, id) {
                return Ok(Heard::Released);
            }
        }
        Event::Subscribe(subscribe) => engine.subscribe(turn, from, &subscribe),
        Event::Unsubscribe(unsubscribe) => engine.unsubscribe(turn, from, &unsubscribe),
        Event::Ping => engine.ping(turn, from),
        Event::Disconnect(_) => return Ok(hear_early(&event)),
        // What AUTH says is taken by whoever knows the method.
        Event::Auth | Event::Connect(_) => {}
    }
    Ok(Heard::Nothing)
}

/// What may come before there is a session.
fn hear_early(event: &Event<'_>) -> Heard {
    match event {
        Event::Disconnect(disconnect) => Heard::Disconnect(End::Disconnect {
            reason: disconnect.reason,
            session_expiry_secs: disconnect.session_expiry_secs,
        }),
        _ => Heard::Nothing,
    }
}

fn arrival(connect: &Connect<'_>, negotiated: Negotiated) -> Arrival {
    Arrival {
        question: Some(Question {
            client_id: connect.client_id.into(),
            user_name: connect.user_name.map(Box::from),
            password: connect.password.map(Box::from),
            method: Method::of(connect),
        }),
        negotiated,
        coming: Coming { will: connect.will.as_ref().map(Will::new), ..Coming::default() },
        allowed: false,
    }
}
