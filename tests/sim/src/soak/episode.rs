//! Some seconds of a soak with clients and topics of their own: faults, then rest, then the verdict; and at the end all
//! leave and what is retained is cleared.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::question::ask;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::SockRef;
use whimbrel_oracle::{
    Facts, Finding,
    event::{What, Wish},
    history::History,
    judge, story,
};
use whimbrel_sim::{
    dice::Dice,
    log::{Log, Tally},
    plan::{EXPIRY_SECS_MAX, Plan},
    player::{Deed, Habits, Persona, Player, WillPlan},
    run::{Outcome, bystander},
};

/// Milliseconds of faults, and clients.
const FAULTS_MILLIS: u64 = 10_000;
const CLIENTS: (u64, u64) = (10, 40);
/// Milliseconds without an event after which nothing more will come.
const QUIET_MILLIS: u64 = 1_500;
const CALM_MILLIS_MAX: u64 = 60_000;
/// A busy machine takes its time.
const DELAY_MILLIS_MAX: u64 = 8_000;
/// A closed connection, and one that nobody reads any more, is let go of after this.
const ZOMBIE_MILLIS: u64 = 8_000;
const READ_BYTES: usize = 16 << 10;
const SUBSCRIPTIONS: &str = "$SYS/broker/subscriptions/count";

struct Seat {
    player: Player,
    socket: Option<TcpStream>,
    /// Bytes that the socket has not taken.
    unsent: Vec<u8>,
    next_act: u64,
    paused_until: u64,
    gives_up_at: u64,
    finishing: bool,
    finished: bool,
    spared: bool,
}

/// One episode.
pub(crate) struct Episode {
    address: SocketAddr,
    log: Log,
    start: Instant,
    seats: Vec<Seat>,
    /// Connections that their clients have left without a word.
    zombies: Vec<(u64, TcpStream)>,
    poll: Poll,
    dice: Dice,
    heard_at: u64,
    prefix: String,
    number: u32,
    has_witness: bool,
}

impl Episode {
    /// Draws an episode.
    ///
    /// # Errors
    /// The system gives no poll.
    pub(crate) fn new(address: SocketAddr, seed: u64, number: u32) -> Result<Episode, String> {
        let mut dice = Dice::new(seed);
        let (mut log, prefix) = (Log::default(), format!("s{number}/"));
        let plan = Plan::draw(&mut dice, &mut Tally::default());
        let habits = Habits {
            prefix: prefix.as_str().into(),
            rest_millis_max: *dice.pick(&[50, 300, 1_000]).unwrap_or(&300),
            ..Habits::clone(&plan.habits)
        };
        let habits = Arc::new(habits);
        log.count("episodes");
        let poll = Poll::new().map_err(|error| format!("poll: {error}"))?;
        let mut episode = Episode {
            address,
            log,
            start: Instant::now(),
            seats: Vec::new(),
            zombies: Vec::new(),
            poll,
            dice,
            heard_at: 0,
            prefix,
            number,
            has_witness: plan.has_witness,
        };
        for at in 0..episode.dice.within(CLIENTS.0, CLIENTS.1) {
            let like = episode.dice.pick(&plan.personas).cloned();
            if let Some(persona) = like {
                let persona = episode.persona(persona, u32::try_from(at).unwrap_or(0));
                let player = Player::new(persona, habits.clone(), episode.dice.fork());
                episode.seats.push(Seat::new(player, false));
            }
        }
        Ok(episode)
    }

    /// Somebody like this, with a number of this episode.
    fn persona(&mut self, like: Persona, at: u32) -> Persona {
        let delay_secs = *self.dice.pick(&[0, 0, 1, 3]).unwrap_or(&0);
        let will = like.will.clone().map(|will| WillPlan { delay_secs, ..will });
        let keep_alive_secs = *self.dice.pick(&[2, 5, 10]).unwrap_or(&5);
        Persona { number: self.number * 1_000 + at, will, keep_alive_secs, ..like }
    }

