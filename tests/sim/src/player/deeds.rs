//! What a client does when its turn comes: publish, subscribe, answer, leave, break.

use whimbrel_engine::proto::{
    Millis,
    client::{Message, Token},
    codec::{
        Disconnect, PublishProperties, QoS, ReasonCode, RetainHandling, SubscribeOptions, UserProperties,
        Version,
    },
};
use whimbrel_oracle::event::{Publication, What, Wish};

use super::{Deed, Persona, Player, Weights, payload};
use crate::log::Log;

/// Filters of one SUBSCRIBE at most.
const FILTERS_MAX: usize = 3;
/// Bytes of a small, a middling and a large payload at most; the last are shared by reference in the broker.
const FILLERS: [u64; 3] = [40, 1_000, 9_000];

impl Player {
    /// Milliseconds until its next turn.
    pub fn rest(&mut self) -> u64 {
        let waits = !self.is_open() || !self.held.is_empty() || self.leaving;
        let most = match (self.calm, waits) {
            (true, true) => 200,
            (true, false) => 60_000,
            (false, _) => self.habits.rest_millis_max,
        };
        self.dice.within(1, most.max(1))
    }

    /// Its turn.
    pub fn act(&mut self, log: &mut Log) -> Deed {
        if !self.is_linked() {
            return if self.gone || self.absent { Deed::Nothing } else { Deed::Dial };
        }
        if self.absent {
            return Deed::Reset;
        }
        if !self.is_open() || self.half_closed {
            return Deed::Nothing;
        }
        self.answer_some(log);
        if self.leaving {
            self.gone = self.ends_with_link;
            return self.say_goodbye(ReasonCode::NORMAL_DISCONNECTION, Some(0), log);
        }
        if self.calm {
            return Deed::Nothing;
        }
        let Weights { publish, burst, subscribe, unsubscribe, .. } = self.persona.weights;
        let Weights { leave, leave_with_will, reset, half_close, .. } = self.persona.weights;
        let Weights { silence, take_over, pause, ping, .. } = self.persona.weights;
        let weights = [
            publish,
            burst,
            subscribe,
            unsubscribe,
            ping,
            leave,
            leave_with_will,
            reset,
            half_close,
            silence,
            take_over,
            pause,
        ];
        match self.dice.weighted(&weights) {
            0 => self.publish(log),
            1 => {
                log.count("bursts");
                let most = self.habits.burst_max;
                (0..self.dice.within(2, most.max(2))).for_each(|_| self.publish(log));
            }
            2 => self.subscribe(log),
            3 => self.unsubscribe(log),
            4 => self.ping(log),
            choice => return self.break_off(choice, log),
        }
        Deed::Nothing
    }

    fn break_off(&mut self, choice: usize, log: &mut Log) -> Deed {
        match choice {
            5 => {
                let shorter = self.persona.version == Version::V5 && self.dice.percent(20);
                self.say_goodbye(ReasonCode::NORMAL_DISCONNECTION, shorter.then_some(0), log)
            }
            6 if self.persona.version == Version::V5 => {
                self.say_goodbye(ReasonCode::DisconnectWithWill, None, log)
            }
            7 => {
                log.count("resets");
                Deed::Reset
            }
            6 | 8 => {
                log.count("half-closes");
                self.half_closed = true;
                Deed::HalfClose
            }
            9 => {
                log.count("silences");
                self.excuse();
                Deed::Silence
            }
            10 => {
                log.count("take-overs");
                Deed::TakeOver
            }
            _ => {
                log.count("pauses");
                self.excuse();
                let most = if self.dice.percent(10) { 45_000 } else { 4_000 };
                Deed::Pause(self.dice.within(100, most))
            }
        }
    }

