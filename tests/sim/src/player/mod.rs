//! A client and its application: what it does when its turn comes, and how it answers what comes. It holds the client
//! machine that the client library ships, and knows no socket: bytes go in and out by whoever drives it.

mod deeds;
mod hear;
mod ids;
mod persona;

use std::sync::Arc;

pub use persona::{Habits, Persona, Weights, WillPlan};
use whimbrel_engine::proto::{
    Millis,
    client::{Ack, Connection, Session, Settings},
    codec::{Connect, ConnectProperties, PublishProperties, QoS, ReasonCode, Version, Will},
};
use whimbrel_oracle::event::{Ending, LinkNo, Publication, Terms, What, WillTerms};

use crate::{dice::Dice, log::Log};

/// What a player wants done to its network connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing.
    Nothing,
    /// A new network connection.
    Dial,
    /// A new network connection beside the one that is open.
    TakeOver,
    /// What has been written goes out, then nothing more; the server closes.
    HalfClose,
    /// The connection is cut, and what was under way with it.
    Reset,
    /// From now on nothing passes in either direction, and nobody is told.
    Silence,
    /// Nothing is read for so many milliseconds.
    Pause(u64),
}

/// A client.
pub struct Player {
    /// Who it is.
    pub persona: Persona,
    habits: Arc<Habits>,
    dice: Dice,
    /// Bytes for the server.
    pub out: Vec<u8>,
    /// Where it takes the lowest packet identifier that is free.
    ids: Option<ids::Ids>,
    /// Bytes of a packet that has not come whole.
    raw: Vec<u8>,
    connection: Option<Connection>,
    session: Session,
    link: LinkNo,
    /// Messages that the application has and has not answered.
    held: Vec<Ack>,
    /// SUBSCRIBEs and UNSUBSCRIBEs under way.
    requests: usize,
    /// A clean start was asked for and has not been granted yet.
    must_start_clean: bool,
    /// CONNACK has come.
    accepted: bool,
    /// The server has a reason to close.
    excused: bool,
    disconnected: bool,
    half_closed: bool,
    /// The reason code of the server's DISCONNECT.
    heard_code: Option<u8>,
    /// A packet of the server broke the protocol.
    violation: Option<String>,
    /// No more faults: it connects and stays.
    pub calm: bool,
    /// It is gone for a while, and comes back only to end its session.
    pub absent: bool,
    /// It ends its session with its next connection.
    leaving: bool,
    /// The session of this connection ends with it, or can be made to.
    ends_with_link: bool,
    /// It has left for good.
    gone: bool,
}

impl Player {
    /// A client that has never been connected.
    #[must_use]
    pub fn new(persona: Persona, habits: Arc<Habits>, dice: Dice) -> Self {
        Player {
            ids: persona.reuses_ids.then(ids::Ids::default),
            persona,
            habits,
            dice,
            out: Vec::new(),
            raw: Vec::new(),
            connection: None,
            session: Session::default(),
            link: 0,
            held: Vec::new(),
            requests: 0,
            must_start_clean: false,
            accepted: false,
            excused: false,
            disconnected: false,
            half_closed: false,
            heard_code: None,
            violation: None,
            calm: false,
            absent: false,
            leaving: false,
            ends_with_link: false,
            gone: false,
        }
    }