    /// Runs it.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub(crate) fn run(mut self) -> Result<Outcome, String> {
        let players = std::mem::take(&mut self.seats);
        let mut stuck = Vec::new();
        if self.has_witness {
            stuck.extend(self.come_in(900, true)?);
        }
        self.seats.extend(players);
        let end = self.now() + FAULTS_MILLIS;
        self.go_on(end, |_| false)?;
        let now = self.log.now;
        let Episode { seats, log, .. } = &mut self;
        seats.iter_mut().for_each(|seat| seat.calm(now, log));
        if !self.go_on(now + CALM_MILLIS_MAX, Episode::is_settled)? {
            stuck.push(self.unsettled());
        }
        stuck.extend(self.come_in(901, false)?);
        let mut facts = self.facts();
        if stuck.is_empty() {
            facts.subscriptions = Some(self.subscriptions()?);
        }
        let history = History::new(self.log.events.clone(), &facts);
        let mut findings: Vec<Finding> = stuck.into_iter().map(|text| liveness(&text)).collect();
        findings.extend(judge(&history, &facts));
        if findings.is_empty() {
            findings.extend(self.leave(&history)?.into_iter().map(|text| liveness(&text)));
        }
        let mut report = String::new();
        for finding in findings.iter().take(3) {
            report.push_str(&format!("{finding}\n{}", story(&history, finding)));
        }
        Ok(Outcome { findings, report, tally: self.log.tally, events: Vec::new() })
    }

    fn facts(&self) -> Facts {
        let arrived = |at| {
            let number = self.number * 1_000 + at;
            self.seats.iter().any(|seat| seat.player.persona.number == number).then_some(number)
        };
        Facts {
            delay_max_millis: DELAY_MILLIS_MAX,
            notice_max_millis: DELAY_MILLIS_MAX,
            expiry_max_secs: EXPIRY_SECS_MAX,
            witness: arrived(900),
            auditor: arrived(901),
            ..Facts::default()
        }
    }

    /// What the broker counts, without the one of who asks.
    fn subscriptions(&self) -> Result<usize, String> {
        let values = ask(self.address, &[SUBSCRIPTIONS])?;
        let value = values.first().and_then(|(_, value)| value.parse::<usize>().ok());
        value.and_then(|count| count.checked_sub(1)).ok_or_else(|| format!("{SUBSCRIPTIONS}: {values:?}"))
    }

    fn now(&mut self) -> u64 {
        self.log.now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log.now
    }

    /// A client that subscribes to everything and stays. What went wrong, if anything did.
    fn come_in(&mut self, at: u32, retain_as_published: bool) -> Result<Option<String>, String> {
        let player = bystander(self.number * 1_000 + at, self.dice.fork());
        self.seats.push(Seat::new(player, true));
        let seat = self.seats.len() - 1;
        let end = self.now() + CALM_MILLIS_MAX;
        if !self.go_on(end, |episode| episode.seats[seat].player.is_open())? {
            return Ok(Some("a client that does nothing else cannot connect".to_owned()));
        }
        let wish = Wish {
            text: format!("{}#", self.prefix).into(),
            qos: 2,
            no_local: false,
            retain_as_published,
            retain_handling: 0,
            id: 0,
        };
        self.seats[seat].player.subscribe_to(vec![wish], &mut self.log);
        let end = self.now() + CALM_MILLIS_MAX;
        let settled = self.go_on(end, Episode::is_settled)?;
        Ok((!settled).then(|| self.unsettled()))
    }

    /// Everybody ends its session; what is retained goes.
    fn leave(&mut self, history: &History) -> Result<Option<String>, String> {
        let auditor = self.seats.len() - 1;
        let mut topics: Vec<Box<str>> = history
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Received(arrival) if arrival.retain => Some(arrival.topic.clone()),
                _ => None,
            })
            .collect();
        topics.sort_unstable();
        topics.dedup();
        for seat in &mut self.seats[..auditor] {
            seat.player.leave();
            seat.next_act = 0;
        }
        let end = self.now() + CALM_MILLIS_MAX;
        let left = |episode: &Episode| {
            let (last, others) = (&episode.seats[auditor], &episode.seats[..auditor]);
            last.player.is_settled() && others.iter().all(|seat| seat.player.is_gone())
        };
        // Wills of those who are gone for good come before what is retained is cleared.
        let mut gone = self.go_on(end, left)?;
        for topic in &topics {
            self.seats[auditor].player.clear(topic, &mut self.log);
        }
        gone &= self.go_on(end, left)?;
        self.seats[auditor].player.leave();
        self.seats[auditor].next_act = 0;
        gone &= self.go_on(end, |episode| episode.seats[auditor].player.is_gone())?;
        Ok((!gone).then(|| self.unsettled()))
    }

    fn is_settled(&self) -> bool {
        let quiet = self.heard_at + QUIET_MILLIS < self.log.now;
        quiet && self.seats.iter().all(|seat| seat.player.is_settled() && seat.unsent.is_empty())
    }

    fn unsettled(&self) -> String {
        let mut text = "not at rest long after the last fault".to_owned();
        for seat in self.seats.iter().filter(|seat| !seat.player.is_settled()) {
            text.push_str(&format!("; client {}: {}", seat.player.persona.number, seat.player.waits_for()));
        }
        text
    }

    /// Goes on until this holds or this moment has come. Whether it holds.
    fn go_on(&mut self, end: u64, holds: impl Fn(&Episode) -> bool) -> Result<bool, String> {
        let mut events = Events::with_capacity(256);
        loop {
            let now = self.now();
            if holds(self) {
                return Ok(true);
            }
            if now >= end {
                return Ok(false);
            }
            for at in 0..self.seats.len() {
                self.step(at)?;
            }
            self.zombies.retain(|(since, _)| since + ZOMBIE_MILLIS > now);
            let next = self.seats.iter().map(Seat::next).min().unwrap_or(now).min(now + 20).max(now + 1);
            let wait = Duration::from_millis(next - now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(format!("poll: {error}"));
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, at: usize) -> Result<(), String> {
        let Episode { seats, log, heard_at, dice, .. } = self;
        let (seat, now) = (&mut seats[at], log.now);
        if seat.paused_until > 0 && seat.paused_until <= now {
            seat.paused_until = 0;
            seat.player.set_reading(true, log);
        }
        let events = log.events.len();
        seat.read(log);
        // An answer to a PINGREQ is nothing that others wait for.
        if log.events.len() > events {
            *heard_at = now;
        }
        if seat.player.deadline() <= now {
            seat.player.time_out(log);
        }
        if seat.gives_up_at <= now {
            seat.give_up(log);
        }
        if seat.next_act <= now {
            let deed = seat.player.act(log);
            seat.next_act = now + seat.player.rest().min(500);
            match deed {
                Deed::Nothing => {}
                Deed::Dial | Deed::TakeOver => return self.dial(at, deed == Deed::TakeOver),
                Deed::HalfClose => seat.finishing = true,
                Deed::Reset => {
                    seat.write(log);
                    seat.reset();
                    seat.let_go(true, false, log);
                }
                Deed::Silence => {
                    (seat.paused_until, seat.gives_up_at) = (u64::MAX, now + dice.within(1, 15_000));
                }
                Deed::Pause(millis) => {
                    seat.paused_until = now + millis.min(5_000);
                    seat.player.set_reading(false, log);
                }
            }
        }
        seat.write(log);
        if seat.player.is_over() {
            seat.let_go(false, false, log);
        }
        Ok(())
    }

    fn dial(&mut self, at: usize, takes_over: bool) -> Result<(), String> {
        let Episode { seats, log, zombies, poll, address, .. } = self;
        let seat = &mut seats[at];
        if takes_over {
            seat.write(log);
            zombies.extend(seat.socket.take().map(|socket| (log.now, socket)));
            seat.let_go(true, false, log);
        }
        let failed = |error: io::Error| format!("connecting: {error}");
        // Loopback: it stands at once.
        let stream = std::net::TcpStream::connect(*address).map_err(failed)?;
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).map_err(failed)?;
        let mut socket = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(at), interest).map_err(failed)?;
        seat.socket = Some(socket);
        seat.player.dialled(log);
        seat.write(log);
        Ok(())
    }
}

