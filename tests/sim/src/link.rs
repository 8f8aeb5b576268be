//! A network connection without a network: two streams of bytes that arrive late and in pieces, a window, and a cut at
//! any byte. The server's end is a wire of the engine; the client's end is called by the world.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use whimbrel_engine::{Wire, Written};

use crate::{dice::Dice, plan::Weather, server};

/// Tasks that have something to do, in the order in which they were woken.
pub type Ready = Mutex<VecDeque<usize>>;

/// What a read has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nothing yet; the reader is told when there is.
    Pending,
    /// The other side has finished.
    End,
    /// The connection is broken.
    Broken,
}

/// One direction.
#[derive(Default)]
struct Stream {
    /// Bytes under way, and when they arrive.
    chunks: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    /// When the end of the stream arrives.
    end: Option<u64>,
    /// When the break arrives.
    broken: Option<u64>,
    latest: u64,
}

impl Stream {
    fn push(&mut self, bytes: &[u8], now: u64, weather: &Weather, dice: &mut Dice) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len =
                if dice.percent(weather.split_percent) { 1 + dice.below(rest.len()) } else { rest.len() };
            let (chunk, others) = rest.split_at(len);
            self.latest = self.latest.max(now + dice.within(0, weather.delay_millis_max));
            self.chunks.push_back((self.latest, chunk.to_vec()));
            rest = others;
        }
        self.bytes += bytes.len();
    }

    /// At most so many of the bytes that have arrived.
    fn take(&mut self, now: u64, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some((at, chunk)) = self.chunks.front_mut() {
            if *at > now || taken.len() >= most {
                break;
            }
            let len = chunk.len().min(most - taken.len());
            taken.extend(chunk.drain(..len));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.bytes -= taken.len();
        taken
    }

    /// What a reader finds now.
    fn read(&mut self, now: u64, most: usize) -> Read {
        let bytes = self.take(now, most);
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if !bytes.is_empty() {
            Read::Bytes(bytes)
        } else if is_due(self.broken) && self.chunks.is_empty() {
            Read::Broken
        } else if is_due(self.end) && self.chunks.is_empty() {
            Read::End
        } else {
            Read::Pending
        }
    }

    /// When a reader finds something.
    fn next(&self) -> u64 {
        let first = self.chunks.front().map(|(at, _)| *at);
        first.or(self.broken).or(self.end).unwrap_or(u64::MAX)
    }

    /// What is under way is lost from somewhere on, then the break arrives.
    fn cut(&mut self, now: u64, weather: &Weather, dice: &mut Dice) {
        let keep = dice.below(self.chunks.len() + 1);
        self.chunks.truncate(keep);
        if let Some((_, last)) = self.chunks.back_mut() {
            last.truncate(1 + dice.below(last.len()));
        }
        self.bytes = self.chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        self.latest = self.latest.max(now + dice.within(0, weather.delay_millis_max));
        self.broken.get_or_insert(self.latest);
    }
}

struct State {
    weather: Weather,
    dice: Dice,
    now: u64,
    to_server: Stream,
    to_client: Stream,
    /// The server waits for bytes.
    reads: bool,
    /// The server waits until it can write.
    writes: bool,
    /// Nothing passes.
    silent: bool,
    /// Nothing reaches the client.
    deaf: bool,
    /// The server knows that the connection is broken.
    gone: bool,
    writes_partial: u64,
    writes_blocked: u64,
}

/// A network connection.
pub struct SimLink {
    state: Mutex<State>,
    /// Somebody wants the task to look at its link.
    woken: AtomicBool,
    queued: AtomicBool,
    ready: Arc<Ready>,
    place: usize,
}

impl SimLink {
    /// A connection whose server task has a place on a worker.
    #[must_use]
    pub fn new(weather: &Weather, dice: Dice, ready: Arc<Ready>, place: usize, now: u64) -> Arc<SimLink> {
        let state = State {
            weather: weather.clone(),
            dice,
            now,
            to_server: Stream::default(),
            to_client: Stream::default(),
            reads: false,
            writes: false,
            silent: false,
            deaf: false,
            gone: false,
            writes_partial: 0,
            writes_blocked: 0,
        };
        let (woken, queued) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(SimLink { state: Mutex::new(state), woken, queued, ready, place })
    }

    /// Puts the task on its worker's list.
    pub fn schedule(&self) {
        if !self.queued.swap(true, Relaxed) {
            self.ready.lock().push_back(self.place);
        }
    }

    /// The task begins its turn.
    pub fn begin(&self) {
        self.queued.store(false, Relaxed);
    }

