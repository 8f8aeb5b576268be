//! The server's task of one connection, without a runtime: the same rules by which the broker's task reads, stands
//! back, flushes, waits, lingers and leaves.

use std::sync::Arc;

use whimbrel_engine::{Conversation, Engine, Level, Standing, Turn, Wire, proto::Millis};

use crate::link::{Read, SimLink};

/// Reads of one turn, and bytes of one read; then others go on.
const READS_PER_TURN: usize = 4;
const READ_BYTES: usize = 64 << 10;
/// After the last packet the client is given this long to read it and close.
const LINGER_MILLIS: u64 = 1_000;
const LINGER_BYTES: usize = 4 << 20;

#[derive(Debug)]
enum Phase {
    Talking,
    Lingering { until: u64, bytes: usize },
    Ending,
}

/// One connection of the server.
pub struct Task {
    conversation: Conversation,
    /// The connection.
    pub link: Arc<SimLink>,
    /// Bytes that were read and not yet handled.
    tail: Vec<u8>,
    tail_whole: bool,
    phase: Phase,
    stood_back: bool,
    /// When the keeper wakes it.
    pub deadline: u64,
    /// Milliseconds after which the authenticator answers.
    verdict_millis: u64,
    /// When it answers.
    pub verdict_at: Option<u64>,
}

impl Task {
    /// A connection that was accepted now.
    #[must_use]
    pub fn new(engine: &Engine, link: Arc<SimLink>, now: u64, verdict_millis: u64, level: Level) -> Self {
        Task {
            conversation: Conversation::new(engine, Millis(now)).at_level(level),
            link,
            tail: Vec::new(),
            tail_whole: false,
            phase: Phase::Talking,
            stood_back: false,
            deadline: u64::MAX,
            verdict_millis,
            verdict_at: None,
        }
    }

    /// One turn. True when the task is over.
    pub fn turn(&mut self, engine: &Engine, turn: &mut Turn) -> bool {
        if let Phase::Talking = self.phase {
            self.talk(engine, turn);
        }
        if let Phase::Lingering { .. } = self.phase {
            self.linger(engine, turn);
        }
        if let Phase::Ending = self.phase {
            return self.leave(engine, turn);
        }
        false
    }