fn liveness(text: &str) -> Finding {
    Finding { oracle: "liveness", text: text.to_owned(), client: None, message: None }
}

impl Seat {
    fn new(player: Player, spared: bool) -> Seat {
        Seat {
            player,
            socket: None,
            unsent: Vec::new(),
            next_act: 0,
            paused_until: 0,
            gives_up_at: u64::MAX,
            finishing: false,
            finished: false,
            spared,
        }
    }

    fn next(&self) -> u64 {
        let pause = if self.paused_until > 0 { self.paused_until } else { u64::MAX };
        let acts = if self.player.is_gone() { u64::MAX } else { self.next_act };
        acts.min(pause).min(self.gives_up_at).min(self.player.deadline())
    }

    /// Takes what has come.
    fn read(&mut self, log: &mut Log) {
        if self.paused_until > log.now {
            return;
        }
        let mut bytes = [0; READ_BYTES];
        while let Some(socket) = &mut self.socket {
            match socket.read(&mut bytes) {
                Ok(0) => self.let_go(false, false, log),
                Ok(count) => {
                    self.player.receive(bytes.get(..count).unwrap_or_default(), log);
                    if count < READ_BYTES {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.let_go(false, false, log),
            }
        }
    }

    fn write(&mut self, log: &mut Log) {
        self.unsent.append(&mut self.player.out);
        let Some(socket) = &mut self.socket else { return };
        while !self.unsent.is_empty() && self.paused_until != u64::MAX {
            match socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                // What is left is written when there is room; an error shows when it is read.
                Err(_) => break,
            }
        }
        if self.finishing && !self.finished && self.unsent.is_empty() {
            let _ = socket.shutdown(Shutdown::Write);
            self.finished = true;
            self.gives_up_at = self.gives_up_at.min(log.now + CALM_MILLIS_MAX);
        }
    }

    /// The next close takes back what is under way.
    fn reset(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn let_go(&mut self, own: bool, network: bool, log: &mut Log) {
        self.socket = None;
        self.unsent.clear();
        (self.paused_until, self.gives_up_at) = (0, u64::MAX);
        (self.finishing, self.finished) = (false, false);
        self.next_act = self.next_act.min(log.now + 100);
        self.player.lost(own, network, log);
    }

    fn give_up(&mut self, log: &mut Log) {
        if self.finished {
            self.player.accuse("the server does not close after the client's last word");
        }
        self.reset();
        self.let_go(false, !self.finished, log);
    }

    fn calm(&mut self, now: u64, log: &mut Log) {
        if self.spared {
            return;
        }
        self.player.calm = true;
        self.next_act = now;
        if self.gives_up_at < u64::MAX && !self.finished {
            self.give_up(log);
        }
        if self.paused_until > 0 {
            self.paused_until = now.max(1);
        }
    }
}