    /// Whether [`Self::take_woken`] will say yes.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.woken.load(Relaxed)
    }

    /// Whether somebody has called since the last time.
    pub fn take_woken(&self) -> bool {
        self.woken.swap(false, Relaxed)
    }

    /// The server reads, at most so many bytes.
    pub fn server_read(&self, most: usize) -> Read {
        let mut state = self.state.lock();
        let some = if state.dice.percent(20) { 1 + state.dice.below(most) } else { most };
        let now = state.now;
        let read = state.to_server.read(now, some);
        state.reads = read == Read::Pending;
        read
    }

    /// Whether the server can write; if not, it is told when it can.
    pub fn server_can_write(&self) -> bool {
        let mut state = self.state.lock();
        let can = state.has_room();
        state.writes = !can;
        can
    }

    /// The server writes nothing more.
    pub fn server_finish(&self) {
        let mut state = self.state.lock();
        if !state.silent && !state.deaf {
            let at = state.to_client.latest.max(state.now);
            state.to_client.end.get_or_insert(at);
        }
    }

    /// The server has closed its socket: what still comes finds nobody.
    pub fn server_close(&self) {
        self.server_finish();
        let mut state = self.state.lock();
        state.gone = true;
        state.to_server = Stream::default();
    }

    /// The client writes.
    pub fn client_write(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        let State { to_server, now, weather, dice, silent, gone, .. } = &mut *state;
        if !*silent && !*gone && to_server.broken.is_none() && to_server.end.is_none() {
            to_server.push(bytes, *now, weather, dice);
        }
    }

    /// The client reads what has come.
    pub fn client_read(&self) -> Read {
        let mut state = self.state.lock();
        let now = state.now;
        let most = if state.dice.percent(30) { 1 + state.dice.below(300) } else { usize::MAX };
        let read = state.to_client.read(now, most);
        let tells = matches!(read, Read::Bytes(_)) && state.writes && state.has_room();
        state.writes &= !tells;
        drop(state);
        if tells {
            self.schedule();
        }
        read
    }

    /// The client writes nothing more.
    pub fn client_finish(&self) {
        let mut state = self.state.lock();
        if !state.silent && state.to_server.broken.is_none() {
            let at = state.to_server.latest.max(state.now);
            state.to_server.latest = at;
            state.to_server.end.get_or_insert(at);
        }
    }

    /// The connection breaks: what is under way is lost from somewhere on. `both`: the client hears of it, too.
    pub fn cut(&self, both: bool) {
        let mut state = self.state.lock();
        let State { to_server, to_client, now, weather, dice, deaf, .. } = &mut *state;
        to_server.cut(*now, weather, dice);
        if both {
            to_client.cut(*now, weather, dice);
        } else {
            *to_client = Stream::default();
            *deaf = true;
        }
    }

    /// The server has died.
    pub fn crash(&self) {
        self.cut(true);
        let mut state = self.state.lock();
        (state.reads, state.writes, state.gone) = (false, false, true);
    }

    /// The connection breaks at once, and nothing more arrives: a CONNECT that came behind the next one would take its
    /// session over.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        state.to_server = Stream { broken: Some(state.now), ..Stream::default() };
        state.deaf = true;
        let tells = state.reads || state.writes;
        (state.reads, state.writes) = (false, false);
        drop(state);
        if tells {
            self.schedule();
        }
    }

    /// From now on nothing passes, and nobody is told.
    pub fn silence(&self) {
        let mut state = self.state.lock();
        state.silent = true;
        state.to_client = Stream::default();
        state.to_server = Stream::default();
    }

    /// The time moves on; the server's task hears of what has arrived.
    pub fn advance(&self, now: u64) {
        let mut state = self.state.lock();
        state.now = now;
        let arrived = state.to_server.next() <= now;
        let tells =
            (arrived && state.reads) || (state.to_server.broken.is_some_and(|at| at <= now) && state.writes);
        if tells {
            (state.reads, state.writes) = (false, false);
        }
        drop(state);
        if tells {
            self.schedule();
        }
    }

    /// When something arrives at the server, and at the client.
    #[must_use]
    pub fn next(&self) -> (u64, u64) {
        let state = self.state.lock();
        let server = if state.reads || state.writes { state.to_server.next() } else { u64::MAX };
        (server, state.to_client.next())
    }

    /// Bytes under way, in either direction.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let state = self.state.lock();
        state.to_client.bytes + state.to_server.bytes
    }

    /// Where it stands, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = self.state.lock();
        let State { reads, writes, silent, deaf, gone, .. } = &*state;
        let (to_server, to_client) = (state.to_server.bytes, state.to_client.bytes);
        let (woken, queued) = (self.woken.load(Relaxed), self.queued.load(Relaxed));
        format!(
            "link: to server {to_server} to client {to_client} reads={reads} writes={writes} silent={silent} \
             deaf={deaf} gone={gone} woken={woken} queued={queued}"
        )
    }

    /// How many writes were taken in part, and how many not at all.
    #[must_use]
    pub fn writes(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.writes_partial, state.writes_blocked)
    }
}

impl State {
    fn has_room(&self) -> bool {
        let broken = self.to_server.broken.is_some_and(|at| at <= self.now);
        self.silent || broken || self.gone || (self.to_client.bytes as u64) < self.weather.window_bytes
    }
}

impl Wire for SimLink {
    fn write(&self, parts: &[&[u8]]) -> Written {
        // No lock is held while a wire writes, so another worker may go on in its middle.
        server::interrupt();
        let mut state = self.state.lock();
        let broken = state.to_server.broken.is_some_and(|at| at <= state.now);
        if broken || state.gone {
            return Written::Gone;
        }
        let bytes = parts.concat();
        if state.silent || state.deaf || state.to_client.broken.is_some() {
            // The system takes it for a while, and nobody ever acknowledges it.
            return Written::Bytes(bytes.len());
        }
        let window = usize::try_from(state.weather.window_bytes).unwrap_or(usize::MAX);
        let room = window.saturating_sub(state.to_client.bytes);
        if room == 0 {
            state.writes_blocked += 1;
            return Written::Blocked;
        }
        let partial = state.weather.partial_percent;
        let most = if state.dice.percent(partial) { 1 + state.dice.below(room) } else { room };
        let taken = bytes.len().min(most);
        state.writes_partial += u64::from(taken < bytes.len());
        let State { to_client, now, weather, dice, .. } = &mut *state;
        to_client.push(bytes.get(..taken).unwrap_or_default(), *now, weather, dice);
        drop(state);
        server::interrupt();
        Written::Bytes(taken)
    }

    fn wake(&self) {
        self.woken.store(true, Relaxed);
        self.schedule();
    }
}