    /// Whether it has a network connection.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether CONNACK has come and the connection goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_open)
    }

    /// Whether it has had enough of its connection: it is to be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_closed) && !self.disconnected
    }

    /// Whether it has said DISCONNECT on its connection.
    #[must_use]
    pub fn has_disconnected(&self) -> bool {
        self.disconnected
    }

    /// Takes the bytes for the server.
    pub fn take_out(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        if let Some(ids) = &mut self.ids {
            ids.lower(&mut out);
        }
        out
    }

    /// Whether it waits for nothing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        if self.absent && !self.is_linked() {
            return true;
        }
        let in_flight = self.connection.as_ref().map_or(0, |connection| connection.session().in_flight());
        self.is_open() && in_flight == 0 && self.held.is_empty() && self.requests == 0 && self.out.is_empty()
    }

    /// Whether CONNACK has come on its present connection.
    #[must_use]
    pub fn was_accepted(&self) -> bool {
        self.accepted
    }

    /// Whether it has left for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone && self.connection.is_none()
    }

    /// What it waits for, in words.
    #[must_use]
    pub fn waits_for(&self) -> String {
        let in_flight = self.connection.as_ref().map_or(0, |connection| connection.session().in_flight());
        let (open, held, requests) = (self.is_open(), self.held.len(), self.requests);
        format!("open={open} in flight={in_flight} held={held} requests={requests} out={}", self.out.len())
    }

    /// The server may end the connection from now on: it is silent, or takes nothing.
    pub fn excuse(&mut self) {
        self.excused = true;
    }

    /// The server has done something that it must not do.
    pub fn accuse(&mut self, text: &str) {
        self.violation.get_or_insert(text.to_owned());
    }

    /// Whether the server has done something that it must not do.
    #[must_use]
    pub fn has_accused(&self) -> bool {
        self.violation.is_some() && !self.excused
    }

    /// When [`Self::time_out`] is due.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.connection.as_ref().map_or(u64::MAX, |connection| connection.deadline().0)
    }

    /// Time has passed.
    pub fn time_out(&mut self, log: &mut Log) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(violation) = connection.handle_timeout(Millis(log.now), &mut self.out) {
            connection.farewell(violation.reason(), &mut self.out);
            self.violation.get_or_insert(violation.to_string());
        }
    }

    /// Whether it takes input.
    pub fn set_reading(&mut self, reading: bool, log: &Log) {
        if let Some(connection) = &mut self.connection {
            connection.set_reading(reading, Millis(log.now));
        }
    }

    /// A network connection stands: CONNECT goes first.
    pub fn dialled(&mut self, log: &mut Log) {
        self.link = log.new_link();
        let session = std::mem::take(&mut self.session);
        let clean_start = self.wants_clean_start(&session);
        let Persona { version, number, keep_alive_secs, receive_maximum, packet_bytes_max, .. } =
            self.persona;
        let is_v5 = version == Version::V5;
        let ends = self.leaving || (!is_v5 && clean_start);
        self.ends_with_link = is_v5 || clean_start;
        let expiry_secs = if ends { 0 } else { self.persona.expiry_secs };
        let has_will = !self.leaving && self.dice.percent(70);
        let will = self.persona.will.clone().filter(|_| has_will).map(|plan| self.new_will(plan, log));
        let client_id = format!("c{number}");
        let payload = will.as_ref().map(|will| payload(will.publication.message, 0)).unwrap_or_default();
        let properties = ConnectProperties {
            session_expiry_secs: (is_v5 && expiry_secs > 0).then_some(expiry_secs),
            receive_maximum: receive_maximum.filter(|_| is_v5),
            packet_size_max: packet_bytes_max.filter(|_| is_v5),
            topic_alias_max: is_v5.then_some(self.persona.topic_aliases_in),
            ..ConnectProperties::default()
        };
        let connect = Connect {
            version,
            clean_start,
            keep_alive_secs,
            client_id: &client_id,
            will: will.as_ref().map(|will| Will {
                qos: QoS::from_bits(will.publication.qos).unwrap_or_default(),
                retain: will.publication.retain,
                topic: &will.publication.topic,
                payload: &payload,
                delay_secs: will.delay_secs,
                properties: PublishProperties::default(),
            }),
            user_name: None,
            password: None,
            properties,
        };
        let settings =
            Settings { topic_aliases_out_max: self.persona.topic_aliases_out, ..Settings::default() };
        let session = if clean_start || is_v5 || session.exists() { session } else { Session::continued() };
        self.ids.iter_mut().for_each(ids::Ids::begin_link);
        self.raw.clear();
        self.out.clear();
        (self.disconnected, self.half_closed, self.excused) = (false, false, false);
        self.accepted = false;
        (self.heard_code, self.violation, self.requests) = (None, None, 0);
        let made = Connection::new(&connect, settings, session, Millis(log.now), &mut self.out);
        self.connection = made.ok();
        let version = version.level();
        let terms = Terms { version, clean_start, expiry_secs, keep_alive_secs, will };
        log.note(number, self.link, What::Connect(terms));
        log.count("connects");
    }

    /// Without a session nothing is to be continued: a session that a lost CONNACK has left behind is not wanted.
    fn wants_clean_start(&mut self, session: &Session) -> bool {
        let is_v5 = self.persona.version == Version::V5;
        if self.persona.expiry_secs == 0 {
            return !is_v5 || self.dice.percent(50);
        }
        if self.leaving && !is_v5 {
            return true;
        }
        self.must_start_clean |= !self.calm && self.dice.percent(self.habits.clean_start_percent);
        self.must_start_clean || (is_v5 && !session.exists())
    }

    fn new_will(&mut self, plan: WillPlan, log: &mut Log) -> WillTerms {
        let WillPlan { qos, retain, delay_secs } = plan;
        let topic = format!("{}w/{}", self.habits.prefix, self.persona.number).into();
        let message = log.new_message();
        let is_v5 = self.persona.version == Version::V5;
        let publication = Publication { message, topic, qos, retain, empty: false, expiry_secs: None };
        WillTerms { publication, delay_secs: if is_v5 { delay_secs } else { 0 } }
    }

    /// The network connection is gone; `own`: the client itself has cut it or given it up.
    pub fn lost(&mut self, own: bool, network: bool, log: &mut Log) {
        let Some(connection) = self.connection.take() else { return };
        let was_open_ended = self.disconnected || self.half_closed || own;
        let ending = match self.violation.take() {
            Some(text) if !self.excused && !network => Ending::Violation(text),
            _ if network => Ending::Network,
            _ if self.heard_code.is_none() && was_open_ended && !self.excused => Ending::Own,
            _ => Ending::Server { code: self.heard_code, excused: self.excused || own },
        };
        log.note(self.persona.number, self.link, What::Ended(ending));
        self.session = connection.into_session();
        self.out.clear();
        self.raw.clear();
    }

    /// From now on it ends its session for good.
    pub fn leave(&mut self) {
        self.leaving = true;
        self.calm = true;
        self.absent = false;
    }
}

/// The payload of a message: its number, then filler.
fn payload(message: u64, filler: usize) -> Vec<u8> {
    let mut payload = format!("m{message} ").into_bytes();
    payload.resize(payload.len() + filler, b'.');
    payload
}

/// The number that a payload tells.
fn number_of(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    text.strip_prefix('m')?.split_once(' ')?.0.parse().ok()
}

/// A reason code as a number.
fn code(reason: ReasonCode) -> u8 {
    reason as u8
}