    /// Where it stands, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let client = self.conversation.attached().map_or("?", |attached| attached.session().client_id());
        let Task { phase, tail, tail_whole, deadline, .. } = self;
        let (standing, blocked) = (self.conversation.standing(), self.conversation.is_blocked());
        let topic = self.conversation.waits_for_topic();
        format!(
            "{client}: {phase:?} {standing:?} blocked={blocked} waits for a topic={topic} tail={} whole={tail_whole} \
             deadline={deadline} {}",
            tail.len(),
            self.link.describe()
        )
    }

    fn wire(&self) -> Arc<dyn Wire> {
        self.link.clone()
    }

    fn let_others_run(&self) {
        self.link.schedule();
    }

    fn talk(&mut self, engine: &Engine, turn: &mut Turn) {
        if self.link.is_woken() && !std::mem::replace(&mut self.stood_back, true) {
            self.let_others_run();
            return;
        }
        self.stood_back = false;
        if self.link.take_woken() {
            self.conversation.handle_timeout(engine, turn, &self.wire());
        } else if self.conversation.standing() == Standing::Working {
            self.conversation.proceed(engine, turn, &self.wire());
        }
        let open = self.listen(engine, turn);
        let held = self.conversation.standing() == Standing::Waiting;
        self.wait_writable(engine, turn);
        if held && self.conversation.standing() == Standing::Reading {
            self.let_others_run();
        }
        self.deadline = self.conversation.deadline().0;
        if !open {
            engine.flush(turn);
            if self.conversation.has_output(engine) {
                self.let_others_run();
                return;
            }
            self.phase = Phase::Ending;
        } else if self.conversation.standing() == Standing::Closing {
            self.say_goodbye(engine, turn);
        }
    }

    /// Reads and handles as much as one turn may. False when nothing more will come.
    fn listen(&mut self, engine: &Engine, turn: &mut Turn) -> bool {
        let (mut reads, mut read_bytes) = (0, 0);
        loop {
            match self.conversation.standing() {
                Standing::Closing | Standing::Waiting => return true,
                Standing::Working => {
                    self.let_others_run();
                    return true;
                }
                Standing::Asking => match self.ask(engine, turn) {
                    Some(true) => {}
                    Some(false) => return false,
                    None => return true,
                },
                Standing::Reading if reads == READS_PER_TURN || read_bytes >= READ_BYTES => {
                    self.let_others_run();
                    return true;
                }
                Standing::Reading => match self.read(engine, turn) {
                    Some(0) => return false,
                    Some(bytes) => {
                        reads += 1;
                        read_bytes += bytes;
                    }
                    None => return true,
                },
            }
        }
    }

    /// Reads once, or handles what was read before, and gives a measure of bytes: 0 at the end of the stream, `None`
    /// when there is nothing now.
    fn read(&mut self, engine: &Engine, turn: &mut Turn) -> Option<usize> {
        if !self.tail_whole {
            match self.link.server_read(READ_BYTES) {
                Read::Pending => return None,
                Read::End | Read::Broken => return Some(0),
                Read::Bytes(fresh) if self.tail.is_empty() => {
                    let used = self.conversation.receive(engine, turn, &fresh);
                    self.tail = fresh.get(used..).unwrap_or_default().to_vec();
                    self.tail_whole =
                        !self.tail.is_empty() && self.conversation.standing() != Standing::Reading;
                    return Some(fresh.len());
                }
                Read::Bytes(fresh) => self.tail.extend(fresh),
            }
        }
        let used = self.conversation.receive(engine, turn, &self.tail);
        self.tail.drain(..used);
        self.tail_whole = !self.tail.is_empty() && self.conversation.standing() != Standing::Reading;
        Some(used.max(1))
    }

    /// Has the question of a CONNECT answered, at once or later. `Some(false)`: the client has gone meanwhile.
    fn ask(&mut self, engine: &Engine, turn: &mut Turn) -> Option<bool> {
        let now = turn.now.mono.0;
        if self.conversation.question().is_some() {
            self.verdict_at = Some(now + self.verdict_millis);
        }
        let at = self.verdict_at?;
        if at > now {
            loop {
                let room = READ_BYTES.saturating_sub(self.tail.len());
                if room == 0 {
                    return None;
                }
                match self.link.server_read(room) {
                    Read::Pending => return None,
                    Read::Bytes(fresh) => {
                        self.tail.extend(fresh);
                        self.tail_whole = true;
                    }
                    Read::End if !self.tail.is_empty() => return None,
                    Read::End | Read::Broken => return Some(false),
                }
            }
        }
        self.verdict_at = None;
        self.conversation.answer(engine, turn, Ok(()), &self.wire());
        Some(true)
    }

    fn wait_writable(&mut self, engine: &Engine, turn: &mut Turn) {
        while self.conversation.is_blocked() && self.link.server_can_write() {
            self.conversation.writable(engine, turn);
            engine.flush(turn);
        }
    }

    fn say_goodbye(&mut self, engine: &Engine, turn: &mut Turn) {
        engine.flush(turn);
        if self.conversation.has_output(engine) {
            self.let_others_run();
            return;
        }
        if !self.conversation.last_words().is_empty() {
            let _ = self.link.write(&[self.conversation.last_words()]);
        }
        if !self.conversation.end(engine, turn) {
            self.let_others_run();
        }
        self.tail = Vec::new();
        self.tail_whole = false;
        self.link.server_finish();
        let until = turn.now.mono.0 + LINGER_MILLIS;
        self.deadline = until;
        self.phase = Phase::Lingering { until, bytes: LINGER_BYTES };
    }

    fn linger(&mut self, engine: &Engine, turn: &mut Turn) {
        let Phase::Lingering { until, bytes } = &mut self.phase else { return };
        if !self.conversation.end(engine, turn) && !self.conversation.waits_for_topic() {
            self.link.schedule();
        }
        for _ in 0..READS_PER_TURN {
            let over = match self.link.server_read(READ_BYTES) {
                Read::Pending if turn.now.mono.0 < *until => return,
                Read::Bytes(fresh) => {
                    *bytes = bytes.saturating_sub(fresh.len());
                    *bytes == 0
                }
                Read::Pending | Read::End | Read::Broken => true,
            };
            if over {
                self.phase = Phase::Ending;
                return;
            }
        }
        self.link.schedule();
    }

    fn leave(&mut self, engine: &Engine, turn: &mut Turn) -> bool {
        if !self.conversation.end(engine, turn) {
            if !self.conversation.waits_for_topic() {
                self.let_others_run();
            }
            return false;
        }
        self.deadline = u64::MAX;
        self.link.server_close();
        true
    }
}
