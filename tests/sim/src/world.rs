//! Clients, links and the server on one virtual time. In each round everybody who can do something may do one thing, in
//! an order that the dice draw; the time moves on only when nobody can do anything.

use std::{rc::Rc, sync::Arc};

use whimbrel_oracle::{Crash, event::Wish};

use crate::{
    dice::Dice,
    link::{Read, SimLink},
    log::Log,
    plan::Weather,
    player::{Deed, Player},
    server::Server,
};

/// When virtual time begins.
const START_MILLIS: u64 = 1_000;
/// Rounds after which a run that still is not over never will be. One with thousands of messages, beats of a third of a second
/// and a slow disk has needed more than a million.
const ROUNDS_MAX: u64 = 4_000_000;
/// After its last word a client waits so long for the server to close.
const CLOSE_MILLIS_MAX: u64 = 120_000;

/// A client and its end of a network connection.
pub struct Seat {
    /// The client.
    pub player: Player,
    link: Option<Arc<SimLink>>,
    weather: Weather,
    /// The network does it no harm.
    spared: bool,
    next_act: u64,
    /// Until then it reads nothing.
    paused_until: u64,
    /// Then it gives its connection up, of which it hears nothing more.
    gives_up_at: u64,
    /// It has sent its last word and closes its half when that is out.
    finishing: bool,
    finished: bool,
}

/// Everything.
pub struct World {
    /// What is written down.
    pub log: Log,
    /// The server.
    pub server: Rc<Server>,
    /// The clients.
    pub seats: Vec<Seat>,
    dice: Dice,
    rounds: u64,
    next_tick: u64,
    next_verdict: u64,
    /// Faults happen.
    pub faulty: bool,
    /// Where the server's connections stood when a client first found fault with the server.
    pub snapshot: Option<String>,
    /// Deaths of the server, and what it had counted as dropped before.
    pub crashes: Vec<Crash>,
    /// Messages that earlier lives of the server have dropped.
    pub dropped: u64,
}

/// Why a run was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck(pub String);

impl World {
    /// A world without clients.
    #[must_use]
    pub fn new(server: Rc<Server>, dice: Dice) -> World {
        let mut log = Log::default();
        log.now = START_MILLIS;
        server.advance(START_MILLIS);
        let (seats, next_tick, next_verdict) = (Vec::new(), u64::MAX, u64::MAX);
        World {
            log,
            server,
            seats,
            dice,
            rounds: 0,
            next_tick,
            next_verdict,
            faulty: true,
            snapshot: None,
            crashes: Vec::new(),
            dropped: 0,
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.log.now
    }

    /// A client comes in; `spared`: the network does it no harm.
    pub fn seat(&mut self, player: Player, weather: &Weather, spared: bool) -> usize {
        let next_act = self.now() + self.dice.within(0, 50);
        self.seats.push(Seat {
            player,
            link: None,
            weather: weather.clone(),
            spared,
            next_act,
            paused_until: 0,
            gives_up_at: u64::MAX,
            finishing: false,
            finished: false,
        });
        self.seats.len() - 1
    }

    /// A client that is connected subscribes.
    pub fn subscribe(&mut self, seat: usize, wishes: Vec<Wish>) {
        self.seats[seat].player.subscribe_to(wishes, &mut self.log);
    }

    /// Goes on until this holds or this moment has come. Whether it holds.
    ///
    /// # Errors
    /// Nobody comes to rest.
    pub fn run_until(&mut self, deadline: u64, holds: impl Fn(&World) -> bool) -> Result<bool, Stuck> {
        loop {
            if holds(self) {
                return Ok(true);
            }
            self.rounds += 1;
            if self.rounds > ROUNDS_MAX {
                return Err(Stuck(format!("after {ROUNDS_MAX} rounds nobody has come to rest")));
            }
            if !self.round() && !self.advance(deadline) {
                return Ok(holds(self));
            }
        }
    }

    /// Whether every client is connected and waits for nothing, and nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let quiet =
            |seat: &Seat| seat.player.is_settled() && seat.link.as_ref().is_none_or(|link| link.bytes() == 0);
        let is_written = self.server.store.as_ref().is_none_or(|store| !store.is_wanted());
        is_written && self.server.busy().is_empty() && self.seats.iter().all(quiet)
    }