    fn say_goodbye(&mut self, reason: ReasonCode, expiry_secs: Option<u32>, log: &mut Log) -> Deed {
        let expiry_secs = expiry_secs.filter(|_| self.persona.version == Version::V5);
        let Some(connection) = &mut self.connection else { return Deed::Nothing };
        let disconnect = Disconnect { reason, session_expiry_secs: expiry_secs, ..Disconnect::default() };
        if connection.disconnect(&disconnect, Millis(log.now), &mut self.out).is_err() {
            return Deed::Nothing;
        }
        self.disconnected = true;
        let code = reason as u8;
        log.note(self.persona.number, self.link, What::Disconnect { code, expiry_secs });
        log.count(if code == 0 { "disconnects" } else { "disconnects with will" });
        Deed::HalfClose
    }

    /// Publishes a message, unless the server takes none now.
    pub fn publish(&mut self, log: &mut Log) {
        let qos = u8::try_from(self.dice.weighted(&self.habits.publish_qos)).unwrap_or(0);
        let Some(topic) = self.dice.pick(&self.habits.topics) else { return };
        let topic: Box<str> = format!("{}{topic}", self.habits.prefix).into();
        let retain = self.dice.percent(self.habits.retain_percent);
        let empty = retain && self.dice.percent(self.habits.clear_percent);
        let is_v5 = self.persona.version == Version::V5;
        let expires = is_v5 && self.dice.percent(self.habits.expiry_percent);
        let expiry_secs = expires.then(|| u32::try_from(self.dice.within(1, 20)).unwrap_or(1));
        let large = self.dice.percent(self.habits.large_percent);
        let size = if large { self.dice.below(FILLERS.len()) } else { 0 };
        let filler = self.dice.within(0, FILLERS.get(size).copied().unwrap_or(0));
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_open()) else {
            return;
        };
        if qos > 0 && !connection.has_room() {
            log.count("publishes held back by the quota");
            return;
        }
        let number = log.new_message();
        let bytes = if empty { Vec::new() } else { payload(number, usize::try_from(filler).unwrap_or(0)) };
        let qos_typed = QoS::from_bits(qos).unwrap_or_default();
        let properties =
            PublishProperties { message_expiry_secs: expiry_secs, ..PublishProperties::default() };
        let Ok(message) = Message::new(&topic, bytes, qos_typed, retain) else { return };
        let message = if expires { message.with_properties(&properties) } else { Ok(message) };
        let now = Millis(log.now);
        let sent =
            message.and_then(|message| connection.publish(message, Token(number), now, now, &mut self.out));
        if sent.is_err() {
            log.count("publishes that could not be sent");
            return;
        }
        log.count(
            ["publishes QoS 0", "publishes QoS 1", "publishes QoS 2"].get(usize::from(qos)).unwrap_or(&""),
        );
        log.tally.add("publishes retained", u64::from(retain));
        log.tally.add("publishes that clear", u64::from(empty));
        log.tally.add("publishes that expire", u64::from(expires));
        let publication = Publication { message: number, topic, qos, retain, empty, expiry_secs };
        log.note(self.persona.number, self.link, What::Publish(publication));
    }

    fn subscribe(&mut self, log: &mut Log) {
        let count = 1 + self.dice.below(FILTERS_MAX);
        let is_v5 = self.persona.version == Version::V5;
        let id = is_v5 && self.dice.percent(self.habits.id_percent);
        let id = if id { u32::try_from(self.dice.within(1, 300)).unwrap_or(1) } else { 0 };
        let mut wishes: Vec<Wish> = Vec::new();
        for _ in 0..count {
            let Some(text) = self.draw_filter() else { return };
            let shared = text.starts_with("$share/");
            let option = |player: &mut Self| is_v5 && player.dice.percent(player.habits.option_percent);
            let weights = if shared { [5, 50, 50] } else { self.habits.subscribe_qos };
            let wish = Wish {
                qos: u8::try_from(self.dice.weighted(&weights)).unwrap_or(0),
                no_local: option(self) && !shared,
                retain_as_published: option(self),
                retain_handling: if option(self) { u8::from(self.dice.percent(50)) + 1 } else { 0 },
                id,
                text,
            };
            if !wishes.iter().any(|known| known.text == wish.text) {
                wishes.push(wish);
            }
        }
        self.subscribe_to(wishes, log);
    }

    /// Subscribes to these filters, which have one identifier.
    pub fn subscribe_to(&mut self, wishes: Vec<Wish>, log: &mut Log) {
        let filters: Vec<(&str, SubscribeOptions)> =
            wishes.iter().map(|wish| (&*wish.text, options(wish))).collect();
        let id = wishes.first().map(|wish| wish.id).filter(|id| *id > 0);
        let Some(connection) = &mut self.connection else { return };
        let user_properties = UserProperties::default();
        let now = Millis(log.now);
        if let Ok(id) = connection.subscribe(&filters, id, user_properties, now, &mut self.out) {
            self.requests += 1;
            log.count("subscribes");
            let shared = wishes.iter().filter(|wish| wish.is_shared()).count();
            log.tally.add("subscriptions shared", shared as u64);
            log.tally.add("subscriptions", wishes.len() as u64);
            let what = What::Subscribe { request: id.value(), wishes };
            log.note(self.persona.number, self.link, what);
        }
    }

    /// A filter of the run, with its prefix where it belongs.
    fn draw_filter(&mut self) -> Option<Box<str>> {
        let filter = self.dice.pick(&self.habits.filters)?;
        let prefix = &self.habits.prefix;
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        Some(match shared {
            Some((group, filter)) => format!("$share/{group}/{prefix}{filter}").into(),
            None => format!("{prefix}{filter}").into(),
        })
    }

    /// Clears what is retained on a topic.
    pub fn clear(&mut self, topic: &str, log: &mut Log) {
        let (number, now) = (log.new_message(), Millis(log.now));
        let Some(connection) = &mut self.connection else { return };
        let Ok(message) = Message::new(topic, Vec::new(), QoS::AtLeastOnce, true) else { return };
        let _ = connection.publish(message, Token(number), now, now, &mut self.out);
    }

    fn unsubscribe(&mut self, log: &mut Log) {
        let count = 1 + self.dice.below(FILTERS_MAX);
        let mut filters: Vec<Box<str>> = Vec::new();
        for _ in 0..count {
            let Some(filter) = self.draw_filter() else { return };
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        let texts: Vec<&str> = filters.iter().map(|filter| &**filter).collect();
        let Some(connection) = &mut self.connection else { return };
        let user_properties = UserProperties::default();
        if let Ok(id) = connection.unsubscribe(&texts, user_properties, Millis(log.now), &mut self.out) {
            self.requests += 1;
            log.count("unsubscribes");
            let what = What::Unsubscribe { request: id.value(), filters };
            log.note(self.persona.number, self.link, what);
        }
    }

    fn ping(&mut self, log: &mut Log) {
        if let Some(connection) = &mut self.connection {
            let _ = connection.ping(Millis(log.now), &mut self.out);
        }
    }

    /// The application answers some of the messages that it has held back; all of them when it is calm.
    fn answer_some(&mut self, log: &mut Log) {
        let Persona { lazy_percent, .. } = self.persona;
        let held = std::mem::take(&mut self.held);
        for ack in held {
            if !self.calm && self.dice.percent(lazy_percent) {
                self.held.push(ack);
            } else if let Some(connection) = &mut self.connection {
                let _ = connection.acknowledge(ack, ReasonCode::Success, Millis(log.now), &mut self.out);
            }
        }
    }
}

fn options(wish: &Wish) -> SubscribeOptions {
    SubscribeOptions {
        qos: QoS::from_bits(wish.qos).unwrap_or_default(),
        no_local: wish.no_local,
        retain_as_published: wish.retain_as_published,
        retain_handling: match wish.retain_handling {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::DoNotSend,
        },
    }
}