    /// Everybody once, in an order that is drawn. Whether anybody had something to do.
    fn round(&mut self) -> bool {
        let now = self.now();
        let mut turns = Vec::new();
        if self.server.next_beat() == now {
            turns.extend(self.server.busy().into_iter().map(|at| (true, at)));
        }
        turns.extend((0..self.seats.len()).filter(|at| self.seats[*at].is_busy(now)).map(|at| (false, at)));
        if turns.is_empty() {
            return false;
        }
        for left in (1..turns.len()).rev() {
            turns.swap(left, self.dice.below(left + 1));
        }
        let alone = turns.len() == 1;
        for (is_worker, at) in turns {
            if !alone && self.dice.percent(30) {
                continue;
            }
            if is_worker {
                self.server.step(at);
            } else {
                self.step(at);
            }
            if self.is_doomed() {
                self.restart();
                break;
            }
        }
        true
    }

    /// Lets time pass until somebody has something to do. False when the deadline has come.
    fn advance(&mut self, deadline: u64) -> bool {
        let now = self.now();
        self.next_verdict = self.server.tell_verdicts(now);
        self.next_tick = self.server.next_tick();
        let mut next = self.next_tick.min(self.next_verdict);
        if !self.server.busy().is_empty() {
            let beat = self.server.next_beat();
            if beat == now {
                return true;
            }
            next = next.min(beat);
        }
        for link in self.server.links() {
            next = next.min(link.next().0);
        }
        for seat in &self.seats {
            next = next.min(seat.next(now));
        }
        let next = next.max(now + 1);
        if next > deadline {
            self.move_to(deadline.max(now)); // A start may have taken longer than that.
            return false;
        }
        self.move_to(next);
        true
    }

    fn move_to(&mut self, now: u64) {
        self.log.now = now;
        self.server.advance(now);
        for link in self.seats.iter().filter_map(|seat| seat.link.as_ref()) {
            link.advance(now);
        }
        if self.next_tick <= now {
            self.server.tick(now);
            self.next_tick = u64::MAX;
        }
        if self.next_verdict <= now {
            self.next_verdict = self.server.tell_verdicts(now);
        }
    }

    /// All connections are gone with the server.
    pub(crate) fn excuse_all(&mut self) {
        self.seats.iter_mut().filter(|seat| seat.link.is_some()).for_each(|seat| seat.player.excuse());
    }

    /// From now on this is the server.
    pub(crate) fn take_server(&mut self, server: Rc<Server>) {
        self.server = server;
        (self.next_tick, self.next_verdict) = (u64::MAX, u64::MAX);
        self.move_to(self.now());
    }

    /// One look at one client.
    fn step(&mut self, at: usize) {
        let World { log, seats, dice, server, faulty, snapshot, .. } = self;
        let seat = &mut seats[at];
        let now = log.now;
        if seat.paused_until <= now && seat.paused_until > 0 {
            seat.paused_until = 0;
            seat.player.set_reading(true, log);
        }
        seat.read(log);
        if seat.player.deadline() <= now {
            seat.player.time_out(log);
        }
        if *faulty && !seat.spared {
            seat.suffer(dice, log);
        }
        if seat.gives_up_at <= now {
            seat.give_up(log);
        }
        if seat.next_act <= now {
            let deed = seat.player.act(log);
            seat.next_act = now + seat.player.rest();
            seat.do_deed(deed, server, dice, log);
        }
        seat.write(log);
        if seat.player.has_accused() {
            snapshot.get_or_insert_with(|| server.describe());
        }
        if seat.player.is_over() {
            if let Some(link) = &seat.link {
                link.client_finish();
            }
            seat.let_go(false, false, log);
        }
    }
}

impl Seat {
    fn is_busy(&self, now: u64) -> bool {
        self.next(now) <= now || !self.player.out.is_empty() || self.player.is_over()
    }

    /// When it has something to do.
    fn next(&self, now: u64) -> u64 {
        let reads = match &self.link {
            Some(link) if self.paused_until <= now => link.next().1,
            _ => u64::MAX,
        };
        let pause = if self.paused_until > 0 { self.paused_until } else { u64::MAX };
        let acts = if self.player.is_gone() { u64::MAX } else { self.next_act };
        acts.min(reads).min(pause).min(self.gives_up_at).min(self.player.deadline())
    }

    fn read(&mut self, log: &mut Log) {
        if self.paused_until > log.now {
            return;
        }
        let Some(link) = &self.link else { return };
        match link.client_read() {
            Read::Pending => {}
            Read::Bytes(bytes) => self.player.receive(&bytes, log),
            Read::End => {
                link.client_finish();
                self.let_go(false, false, log);
            }
            Read::Broken => self.let_go(false, true, log),
        }
    }

    fn let_go(&mut self, own: bool, network: bool, log: &mut Log) {
        if let Some(link) = self.link.take().filter(|_| !self.player.was_accepted()) {
            link.abandon();
        }
        (self.paused_until, self.gives_up_at) = (0, u64::MAX);
        (self.finishing, self.finished) = (false, false);
        self.next_act = self.next_act.min(log.now + 200);
        self.player.lost(own, network, log);
    }

    fn write(&mut self, log: &Log) {
        let Some(link) = &self.link else { return };
        if !self.player.out.is_empty() {
            link.client_write(&self.player.take_out());
        }
        if self.finishing && !self.finished {
            link.client_finish();
            self.finished = true;
            self.gives_up_at = self.gives_up_at.min(log.now + CLOSE_MILLIS_MAX);
        }
    }

    /// The network does it harm.
    fn suffer(&mut self, dice: &mut Dice, log: &mut Log) {
        let Some(link) = self.link.as_ref().filter(|link| link.bytes() > 0) else { return };
        if self.gives_up_at < u64::MAX || !dice.per_mille(self.weather.cut_per_mille) {
            return;
        }
        log.count("cuts by the network");
        self.player.excuse();
        let both = dice.percent(60);
        link.cut(both);
        if !both {
            log.count("cuts that the client does not see");
            self.gives_up_at = log.now + dice.within(1, 20_000);
        }
    }

    fn give_up(&mut self, log: &mut Log) {
        if self.finished {
            self.player.accuse("the server does not close after the client's last word");
        }
        self.let_go(false, !self.finished, log);
    }

    fn do_deed(&mut self, deed: Deed, server: &Rc<Server>, dice: &mut Dice, log: &mut Log) {
        match deed {
            Deed::Nothing => {}
            Deed::Dial => {
                self.link = Some(server.accept(&self.weather, self.player.persona.number, log.now));
                self.player.dialled(log);
            }
            Deed::TakeOver => {
                // The old connection stays as it is; nobody reads from it any more.
                self.write(log);
                self.let_go(true, false, log);
                self.do_deed(Deed::Dial, server, dice, log);
            }
            Deed::HalfClose => self.finishing = true,
            Deed::Reset => {
                self.write(log);
                if let Some(link) = &self.link {
                    link.cut(true);
                }
                // What it has said last may be lost, its DISCONNECT too: then nobody knows how the server saw the end.
                let network = self.player.has_disconnected();
                self.let_go(true, network, log);
            }
            Deed::Silence => {
                if let Some(link) = &self.link {
                    link.silence();
                }
                self.gives_up_at = log.now + dice.within(1, 100_000);
            }
            Deed::Pause(millis) => {
                self.paused_until = log.now + millis;
                self.player.set_reading(false, log);
            }
        }
    }

    /// It is to leave for good.
    pub fn leave(&mut self) {
        self.player.leave();
        self.next_act = 0;
    }

    /// At this time it goes, and stays away; until then it answers nothing more.
    pub fn depart_at(&mut self, at: u64) {
        self.player.absent = true;
        self.next_act = at;
    }

    /// No more faults: what the client hears nothing of any more is given up.
    pub fn calm(&mut self, log: &mut Log) {
        self.player.calm = true;
        self.next_act = self.next_act.min(log.now + 200);
        if self.gives_up_at < u64::MAX && !self.finished {
            self.let_go(false, true, log);
        }
        if self.paused_until > 0 {
            self.paused_until = log.now.max(1);
        }
    }
}
